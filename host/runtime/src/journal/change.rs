//! Records of changes: what a write takes from an account's list and adds to it, durable before the write.
//!
//! They alone hold external ids, of the entries that are removed. A record says what was asked for, not that it was done:
//! whether it was shows by the list that is stored.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::account::AccountId;
use crate::change::digest;
use crate::target::Target;

/// A change of an account's list, and all that is needed to take it back.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Change {
    /// The target account.
    pub account_id: AccountId,
    /// The tick, or whatever else made it.
    pub tick: String,
    /// When, in UTC to the second.
    pub at: String,
    /// Who decided it: a policy, or a person.
    pub by: String,
    /// The ids that it adds.
    pub added: Vec<String>,
    /// The entries that it removes, in the list's order.
    pub removed: Vec<RemovedEntry>,
    /// The name of the change that it takes back, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<String>,
    /// What was stored in place of a list, where there was none.
    #[serde(default, skip_serializing_if = "Before::is_list")]
    pub was: Before,
    /// The digest of the list before (`change::digest`).
    pub before: String,
    /// The digest of the list after.
    pub after: String,
}

/// An entry that is removed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RemovedEntry {
    /// Its `accountId`.
    pub account_id: AccountId,
    /// Its place in the list before, from 0.
    pub index: usize,
    /// The entry as stored, in DynamoDB JSON.
    pub entry: Value,
}

/// What `stagingAccounts` was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Before {
    /// A list.
    #[default]
    List,
    /// Not there.
    Missing,
    /// `NULL`.
    Null,
}

impl Before {
    fn of(stored: Option<&Value>) -> Self {
        match stored {
            None => Self::Missing,
            Some(value) if value.get("L").is_none() => Self::Null,
            Some(_) => Self::List,
        }
    }

    fn is_list(&self) -> bool {
        *self == Self::List
    }

    /// The stored value that a list without entries was.
    fn value(self) -> Option<Value> {
        match self {
            Self::List => Some(json!({"L": []})),
            Self::Missing => None,
            Self::Null => Some(json!({"NULL": true})),
        }
    }
}

/// The entry of an id that was last removed, where a tick finds it that adds the id again.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Removed {
    /// The target account.
    pub account_id: AccountId,
    /// The name of the change's record.
    pub change: String,
    /// The entry as stored.
    pub entry: Value,
}

/// Where the record of a change is, and its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangeRef {
    /// Its name in the journal.
    pub name: String,
    /// Its digest.
    pub digest: String,
}

impl fmt::Debug for Change {
    /// Names the account alone: entries hold external ids.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change").field("account", &self.account_id).field("tick", &self.tick).finish_non_exhaustive()
    }
}

impl Change {
    /// The change of an account's list, as it was read, to `list`, in DynamoDB JSON; `None` for no list.
    pub fn of(target: &Target, list: Option<&Value>, tick: &str, at: &str, by: &str) -> Self {
        let after: Vec<&Value> = list.and_then(|list| list["L"].as_array()).into_iter().flatten().collect();
        let id = |entry: &&Value| entry.pointer("/M/accountId/S").and_then(Value::as_str).map(str::to_owned);
        let mut kept: BTreeMap<String, usize> = BTreeMap::new();
        for id in after.iter().filter_map(id) {
            *kept.entry(id).or_default() += 1;
        }
        // An id may be stored twice; what stays of it isn't removed.
        let removed = target.staging_accounts.iter().enumerate().filter(|(_, entry)| {
            let left = kept.get_mut(entry.id.as_str()).filter(|left| **left > 0);
            left.map(|left| *left -= 1).is_none()
        });
        let removed = removed.map(|(index, entry)| RemovedEntry {
            account_id: entry.id.clone(),
            index,
            entry: entry.stored().clone(),
        });
        let removed: Vec<RemovedEntry> = removed.collect();
        let stored = |id: &String| target.staging_accounts.iter().any(|entry| entry.id.as_str() == id);
        Self {
            account_id: target.id.clone(),
            tick: tick.to_owned(),
            at: at.to_owned(),
            by: by.to_owned(),
            added: after.iter().filter_map(id).filter(|id| !stored(id)).collect(),
            removed,
            undoes: None,
            was: Before::of(target.stored_list.as_deref()),
            before: digest(target.stored_list.as_deref()),
            after: digest(list),
        }
    }

