//! DRS in one region: its two listings, by the SDK or, where that's possible, directly.

use std::sync::Arc;

use aws_sdk_drs as drs;
use serde_json::{Map, Value, json};

use super::AwsError;
use super::current_call::CurrentCall;
use super::direct_call::{Account, DirectCalls, Learn, Page};
use super::sdk_error::convert;

/// DRS in a region: its calls share connections and a budget of retries.
#[derive(Clone)]
pub(super) struct DrsRegion {
    client: drs::Client,
    direct: Arc<DirectCalls>,
}

impl DrsRegion {
    /// Creates the region's client.
    pub(super) fn new(config: drs::config::Builder) -> Self {
        let direct = Arc::<DirectCalls>::default();
        let config = config.interceptor(Learn(Arc::clone(&direct)));
        Self { client: drs::Client::from_conf(config.build()), direct }
    }

    /// The first page of the staging accounts, without the SDK. `None`: the SDK has to be asked.
    pub(super) async fn list_directly(&self) -> Option<Value> {
        self.direct.first_page().await.map(staging_accounts)
    }

    /// A page of the staging accounts, by the SDK.
    pub(super) async fn list_staging_accounts(
        &self,
        max_results: i32,
        next_token: Option<String>,
    ) -> Result<Value, AwsError> {
        let first_attempt_failed = CurrentCall::with(CurrentCall::has_received) == Some(true);
        let list = self.client.list_staging_accounts().max_results(max_results).set_next_token(next_token);
        let answer = list.send().await;
        self.direct.sdk_answered(answer.is_ok() && !first_attempt_failed);
        let page = answer.map_err(convert)?;
        let account = |account: drs::types::Account| Account { account_id: account.account_id };
        let accounts = page.accounts.map(|list| list.into_iter().map(account).collect());
        Ok(staging_accounts(Page { accounts, next_token: page.next_token }))
    }

    /// A page of the source servers.
    pub(super) async fn describe_source_servers(
        &self,
        max_results: i32,
        next_token: Option<String>,
    ) -> Result<Value, AwsError> {
        let describe = self.client.describe_source_servers().max_results(max_results);
        let page = describe.set_next_token(next_token).send().await.map_err(convert)?;
        let items = page.items.as_ref().map(|list| list.iter().map(source_server).collect());
        Ok(listing("items", items, page.next_token()))
    }
}

fn staging_accounts(page: Page) -> Value {
    let entry = |account: Account| {
        let id = account.account_id.map(|id| ("accountID".to_owned(), Value::String(id)));
        Value::Object(id.into_iter().collect())
    };
    let accounts = page.accounts.map(|list| list.into_iter().map(entry).collect());
    listing("accounts", accounts, page.next_token.as_deref())
}

/// A page of a listing; a list that wasn't in the answer isn't in this one.
fn listing(list: &str, entries: Option<Vec<Value>>, next_token: Option<&str>) -> Value {
    let mut page = Map::new();
    if let Some(entries) = entries {
        page.insert(list.into(), Value::Array(entries));
    }
    if let Some(token) = next_token {
        page.insert("nextToken".into(), token.into());
    }
    Value::Object(page)
}

/// What is of use of a source server, as the API reference names it.
fn source_server(server: &drs::types::SourceServer) -> Value {
    let mut answer = Map::new();
    let mut put = |name: &str, value: Option<&str>| {
        value.and_then(|text| answer.insert(name.into(), text.into()));
    };
    put("sourceServerID", server.source_server_id());
    put("arn", server.arn());
    let hostname = server
        .source_properties()
        .and_then(|properties| properties.identification_hints())
        .and_then(|hints| hints.hostname());
    if let Some(hostname) = hostname {
        answer.insert("sourceProperties".into(), json!({"identificationHints": {"hostname": hostname}}));
    }
    if let Some(area) = server.staging_area() {
        let mut staging = Map::new();
        if let Some(id) = area.staging_account_id() {
            staging.insert("stagingAccountID".into(), id.into());
        }
        if let Some(status) = area.status() {
            staging.insert("status".into(), status.as_str().into());
        }
        answer.insert("stagingArea".into(), Value::Object(staging));
    }
    Value::Object(answer)
}
