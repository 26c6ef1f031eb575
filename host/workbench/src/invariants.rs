//! The invariants: what holds in every tick, whatever AWS answers and whatever the policy's rules are.
//!
//! What a policy may decide (whom to skip, what to leave as it is) isn't judged here: that's what cases are for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::view::View;
use staging_sync_runtime::bindings::types::{AccountOutcome, Status};
use staging_sync_runtime::error::{Error, ErrorKind};
use staging_sync_runtime::outcome::{Counts, status_name};
use staging_sync_runtime::tape::{AccountCalls, ObservedTick, Writing};
use staging_sync_runtime::tick::Report;

/// The operation whose summary has the shape that is judged here; that of another operation is its own affair.
pub const OPERATION: &str = "sync_staging_accounts";

/// The fields of an entry without which the platform's readers break.
const ENTRY: [&str; 6] = ["accountId", "accountName", "roleArn", "externalId", "addedAt", "addedBy"];

/// An invariant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// No account fails because of the policy.
    Decides,
    /// Removals need a complete view.
    Removals,
    /// Additions need a region that names them.
    Additions,
    /// Entries that stay are untouched, and new ones complete.
    Entries,
    /// Unknown is never "unchanged".
    Unknown,
    /// Outcomes are true.
    Outcomes,
    /// The summary is that of the outcomes.
    Summary,
    /// A second tick has nothing left to do.
    Settled,
    /// A fault stays with its account.
    Others,
}

impl Invariant {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Decides,
        Self::Removals,
        Self::Additions,
        Self::Entries,
        Self::Unknown,
        Self::Outcomes,
        Self::Summary,
        Self::Settled,
        Self::Others,
    ];

    /// The invariant in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Decides => "the policy decides every account, within its limits and rights",
            Self::Removals => "nothing is removed unless every region was read, and none names it",
            Self::Additions => "nothing is added that no region names",
            Self::Entries => "an entry that stays is untouched, and a new one is complete",
            Self::Unknown => "an account isn't called unchanged where something couldn't be read",
            Self::Outcomes => "an outcome says what was written, and what couldn't be read",
            Self::Summary => "the summary counts every account once, and its details are the outcomes",
            Self::Settled => "a second tick decides nothing new",
            Self::Others => "what happens to one account changes no other",
        }
    }

    /// Whether a policy can say that it doesn't apply to its operation. Those that keep stored data safe always do.
    pub fn is_optional(self) -> bool {
        matches!(self, Self::Unknown | Self::Outcomes | Self::Summary | Self::Settled)
    }

    /// The invariant's name, in `verify.json` and in the names of files.
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// A violation of an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The invariant.
    pub invariant: Invariant,
    /// The account; `None` for the tick as a whole.
    pub account: Option<String>,
    /// What happened.
    pub what: String,
}

/// One tick, as the host reports it and as AWS saw it.
pub struct Ticked<'a> {
    /// What the host reports.
    pub report: &'a Result<Report, Error>,
    /// The calls to AWS.
    pub observed: &'a ObservedTick,
    /// The regions that a complete view needs.
    pub regions: &'a [String],
    /// The event's operation.
    pub operation: &'a str,
    /// Whether nothing may be written.
    pub dry_run: bool,
}

/// The invariants that one tick breaks.
pub fn check(tick: &Ticked) -> Vec<Violation> {
    let mut broken = Vec::new();
    let report = match tick.report {
        Ok(report) => report,
        Err(error) => {
            if error.kind == ErrorKind::PolicyFailed {
                broken.push(Violation { invariant: Invariant::Decides, account: None, what: error.message.clone() });
            }
            return broken;
        }
    };
    let nothing = AccountCalls::default();
    for of in &report.outcomes {
        let seen = tick.observed.accounts.get(&of.account_id).unwrap_or(&nothing);
        let mut add = |invariant, what| {
            broken.push(Violation { invariant, account: Some(of.account_id.clone()), what });
        };
        if let Some(error) = of.outcome.error.as_ref().filter(|error| error.starts_with("policy: ")) {
            add(Invariant::Decides, error.clone());
            continue; // the outcome is the host's
        }
        let view = View::of(&seen.heard);
        let asked: Vec<Change> = seen.writes.iter().map(Change::of).collect();
        let reported = Change {
            added: of.outcome.added.iter().cloned().collect(),
            removed: of.outcome.removed.iter().cloned().collect(),
        };
        for change in asked.iter().chain(tick.dry_run.then_some(&reported)) {
            removals(change, &view, &of.account_id, tick.regions, &mut add);
            let unnamed = change.added.iter().find(|id| !view.named.contains(*id) || **id == of.account_id);
            if let Some(id) = unnamed {
                let why = if *id == of.account_id { "the account itself" } else { "which no region names" };
                add(Invariant::Additions, format!("adds {id}, {why}"));
            }
        }
        for what in seen.writes.iter().filter_map(altered) {
            add(Invariant::Entries, what);
        }
        if let Some(trouble) = view.trouble().filter(|_| of.outcome.status == Status::Unchanged) {
            add(Invariant::Unknown, format!("says unchanged, and {trouble}"));
        }
        let stored = tick.observed.table.get(&of.account_id).map(|item| entries(item.get("stagingAccounts")).len());
        if let Some(what) = untrue(of, seen, &view, stored, tick.dry_run) {
            add(Invariant::Outcomes, what);
        }
    }
    if tick.operation == OPERATION {
        broken.extend(summary(&report.summary, &report.outcomes));
    }
    broken
}

