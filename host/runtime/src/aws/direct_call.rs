//! `ListStagingAccounts` without the SDK's orchestration, which was half of what such a call cost.
//!
//! Only the first attempt for the first page is made here: the request that the SDK once made in the region, signed for
//! another session, by the SDK's own connector. An answer that isn't plainly a page goes to the SDK as the answer to its own
//! first attempt: so errors, retries, time-outs and their words are the SDK's. Nearly all calls of a tick are such calls.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connection::CaptureSmithyConnection;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::timeout::TimeoutConfig;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use serde::Deserialize;
use tokio::time::timeout;

use super::current_call::{CurrentCall, Received};
use super::patience::RETRY_TOKENS;

/// An answer whose body isn't there by then goes to the SDK, which judges whether it has stalled.
const PROMPT: Duration = Duration::from_secs(1);

/// The most tokens that the retries of one call use up: 3 retries after time-outs, 10 each.
const TOKENS_OF_A_CALL: usize = 30;

/// The headers that are sent as the SDK wrote them. Of its others, some are signed anew, and the rest only count attempts.
const KEPT: [&str; 2] = ["user-agent", "x-amz-user-agent"];

/// The direct calls of a region.
#[derive(Debug, Default)]
pub(super) struct DirectCalls {
    learned: OnceLock<Learned>,
    /// What retries may have taken from the region's budget. A success of a call by the SDK gives one back, so calls go by
    /// the SDK until all are.
    tokens_used: AtomicUsize,
}

/// A request of the SDK's for a first page, and what sends it.
#[derive(Debug)]
struct Learned {
    max_results: i32,
    request: HttpRequest,
    region: String,
    service: String,
    connector: SharedHttpConnector,
}

/// A page, as far as it's of use.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) accounts: Option<Vec<Account>>,
    #[serde(rename = "nextToken")]
    pub(super) next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Account {
    #[serde(rename = "accountID")]
    pub(super) account_id: Option<String>,
}

impl DirectCalls {
    /// Asks for a first page. `None`: the SDK has to be asked; if there was an answer, the task's call holds it.
    pub(super) async fn first_page(&self) -> Option<Page> {
        let (max_results, credentials) = CurrentCall::with(|call| call.first_page.zip(call.credentials.clone()))??;
        let learned = self.learned.get().filter(|learned| learned.max_results == max_results)?;
        if self.tokens_used.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let mut request = learned.signed(credentials, SystemTime::now())?;
        let connection = CaptureSmithyConnection::new();
        request.add_extension(connection.clone());
        CurrentCall::with(|call| call.attempts(true));
        let page = match learned.connector.call(request).await {
            Ok(answer) if answer.status().as_u16() == 200 => page(answer).await.map_err(Ok),
            other => Err(other),
        };
        CurrentCall::with(|call| {
            call.attempts(false);
            match page {
                Ok(page) => {
                    call.limit.on_response(false);
                    Some(page)
                }
                Err(answer) => {
                    call.receive(Received { answer, connection });
                    None
                }
            }
        })?
    }

    /// Learns how a call by the SDK ended: whether all its attempts went well.
    pub(super) fn sdk_answered(&self, well: bool) {
        let after =
            |used: usize| if well { used.saturating_sub(1) } else { (used + TOKENS_OF_A_CALL).min(RETRY_TOKENS) };
        let _ = self.tokens_used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(after(used)));
    }
}

impl Learned {
    /// What there is to learn from a request of the SDK's.
    fn from(request: &HttpRequest, max_results: i32, connector: SharedHttpConnector) -> Option<Self> {
        let (_, scope) = request.headers().get("authorization")?.split_once("Credential=")?;
        let mut scope = scope.split(',').next()?.split('/').skip(2); // after the access key and the day
        let (region, service) = (scope.next()?.to_owned(), scope.next()?.to_owned());
        let mut kept = HttpRequest::get(request.uri()).ok()?;
        for name in KEPT {
            kept.headers_mut().try_insert(name, request.headers().get(name)?.to_owned()).ok()?;
        }
        Some(Self { max_results, request: kept, region, service, connector })
    }

    /// The request, signed by a session.
    fn signed(&self, credentials: Credentials, time: SystemTime) -> Option<HttpRequest> {
        let mut request = self.request.try_clone()?;
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(time)
            .settings(SigningSettings::default())
            .build()
            .ok()?
            .into();
        let headers = request.headers().iter();
        let signable = SignableRequest::new("GET", request.uri(), headers, SignableBody::Bytes(&[])).ok()?;
        let (headers, _) = sign(signable, &params).ok()?.into_parts().0.into_parts();
        for header in headers {
            request.headers_mut().try_insert(header.name(), header.value().to_owned()).ok()?;
        }
        Some(request)
    }
}

/// The page that an answer holds, or the answer as it was.
async fn page(mut answer: HttpResponse) -> Result<Page, HttpResponse> {
    let mut body = answer.take_body();
    let mut read = Vec::new();
    let reading = async {
        while let Some(frame) = body.frame().await {
            let data = frame.map(|frame| frame.into_data().unwrap_or_default()); // trailers hold nothing
            let failed = data.is_err();
            read.push(data);
            if failed {
                return false;
            }
        }
        true
    };
    if timeout(PROMPT, reading).await == Ok(true) {
        let page = match read.as_slice() {
            [Ok(all)] => serde_json::from_slice(all),
            parts => serde_json::from_slice(&parts.iter().flatten().flatten().copied().collect::<Vec<u8>>()),
        };
        if let Ok(page) = page {
            return Ok(page);
        }
    }
    let all = stream::iter(read).chain(body.into_data_stream()).map(|data| data.map(Frame::<Bytes>::data));
    *answer.body_mut() = SdkBody::from_body_1_x(StreamBody::new(all));
    Err(answer)
}

/// Learns the SDK's own request, the first time that it makes one.
#[derive(Debug)]
pub(super) struct Learn(pub(super) Arc<DirectCalls>);

#[dyn_dispatch_hint]
impl Intercept for Learn {
    fn name(&self) -> &'static str {
        "Learn"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(max_results) = CurrentCall::with(|call| call.first_page).flatten() else { return Ok(()) };
        if self.0.learned.get().is_some() {
            return Ok(());
        }
        let (Some(timeouts), Some(client)) = (config.load::<TimeoutConfig>(), components.http_client()) else {
            return Ok(());
        };
        // As the SDK makes them, so that connections are shared.
        let mut settings = HttpConnectorSettings::builder();
        settings.set_connect_timeout(timeouts.connect_timeout()).set_read_timeout(timeouts.read_timeout());
        let connector = client.http_connector(&settings.build(), components);
        if let Some(learned) = Learned::from(context.request(), max_results, connector) {
            let _ = self.0.learned.set(learned); // another call may have been first
        }
        Ok(())
    }
}
