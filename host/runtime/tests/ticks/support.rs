//! What the tests share: the default policy, compiled once, and a runtime in front of a lab.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use staging_sync_lab::{Account, Fleet, Lab, Region, Role};
use staging_sync_runtime::aws::AwsApi;
use staging_sync_runtime::aws::sdk_api::{Endpoint, Patience, SdkApi};
use staging_sync_runtime::journal::Journal;
use staging_sync_runtime::policy::{Limits, Policy};
use staging_sync_runtime::store::bucket::Objects;
use staging_sync_runtime::{Config, Runtime};
use tokio::sync::OnceCell;

/// The default policy.
pub async fn policy() -> Policy {
    static POLICY: OnceCell<Policy> = OnceCell::const_new();
    let load = || async {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/policy.wasm");
        Policy::load(&path, Limits::default()).await.expect("the default policy: run `make policy` first")
    };
    POLICY.get_or_init(load).await.clone()
}

/// Three tries with hardly a wait between them, throttled ones as well: the lab doesn't get better by waiting.
pub fn patience() -> Patience {
    let (first_backoff, longest_backoff) = (Duration::from_millis(1), Duration::from_millis(5));
    Patience { attempts: 3, first_backoff, longest_backoff, throttled: Duration::ZERO, ..Patience::default() }
}

/// A runtime in front of a lab, with variables of the environment besides the lab's own.
pub async fn runtime(
    lab: &Lab,
    variables: &[(&str, &str)],
    policy: Policy,
    patience: Patience,
) -> Result<Arc<Runtime>, staging_sync_runtime::Error> {
    let (config, live) = config_and_live(lab, variables, patience)?;
    let live: Arc<dyn AwsApi> = Arc::new(live);
    let journal = journal(lab, &config, Arc::clone(&live));
    let aws_api = journal.as_ref().map_or(live, |journal| journal.aws_api());
    Ok(Arc::new(Runtime::with(config, policy, aws_api).await?.journaled(journal)))
}

/// The journal that a configuration names, in a folder or in the lab's bucket.
pub fn journal(lab: &Lab, config: &Config, aws_api: Arc<dyn AwsApi>) -> Option<Arc<Journal>> {
    let objects = Arc::new(Objects::at(endpoint(lab), patience()));
    let place = config.journal.as_deref()?;
    Some(Journal::open(place, Some(&objects), aws_api).expect("a journal"))
}

/// Where a lab is.
pub fn endpoint(lab: &Lab) -> Endpoint {
    let env = lab.env();
    let text =
        |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()).unwrap_or_default();
    let (id, secret) = (text("AWS_ACCESS_KEY_ID"), text("AWS_SECRET_ACCESS_KEY"));
    let credentials = aws_credential_types::Credentials::new(id, secret, None, None, "lab");
    Endpoint { url: lab.url(), region: text("AWS_REGION"), credentials }
}

/// What a runtime in front of a lab is made from.
pub fn config_and_live(
    lab: &Lab,
    variables: &[(&str, &str)],
    patience: Patience,
) -> Result<(Config, SdkApi), staging_sync_runtime::Error> {
    let env = lab.env();
    let get = |name: &str| {
        let set = variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string());
        set.or_else(|| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()))
    };
    let config = Config::read(&get)?;
    let live = SdkApi::at(endpoint(lab), config.max_concurrency, patience);
    Ok((config, live))
}

/// The default policy in front of a lab, as it is.
pub async fn default_runtime(lab: &Lab) -> Arc<Runtime> {
    runtime(lab, &[], policy().await, patience()).await.expect("a runtime")
}

/// The role that every target account of `targets` has.
pub const ROLE: &str = "DRSOrchestrationRole";

/// The number of a target account, as its id.
pub fn id(number: usize) -> String {
    format!("{:012}", 100_000_000_000 + number)
}

/// A fleet in us-east-1: target accounts whose ids come from `id`, each with stored entries of these ids, and
/// with the others named by DRS.
pub fn targets(targets: impl IntoIterator<Item = (Vec<String>, Vec<String>)>) -> Fleet {
    let mut fleet = Fleet::default();
    for (number, (stored, named)) in targets.into_iter().enumerate() {
        let id = id(number);
        let entry = |id: String| json!({"accountId": id, "note": "kept"});
        let item = json!({
            "accountId": id,
            "roleArn": format!("arn:aws:iam::{id}:role/{ROLE}"),
            "stagingAccounts": stored.into_iter().map(entry).collect::<Vec<_>>(),
        });
        fleet.targets.extend(item.as_object().cloned());
        let account = Account {
            roles: [(ROLE.to_owned(), Role::default())].into(),
            regions: [("us-east-1".to_owned(), Region::extended(named))].into(),
            page_size: None,
        };
        fleet.accounts.insert(id, account);
    }
    fleet
}

/// The stored ids of every target account, in stored order.
pub fn stored_ids(lab: &Lab) -> Vec<Vec<String>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let ids = |item: &Value| {
        item["stagingAccounts"].as_array().into_iter().flatten().map(|entry| text(&entry["accountId"])).collect()
    };
    lab.plain_items().expect("items").iter().map(ids).collect()
}