/// What a second tick decides that the first one could have. An account may still change if its write didn't go
/// through, or if the host held back its removals.
pub fn settled(first: &Ticked, second: &Ticked) -> Vec<Violation> {
    let Ok(report) = first.report else { return Vec::new() };
    let mut broken = Vec::new();
    for of in &report.outcomes {
        let Some(again) = second.observed.accounts.get(&of.account_id).and_then(|seen| seen.writes.first()) else {
            continue;
        };
        let before = first.observed.accounts.get(&of.account_id).and_then(|seen| seen.writes.last());
        let change = Change::of(again);
        let was_held = |id: &String| of.outcome.held_removals.contains(id);
        let only_held = !change.removed.is_empty() && change.removed.iter().all(was_held) && change.added.is_empty();
        if !only_held && before.is_none_or(|write| write.done) {
            broken.push(Violation {
                invariant: Invariant::Settled,
                account: Some(of.account_id.clone()),
                what: format!("says {}, and the next tick decides{change}", status_name(of.outcome.status)),
            });
        }
    }
    broken
}

/// The accounts but for `touched` that come out otherwise than in `usual`. Those with removals held back may: what
/// the touched account no longer removes, they can.
pub fn others(usual: &Report, report: &Report, touched: &str) -> Vec<Violation> {
    let usual: BTreeMap<&str, &AccountOutcome> = usual.outcomes.iter().map(|of| (of.account_id.as_str(), of)).collect();
    let changed = report.outcomes.iter().filter(|of| of.account_id != touched).filter(|of| {
        usual.get(of.account_id.as_str()).is_some_and(|usual| {
            let held = [usual, of].iter().any(|of| of.outcome.held_reason.is_some());
            !held && format!("{:?}", usual.outcome) != format!("{:?}", of.outcome)
        })
    });
    let violation = |of: &AccountOutcome| Violation {
        invariant: Invariant::Others,
        account: Some(of.account_id.clone()),
        what: format!("is {} now, because of {touched}", status_name(of.outcome.status)),
    };
    changed.map(violation).collect()
}

/// The ids that come and go.
#[derive(Debug, Default)]
struct Change {
    added: BTreeSet<String>,
    removed: BTreeSet<String>,
}

impl Change {
    fn of(write: &Writing) -> Self {
        let (before, after) = (ids(write.read.as_ref()), ids(Some(&write.list)));
        Self { added: &after - &before, removed: &before - &after }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.added.iter().try_for_each(|id| write!(f, " +{id}"))?;
        self.removed.iter().try_for_each(|id| write!(f, " -{id}"))
    }
}

