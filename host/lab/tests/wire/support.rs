//! Clients and fleets that the tests share.

use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_sdk_sts::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sts::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::Builder;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use staging_sync_lab::{Fleet, Lab};

pub const TARGET: &str = "111122223333";
pub const ROLE: &str = "arn:aws:iam::111122223333:role/DRSOrchestrationRole";
pub const EXTERNAL_ID: &str = "drs-orchestration-111122223333";
pub const TABLE: &str = "drs-orchestration-target-accounts";
pub const BUCKET: &str = "policies";

/// A lab with one target that has staging accounts in eu-west-1.
pub async fn lab() -> Lab {
    lab_with(|_| ()).await
}

/// The same, changed.
pub async fn lab_with(change: impl FnOnce(&mut Fleet)) -> Lab {
    let mut fleet = Fleet::from_json(include_str!("fleet.json")).unwrap();
    change(&mut fleet);
    Lab::start(fleet).await.unwrap()
}

pub fn http_client() -> SharedHttpClient {
    Builder::new().build_http()
}

fn environment(lab: &Lab, name: &str) -> String {
    lab.env().into_iter().find(|(key, _)| *key == name).unwrap().1
}

pub fn hub(lab: &Lab) -> Credentials {
    let (id, secret) = (environment(lab, "AWS_ACCESS_KEY_ID"), environment(lab, "AWS_SECRET_ACCESS_KEY"));
    Credentials::new(id, secret, None, None, "test")
}

macro_rules! client {
    ($name:ident, $sdk:ident) => {
        pub fn $name(lab: &Lab, credentials: Credentials, region: &'static str) -> $sdk::Client {
            $sdk::Client::from_conf(
                $sdk::Config::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .http_client(http_client())
                    .retry_config(RetryConfig::disabled())
                    .endpoint_url(lab.url())
                    .region(Region::new(region))
                    .credentials_provider(SharedCredentialsProvider::new(credentials))
                    .build(),
            )
        }
    };
}

client!(sts, aws_sdk_sts);
client!(drs, aws_sdk_drs);
client!(dynamodb, aws_sdk_dynamodb);
client!(s3, aws_sdk_s3);

/// The hub's client for its own table.
pub fn table(lab: &Lab) -> aws_sdk_dynamodb::Client {
    dynamodb(lab, hub(lab), "us-east-1")
}

/// The hub's client for its own bucket.
pub fn bucket(lab: &Lab) -> aws_sdk_s3::Client {
    s3(lab, hub(lab), "us-east-1")
}

/// A session of the target's role.
pub async fn assume(lab: &Lab, policy: Option<&str>) -> Credentials {
    assume_role(lab, ROLE, EXTERNAL_ID, policy).await
}

pub async fn assume_role(lab: &Lab, role: &str, external_id: &str, policy: Option<&str>) -> Credentials {
    let call = sts(lab, hub(lab), "us-east-1").assume_role().role_arn(role).role_session_name("test");
    let answer = call.external_id(external_id).set_policy(policy.map(str::to_owned)).send().await.unwrap();
    let issued = answer.credentials.unwrap();
    Credentials::new(issued.access_key_id, issued.secret_access_key, Some(issued.session_token), None, "test")
}

/// The HTTP status and error code of a failed call.
pub fn failure<T: std::fmt::Debug, E>(
    result: Result<T, SdkError<E, aws_smithy_runtime_api::http::Response>>,
) -> (u16, String)
where
    E: ProvideErrorMetadata + std::fmt::Debug,
{
    let error = result.unwrap_err();
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    (status, error.code().unwrap_or("none").to_owned())
}

/// Changes a request, before or after it's signed.
pub struct Alter<F>(pub When, pub F);

/// When a request is changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    BeforeSigning,
    Signed,
}

impl<F> std::fmt::Debug for Alter<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Alter({:?})", self.0)
    }
}

impl<F: Fn(&mut HttpRequest) + Send + Sync> Alter<F> {
    fn at(&self, when: When, context: &mut BeforeTransmitInterceptorContextMut<'_>) -> Result<(), BoxError> {
        if self.0 == when {
            self.1(context.request_mut());
        }
        Ok(())
    }
}

impl<F: Fn(&mut HttpRequest) + Send + Sync> Intercept for Alter<F> {
    fn name(&self) -> &'static str {
        "Alter"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.at(When::BeforeSigning, context)
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.at(When::Signed, context)
    }
}
