//! A plan: the changes that a dry run would have made, for review and for application under the same conditions.
//!
//! `document` is the file and what makes it a good one; `apply` carries it out.

mod apply;
mod document;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::account::AccountId;
use crate::capability::Scope;
use crate::change::{self, NewEntry};
use crate::journal::PolicyRef;
use crate::target::text_of;

pub use apply::{Applied, Applying, Status, apply};
pub use document::FORMAT;

/// The changes of a dry run, for one table.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// The version of this format.
    pub format: u32,
    /// When it was planned.
    pub planned_at: String,
    /// The table of target accounts.
    pub table: String,
    /// The table's region.
    pub region: String,
    /// Who decided.
    pub policy: PolicyRef,
    /// The event of the dry run.
    pub event: Value,
    /// The accounts that are changed, ordered by id.
    pub accounts: Vec<Planned>,
}

/// The change of one target account.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Planned {
    /// The target account.
    pub account_id: AccountId,
    /// Its name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_name: Option<String>,
    /// Who decided it, where that was another than the plan's policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// The entries to add, as they are written.
    pub added: Vec<Added>,
    /// The entries to remove.
    pub removed: Vec<Removed>,
    /// What must be stored for the change to be made.
    pub condition: Condition,
}

/// An entry to add: all of its attributes, which are text.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Added {
    /// Its `accountId`.
    pub account_id: AccountId,
    /// Its `accountName`.
    pub account_name: String,
    /// Its `roleArn`.
    pub role_arn: String,
    /// Its `externalId`.
    pub external_id: String,
    /// Its `addedAt`.
    pub added_at: String,
    /// Its `addedBy`, always that of the sync.
    pub added_by: String,
    /// Its `discoveredFrom`.
    pub discovered_from: String,
}

/// An entry to remove.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Removed {
    /// Its `accountId`.
    pub account_id: AccountId,
    /// Its `accountName`, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_name: Option<String>,
}

/// The list that was read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Condition {
    /// The ids of its entries, as they were stored.
    pub staging_accounts: Vec<AccountId>,
    /// The digest of all of it (`change::digest`).
    pub sha256: String,
}

impl fmt::Debug for Planned {
    /// Names the account alone: new entries hold external ids.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Planned").field(&self.account_id).finish()
    }
}

impl Planned {
    /// The change that a policy asked for, if it did.
    pub fn of(scope: &Scope, decided_by: Option<String>) -> Option<Self> {
        let (target, staged) = (&scope.target, scope.staged.as_ref()?);
        let list = staged.list["L"].as_array()?;
        // New entries are behind those that stay.
        let new = list.get(list.len().checked_sub(staged.receipt.added.len())?..)?;
        let removed = |id: &String| {
            let stored = target.staging_accounts.iter().find(|entry| entry.id.as_str() == id)?;
            Some(Removed { account_id: stored.id.clone(), account_name: stored.text("accountName") })
        };
        Some(Self {
            account_id: target.id.clone(),
            account_name: target.name.clone(),
            decided_by,
            added: new.iter().map(Added::of).collect::<Option<_>>()?,
            removed: staged.receipt.removed.iter().map(removed).collect::<Option<_>>()?,
            condition: Condition {
                staging_accounts: target.staging_accounts.iter().map(|entry| entry.id.clone()).collect(),
                sha256: change::digest(target.stored_list.as_deref()),
            },
        })
    }
}

impl Added {
    /// The entry that the host stores.
    fn of(stored: &Value) -> Option<Self> {
        let account_id = AccountId::parse(stored.pointer("/M/accountId/S")?.as_str()?)?;
        Some(Self {
            account_id,
            account_name: text_of(stored, "accountName")?,
            role_arn: text_of(stored, "roleArn")?,
            external_id: text_of(stored, "externalId")?,
            added_at: text_of(stored, "addedAt")?,
            added_by: text_of(stored, "addedBy")?,
            discovered_from: text_of(stored, "discoveredFrom")?,
        })
    }

    fn entry(&self) -> NewEntry<'_> {
        NewEntry {
            id: self.account_id.as_str(),
            name: &self.account_name,
            role_arn: &self.role_arn,
            external_id: &self.external_id,
            discovered_from: &self.discovered_from,
        }
    }

    /// The entry as it's stored, in DynamoDB JSON.
    fn stored(&self) -> Value {
        self.entry().stored(&self.added_at)
    }
}
