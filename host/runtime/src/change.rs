//! A change of a stored list: the permitted changes, the resulting list, and the digest that identifies a list.

use serde_json::{Map, Value, json};

use crate::account::AccountId;
use crate::digest::sha256;
use crate::target::StagingAccount;

/// The `addedBy` of every entry that the sync adds.
pub const ADDED_BY: &str = "staging-account-sync";
/// The maximum number of entries that a change may add or remove: a longer list doesn't fit in an item (400 KB).
pub const MAX_CHANGES: usize = 10_000;
/// How often an account is read again, and what is to be written made anew, because somebody edited it meanwhile.
pub const MAX_CONFLICTS: usize = 3;
/// How long a text of a new entry may be, in bytes: IAM's limit for a role ARN.
const MAX_TEXT: usize = 2_048;

/// An entry to add.
#[derive(Clone, Copy)]
pub struct NewEntry<'a> {
    /// Its `accountId`.
    pub id: &'a str,
    /// Its `accountName`.
    pub name: &'a str,
    /// Its `roleArn`.
    pub role_arn: &'a str,
    /// Its `externalId`.
    pub external_id: &'a str,
    /// Its `discoveredFrom`.
    pub discovered_from: &'a str,
}

impl NewEntry<'_> {
    /// Refuses an entry that no list of this target account may contain, whoever requests it. The error says what was
    /// requested.
    pub fn check(&self, target: &AccountId) -> Result<(), String> {
        if self.id == target.as_str() {
            return Err("to make the target account its own staging account".into());
        }
        let texts = [self.name, self.role_arn, self.external_id, self.discovered_from];
        if texts.iter().any(|text| text.is_empty() || text.len() > MAX_TEXT) {
            return Err(format!("to add {} with an empty or an overlong field", self.id));
        }
        if !self.role_arn.contains(&format!(":iam::{}:role/", self.id)) {
            return Err(format!("to add {} with a role that isn't its own", self.id));
        }
        Ok(())
    }

    /// The entry as it's stored, in DynamoDB JSON.
    pub fn stored(&self, added_at: &str) -> Value {
        json!({"M": {
            "accountId": {"S": self.id},
            "accountName": {"S": self.name},
            "roleArn": {"S": self.role_arn},
            "externalId": {"S": self.external_id},
            "addedAt": {"S": added_at},
            "addedBy": {"S": ADDED_BY},
            "discoveredFrom": {"S": self.discovered_from},
        }})
    }
}

/// The list without the entries of some ids, and with new ones behind it. What stays is as it was stored.
pub fn list(stored: &[StagingAccount], removed: &[&str], new: impl IntoIterator<Item = Value>) -> Value {
    let kept = stored.iter().filter(|entry| !removed.contains(&entry.id.as_str()));
    let list: Vec<Value> = kept.map(|entry| entry.stored().clone()).chain(new).collect();
    json!({ "L": list })
}

/// The SHA-256 of a value, as of a stored list (`None`: there's none): the same for every way to write the same value.
pub fn digest(value: Option<&Value>) -> String {
    sha256(canonical(value.unwrap_or(&Value::Null)).to_string().as_bytes())
}

/// A value with the members of its objects in one order, and those of DynamoDB's sets, which have none.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            let member = |(name, value): (&String, &Value)| {
                let mut value = canonical(value);
                if let ("SS" | "NS" | "BS", Value::Array(set)) = (name.as_str(), &mut value) {
                    set.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
                }
                (name.clone(), value)
            };
            Value::Object(sorted.into_iter().map(member).collect::<Map<_, _>>())
        }
        Value::Array(values) => Value::Array(values.iter().map(canonical).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_depends_on_what_a_list_says_and_not_on_how_it_is_written() {
        let read = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        let one = read(r#"{"L": [{"M": {"a": {"S": "1"}, "b": {"SS": ["x", "y"]}}}, {"S": "z"}]}"#);
        let same = read(r#"{"L": [{"M": {"b": {"SS": ["y", "x"]}, "a": {"S": "1"}}}, {"S": "z"}]}"#);
        assert_eq!(digest(Some(&one)), digest(Some(&same)));
        let others = [
            r#"{"L": [{"S": "z"}, {"M": {"a": {"S": "1"}, "b": {"SS": ["x", "y"]}}}]}"#,
            r#"{"L": [{"M": {"a": {"N": "1"}, "b": {"SS": ["x", "y"]}}}, {"S": "z"}]}"#,
            r#"{"L": []}"#,
            r#"{"NULL": true}"#,
        ];
        let mut digests: Vec<String> = others.iter().map(|text| digest(Some(&read(text)))).collect();
        digests.extend([digest(Some(&one)), digest(None)]);
        let all = digests.len();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), all, "each is another list");
    }
}
