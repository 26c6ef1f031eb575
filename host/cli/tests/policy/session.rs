//! The session policy that the host really sends is the one that `policy inspect --iam` shows.

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use staging_sync_runtime::aws::{AwsApi, AwsError, Call, Request};
use staging_sync_runtime::policy::{Limits, Policy};
use staging_sync_runtime::{Config, Event, Runtime, Tick};

use crate::support::{default_policy, repository, staging_sync};

/// An AWS with one target account, which keeps the session policies that it was sent.
#[derive(Default)]
struct Aws(Mutex<Vec<String>>);

impl AwsApi for Aws {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Value, AwsError>> {
        let (id, role) = ("111122223333", "arn:aws:iam::111122223333:role/DRSOrchestrationRole");
        let answer = match &call.request {
            Request::Scan { .. } => json!({"Items": [{"accountId": {"S": id}, "roleArn": {"S": role}}]}),
            Request::AssumeRole { policy, .. } => {
                self.0.lock().expect("no panic before").push(policy.to_string());
                json!({"Credentials": {"Expiration": "2999-01-01T00:00:00Z"}})
            }
            _ => json!({"accounts": []}),
        };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

#[tokio::test]
async fn a_session_may_do_what_the_policy_imports_and_no_more() {
    let policy = Policy::from_bytes(&default_policy("policy.wasm"), Limits::default()).await.expect("a policy");
    let config = Config::read(&|name| (name == "TARGET_ACCOUNTS_TABLE").then(|| "targets".to_owned()));
    let aws = Arc::new(Aws::default());
    let runtime = Runtime::with(config.expect("a configuration"), policy, aws.clone()).await.expect("a runtime");
    let tick = Tick::of(Event::of("sync_staging_accounts"));
    let report = Arc::new(runtime).tick(tick, |_, _| ()).await.expect("a tick");
    assert_eq!(report.counts.failed, 0, "{}", report.summary);

    let (_, iam, _) = staging_sync(&repository("target"), &["policy", "inspect", "policy.wasm", "--iam"]);
    let iam: Value = serde_json::from_str(&iam).expect("JSON");
    let sent = aws.0.lock().expect("no panic before").clone();
    let sent: Vec<Value> = sent.iter().map(|text| serde_json::from_str(text).expect("JSON")).collect();
    assert_eq!(sent, [iam["sessionPolicy"].clone()]);
    assert_eq!(sent[0]["Statement"][0]["Action"], json!(["drs:ListStagingAccounts"]));
}
