//! An HTTP client that limits concurrent AWS calls: all of them together, and each kind to what the service accepts.
//!
//! The limits apply below the SDK's retries, so that a call that waits for its next attempt holds no permit: a throttled
//! region doesn't starve the others.

use std::sync::Arc;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connection::CaptureSmithyConnection;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef, InterceptorContext,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use tokio::sync::Semaphore;

use super::call_limits::CallLimits;
use super::calls;
use super::current_call::CurrentCall;

/// An HTTP client whose requests wait for permits: of their kind, if the task's call is of one, and among all.
#[derive(Debug, Clone)]
pub struct LimitedHttpClient {
    inner: SharedHttpClient,
    places: Arc<Semaphore>,
    limits: Arc<CallLimits>,
}

impl LimitedHttpClient {
    /// Limits a client to this number of concurrent requests.
    pub fn new(inner: SharedHttpClient, places: usize) -> Self {
        let limits = Arc::new(CallLimits::new(places));
        Self { inner, places: Arc::new(Semaphore::new(places)), limits }
    }

    /// The limits of each kind of calls: at first each as many as there may be in all.
    pub fn limits(&self) -> &CallLimits {
        &self.limits
    }
}

impl HttpClient for LimitedHttpClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(BoundedConnector { inner, places: Arc::clone(&self.places) })
    }
}

#[derive(Debug)]
struct BoundedConnector {
    inner: SharedHttpConnector,
    places: Arc<Semaphore>,
}

impl HttpConnector for BoundedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if let Some(received) = CurrentCall::with(CurrentCall::take_received).flatten() {
            if let Some(capture) = request.extension::<CaptureSmithyConnection>() {
                capture.set_connection_retriever(move || received.connection.get());
            }
            return HttpConnectorFuture::ready(received.answer);
        }
        let (inner, places) = (self.inner.clone(), Arc::clone(&self.places));
        let limit = CurrentCall::with(|call| call.limit.clone());
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

/// Reports the result of each attempt to the limit of the task's call.
#[derive(Debug)]
pub struct Feedback {
    /// The service, for people.
    pub service: &'static str,
    /// The region, unless it's the host's own.
    pub region: Option<String>,
}

#[dyn_dispatch_hint]
impl Intercept for Feedback {
    fn name(&self) -> &'static str {
        "Feedback"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        CurrentCall::with(|call| call.attempts(true));
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        CurrentCall::with(|call| {
            call.attempts(false);
            let Some(response) = context.response() else { return }; // it didn't get there
            let throttled = is_throttled(response);
            if let Some((calls_at_once, account)) = call.limit.on_response(throttled) {
                let (service, region) = (self.service, self.region.as_deref());
                tracing::warn!(
                    service,
                    region,
                    account,
                    callsAtOnce = calls_at_once,
                    "AWS throttles: fewer calls at once"
                );
            }
        });
        Ok(())
    }
}

/// Whether an answer says that there were too many calls. The SDK has read the body to make an error of it. The three
/// services write the code in three formats; all of them name it in the body or in this header.
fn is_throttled(response: &HttpResponse) -> bool {
    if response.status().is_success() {
        return false;
    }
    let header = response.headers().get("x-amzn-errortype").unwrap_or_default();
    let body = String::from_utf8_lossy(response.body().bytes().unwrap_or_default());
    response.status().as_u16() == 429
        || calls::THROTTLED.iter().any(|code| header.contains(code) || body.contains(code))
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
