//! An HTTP client that limits concurrent AWS calls: all of them together, and each kind to what the service accepts.
//!
//! The limits apply below the SDK's retries, so that a call that waits for its next attempt holds no permit: a throttled
//! region doesn't starve the others.

use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::interceptors::context::{FinalizerInterceptorContextRef, InterceptorContext};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use tokio::sync::Semaphore;

use super::call_limits::{CallLimit, CallLimits};
use super::calls;

/// An HTTP client whose requests wait for permits: of their kind, and among all.
#[derive(Debug, Clone)]
pub struct LimitedHttpClient {
    inner: SharedHttpClient,
    places: Arc<Semaphore>,
    limits: Arc<CallLimits>,
    limit: Option<CallLimit>,
}

impl LimitedHttpClient {
    /// Limits a client to this number of concurrent requests.
    pub fn new(inner: SharedHttpClient, places: usize) -> Self {
        let limits = Arc::new(CallLimits::new(places));
        Self { inner, places: Arc::new(Semaphore::new(places)), limits, limit: None }
    }

    /// The limits of each kind of calls: at first each as many as there may be in all.
    pub fn limits(&self) -> &CallLimits {
        &self.limits
    }

    /// The same client with the same total limit, and this limit for its requests.
    pub fn within(&self, limit: &CallLimit) -> Self {
        Self { limit: Some(limit.clone()), ..self.clone() }
    }
}

impl HttpClient for LimitedHttpClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let Self { places, limit, .. } = self.clone();
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(BoundedConnector { inner, places, limit })
    }
}

#[derive(Debug)]
struct BoundedConnector {
    inner: SharedHttpConnector,
    places: Arc<Semaphore>,
    limit: Option<CallLimit>,
}

impl HttpConnector for BoundedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (inner, places, limit) = (self.inner.clone(), Arc::clone(&self.places), self.limit.clone());
        HttpConnectorFuture::new(async move {
            // The kind's permit first: who waits for one holds none of those that are for all.
            let _of_kind = match &limit {
                Some(limit) => Some(limit.acquire().await),
                None => None,
            };
            let _permit = places.acquire_owned().await.map_err(|closed| ConnectorError::other(closed.into(), None))?;
            inner.call(request).await
        })
    }
}

/// Reports the result of each attempt to a limit.
#[derive(Clone)]
pub struct Feedback {
    /// The limit.
    pub limit: CallLimit,
    /// The service, for people.
    pub service: &'static str,
    /// The region, unless it's the host's own.
    pub region: Option<String>,
}

impl fmt::Debug for Feedback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feedback").finish_non_exhaustive()
    }
}

#[dyn_dispatch_hint]
impl Intercept for Feedback {
    fn name(&self) -> &'static str {
        "Feedback"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(response) = context.response() else { return Ok(()) }; // it didn't get there
        let throttled = is_throttled(response);
        if let Some((calls_at_once, account)) = self.limit.on_response(throttled) {
            let (service, region) = (self.service, self.region.as_deref());
            tracing::warn!(service, region, account, callsAtOnce = calls_at_once, "AWS throttles: fewer calls at once");
        }
        Ok(())
    }
}

/// Whether an answer says that there were too many calls. The SDK has read the body to make an error of it. The three
/// services write the code in three formats; all of them name it in the body or in this header.
fn is_throttled(response: &HttpResponse) -> bool {
    let header = response.headers().get("x-amzn-errortype").unwrap_or_default();
    let body = String::from_utf8_lossy(response.body().bytes().unwrap_or_default());
    !response.status().is_success()
        && (response.status().as_u16() == 429
            || calls::THROTTLED.iter().any(|code| header.contains(code) || body.contains(code)))
}

/// Keeps the SDK from trying a throttled call again: `pacing` does, without using up the tries and the budget of retries
/// that other errors have.
#[derive(Debug)]
pub struct ThrottlingIsPaced;

impl ClassifyRetry for ThrottlingIsPaced {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.response() {
            Some(response) if is_throttled(response) => RetryAction::RetryForbidden,
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "ThrottlingIsPaced"
    }
}
