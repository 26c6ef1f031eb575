//! The fleet after its last tick: an entry an account, and how it's filtered, sorted and cut into pages.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Serialize;
use staging_sync_runtime::bindings::types::AccountOutcome;
use staging_sync_runtime::journal::freezes::{Freeze, Freezes};
use staging_sync_runtime::journal::{AccountState, CallNumbers, LastChange, Latest, Numbers, PolicyRef};
use staging_sync_runtime::tick::Report;

use crate::query::Query;
use crate::redact::shown_policy;

/// How many rows a page has.
pub const PAGE: usize = 200;

/// The state after a tick, as `GET /api/v1/fleet` answers it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fleet {
    /// The last tick; none if no tick ended yet.
    pub tick: Option<String>,
    /// When it began, in UTC to the second.
    pub at: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// What was asked.
    pub operation: Option<String>,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// The accounts of that tick in numbers.
    pub counts: Numbers,
    /// Its calls of AWS in numbers, by service.
    pub calls: BTreeMap<String, CallNumbers>,
    /// The active policy.
    pub policy: Option<PolicyRef>,
    /// Why the tick failed as a whole, if it did.
    pub error: Option<String>,
    /// What the journal missed in the tick, in records.
    pub journal_failed: usize,
    /// What keeps this from being complete or current, for people.
    pub notices: Vec<String>,
    /// All accounts that are known, by id.
    pub accounts: Vec<Account>,
}

/// An account of the fleet.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Its id; what the table's key is, where that is no account id.
    pub account_id: String,
    /// Its name, if it has one.
    pub account_name: Option<String>,
    /// `updated`, `unchanged`, `skipped` or `failed`.
    pub status: String,
    /// Why it was skipped, or why it failed.
    pub reason: Option<String>,
    /// The ids that are stored, as far as they are known: a journal knows them.
    pub staging_accounts: Option<Vec<String>>,
    /// How many are stored, as far as it's known.
    pub staging_account_count: Option<usize>,
    /// The ids whose removal was held back.
    pub held_removals: Vec<String>,
    /// Regions that couldn't be read, like `AccessDeniedException in us-east-1`.
    pub incomplete_regions: Vec<String>,
    /// When its list was last changed, as far as it's known.
    pub last_change: Option<LastChange>,
    /// The freeze that ends last, if the account is frozen.
    pub frozen: Option<Freeze>,
}

impl Account {
    /// An account of this id as `latest.json` has it.
    fn of(account_id: String, state: AccountState) -> Self {
        Self {
            account_id,
            account_name: state.account_name,
            status: state.status,
            reason: state.reason,
            staging_account_count: state.staging_accounts.as_ref().map(Vec::len),
            staging_accounts: state.staging_accounts,
            held_removals: state.held_removals,
            incomplete_regions: state.incomplete_regions,
            last_change: state.last_change,
            frozen: None,
        }
    }
}

impl Fleet {
    /// Of a host whose first tick hasn't ended.
    pub fn none() -> Self {
        Self {
            tick: None,
            at: None,
            duration_ms: None,
            operation: None,
            dry_run: false,
            counts: Numbers::default(),
            calls: BTreeMap::new(),
            policy: None,
            error: None,
            journal_failed: 0,
            notices: Vec::new(),
            accounts: Vec::new(),
        }
    }

    /// What `latest.json` says.
    pub fn of_latest(latest: Latest) -> Self {
        Self {
            tick: Some(latest.tick),
            at: Some(latest.at),
            duration_ms: Some(latest.duration_ms),
            operation: Some(latest.operation),
            dry_run: latest.dry_run,
            counts: latest.counts,
            calls: latest.calls,
            policy: latest.policy.map(shown_policy),
            error: latest.error,
            journal_failed: latest.journal_failed,
            notices: Vec::new(),
            accounts: latest.accounts.into_iter().map(|(id, state)| Account::of(id, state)).collect(),
        }
    }

    /// What a tick of this process came to; `before` knows when accounts were changed before.
    pub fn of_report(tick: &str, duration_ms: u64, report: &Report, before: Option<&Self>) -> Self {
        let known: BTreeMap<&str, &Account> =
            before.into_iter().flat_map(|fleet| &fleet.accounts).map(|one| (one.account_id.as_str(), one)).collect();
        let account = |one: &AccountOutcome| {
            let state = AccountState::of(one);
            let changed = state.status == "updated" && !report.tick.dry_run;
            let change = || LastChange { tick: tick.to_owned(), at: report.tick.now.clone() };
            let earlier = || known.get(one.account_id.as_str()).and_then(|account| account.last_change.clone());
            let is_counted = matches!(state.status.as_str(), "updated" | "unchanged");
            let count = || usize::try_from(one.outcome.staging_account_count).unwrap_or(usize::MAX);
            Account {
                staging_account_count: is_counted.then(count),
                last_change: if changed { Some(change()) } else { earlier() },
                ..Account::of(one.account_id.clone(), state)
            }
        };
        Self {
            tick: Some(tick.to_owned()),
            at: Some(report.tick.now.clone()),
            duration_ms: Some(duration_ms),
            operation: Some(report.tick.operation.clone()),
            dry_run: report.tick.dry_run,
            counts: Numbers::from(&report.counts),
            calls: report.calls.clone(),
            policy: Some(shown_policy(report.policy.clone())),
            error: None,
            journal_failed: 0,
            notices: Vec::new(),
            accounts: report.outcomes.iter().map(account).collect(),
        }
    }

