//! The real AWS API: the SDK's clients, their retries, timeouts and credentials.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::identity::IdentityCache;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_drs as drs;
use aws_sdk_drs::config::retry::{RetryPartition, TokenBucket};
use aws_sdk_dynamodb as dynamodb;
use aws_sdk_sts as sts;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_types::date_time::Format;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::call_limits::CallLimit;
use super::current_call::{Attempts, CurrentCall, OfCurrentCall};
use super::drs_region::DrsRegion;
use super::json::{item_from_json, item_to_json};
use super::limited_http_client::{Feedback, LimitedHttpClient, ThrottlingIsPaced};
use super::pacing::paced;
use super::patience::{RETRY_TOKENS, stalled_streams};
use super::sdk_error::convert;
use super::{AwsApi, AwsError, Call, Principal, Request};
use super::{environment, transport};
use crate::account::{AccountId, ExternalId, Role, Session};
use crate::error::Error;

pub use super::patience::Patience;

/// The most items in a page of a scan. By default DynamoDB puts up to 1 MB into one, which is several times that in
/// memory, and a tick holds two pages at once.
pub const PAGE_ITEMS: u16 = 256;

/// The real AWS, or whatever `AWS_ENDPOINT_URL` names.
pub struct SdkApi {
    pub(super) dynamodb: dynamodb::Client,
    pub(super) sts: sts::Client,
    /// Those of DynamoDB and of STS.
    limits: [CallLimit; 2],
    patience: Patience,
    http: LimitedHttpClient,
    /// What the clients of DRS are made from, but for the region.
    drs: drs::Config,
    regions: Mutex<HashMap<String, DrsRegion>>,
    credentials: Mutex<HashMap<Session, Credentials>>,
    attempts: Attempts,
}

/// The endpoint of AWS, for callers that don't take it from the environment.
pub struct Endpoint {
    /// One URL for all services, like `http://127.0.0.1:4566`.
    pub url: String,
    /// The host's own region.
    pub region: String,
    /// The host's own credentials.
    pub credentials: Credentials,
}

/// What clients are made from that take credentials, region and endpoints from the environment.
pub(crate) async fn sdk_from_env(http: LimitedHttpClient, patience: Patience) -> Result<SdkConfig, Error> {
    environment::load(http, patience.retries(), patience.timeouts()).await
}

/// What clients of one endpoint are made from.
pub(crate) fn sdk_at(endpoint: Endpoint, http: LimitedHttpClient, patience: Patience) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint.url)
        .region(Region::new(endpoint.region))
        .credentials_provider(SharedCredentialsProvider::new(endpoint.credentials))
        .http_client(http)
        .retry_config(patience.retries())
        .timeout_config(patience.timeouts())
        .stalled_stream_protection(stalled_streams())
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .build()
}

impl SdkApi {
    /// Creates clients with the environment's credentials, region and endpoints, and this number of concurrent
    /// requests. Fails if one of them is missing.
    pub async fn from_env(max_concurrency: usize) -> Result<Self, Error> {
        let http = environment::http_client(max_concurrency).await?;
        let patience = Patience::default();
        Ok(Self::new(&sdk_from_env(http.clone(), patience).await?, http, patience))
    }

    /// Creates clients of one endpoint, whatever the environment configures.
    pub fn at(endpoint: Endpoint, max_concurrency: usize, patience: Patience) -> Self {
        let http = transport::client(max_concurrency);
        Self::new(&sdk_at(endpoint, http.clone(), patience), http, patience)
    }

    fn new(config: &SdkConfig, http: LimitedHttpClient, patience: Patience) -> Self {
        let limits = ["dynamodb", "sts"].map(|service| http.limits().of(service, None, None));
        let dynamodb = dynamodb::config::Builder::from(config).retry_partition(retries("dynamodb"));
        let dynamodb = dynamodb.retry_classifier(ThrottlingIsPaced);
        let dynamodb = dynamodb.interceptor(Feedback { service: "dynamodb", region: None });
        let sts = sts::config::Builder::from(config).retry_partition(retries("sts"));
        let sts = sts.retry_classifier(ThrottlingIsPaced).interceptor(Feedback { service: "sts", region: None });
        Self {
            dynamodb: dynamodb::Client::from_conf(dynamodb.build()),
            sts: sts::Client::from_conf(sts.build()),
            limits,
            patience,
            http,
            // A cache would hold few credentials of the many, and take a lock for each call.
            drs: drs::config::Builder::from(config)
                .retry_classifier(ThrottlingIsPaced)
                .identity_cache(IdentityCache::no_cache())
                .credentials_provider(OfCurrentCall)
                .build(),
            regions: Mutex::default(),
            credentials: Mutex::default(),
            attempts: Attempts::default(),
        }
    }

