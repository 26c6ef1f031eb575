//! Ticks of a journal as cases: what was observed then, and the decisions that a replay must come to.
//!
//! Some decisions were the host's own, and no policy comes to them again: of frozen accounts, of those that there was no
//! time for, of removals that it held. They are left out, each with its reason, and counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use serde_json::{Value, json};

use staging_sync_runtime::bindings::types::{AccountOutcome, Outcome};
use staging_sync_runtime::case::{Case, Run};
use staging_sync_runtime::journal::freezes::{is_frozen, is_vetoed};
use staging_sync_runtime::journal::{PolicyRef, Record, Taped};
use staging_sync_runtime::policy::Policy;
use staging_sync_runtime::tape::Answer;
use staging_sync_runtime::tick::DEFERRED;

use crate::check::rewritten;
use crate::compare::Account;
use crate::record::Recorded;

/// A tick of the journal.
#[derive(Debug, Clone)]
pub struct RecordedTick {
    /// The tick as a case.
    pub case: Case,
    /// The policy that was active.
    pub policy: PolicyRef,
    decisions: BTreeMap<String, Decision>,
}

/// What became of an account in a recorded tick.
#[derive(Debug, Clone)]
enum Decision {
    /// The active policy decided it.
    Policy(Box<AccountOutcome>),
    /// The host did, or another policy.
    Other(LeftOut),
}

/// Why an account isn't compared with what was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// It was frozen, or had a veto.
    Frozen,
    /// There was no time for it.
    OutOfTime,
    /// Another than the active policy decided it.
    OtherPolicy,
    /// The host held its removals.
    Held,
}

/// Why a record is no case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoCase {
    /// An operator's change.
    Operator,
    /// The tick failed as a whole.
    FailedTick,
    /// Its tape couldn't be kept.
    NoTape,
    /// Another policy was active, or one with other settings.
    OtherPolicy,
}

/// A replay of a recorded tick beside what was recorded.
#[derive(Debug, Default)]
pub struct Compared {
    /// How many accounts were compared.
    pub accounts: usize,
    /// The accounts that are decided otherwise: `old` is what was recorded, `new` what came out.
    pub differing: Vec<Account>,
    /// How many accounts weren't compared, and why.
    pub left_out: BTreeMap<LeftOut, usize>,
    /// Why the tick fails, if it does.
    pub error: Option<String>,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frozen => "frozen",
            Self::OutOfTime => "out of time",
            Self::OtherPolicy => "decided by another policy",
            Self::Held => "removals held by the host",
        })
    }
}

impl fmt::Display for NoCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Operator => "changes by operators",
            Self::FailedTick => "ticks that failed as a whole",
            Self::NoTape => "ticks without a tape",
            Self::OtherPolicy => "ticks of other policies or settings",
        })
    }
}

/// How many there are of what, like `1 frozen, 2 out of time`; none if there's nothing.
pub fn counts(of: &BTreeMap<impl fmt::Display, usize>) -> Option<String> {
    let counts: Vec<String> = of.iter().map(|(what, count)| format!("{count} {what}")).collect();
    (!counts.is_empty()).then(|| counts.join(", "))
}

