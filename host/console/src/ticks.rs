//! Ticks in numbers, and one tick in detail.

use std::collections::BTreeMap;

use serde::Serialize;
use staging_sync_runtime::journal::{CallNumbers, Numbers, PolicyRef, Record};
use staging_sync_workbench::history::Told;

use crate::fleet::Fleet;
use crate::redact::shown_policy;

/// Ticks, the newest first, as `GET /api/v1/ticks` answers them.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ticks {
    /// From when, in UTC to the second.
    pub since: String,
    /// Until when.
    pub until: String,
    /// What keeps this from being complete, for people.
    pub notices: Vec<String>,
    /// Whether there are more within that time than are told: older ones.
    pub more: bool,
    /// The ticks.
    pub ticks: Vec<TickNumbers>,
}

/// A tick, or an operator's change, in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TickNumbers {
    /// What it's known by.
    pub tick: String,
    /// When it began, in UTC to the second.
    pub at: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What was asked: the event's operation, or the operator's command.
    pub operation: String,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Which segment of the table it was, from 0, and of how many.
    pub segment: Option<(u32, u32)>,
    /// The accounts in numbers.
    pub counts: Numbers,
    /// The calls of AWS in numbers, by service; none where nobody counted them.
    pub calls: BTreeMap<String, CallNumbers>,
    /// The active policy, as its name, version and digest.
    pub policy: Option<String>,
    /// Who made an operator's change.
    pub author: Option<String>,
    /// Why it failed as a whole, if it did.
    pub error: Option<String>,
    /// Whether the journal has a record of it.
    pub recorded: bool,
}

/// One tick, as `GET /api/v1/ticks/ID` answers it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TickDetail {
    /// The tick in numbers.
    #[serde(flatten)]
    pub numbers: TickNumbers,
    /// The active policy with its settings.
    pub policy_with_settings: Option<PolicyRef>,
    /// Why, in the words of the operator who made the change.
    pub comment: Option<String>,
    /// How many accounts a policy in the shadow decides differently.
    pub shadow_differences: Option<usize>,
    /// The accounts that changed, failed or were held.
    pub accounts: Vec<Told>,
    /// What keeps this from being complete, for people.
    pub notices: Vec<String>,
}

impl TickNumbers {
    /// What a record says in numbers.
    pub fn of_record(record: &Record) -> Self {
        Self {
            tick: record.tick.clone(),
            at: record.at.clone(),
            duration_ms: record.duration_ms,
            operation: record.operation.clone(),
            dry_run: record.dry_run,
            segment: record.segment,
            counts: record.counts,
            calls: record.calls.clone(),
            policy: record.policy.as_ref().map(ToString::to_string),
            author: record.author.clone(),
            error: record.error.clone(),
            recorded: true,
        }
    }

    /// The last tick of a fleet; none if no tick ended yet.
    pub fn of_fleet(fleet: &Fleet) -> Option<Self> {
        Some(Self {
            tick: fleet.tick.clone()?,
            at: fleet.at.clone()?,
            duration_ms: fleet.duration_ms?,
            operation: fleet.operation.clone()?,
            dry_run: fleet.dry_run,
            segment: None,
            counts: fleet.counts,
            calls: fleet.calls.clone(),
            policy: fleet.policy.as_ref().map(ToString::to_string),
            author: None,
            error: fleet.error.clone(),
            recorded: false,
        })
    }

    /// The calls of all services together.
    pub fn all_calls(&self) -> CallNumbers {
        self.calls.values().fold(CallNumbers::default(), |sum, calls| CallNumbers {
            made: sum.made + calls.made,
            throttled: sum.throttled + calls.throttled,
            failed: sum.failed + calls.failed,
        })
    }

    /// Those that needed no change: `accountsSkipped` counts them as well.
    pub fn unchanged(&self) -> usize {
        self.counts.accounts_processed.saturating_sub(self.counts.accounts_updated)
    }

    /// Those that were skipped, and nothing else.
    pub fn skipped(&self) -> usize {
        self.counts.accounts_skipped.saturating_sub(self.unchanged())
    }
}

impl TickDetail {
    /// What a record says.
    pub fn of_record(record: Record) -> Self {
        Self {
            numbers: TickNumbers::of_record(&record),
            accounts: record.accounts.iter().map(|account| Told::of(&record, account)).collect(),
            comment: record.comment,
            shadow_differences: Some(record.shadow_differences),
            policy_with_settings: record.policy.map(shown_policy),
            notices: Vec::new(),
        }
    }

    /// What is known of a tick that left no record.
    pub fn of_numbers(numbers: TickNumbers, notice: &str) -> Self {
        Self {
            numbers,
            policy_with_settings: None,
            comment: None,
            shadow_differences: None,
            accounts: Vec::new(),
            notices: vec![notice.to_owned()],
        }
    }
}
