//! `latest.json`: the state after the last tick, for dashboards and monitors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::freezes::Freeze;
use super::record::{CallNumbers, Numbers, PolicyRef, RecordRef, incomplete};
use super::seal::{FORMAT, Unsealed};
use crate::bindings::types::AccountOutcome;
use crate::outcome::status_name;

/// The document, replaced at every tick.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Latest {
    /// The version of the format.
    pub format: u64,
    /// The last tick.
    pub tick: String,
    /// When it began, in UTC to the second.
    pub at: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What was asked.
    pub operation: String,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// The accounts of that tick in numbers.
    pub counts: Numbers,
    /// Its calls of AWS in numbers, by service; none of a tick that ran in segments.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub calls: BTreeMap<String, CallNumbers>,
    /// The active policy.
    pub policy: Option<PolicyRef>,
    /// Why the tick failed as a whole, if it did.
    pub error: Option<String>,
    /// What the journal missed in the tick, in records.
    pub journal_failed: usize,
    /// How many accounts were left as they are, because they are frozen.
    #[serde(default)]
    pub accounts_frozen: usize,
    /// The freezes and vetoes that count.
    #[serde(default)]
    pub freezes: Vec<Freeze>,
    /// The last tick that left a record, and its digest.
    pub last_record: Option<RecordRef>,
    /// All accounts that are known, by id.
    pub accounts: BTreeMap<String, AccountState>,
}

/// An account after the last tick that it was part of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountState {
    /// Its name, if it has one.
    pub account_name: Option<String>,
    /// `updated`, `unchanged`, `skipped` or `failed`.
    pub status: String,
    /// The ids that are stored, as far as they are known.
    pub staging_accounts: Option<Vec<String>>,
    /// Why it was skipped, or why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The ids whose removal was held back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_removals: Vec<String>,
    /// Regions that couldn't be read, like `AccessDeniedException in us-east-1`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incomplete_regions: Vec<String>,
    /// When its list was last changed, as far as it's known.
    pub last_change: Option<LastChange>,
    /// The ids that the tick added and removed, where the stored ones follow from those before.
    #[serde(skip)]
    pub(super) moved: (Vec<String>, Vec<String>),
}

/// The last change of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastChange {
    /// The tick, or the operator's change.
    pub tick: String,
    /// When, in UTC to the second.
    pub at: String,
}

/// Reads the document.
pub(super) fn parse(bytes: &[u8]) -> Result<Latest, String> {
    let latest: Latest = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    match latest.format {
        FORMAT => Ok(latest),
        other => Err(Unsealed::UnknownFormat(other.to_string()).to_string()),
    }
}

impl AccountState {
    /// What became of an account, without what the journal alone knows.
    pub fn of(account: &AccountOutcome) -> Self {
        let AccountOutcome { account_name, outcome, .. } = account;
        Self {
            account_name: account_name.clone(),
            status: status_name(outcome.status).to_owned(),
            staging_accounts: None,
            reason: outcome.reason.clone().or_else(|| outcome.error.clone()),
            held_removals: outcome.held_removals.clone(),
            incomplete_regions: incomplete(outcome),
            last_change: None,
            moved: Default::default(),
        }
    }
}

impl Latest {
    /// Takes from the document before it the ids that are stored where this tick doesn't know them, and, where the tick
    /// wasn't over all accounts, the other accounts. Last changes come from what is known of that document.
    pub(super) fn follow(&mut self, before: &Self, whole: bool) {
        for (id, earlier) in &before.accounts {
            match self.accounts.get_mut(id) {
                Some(now) => {
                    if let (None, Some(known)) = (&now.staging_accounts, &earlier.staging_accounts) {
                        let (added, removed) = &now.moved;
                        let kept = known.iter().filter(|id| !removed.contains(id) && !added.contains(id));
                        now.staging_accounts = Some(kept.chain(added).cloned().collect());
                    }
                }
                None if !whole => drop(self.accounts.insert(id.clone(), earlier.clone())),
                None => {}
            }
        }
    }
}
