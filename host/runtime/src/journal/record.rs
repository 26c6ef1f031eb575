//! The record of a tick that has something to tell: what became of the accounts that changed, failed or were held, by which
//! policy, and where the tape is.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::change::ChangeRef;
use crate::aws::Calls;
use crate::bindings::types::{AccountOutcome, Outcome, Status};
use crate::outcome::{Counts, status_name};

/// A tick, or an operator's change, as the journal keeps it. It holds no external id.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// What it's known by.
    pub tick: String,
    /// When it began, in UTC to the second.
    pub at: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What was asked, as the event had it; of an operator's change, the command's name.
    pub operation: String,
    /// Whether nothing was written.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// Which segment of the table it was, from 0, and of how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<(u32, u32)>,
    /// The active policy; none of an operator's change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyRef>,
    /// Who made an operator's change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The accounts in numbers.
    pub counts: Numbers,
    /// The calls of AWS in numbers, by service; none of an operator's change.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub calls: BTreeMap<String, CallNumbers>,
    /// Why it failed as a whole, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many accounts a policy in the shadow decides differently.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shadow_differences: usize,
    /// What the journal missed so far in the tick, in records.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub journal_failed: usize,
    /// The accounts that have something to tell, ordered by id.
    pub accounts: Vec<AccountRecord>,
    /// The tick's tape, where it could be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tape: Option<TapeRef>,
    /// The record before it, as far as its host knew one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<RecordRef>,
}

/// A policy that decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyRef {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The SHA-256 of the component.
    pub digest: String,
    /// Its settings.
    pub settings: Value,
}

/// The accounts of a tick in numbers, as summaries have them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Numbers {
    /// All accounts of the tick.
    pub total_accounts: usize,
    /// Those that were looked at.
    pub accounts_processed: usize,
    /// `updated`.
    pub accounts_updated: usize,
    /// Those that needed nothing, `unchanged` ones among them.
    pub accounts_skipped: usize,
    /// `failed`.
    pub accounts_failed: usize,
    /// Those with removals held back.
    pub accounts_held: usize,
}

/// The calls of one service of AWS in a tick, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallNumbers {
    /// All of them.
    pub made: u64,
    /// Those that were throttled in all their tries.
    pub throttled: u64,
    /// Those that failed otherwise.
    pub failed: u64,
}

impl From<Calls> for CallNumbers {
    fn from(Calls { made, throttled, failed }: Calls) -> Self {
        Self { made, throttled, failed }
    }
}

/// What became of an account.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountRecord {
    /// The account; what the table's key is, where that is no account id.
    pub account_id: String,
    /// Its name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_name: Option<String>,
    /// `updated`, `unchanged`, `skipped` or `failed`.
    pub status: String,
    /// The ids that were added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// The ids that were removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// The ids whose removal was held back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_removals: Vec<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_reason: Option<String>,
    /// Why it was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Regions that couldn't be read, like `AccessDeniedException in us-east-1`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incomplete_regions: Vec<String>,
    /// Who decided it, where that was another than the active policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// The record of its change, if it was changed and that could be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeRef>,
}

/// A tick's tape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TapeRef {
    /// Its name in the journal.
    pub name: String,
    /// The SHA-256 of the object.
    pub sha256: String,
}

/// A record that others refer to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordRef {
    /// The tick.
    pub tick: String,
    /// The digest of its record.
    pub digest: String,
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &usize) -> bool {
    *value == 0
}

impl fmt::Display for PolicyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.name, self.version, self.digest)
    }
}

impl From<&Counts> for Numbers {
    fn from(counts: &Counts) -> Self {
        Self {
            total_accounts: counts.total,
            accounts_processed: counts.processed(),
            accounts_updated: counts.updated,
            accounts_skipped: counts.counted_as_skipped(),
            accounts_failed: counts.failed,
            accounts_held: counts.held,
        }
    }
}

/// Regions that couldn't be read, each with the code of its error.
pub(super) fn incomplete(outcome: &Outcome) -> Vec<String> {
    outcome.incomplete_regions.iter().map(|at| format!("{} in {}", at.code, at.region)).collect()
}

impl AccountRecord {
    /// What an account has to tell: that it changed or failed, or that something was held back. None: nothing.
    pub(super) fn of(
        account: &AccountOutcome,
        decided_by: &BTreeMap<String, String>,
        change: Option<ChangeRef>,
    ) -> Option<Self> {
        let AccountOutcome { account_id, account_name, outcome } = account;
        let tells = matches!(outcome.status, Status::Updated | Status::Failed)
            || !outcome.held_removals.is_empty()
            || !outcome.incomplete_regions.is_empty();
        tells.then(|| Self {
            account_id: account_id.clone(),
            account_name: account_name.clone(),
            status: status_name(outcome.status).to_owned(),
            added: outcome.added.clone(),
            removed: outcome.removed.clone(),
            held_removals: outcome.held_removals.clone(),
            held_reason: outcome.held_reason.clone(),
            reason: outcome.reason.clone(),
            error: outcome.error.clone(),
            incomplete_regions: incomplete(outcome),
            decided_by: decided_by.get(account_id).cloned(),
            change,
        })
    }
}
