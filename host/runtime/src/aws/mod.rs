//! The one way to AWS: every call, the host's own included, is a value that goes through `AwsApi::call`.
//!
//! `sdk_api` makes the calls, with the settings of `environment`; most of them by `direct_call`. Above it are the operations
//! as the rest of the host knows them: `table` (DynamoDB), `roles` (STS) and `discovery` (DRS), which own pagination and
//! what answers mean; `access` is what they need of IAM, and `calls` counts them. `diagnosis` asks what no tick does.
//! Secrets stay below it: an answer never holds credentials, and a call names its role.

mod access;
mod advice;
pub mod call_limits;
mod calls;
mod concurrency_limit;
mod current_call;
pub mod diagnosis;
mod direct_call;
pub mod discovery;
mod drs_region;
pub(crate) mod environment;
mod json;
mod keychain;
mod limited_http_client;
pub mod pacing;
mod patience;
mod rate_limit;
pub mod regions;
mod roles;
mod s3_uri;
pub mod sdk_api;
pub(crate) mod sdk_error;
mod table;
pub mod transport;
mod unused_regions;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::Instant;
use tracing::Instrument;

use crate::account::{ExternalId, Item, Session};

pub use access::Access;
pub use calls::{Calls, Counter};
pub use environment::{certificates, region, region_and_endpoints};
pub use roles::SESSION_NAME;
pub use s3_uri::bucket_and_key;
pub use table::{Landed, Segment, Write};
use unused_regions::UnusedRegions;

/// A way to AWS: live, recording or replaying.
pub trait AwsApi: Send + Sync {
    /// Makes one call; retries are behind it. The answer has the shape that the service's API reference gives.
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Value, AwsError>>;

    /// Whether another call could be under way at once.
    fn has_room(&self) -> bool {
        true
    }

    /// The time there, by which sessions end; a replay has the recorded one.
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// One AWS API call.
#[derive(Debug, Clone)]
pub struct Call {
    /// The region it goes to; `None` is the host's own.
    pub region: Option<String>,
    /// Whose credentials sign it.
    pub principal: Principal,
    /// What is asked.
    pub request: Request,
}

/// The caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// The host itself.
    Host,
    /// A role of a target account, assumed before with a session policy.
    Role(Arc<Session>),
}

/// The request of a call, serialised as in the service's API reference.
#[derive(Clone, Serialize)]
#[serde(untagged)]
pub enum Request {
    /// DynamoDB `Scan`, one page.
    #[serde(rename_all = "PascalCase")]
    Scan {
        /// The table.
        table_name: String,
        /// Whether the read is strongly consistent.
        consistent_read: bool,
        /// Where the page begins.
        #[serde(skip_serializing_if = "Option::is_none")]
        exclusive_start_key: Option<Item>,
        /// Which slice of a parallel scan.
        #[serde(skip_serializing_if = "Option::is_none")]
        segment: Option<u32>,
        /// Of how many.
        #[serde(skip_serializing_if = "Option::is_none")]
        total_segments: Option<u32>,
    },
    /// DynamoDB `GetItem`.
    #[serde(rename_all = "PascalCase")]
    GetItem {
        /// The table.
        table_name: String,
        /// The item's key.
        key: Item,
        /// Whether the read is strongly consistent.
        consistent_read: bool,
    },
    /// DynamoDB `UpdateItem`.
    #[serde(rename_all = "PascalCase")]
    UpdateItem {
        /// The table.
        table_name: String,
        /// The item's key.
        key: Item,
        /// What to set.
        update_expression: String,
        /// Under which condition.
        condition_expression: String,
        /// The values that the expressions name.
        expression_attribute_values: Map<String, Value>,
    },
    /// STS `AssumeRole`.
    #[serde(rename_all = "PascalCase")]
    AssumeRole {
        /// The role.
        role_arn: String,
        /// The session's name, as CloudTrail shows it.
        role_session_name: String,
        /// The external id; never serialised.
        #[serde(skip)]
        external_id: Option<ExternalId>,
        /// The session policy: all that the session may do, whatever else the role could. It follows from the
        /// policy's imports; it isn't serialised, because a tape is for any policy.
        #[serde(skip)]
        policy: Arc<str>,
    },
    /// DRS `ListStagingAccounts`, one page.
    #[serde(rename_all = "camelCase")]
    ListStagingAccounts {
        /// The page's size, at most 50.
        max_results: i32,
        /// Where the page begins.
        #[serde(skip_serializing_if = "Option::is_none")]
        next_token: Option<String>,
    },
    /// DRS `DescribeSourceServers`, one page.
    #[serde(rename_all = "camelCase")]
    DescribeSourceServers {
        /// The page's size, at most 200.
        max_results: i32,
        /// Where the page begins.
        #[serde(skip_serializing_if = "Option::is_none")]
        next_token: Option<String>,
    },
}