    /// The account of this id.
    pub fn account(&self, id: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.account_id == id)
    }

    /// Notes which accounts are frozen now.
    pub fn freeze(&mut self, freezes: &Freezes, now: SystemTime) {
        for account in &mut self.accounts {
            account.frozen = freezes.freeze_of(&account.account_id, now).cloned();
        }
    }
}

/// Which accounts are shown, in which order: the query of the fleet's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// What the name or the id, a staging account, or a reason holds, in lower case.
    pub search: String,
    /// A status, or `frozen`, `held` or `incomplete`.
    pub status: Option<&'static str>,
    /// The column.
    pub sort: &'static str,
    /// Whether the last comes first.
    pub descending: bool,
    /// Which page, from 1.
    pub page: usize,
}

/// What `status` may be: the statuses of accounts first.
pub const STATUSES: [&str; 7] = ["updated", "unchanged", "skipped", "failed", "frozen", "held", "incomplete"];

/// What `sort` may be.
pub const SORTS: [&str; 7] = ["id", "name", "status", "staging", "regions", "changed", "frozen"];

impl Selection {
    /// What a query selects. What isn't known is left out.
    pub fn of(query: &Query) -> Self {
        let one_of = |names: &[&'static str], name| names.iter().copied().find(|known| query.get(name) == Some(known));
        Self {
            search: query.get("q").map(|text| text.trim().to_lowercase()).unwrap_or_default(),
            status: one_of(&STATUSES, "status"),
            sort: one_of(&SORTS, "sort").unwrap_or("id"),
            descending: query.get("order") == Some("desc"),
            page: query.number("page", 1..=1_000_000).unwrap_or(1),
        }
    }

    /// The accounts that are selected, in their order.
    pub fn select<'a>(&self, accounts: &'a [Account]) -> Vec<&'a Account> {
        let mut selected: Vec<&Account> = accounts.iter().filter(|account| self.shows(account)).collect();
        selected.sort_by(|one, other| {
            let order = self.compare(one, other);
            let order = if self.descending { order.reverse() } else { order };
            order.then_with(|| one.account_id.cmp(&other.account_id))
        });
        selected
    }

    fn shows(&self, account: &Account) -> bool {
        let status = match self.status {
            None => true,
            Some("frozen") => account.frozen.is_some(),
            Some("held") => !account.held_removals.is_empty(),
            Some("incomplete") => !account.incomplete_regions.is_empty(),
            Some(status) => account.status == status,
        };
        let holds = |text: &str| text.to_lowercase().contains(&self.search);
        status
            && (self.search.is_empty()
                || holds(&account.account_id)
                || account.account_name.as_deref().is_some_and(holds)
                || account.reason.as_deref().is_some_and(holds)
                || account.staging_accounts.iter().flatten().any(|id| holds(id)))
    }

    fn compare(&self, one: &Account, other: &Account) -> Ordering {
        // What is worst comes last, so that one more click shows it.
        let rank = |account: &Account| STATUSES.iter().position(|status| *status == account.status);
        let changed = |account: &Account| account.last_change.as_ref().map(|change| change.at.clone());
        let until = |account: &Account| account.frozen.as_ref().map(|freeze| freeze.until.map(|until| until.time()));
        match self.sort {
            "name" => one.account_name.cmp(&other.account_name),
            "status" => rank(one).cmp(&rank(other)),
            "staging" => one.staging_account_count.cmp(&other.staging_account_count),
            "regions" => one.incomplete_regions.len().cmp(&other.incomplete_regions.len()),
            "changed" => changed(one).cmp(&changed(other)),
            "frozen" => until(one).cmp(&until(other)),
            _ => one.account_id.cmp(&other.account_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: &str, name: &str, status: &str, count: usize) -> Account {
        Account {
            account_id: id.into(),
            account_name: Some(name.into()),
            status: status.into(),
            reason: None,
            staging_accounts: Some(vec!["999999999999".into(); count]),
            staging_account_count: Some(count),
            held_removals: Vec::new(),
            incomplete_regions: Vec::new(),
            last_change: None,
            frozen: None,
        }
    }

    #[test]
    fn accounts_are_found_by_status_and_text_and_come_in_order() {
        let accounts = [
            account("1", "Payments", "failed", 2),
            account("2", "Billing", "updated", 3),
            account("3", "Pay", "failed", 2),
        ];
        let ids = |query: &str| -> Vec<&str> {
            Selection::of(&Query::parse(Some(query)))
                .select(&accounts)
                .iter()
                .map(|one| one.account_id.as_str())
                .collect()
        };
        assert_eq!(ids(""), ["1", "2", "3"]);
        assert_eq!(ids("q=PAY&status=failed&order=desc"), ["3", "1"]);
        assert_eq!(ids("sort=name"), ["2", "3", "1"]);
        assert_eq!(ids("sort=staging&order=desc"), ["2", "1", "3"]);
        assert_eq!(ids("sort=status&order=desc"), ["1", "3", "2"]);
        assert_eq!(ids("status=frozen"), [""; 0]);
        assert_eq!(ids("q=9999&status=nothing&sort=nothing&page=-1"), ["1", "2", "3"]);
    }
}
