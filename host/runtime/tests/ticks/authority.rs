//! What a tick may do at the most: the session policy that every assumed role is narrowed to.

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use staging_sync_runtime::aws::{AwsApi, AwsError, Call, Request};
use staging_sync_runtime::{Config, Event, Runtime, Tick};

use crate::support::policy;

/// An AWS that knows nothing but one target account, and remembers what it was asked.
#[derive(Default)]
struct Remembering(Mutex<Vec<(String, Value)>>);

impl AwsApi for Remembering {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Value, AwsError>> {
        let operation = call.request.name().1;
        let mut request = serde_json::to_value(&call.request).expect("JSON");
        if let Request::AssumeRole { policy, .. } = &call.request {
            request["Policy"] = serde_json::from_str(policy).expect("JSON");
        }
        self.0.lock().expect("no panic").push((operation.to_owned(), request));
        let answer = match operation {
            "Scan" => json!({"Items": [{
                "accountId": {"S": "111122223333"},
                "roleArn": {"S": "arn:aws:iam::111122223333:role/Admin"},
                "externalId": {"S": "s3cret"},
            }]}),
            "AssumeRole" => json!({"Credentials": {"Expiration": "2126-01-01T00:00:00Z"}}),
            _ => json!({"accounts": []}),
        };
        Box::pin(async move { Ok(answer) })
    }
}

#[tokio::test]
async fn a_session_may_only_make_the_reads_that_a_tick_makes() {
    let variables = [("TARGET_ACCOUNTS_TABLE", "targets"), ("DRS_REGIONS", "eu-west-1")];
    let variable = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string());
    let config = Config::read(&variable).expect("a configuration");
    let aws_api = Arc::new(Remembering::default());
    let runtime = Arc::new(Runtime::with(config, policy().await, aws_api.clone()).await.expect("a runtime"));
    let summary =
        runtime.tick(Tick::of(Event::of("sync_staging_accounts")), |_, _| ()).await.expect("a summary").summary;
    assert_eq!(summary["details"][0]["status"], "unchanged");

    let calls = aws_api.0.lock().expect("no panic").clone();
    let (_, request) = calls.iter().find(|(operation, _)| operation == "AssumeRole").expect("AssumeRole");
    assert_eq!(request["RoleSessionName"], "staging-account-sync");
    let allowed = json!([{"Effect": "Allow", "Action": ["drs:ListStagingAccounts"], "Resource": "*"}]);
    assert_eq!(request["Policy"]["Statement"], allowed, "all that the default policy imports");
    assert!(!json!(calls).to_string().contains("s3cret"), "an external id is never serialised with a request");
}