impl Request {
    /// The service's signing name, and the operation.
    pub fn name(&self) -> (&'static str, &'static str) {
        match self {
            Self::Scan { .. } => ("dynamodb", "Scan"),
            Self::GetItem { .. } => ("dynamodb", "GetItem"),
            Self::UpdateItem { .. } => ("dynamodb", "UpdateItem"),
            Self::AssumeRole { .. } => ("sts", "AssumeRole"),
            Self::ListStagingAccounts { .. } => ("drs", "ListStagingAccounts"),
            Self::DescribeSourceServers { .. } => ("drs", "DescribeSourceServers"),
        }
    }
}

impl fmt::Debug for Request {
    /// Names the operation alone: items hold external ids.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (service, operation) = self.name();
        write!(f, "{service}:{operation}")
    }
}

/// A call that AWS refused, that got no answer, or whose answer isn't what AWS documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsError {
    /// AWS's code, or one of the host's own (`MALFORMED_RESPONSE` and the like).
    pub code: String,
    /// The message from AWS or the network.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
}

impl AwsError {
    /// The answer isn't what the service's API reference describes.
    pub const MALFORMED_RESPONSE: &str = "MalformedResponse";
    /// There was no connection, or it broke.
    pub const NETWORK: &str = "NetworkError";
    /// It couldn't be sent: no credentials, no endpoint, a value that can't be part of a request.
    pub const NOT_SENT: &str = "RequestNotSent";
    /// There was no answer in time.
    pub const TIMEOUT: &str = "TimeoutError";

    /// The error for an answer that doesn't match the documentation. It says what was expected, and where.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self { code: Self::MALFORMED_RESPONSE.into(), message: message.into(), retryable: true }
    }

    /// The remedy for an error of the table or the bucket that these variables name.
    pub fn remedy(&self, variables: &str) -> String {
        match self.code.as_str() {
            Self::NETWORK | Self::TIMEOUT => unreachable_endpoint().into(),
            _ => format!("check {variables} and the permissions of these credentials"),
        }
    }

    /// The error with the attempted operation before its message.
    pub fn while_doing(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

/// What to do where AWS can't be reached: no permission has a say in that.
pub(crate) fn unreachable_endpoint() -> &'static str {
    "can't reach AWS: check the network, AWS_REGION, and, if they are set, AWS_ENDPOINT_URL and HTTPS_PROXY"
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// AWS as the host knows it.
pub struct Aws {
    aws_api: Arc<dyn AwsApi>,
    table: String,
    /// What the sessions of target accounts' roles may do.
    session_policy: Arc<str>,
    known: Arc<Known>,
    counter: Arc<Counter>,
}

/// What is known of AWS from earlier ticks, whichever policy they went by: sessions, and regions that accounts don't
/// use. It lives as long as the process.
pub struct Known {
    /// The sessions that last; their credentials stay in the API's implementation.
    sessions: Mutex<HashMap<Arc<Session>, Lease>>,
    unused: UnusedRegions,
}

/// How long a session lasts, and what is known of it.
#[derive(Debug, Clone, Copy)]
struct Lease {
    until: SystemTime,
    /// Whether a region has accepted its credentials.
    accepted: bool,
}

impl Known {
    /// Nothing yet; a region that an account doesn't use is asked again after so many ticks.
    pub fn new(recheck_ticks: u32) -> Arc<Self> {
        Arc::new(Self { sessions: Mutex::default(), unused: UnusedRegions::new(recheck_ticks) })
    }

    /// A tick begins, as far as regions that accounts don't use are concerned.
    pub fn begin_tick(&self) {
        self.unused.tick();
    }
}

impl Aws {
    /// The operations over an API, for one table of target accounts and a policy that needs this access.
    pub fn new(aws_api: Arc<dyn AwsApi>, table: impl Into<String>, access: &Access) -> Self {
        let session_policy = access.session_policy().to_string().into();
        Self { aws_api, table: table.into(), session_policy, known: Known::new(1), counter: Arc::default() }
    }

    /// The same with what is known from earlier ticks, of this policy or another.
    pub fn knowing(self, known: Arc<Known>) -> Self {
        Self { known, ..self }
    }

    /// The same with its calls counted here.
    pub fn counted_by(self, counter: Arc<Counter>) -> Self {
        Self { counter, ..self }
    }

    /// Whether another call could be under way at once.
    pub fn has_room(&self) -> bool {
        self.aws_api.has_room()
    }

    async fn call(&self, region: Option<&str>, principal: Principal, request: Request) -> Result<Value, AwsError> {
        let (service, operation) = request.name();
        let began = Instant::now();
        let call = Call { region: region.map(str::to_owned), principal, request };
        let span = tracing::debug_span!("aws", service, operation, region);
        let answer = self.aws_api.call(&call).instrument(span).await;
        self.counter.count(service, region, answer.as_ref().err());
        tracing::debug!(
            service,
            operation,
            region,
            error = answer.as_ref().err().map(|error| error.code.as_str()),
            durationMs = began.elapsed().as_millis() as u64,
            "AWS call"
        );
        answer
    }
}