    async fn scan(
        &self,
        table_name: &str,
        consistent_read: bool,
        start: Option<&Map<String, Value>>,
        segment: Option<(u32, u32)>,
    ) -> Result<Value, AwsError> {
        let mut scan = self
            .dynamodb
            .scan()
            .table_name(table_name)
            .consistent_read(consistent_read)
            .limit(PAGE_ITEMS.into())
            .set_exclusive_start_key(start.map(item_from_json).transpose()?);
        if let Some((segment, total)) = segment {
            scan = scan.segment(segment as i32).total_segments(total as i32);
        }
        let page = scan.send().await.map_err(convert)?;
        let mut answer = Map::new();
        if let Some(items) = page.items {
            let items =
                items.into_iter().map(|item| item_to_json(item).map(Value::Object)).collect::<Result<_, _>>()?;
            answer.insert("Items".into(), Value::Array(items));
        }
        if let Some(key) = page.last_evaluated_key {
            answer.insert("LastEvaluatedKey".into(), item_to_json(key)?.into());
        }
        Ok(Value::Object(answer))
    }

    async fn assume_role(&self, request: &Request, session: Session) -> Result<Value, AwsError> {
        let Request::AssumeRole { role_arn, role_session_name, external_id, policy } = request else {
            return Err(AwsError::malformed("not an AssumeRole request"));
        };
        let answer = self
            .sts
            .assume_role()
            .role_arn(role_arn)
            .role_session_name(role_session_name)
            .set_external_id(external_id.as_ref().map(|id| id.reveal().to_owned()))
            .policy(&**policy)
            .send()
            .await
            .map_err(convert)
            .map_err(|error| without(error, external_id.as_ref()))?;
        let given = answer.credentials.ok_or_else(|| AwsError::malformed("expected Credentials"))?;
        let until = given
            .expiration
            .fmt(Format::DateTime)
            .map_err(|_| AwsError::malformed("expected Credentials.Expiration"))?;
        // No expiry is passed on: the SDK would look for a way to renew them; `roles` knows when they end.
        let credentials = Credentials::new(
            given.access_key_id,
            given.secret_access_key,
            Some(given.session_token),
            None,
            "AssumeRole",
        );
        self.credentials.lock().unwrap_or_else(PoisonError::into_inner).insert(session, credentials);
        Ok(json!({"Credentials": {"Expiration": until}}))
    }

    /// DRS in a region.
    fn drs(&self, call: &Call) -> Result<DrsRegion, AwsError> {
        let region = call.region.as_ref().ok_or_else(|| not_sent("DRS is asked in a region"))?;
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = regions.get(region) {
            return Ok(known.clone());
        }
        let config = self.drs.to_builder().region(Region::new(region.clone())).retry_partition(retries("drs"));
        let config = config.interceptor(Feedback { service: "drs", region: Some(region.clone()) });
        let drs = DrsRegion::new(config);
        regions.insert(region.clone(), drs.clone());
        Ok(drs)
    }

    /// The credentials that sign a call, where they aren't the host's own.
    fn credentials(&self, call: &Call) -> Result<Option<Credentials>, AwsError> {
        match (&call.principal, call.request.name()) {
            (Principal::Role(session), _) => {
                let known = self.credentials.lock().unwrap_or_else(PoisonError::into_inner).get(&**session).cloned();
                known.map(Some).ok_or_else(|| not_sent("the role wasn't assumed"))
            }
            (Principal::Host, ("drs", _)) => Err(not_sent("DRS is only asked by the role of a target account")),
            (Principal::Host, _) => Ok(None),
        }
    }

