//! A target account: the stored item, read without loss of data.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::account::{AccountId, ExternalId, Item, Role};

/// A target account whose item could be read.
#[derive(Clone)]
pub struct Target {
    /// The item's key.
    pub id: AccountId,
    /// `accountName`.
    pub name: Option<String>,
    /// `isCurrentAccount`.
    pub is_current: bool,
    /// `roleArn`, not yet judged (`role`).
    pub role_arn: Option<String>,
    /// `externalId`.
    pub external_id: Option<ExternalId>,
    /// `stagingAccounts`, entry by entry.
    pub staging_accounts: Vec<StagingAccount>,
    /// `stagingAccounts` as it was read, to write under the condition that it's still that. `None`: missing.
    pub stored_list: Option<Arc<Value>>,
}

/// An entry of a stored list.
#[derive(Clone)]
pub struct StagingAccount {
    /// Its `accountId`.
    pub id: AccountId,
    /// The list that it's an entry of, and its place there.
    list: Arc<Value>,
    place: usize,
}

impl fmt::Debug for StagingAccount {
    /// Names the id alone: the stored entry holds an external id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StagingAccount").field(&self.id).finish()
    }
}

impl StagingAccount {
    /// The entries of a list in DynamoDB JSON. Fails where it's none, with what was expected and where.
    pub fn all(list: &Arc<Value>) -> Result<Vec<Self>, String> {
        let entries = typed(list, "L", "stagingAccounts", Value::as_array)?;
        let entry = |(place, stored)| Ok(Self { id: entry_id(place, stored)?, list: Arc::clone(list), place });
        entries.iter().enumerate().map(entry).collect()
    }

    /// The entry as stored, in DynamoDB JSON; written back as it is.
    pub fn stored(&self) -> &Value {
        &self.list["L"][self.place]
    }

    /// A text attribute of the entry, where it has one.
    pub fn text(&self, attribute: &str) -> Option<String> {
        text_of(self.stored(), attribute)
    }
}

/// A text attribute of an entry in DynamoDB JSON, where it has one.
pub fn text_of(entry: &Value, attribute: &str) -> Option<String> {
    Some(entry.get("M")?.get(attribute)?.get("S")?.as_str()?.to_owned())
}

/// Whether an item's key is meant to be an account id. The platform keeps locks and status records in the same table,
/// whose keys aren't made of digits.
pub fn is_account_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit())
}

/// An item that can't be read as a target account.
#[derive(Debug, Clone)]
pub struct Malformed {
    /// The item's key, whatever it looks like.
    pub key: String,
    /// `accountName`, if that much is readable.
    pub name: Option<String>,
    /// Which attribute, what was expected there and what was found.
    pub problem: String,
}

impl fmt::Debug for Target {
    /// Names the account alone: the stored list holds external ids.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

impl Target {
    /// Reads an item. Attributes that belong to others are ignored; a `NULL` counts as missing.
    pub fn read(item: &Item) -> Result<Self, Malformed> {
        Self::of(item.clone())
    }

    /// The same without a copy of the list, which is most of an item.
    pub fn of(item: Item) -> Result<Self, Malformed> {
        let key = text(&item, "accountId").ok().flatten().unwrap_or_default();
        let name = text(&item, "accountName");
        Self::read_all(item, &key, name.clone()).map_err(|problem| Malformed {
            key,
            name: name.ok().flatten(),
            problem,
        })
    }

    fn read_all(mut item: Item, key: &str, name: Result<Option<String>, String>) -> Result<Self, String> {
        let id = AccountId::parse(key)
            .ok_or_else(|| format!("accountId: expected an AWS account id of 12 digits, found {key:?}"))?;
        let is_current = match present(&item, "isCurrentAccount") {
            None => false,
            Some(value) => typed(value, "BOOL", "isCurrentAccount", Value::as_bool)?,
        };
        let is_list = present(&item, "stagingAccounts").is_some();
        let stored_list = item.swap_remove("stagingAccounts").map(Arc::new);
        let entries = stored_list.as_ref().filter(|_| is_list);
        let staging_accounts = entries.map_or(Ok(Vec::new()), StagingAccount::all)?;
        Ok(Self {
            id,
            name: name?,
            is_current,
            role_arn: text(&item, "roleArn")?.filter(|arn| !arn.trim().is_empty()),
            external_id: text(&item, "externalId")?.filter(|id| !id.is_empty()).map(ExternalId::new),
            staging_accounts,
            stored_list,
        })
    }

    /// The regions that entries of the list were discovered from, by their `discoveredFrom`.
    pub fn regions_in_use(&self) -> BTreeSet<String> {
        self.staging_accounts.iter().filter_map(|entry| entry.text("discoveredFrom")).collect()
    }

    /// The role to assume, if the stored one is an IAM role of this very account. Another account's role
    /// would bring another account's staging accounts, and they'd be written here.
    pub fn role(&self) -> Result<Role, RoleError> {
        let arn = self.role_arn.as_deref().ok_or(RoleError::Missing)?;
        let mut parts = arn.splitn(6, ':');
        let fits = parts.next() == Some("arn")
            && parts.next().is_some_and(|partition| partition.starts_with("aws"))
            && parts.next() == Some("iam")
            && parts.next() == Some("")
            && parts.next() == Some(self.id.as_str())
            && parts.next().and_then(|resource| resource.strip_prefix("role/")).is_some_and(|name| !name.is_empty());
        if fits {
            Ok(Role { account: self.id.clone(), arn: arn.to_owned(), external_id: self.external_id.clone() })
        } else {
            Err(RoleError::Foreign(format!("roleArn: expected an IAM role of account {}, found {arn:?}", self.id)))
        }
    }
}

/// Why there's no role to assume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleError {
    /// None is stored.
    Missing,
    /// The stored one isn't a role of this account; says what was found.
    Foreign(String),
}

