//! Calls that only a diagnosis makes: the caller's identity, AWS's time, and the key of a table.
//!
//! No tick makes these calls, so they aren't among the requests of `AwsApi`, and no tape has them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_sdk_dynamodb::types::ScalarAttributeType;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::FinalizerInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::{DateTime, Format};

use super::AwsError;
use super::sdk_api::SdkApi;
use super::sdk_error::convert;

/// Whose credentials the host's are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub account: String,
    /// The user or the role's session.
    pub arn: String,
}

/// The host's identity, from STS.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The caller.
    pub caller: Result<Caller, AwsError>,
    /// The number of seconds by which this machine's clock is ahead of AWS's; `None` without an answer.
    pub clock_ahead: Option<i64>,
}

/// An attribute of a table's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAttribute {
    /// Its name.
    pub name: String,
    /// Its type as DynamoDB has it: `S`, `N` or `B`.
    pub kind: String,
}

impl SdkApi {
    /// Asks STS for the host's identity (`GetCallerIdentity`, which needs no permission).
    pub async fn identity(&self) -> Identity {
        let seen = Dates::default();
        let sent = self.sts.get_caller_identity().customize().interceptor(seen.clone()).send().await;
        let caller = sent.map_err(convert).and_then(|answer| match (answer.account, answer.arn) {
            (Some(account), Some(arn)) => Ok(Caller { account, arn }),
            _ => Err(AwsError::malformed("expected Account and Arn")),
        });
        let clock_ahead = *seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        Identity { caller, clock_ahead }
    }

    /// The key of a table (`DescribeTable`, which a tick needs no permission for).
    pub async fn table_key(&self, table: &str) -> Result<Vec<KeyAttribute>, AwsError> {
        let answer = self.dynamodb.describe_table().table_name(table).send().await.map_err(convert)?;
        let table = answer.table.ok_or_else(|| AwsError::malformed("expected a Table"))?;
        let kind = |name: &str| {
            let defined = table.attribute_definitions().iter().find(|one| one.attribute_name() == name);
            defined.map(|one| one.attribute_type()).map_or("?", ScalarAttributeType::as_str).to_owned()
        };
        let key = table.key_schema().iter().map(|element| element.attribute_name());
        Ok(key.map(|name| KeyAttribute { name: name.to_owned(), kind: kind(name) }).collect())
    }
}

/// How far the clock is ahead of the `Date` of the last answer, an error's as well.
#[derive(Debug, Clone, Default)]
struct Dates(Arc<Mutex<Option<i64>>>);

#[dyn_dispatch_hint]
impl Intercept for Dates {
    fn name(&self) -> &'static str {
        "Dates"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().and_then(|response| response.headers().get("date"));
        if let Some(date) = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok()) {
            let ahead = DateTime::from(SystemTime::now()).secs().saturating_sub(date.secs());
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
        }
        Ok(())
    }
}