impl Compared {
    /// What differs, for a terminal; none if nothing does.
    pub fn text(&self) -> Option<String> {
        let differing = self.differing.iter().map(|it| {
            let name = it.account_name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
            format!("  {}{name}\n    RECORDED {}\n    FOUND    {}", it.account_id, it.old, it.new)
        });
        let lines: Vec<String> =
            self.error.iter().map(|error| format!("  the tick fails: {error}")).chain(differing).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

impl RecordedTick {
    /// The tick of a record, from its tape.
    pub fn of(record: Record, taped: Option<Taped>) -> Result<Self, NoCase> {
        let policy = record.policy.ok_or(NoCase::Operator)?;
        if record.error.is_some() {
            return Err(NoCase::FailedTick);
        }
        let Taped { mut tape, outcomes, decided_by } = taped.ok_or(NoCase::NoTape)?;
        // What the host held is left out, so that the replay holds nothing for it; which accounts a budget ran out for
        // depended on which of them came first.
        tape.config.max_removals_percent = 100;
        let mut event = tape.event.clone();
        event["dryRun"] = json!(record.dry_run);
        let decision = |account: AccountOutcome| {
            let id = account.account_id.clone();
            let reason = account.outcome.reason.as_deref().unwrap_or_default();
            let decision = match reason {
                DEFERRED => Decision::Other(LeftOut::OutOfTime),
                reason if is_frozen(reason) || is_vetoed(reason) => Decision::Other(LeftOut::Frozen),
                _ if decided_by.contains_key(&id) => Decision::Other(LeftOut::OtherPolicy),
                _ => Decision::Policy(Box::new(account)),
            };
            (id, decision)
        };
        let decisions = outcomes.into_iter().map(decision).collect();
        let case = Case {
            dir: PathBuf::from(&record.tick),
            name: record.tick,
            event,
            settings: tape.settings.clone(),
            pins_settings: false,
            expected: None,
            tape,
        };
        Ok(Self { case, policy, decisions })
    }

    /// Whether the active policy decided an account.
    pub fn is_policys(&self, id: &str) -> bool {
        matches!(self.decisions.get(id), Some(Decision::Policy(_)))
    }

    /// The tick of these accounts alone.
    pub fn of_accounts(mut self, wanted: impl Fn(&str) -> bool) -> Self {
        self.decisions.retain(|id, _| wanted(id));
        let tape = &mut self.case.tape;
        tape.targets.retain(|id, _| wanted(id));
        for call in &mut tape.host {
            let Answer::Response(response) = &mut call.answer else { continue };
            if let Some(items) = response.get_mut("Items").and_then(Value::as_array_mut) {
                items.retain(|item| item["accountId"]["S"].as_str().is_some_and(&wanted));
            }
        }
        for event in [&mut tape.event, &mut self.case.event] {
            if let Some(ids) = event.get_mut("accountIds").and_then(Value::as_array_mut) {
                ids.retain(|id| id.as_str().is_some_and(&wanted));
            }
        }
        self
    }

    /// How many accounts it's about.
    pub fn accounts(&self) -> usize {
        self.decisions.len()
    }

    /// The tick of the accounts that the active policy decided: no replay comes to the others' outcomes.
    pub fn of_policy(self) -> Self {
        let others = self.decisions.iter().filter(|(_, decision)| matches!(decision, Decision::Other(_)));
        let others: BTreeSet<String> = others.map(|(id, _)| id.clone()).collect();
        self.of_accounts(|id| !others.contains(id))
    }

    /// The tick as a policy decides it, to be written as a case; and in what that isn't what was recorded.
    pub async fn decided(mut self, policy: &Policy) -> Result<(Recorded, Compared), String> {
        let run = self.case.run(policy).await?;
        let compared = self.compare(&run);
        let case = &mut self.case;
        case.tape.event = case.event.clone();
        let tape = rewritten(case, &run);
        Ok((Recorded { tape, result: run.result(), report: run.report, left: Vec::new() }, compared))
    }

    /// Compares a replay with what was recorded: status, changes, what was held and every reason. Entries that the tick
    /// added aren't compared but for their ids, because one that came back was the entry that had been removed.
    pub fn compare(&self, run: &Run) -> Compared {
        let mut compared = Compared::default();
        let report = match &run.report {
            Ok(report) => report,
            Err(error) => {
                compared.error = Some(format!("{}: {}", error.kind.error_type(), error.message));
                return compared;
            }
        };
        let found: BTreeMap<&str, &AccountOutcome> =
            report.outcomes.iter().map(|account| (account.account_id.as_str(), account)).collect();
        for (id, decision) in &self.decisions {
            let left_out = match (decision, found.get(id.as_str())) {
                (Decision::Other(why), _) => Some(*why),
                (Decision::Policy(recorded), Some(found)) => was_held(recorded, found).then_some(LeftOut::Held),
                (Decision::Policy(_), None) => None,
            };
            match (left_out, decision) {
                (None, Decision::Policy(recorded)) => {
                    compared.accounts += 1;
                    compared.differing.extend(Account::differing(recorded, found.get(id.as_str()).copied()));
                }
                (why, _) => *compared.left_out.entry(why.unwrap_or(LeftOut::Held)).or_default() += 1,
            }
        }
        compared
    }
}

/// Whether the host held removals, or refused what an operator vetoed, and nothing else is otherwise.
fn was_held(recorded: &AccountOutcome, found: &AccountOutcome) -> bool {
    let (recorded, found) = (&recorded.outcome, &found.outcome);
    let removals = |outcome: &Outcome| {
        let mut ids: Vec<String> = outcome.removed.iter().chain(&outcome.held_removals).cloned().collect();
        ids.sort();
        ids
    };
    recorded.held_reason.is_some()
        && recorded.held_reason != found.held_reason
        && removals(recorded) == removals(found)
        && recorded.added.iter().all(|id| found.added.contains(id))
}