/// An attribute's value, unless it's missing or `NULL`.
fn present<'a>(item: &'a Item, attribute: &str) -> Option<&'a Value> {
    let null = |value: &Value| {
        value.as_object().is_some_and(|typed| typed.len() == 1 && typed.get("NULL") == Some(&Value::Bool(true)))
    };
    item.get(attribute).filter(|value| !null(value))
}

fn text(item: &Item, attribute: &str) -> Result<Option<String>, String> {
    let Some(value) = present(item, attribute) else { return Ok(None) };
    Ok(Some(typed(value, "S", attribute, Value::as_str)?.to_owned()))
}

/// The content of a typed value, if it has the type that's expected; `read` takes it out of the JSON.
fn typed<'a, T>(
    value: &'a Value,
    expected: &str,
    path: &str,
    read: impl Fn(&'a Value) -> Option<T>,
) -> Result<T, String> {
    let only = value.as_object().filter(|typed| typed.len() == 1);
    only.and_then(|typed| typed.get(expected)).and_then(read).ok_or_else(|| {
        let found = value.as_object().and_then(|typed| typed.keys().next()).map_or("nothing", String::as_str);
        format!("{path}: expected {}, found {}", type_name(expected), type_name(found))
    })
}

/// DynamoDB's type descriptors in words.
fn type_name(descriptor: &str) -> &str {
    match descriptor {
        "S" => "a string (S)",
        "N" => "a number (N)",
        "B" => "binary (B)",
        "BOOL" => "a boolean (BOOL)",
        "NULL" => "NULL",
        "L" => "a list (L)",
        "M" => "a map (M)",
        "SS" => "a string set (SS)",
        "NS" => "a number set (NS)",
        "BS" => "a binary set (BS)",
        other => other,
    }
}

fn entry_id(index: usize, stored: &Value) -> Result<AccountId, String> {
    let path = format!("stagingAccounts[{index}]");
    let id_path = format!("{path}.accountId");
    let attributes = typed(stored, "M", &path, Value::as_object)?;
    let id = attributes.get("accountId").ok_or_else(|| format!("{id_path}: expected a string (S), found nothing"))?;
    let id = typed(id, "S", &id_path, Value::as_str)?;
    AccountId::parse(id).ok_or_else(|| format!("{id_path}: expected an AWS account id of 12 digits, found {id:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(item: Value) -> Result<Target, Malformed> {
        Target::read(item.as_object().expect("an object"))
    }

    fn problem(item: Value) -> String {
        read(item).expect_err("a malformed item").problem
    }

    #[test]
    fn everything_but_the_key_may_be_missing() {
        let target = read(json!({"accountId": {"S": "111122223333"}, "externalId": {"NULL": true}})).expect("a target");
        assert_eq!((target.name, target.role_arn, target.external_id), (None, None, None));
        assert!(target.staging_accounts.is_empty() && target.stored_list.is_none() && !target.is_current);
    }

    #[test]
    fn a_problem_names_the_attribute() {
        let id = json!({"S": "111122223333"});
        assert_eq!(
            problem(json!({"accountId": {"S": "1234"}})),
            "accountId: expected an AWS account id of 12 digits, found \"1234\""
        );
        assert_eq!(
            problem(json!({"accountId": id, "stagingAccounts": {"S": "[]"}})),
            "stagingAccounts: expected a list (L), found a string (S)"
        );
        assert_eq!(
            problem(json!({"accountId": id, "roleArn": {"N": "5"}})),
            "roleArn: expected a string (S), found a number (N)"
        );
        let entries = json!({"L": [{"M": {"accountId": id}}, {"M": {"accountName": {"S": "x"}}}]});
        assert_eq!(
            problem(json!({"accountId": id, "stagingAccounts": entries})),
            "stagingAccounts[1].accountId: expected a string (S), found nothing"
        );
    }

    #[test]
    fn only_a_role_of_the_account_itself_is_assumed() {
        let target = |arn: &str| {
            read(json!({"accountId": {"S": "111122223333"}, "roleArn": {"S": arn}})).expect("a target").role()
        };
        assert!(target("arn:aws-us-gov:iam::111122223333:role/path/DRSOrchestrationRole").is_ok());
        assert_eq!(target(" "), Err(RoleError::Missing));
        for foreign in [
            "arn:aws:iam::999988887777:role/DRSOrchestrationRole",
            "arn:aws:iam::111122223333:user/x",
            "arn:aws:iam::111122223333:role/",
            "DRSOrchestrationRole",
        ] {
            assert!(matches!(target(foreign), Err(RoleError::Foreign(_))), "{foreign}");
        }
    }

    #[test]
    fn an_external_id_is_not_printed() {
        let item = json!({
            "accountId": {"S": "111122223333"}, "externalId": {"S": "s3cret"},
            "stagingAccounts": {"L": [{"M": {"accountId": {"S": "444455556666"}, "externalId": {"S": "s3cret"}}}]},
        });
        let target = read(item).expect("a target");
        let role = target.role();
        let printed = format!("{target:?} {:?} {:?} {role:?}", target.external_id, target.staging_accounts);
        assert!(!printed.contains("s3cret"), "{printed}");
    }
}