/// The entries of a list in DynamoDB JSON.
fn entries(list: Option<&Value>) -> &[Value] {
    list.and_then(|list| list.get("L")).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn id(entry: &Value) -> &str {
    entry.pointer("/M/accountId/S").and_then(Value::as_str).unwrap_or_default()
}

fn ids(list: Option<&Value>) -> BTreeSet<String> {
    entries(list).iter().map(|entry| id(entry).to_owned()).collect()
}

/// Removals that the view doesn't allow. The account itself is never one of its staging accounts, though DRS
/// names it.
fn removals(change: &Change, view: &View, itself: &str, regions: &[String], add: &mut impl FnMut(Invariant, String)) {
    let Some(first) = change.removed.first() else { return };
    if let Some(region) = regions.iter().find(|region| !view.read.contains(*region)) {
        add(Invariant::Removals, format!("removes {first}, and {region} wasn't read to its last page"));
    }
    if let Some(id) = change.removed.iter().find(|id| view.named.contains(*id) && *id != itself) {
        add(Invariant::Removals, format!("removes {id}, which a region names"));
    }
}

/// How a write changes entries that stay, or adds incomplete ones.
fn altered(write: &Writing) -> Option<String> {
    let (before, after) = (ids(write.read.as_ref()), ids(Some(&write.list)));
    let stays = |entry: &&Value| after.contains(id(entry));
    let mut kept = entries(write.read.as_ref()).iter().filter(stays);
    for entry in entries(Some(&write.list)) {
        let id = id(entry);
        if before.contains(id) {
            if kept.next() != Some(entry) {
                return Some(format!("the entry of {id} isn't as it was, or where it was"));
            }
            continue;
        }
        let text = |field: &&&str| entry.pointer(&format!("/M/{field}/S")).and_then(Value::as_str).unwrap_or_default();
        if let Some(field) = ENTRY.iter().find(|field| text(field).is_empty()) {
            return Some(format!("the new entry of {id} has no {field}"));
        }
    }
    kept.next().map(|entry| format!("an entry of {} is gone", id(entry)))
}

/// How an outcome isn't what happened.
fn untrue(
    of: &AccountOutcome,
    seen: &AccountCalls,
    view: &View,
    stored: Option<usize>,
    dry_run: bool,
) -> Option<String> {
    let outcome = &of.outcome;
    let status = status_name(outcome.status);
    let written = seen.writes.last().filter(|write| write.done);
    if dry_run && !seen.writes.is_empty() {
        return Some("writes in a dry run".into());
    }
    let said = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    match outcome.status {
        Status::Updated => {
            if !dry_run {
                let Some(write) = written else { return Some("says updated, and nothing was written".into()) };
                let change = Change::of(write);
                if !change.added.iter().eq(&outcome.added) || !change.removed.iter().eq(&outcome.removed) {
                    return Some(format!("says other ids than it writes, which are{change}"));
                }
                let count = entries(Some(&write.list)).len();
                if outcome.staging_account_count as usize != count {
                    return Some(format!("counts {} entries, of {count}", outcome.staging_account_count));
                }
            }
            let silent = |region: &&String| !outcome.incomplete_regions.iter().any(|at| at.region == **region);
            let unsaid = view.incomplete.iter().find(silent);
            unsaid.map(|region| format!("doesn't say that {region} wasn't read to its last page"))
        }
        _ if seen.writes.iter().any(|write| write.done) => Some(format!("says {status}, and its change was written")),
        Status::Unchanged => {
            let stored = stored.filter(|stored| *stored != outcome.staging_account_count as usize);
            stored.map(|stored| format!("counts {} entries, of {stored}", outcome.staging_account_count))
        }
        Status::Skipped => (!said(&outcome.reason)).then(|| "is skipped without a reason".into()),
        Status::Failed => (!said(&outcome.error)).then(|| "fails without an error".into()),
    }
}

/// Where a summary isn't that of its outcomes.
fn summary(summary: &Value, outcomes: &[AccountOutcome]) -> Vec<Violation> {
    let mut broken = Vec::new();
    let mut add = |account: Option<&String>, what| {
        broken.push(Violation { invariant: Invariant::Summary, account: account.cloned(), what });
    };
    let counts = Counts::of(outcomes);
    for (field, expected) in [
        ("totalAccounts", counts.total),
        ("accountsProcessed", counts.updated + counts.unchanged),
        ("accountsUpdated", counts.updated),
        ("accountsSkipped", counts.skipped + counts.unchanged),
        ("accountsFailed", counts.failed),
    ] {
        if summary[field] != expected {
            add(None, format!("{field}: expected {expected}, found {}", shown(&summary[field])));
        }
    }
    let details = summary["details"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !details.iter().map(|detail| detail["accountId"].as_str()).eq(outcomes.iter().map(|of| Some(&*of.account_id))) {
        add(None, "details: expected one an account, ordered by accountId".into());
        return broken;
    }
    for (detail, of) in details.iter().zip(outcomes) {
        let sorted = |ids: &[String]| ids.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect::<Value>();
        let mut expected = vec![("status", Value::from(status_name(of.outcome.status)))];
        match of.outcome.status {
            Status::Updated => {
                expected.push(("added", sorted(&of.outcome.added)));
                expected.push(("removed", sorted(&of.outcome.removed)));
            }
            Status::Failed => expected.push(("error", of.outcome.error.clone().into())),
            Status::Skipped => expected.push(("reason", of.outcome.reason.clone().into())),
            Status::Unchanged => {}
        }
        for (field, value) in expected.into_iter().filter(|(_, value)| !value.is_null()) {
            if detail[field] != value {
                add(Some(&of.account_id), format!("{field}: expected {value}, found {}", shown(&detail[field])));
            }
        }
    }
    broken
}

fn shown(value: &Value) -> String {
    if value.is_null() { "nothing".into() } else { value.to_string() }
}

#[cfg(test)]
mod tests;
