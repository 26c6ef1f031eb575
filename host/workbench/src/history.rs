//! What ticks and operators changed, as the records of a journal tell it: a row an account and tick.

use serde::Serialize;
use staging_sync_runtime::journal::{AccountRecord, Record};

/// What became of an account in a tick, and who decided it; or a tick that failed as a whole, without an account.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// When the tick began, in UTC to the second.
    pub at: String,
    /// The tick, or the operator's change.
    pub tick: String,
    /// The account; none of a tick that failed as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// Its name, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_name: Option<String>,
    /// `updated`, `unchanged`, `skipped` or `failed`.
    pub status: String,
    /// The ids that were added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// The ids that were removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// The ids whose removal was held back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held_removals: Vec<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_reason: Option<String>,
    /// Why it was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Regions that couldn't be read, like `AccessDeniedException in us-east-1`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incomplete_regions: Vec<String>,
    /// Who decided it: a policy, or a person and the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, in the operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether nothing was written.
    #[serde(skip_serializing_if = "is_false")]
    pub dry_run: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Told {
    /// What a record tells of one of its accounts.
    pub fn of(record: &Record, account: &AccountRecord) -> Self {
        let account = account.clone();
        Self {
            at: record.at.clone(),
            tick: record.tick.clone(),
            by: decided_by(record, &account),
            comment: record.comment.clone(),
            dry_run: record.dry_run,
            account_id: Some(account.account_id),
            account_name: account.account_name,
            status: account.status,
            added: account.added,
            removed: account.removed,
            held_removals: account.held_removals,
            held_reason: account.held_reason,
            reason: account.reason,
            error: account.error,
            incomplete_regions: account.incomplete_regions,
        }
    }

    /// What a record tells of the tick itself: that it failed as a whole.
    pub fn of_failed(record: &Record) -> Option<Self> {
        let error = record.error.clone()?;
        let (at, tick, status) = (record.at.clone(), record.tick.clone(), "failed".to_owned());
        Some(Self { at, tick, status, error: Some(error), ..Self::default() })
    }
}

/// Who decided an account: another policy than the active one, the active one, or a person.
pub fn decided_by(record: &Record, account: &AccountRecord) -> Option<String> {
    let policy = || record.policy.as_ref().map(ToString::to_string);
    let person = || record.author.as_ref().map(|author| format!("{} by {author}", record.operation));
    account.decided_by.clone().or_else(policy).or_else(person)
}
