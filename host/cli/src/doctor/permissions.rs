//! The permissions that a tick needs, as far as the other checks show them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use staging_sync_runtime::aws::diagnosis::Caller;
use staging_sync_runtime::aws::sdk_api::SdkApi;
use staging_sync_runtime::aws::{Access, AwsApi, AwsError, Call, Principal, Request};

use super::check::Check;

/// A key that is no account id, so no item of a target account has it.
const PROBE: &str = "staging-sync-doctor";

/// What is known of each action.
#[derive(Default)]
pub struct Permissions(BTreeMap<&'static str, Shown>);

#[derive(Debug, PartialEq)]
enum Shown {
    Allowed,
    Denied,
    /// It failed otherwise, so who may do it wasn't asked.
    Unclear(String),
}

impl Permissions {
    /// Notes how a call went that needs an action. Who is denied once is denied.
    pub fn tried(&mut self, action: &'static str, error: Option<&AwsError>) {
        let shown = match error {
            None => Shown::Allowed,
            // The condition was judged, so the write was allowed.
            Some(error) if error.code == "ConditionalCheckFailedException" => Shown::Allowed,
            Some(error) if error.code.starts_with("AccessDenied") => Shown::Denied,
            Some(error) => Shown::Unclear(error.code.clone()),
        };
        if self.0.get(action) != Some(&Shown::Denied) {
            self.0.insert(action, shown);
        }
    }

    /// Tries what the other checks didn't: to read and to write an item.
    ///
    /// An update is the only way to find out whether updates are allowed. This one changes nothing, whatever the table
    /// holds: its condition asks for an item that exists and doesn't, on a key that no target account has. DynamoDB judges
    /// permissions first, and then the condition, so who may write is told that the condition failed.
    pub async fn probe(&mut self, live: &SdkApi, table: &str, access: &Access) {
        let key = Map::from_iter([("accountId".to_owned(), json!({"S": PROBE}))]);
        let get = Request::GetItem { table_name: table.to_owned(), key: key.clone(), consistent_read: true };
        self.tried("dynamodb:GetItem", call(live, get).await.as_ref().err());
        if access.updates {
            let update = Request::UpdateItem {
                table_name: table.to_owned(),
                key,
                update_expression: "SET updatedAt = :now".into(),
                condition_expression: "attribute_exists(accountId) AND attribute_not_exists(accountId)".into(),
                expression_attribute_values: Map::from_iter([(":now".to_owned(), json!({"S": "never"}))]),
            };
            self.tried("dynamodb:UpdateItem", call(live, update).await.as_ref().err());
        }
    }

    /// The actions that a tick by this policy needs, by what was shown of them.
    pub fn check(&self, access: &Access, caller: &Caller) -> Check {
        const NAME: &str = "permissions";
        let (mut allowed, mut denied, mut unclear) = (Vec::new(), Vec::new(), Vec::new());
        for action in access.actions() {
            match self.0.get(action) {
                Some(Shown::Allowed) => allowed.push(action.to_owned()),
                Some(Shown::Denied) => denied.push(action.to_owned()),
                Some(Shown::Unclear(code)) => unclear.push(format!("{action} ({code})")),
                None => unclear.push(format!("{action} (not tried)")),
            }
        }
        let list =
            |title: &str, actions: &[String]| (!actions.is_empty()).then(|| format!("{title} {}", actions.join(", ")));
        let found = [list("denied", &denied), list("unknown", &unclear), list("allowed", &allowed)];
        let found = found.into_iter().flatten().collect::<Vec<_>>().join("; ");
        if !denied.is_empty() {
            let next = format!(
                "allow the denied actions: those of dynamodb and sts for {}, those of drs for the target account's role; \
                 `staging-sync policy inspect --iam` prints both policies",
                caller.arn
            );
            return Check::failed(NAME, found, next);
        }
        match unclear.is_empty() {
            true => Check::ok(NAME, found),
            false => Check::warning(NAME, found, "fix what the other checks found, and run the command again"),
        }
    }
}

async fn call(live: &SdkApi, request: Request) -> Result<Value, AwsError> {
    live.call(&Call { region: None, principal: Principal::Host, request }).await
}