    /// Whether a stored list is the one before the change: it was never made, or somebody took it back.
    pub fn is_before(&self, stored: &Target) -> bool {
        digest(stored.stored_list.as_deref()) == self.before
    }

    /// The ids that it removes.
    pub fn removed_ids(&self) -> Vec<AccountId> {
        self.removed.iter().map(|removed| removed.account_id.clone()).collect()
    }

    /// The list as it was before the change, made from the list after it; `None` where there was no list. The error says in
    /// what the stored list differs from the one that the change left.
    pub fn undone(&self, stored: &Target) -> Result<Option<Value>, String> {
        if digest(stored.stored_list.as_deref()) != self.after {
            return Err(self.differs(stored));
        }
        let kept = stored.staging_accounts.iter().filter(|entry| !self.added.iter().any(|id| id == entry.id.as_str()));
        let mut list: Vec<Value> = kept.map(|entry| entry.stored().clone()).collect();
        for removed in &self.removed {
            list.insert(removed.index.min(list.len()), removed.entry.clone());
        }
        let list = match list.is_empty() {
            true => self.was.value(),
            false => Some(json!({ "L": list })),
        };
        match digest(list.as_ref()) == self.before {
            true => Ok(list),
            false => {
                Err("what was before can't be made from the record of the change: take the change back by hand".into())
            }
        }
    }

    /// In what a stored list differs from the one that the change left, as far as ids tell.
    fn differs(&self, stored: &Target) -> String {
        let is_stored = |id: &str| stored.staging_accounts.iter().any(|entry| entry.id.as_str() == id);
        let went = self.added.iter().filter(|id| !is_stored(id)).map(|id| format!("{id}, which it added, was removed"));
        let came = self.removed.iter().filter(|entry| is_stored(entry.account_id.as_str()));
        let came = came.map(|entry| format!("{}, which it removed, was added", entry.account_id));
        let what: Vec<String> = went.chain(came).collect();
        match what.as_slice() {
            [] => "other entries were added, removed or edited since".into(),
            what => what.join("; "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn target(list: Option<Value>) -> Target {
        let mut item = json!({"accountId": {"S": "111122223333"}});
        if let Some(list) = list {
            item["stagingAccounts"] = list;
        }
        Target::read(item.as_object().expect("an object")).expect("a target")
    }

    fn list(ids: &[u8]) -> Value {
        let entry = |id: &u8| json!({"M": {"accountId": {"S": format!("{id:012}")}, "note": {"S": "kept"}}});
        json!({"L": ids.iter().map(entry).collect::<Vec<_>>()})
    }

    proptest! {
        /// Whatever a change does to a list, taking it back leaves what was there, to the byte.
        #[test]
        fn a_change_that_is_taken_back_leaves_what_was(
            before in prop::option::of(prop::collection::vec(0u8..6, 0..6)),
            gone in prop::collection::vec(0u8..6, 0..4),
            came in prop::collection::btree_set(6u8..9, 0..3),
        ) {
            let stored = target(before.as_deref().map(list));
            let kept: Vec<u8> = before.iter().flatten().copied().filter(|id| !gone.contains(id)).collect();
            let after = list(&[kept, came.into_iter().collect()].concat());
            let change = Change::of(&stored, Some(&after), "tick", "now", "policy");
            let undone = change.undone(&target(Some(after.clone())));
            if stored.stored_list.as_deref() != Some(&after) {
                prop_assert_eq!(undone, Ok(stored.stored_list.as_deref().cloned()));
            }
            // Another edit since is told.
            let mut edited = after;
            edited["L"].as_array_mut().expect("a list").push(list(&[9])["L"][0].clone());
            prop_assert!(change.undone(&target(Some(edited))).is_err());
        }
    }

    #[test]
    fn null_and_no_list_come_back_as_they_were() {
        for before in [None, Some(json!({"NULL": true})), Some(json!({"L": []}))] {
            let after = list(&[1]);
            let change = Change::of(&target(before.clone()), Some(&after), "tick", "now", "policy");
            assert_eq!(change.undone(&target(Some(after))), Ok(before));
        }
    }
}