    /// The limit that a call goes by.
    fn limit(&self, call: &Call) -> CallLimit {
        let [dynamodb, sts] = &self.limits;
        match (call.request.name(), &call.principal) {
            (("drs", _), Principal::Role(session)) => {
                self.http.limits().of("drs", call.region.as_deref(), Some(session.role.account.as_str()))
            }
            (("sts", _), _) => sts.clone(),
            _ => dynamodb.clone(),
        }
    }

    async fn make(&self, call: &Call) -> Result<Value, AwsError> {
        if let Request::ListStagingAccounts { .. } = call.request {
            let drs = self.drs(call)?;
            if let Some(answer) = drs.list_directly().await {
                return Ok(answer);
            }
        }
        // Boxed: the SDK's futures are many times what most calls need, and there is one for each call that waits.
        Box::pin(self.make_by_sdk(call)).await
    }

    async fn make_by_sdk(&self, call: &Call) -> Result<Value, AwsError> {
        match &call.request {
            Request::Scan { table_name, consistent_read, exclusive_start_key, segment, total_segments } => {
                let segment = segment.zip(*total_segments);
                self.scan(table_name, *consistent_read, exclusive_start_key.as_ref(), segment).await
            }
            Request::GetItem { table_name, key, consistent_read } => {
                let get = self.dynamodb.get_item().table_name(table_name).consistent_read(*consistent_read);
                let answer = get.set_key(Some(item_from_json(key)?)).send().await.map_err(convert)?;
                let item = answer.item.map(|item| item_to_json(item).map(Value::Object)).transpose()?;
                Ok(Value::Object(item.map(|item| ("Item".to_owned(), item)).into_iter().collect()))
            }
            Request::UpdateItem {
                table_name,
                key,
                update_expression,
                condition_expression,
                expression_attribute_values,
            } => {
                let update = self
                    .dynamodb
                    .update_item()
                    .table_name(table_name)
                    .set_key(Some(item_from_json(key)?))
                    .update_expression(update_expression)
                    .condition_expression(condition_expression)
                    .set_expression_attribute_values(Some(item_from_json(expression_attribute_values)?));
                update.send().await.map_err(convert)?;
                Ok(json!({}))
            }
            Request::AssumeRole { role_arn, external_id, policy, .. } => {
                let account = role_arn.split(':').nth(4).and_then(AccountId::parse);
                let account = account.ok_or_else(|| AwsError::malformed("a role ARN without an account"))?;
                let role = Role { account, arn: role_arn.clone(), external_id: external_id.clone() };
                self.assume_role(&call.request, Session { role, policy: Arc::clone(policy) }).await
            }
            Request::ListStagingAccounts { max_results, next_token } => {
                self.drs(call)?.list_staging_accounts(*max_results, next_token.clone()).await
            }
            Request::DescribeSourceServers { max_results, next_token } => {
                self.drs(call)?.describe_source_servers(*max_results, next_token.clone()).await
            }
        }
    }
}

/// The error of a call that can't be made.
fn not_sent(what: &str) -> AwsError {
    AwsError { code: AwsError::NOT_SENT.into(), message: what.into(), retryable: false }
}

/// A budget of retries of its own, because the SDK's default ones are shared by the whole process.
fn retries(service: &'static str) -> RetryPartition {
    RetryPartition::custom(service).token_bucket(TokenBucket::new(RETRY_TOKENS)).build()
}

impl AwsApi for SdkApi {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Value, AwsError>> {
        Box::pin(async move {
            let (limit, credentials) = (self.limit(call), self.credentials(call)?);
            let current = || CurrentCall::new(call, limit.clone(), credentials.clone(), &self.attempts);
            let call_again = || current().scope(self.make(call));
            paced(&self.patience, &limit, call_again).await
        })
    }

    fn has_room(&self) -> bool {
        self.attempts.number() < self.http.limits().most()
    }
}

/// The error without the external id, which STS repeats where it finds it malformed.
fn without(mut error: AwsError, external_id: Option<&ExternalId>) -> AwsError {
    if let Some(external_id) = external_id {
        error.message = error.message.replace(external_id.reveal(), "(the external id)");
    }
    error
}

#[cfg(test)]
mod tests;
