//! The judgement whether a new policy may take the active one's place, by what both decide on recorded ticks.
//!
//! First the active policy must come to what was recorded; otherwise a replay says nothing. Then each account that the new
//! policy decides differently is put into classes like `added>0`, which people accept or don't.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use staging_sync_runtime::bindings::types::{AccountOutcome, Status};
use staging_sync_runtime::case::Run;
use staging_sync_runtime::text::counted;

use crate::compare::{Account, Writes};
use crate::recorded::{LeftOut, NoCase, RecordedTick, counts};

/// A class of differences: how a new policy differs from the active one on an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// It adds ids that the active policy doesn't add.
    AddedMore,
    /// It doesn't add ids that the active policy adds.
    AddedLess,
    /// It removes ids that the active policy doesn't remove.
    RemovedMore,
    /// It doesn't remove ids that the active policy removes.
    RemovedLess,
    /// It asks for removals that the host holds, where the active policy doesn't.
    HeldMore,
    /// It doesn't ask for removals that the host holds, where the active policy does.
    HeldLess,
    /// It fails on an account that the active policy decides.
    FailedMore,
    /// It decides an account that the active policy fails on.
    FailedLess,
    /// It skips an account that the active policy looks at.
    SkippedMore,
    /// It looks at an account that the active policy skips.
    SkippedLess,
    /// It writes other entries for the same ids.
    Entries,
    /// It says something else about the same decision: a reason, an error, a count.
    Words,
    /// It asks AWS for what wasn't recorded, so its decision isn't known.
    Reads,
    /// Its summary is another one, of the same accounts.
    Summary,
}

impl Class {
    /// Each class, how it's written, and what it means.
    pub const ALL: [(Self, &str, &str); 14] = [
        (Self::AddedMore, "added>0", "adds ids that the active policy doesn't"),
        (Self::AddedLess, "added<0", "doesn't add ids that the active policy adds"),
        (Self::RemovedMore, "removed>0", "removes ids that the active policy keeps"),
        (Self::RemovedLess, "removed<0", "keeps ids that the active policy removes"),
        (Self::HeldMore, "held>0", "asks for more removals that the host holds"),
        (Self::HeldLess, "held<0", "asks for fewer removals that the host holds"),
        (Self::FailedMore, "failed>0", "fails on accounts that the active policy decides"),
        (Self::FailedLess, "failed<0", "decides accounts that the active policy fails on"),
        (Self::SkippedMore, "skipped>0", "skips accounts that the active policy looks at"),
        (Self::SkippedLess, "skipped<0", "looks at accounts that the active policy skips"),
        (Self::Entries, "entries", "writes other entries for the same ids"),
        (Self::Words, "words", "gives other reasons, errors or counts for the same decision"),
        (Self::Reads, "reads", "asks AWS for what wasn't recorded, so its decision isn't known"),
        (Self::Summary, "summary", "sums up the same decisions differently"),
    ];

    fn row(self) -> (&'static str, &'static str) {
        let row = Self::ALL.iter().find(|(class, ..)| *class == self);
        row.map(|(_, name, meaning)| (*name, *meaning)).unwrap_or_default()
    }

    /// What it means.
    pub fn meaning(self) -> &'static str {
        self.row().1
    }

    /// The classes of two decisions of an account.
    fn of(old: &AccountOutcome, new: &AccountOutcome) -> BTreeSet<Self> {
        let (old, new) = (&old.outcome, &new.outcome);
        let mut classes = BTreeSet::new();
        let lists = [
            (&old.added, &new.added, Self::AddedMore, Self::AddedLess),
            (&old.removed, &new.removed, Self::RemovedMore, Self::RemovedLess),
            (&old.held_removals, &new.held_removals, Self::HeldMore, Self::HeldLess),
        ];
        for (old, new, more, less) in lists {
            classes.extend(new.iter().any(|id| !old.contains(id)).then_some(more));
            classes.extend(old.iter().any(|id| !new.contains(id)).then_some(less));
        }
        for (status, more, less) in [
            (Status::Failed, Self::FailedMore, Self::FailedLess),
            (Status::Skipped, Self::SkippedMore, Self::SkippedLess),
        ] {
            classes.extend((old.status != status && new.status == status).then_some(more));
            classes.extend((old.status == status && new.status != status).then_some(less));
        }
        classes
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().0)
    }
}

impl FromStr for Class {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, name, _)| *name == text.trim());
        found.map(|(class, ..)| *class).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|(_, name, _)| *name).collect();
            format!("{text:?} is no class of differences: expected one of {}", known.join(", "))
        })
    }
}

/// How often a class occurs, with the first account of it.
#[derive(Debug, Clone)]
pub struct Occurrence {
    /// How many decisions are of it: one for each account of a tick.
    pub decisions: usize,
    /// How many accounts.
    pub accounts: BTreeSet<String>,
    /// The tick and the account that were found first; none where it's about a tick's summary.
    pub first: (String, Option<Account>),
}

/// What a replay of recorded ticks came to.
#[derive(Debug, Default)]
pub struct Replayed {
    /// How many ticks were replayed.
    pub ticks: usize,
    /// How many decisions were compared: one for each account of a tick.
    pub decisions: usize,
    /// In how many of them the active policy changes something.
    pub changes: usize,
    /// The active policy's decisions that aren't those that were recorded, the first few of them with their ticks.
    pub unreproduced: Vec<String>,
    /// How many decisions weren't compared, and why.
    pub left_out: BTreeMap<LeftOut, usize>,
    /// How many records weren't replayed, and why.
    pub unused: BTreeMap<NoCase, usize>,
    /// The records that can't be read.
    pub unreadable: Vec<String>,
    /// What differs.
    pub classes: BTreeMap<Class, Occurrence>,
    /// Decisions that differ in anything.
    pub differing: usize,
}

/// Why a new policy isn't published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The replay says nothing, for this reason.
    Inconclusive(String),
    /// These classes of differences aren't accepted.
    NotAccepted(Vec<Class>),
}

impl Replayed {
    /// Counts a record that isn't replayed.
    pub fn unused(&mut self, why: NoCase) {
        *self.unused.entry(why).or_default() += 1;
    }

    /// Adds a tick that the active and the new policy decided.
    pub fn add(&mut self, tick: &RecordedTick, old: &Run, new: &Run) {
        self.ticks += 1;
        let name = &tick.case.name;
        let compared = tick.compare(old);
        for (why, count) in compared.left_out {
            *self.left_out.entry(why).or_default() += count;
        }
        self.unreproduced.extend(compared.error.map(|error| format!("{name}: {error}")));
        let differing = compared.differing.iter();
        let told = differing.map(|it| format!("{name}: {}: recorded {}; now {}", it.account_id, it.old, it.new));
        self.unreproduced.extend(told);
        let (Ok(olds), Ok(news)) = (&old.report, &new.report) else {
            if let (Ok(_), Err(error)) = (&old.report, &new.report) {
                let new = format!("fails the tick: {}", error.message);
                let account =
                    Account { account_id: "the tick".into(), account_name: None, old: "succeeds".into(), new };
                self.found(name, Some(account), [Class::FailedMore].into());
            }
            return;
        };
        let news_by_id: BTreeMap<&str, &AccountOutcome> =
            news.outcomes.iter().map(|account| (account.account_id.as_str(), account)).collect();
        let unknown = new.played.iter().filter(|played| played.unknown().next().is_some());
        let unknown: BTreeSet<&str> = unknown.filter_map(|played| played.target.as_deref()).collect();
        let (old_writes, new_writes) = (Writes::of(old), Writes::of(new));
        let mut differs = false;
        for old_one in olds.outcomes.iter().filter(|account| tick.is_policys(&account.account_id)) {
            let id = old_one.account_id.as_str();
            self.decisions += 1;
            self.changes += usize::from(old_one.outcome.status == Status::Updated);
            if unknown.contains(id) {
                let account = Account::differing(old_one, news_by_id.get(id).copied());
                self.found(name, account, [Class::Reads].into());
                differs = true;
                continue;
            }
            let Some(new_one) = news_by_id.get(id) else { continue }; // both are of the same items
            let mut classes = Class::of(old_one, new_one);
            let mut account = Account::differing(old_one, Some(new_one));
            if classes.is_empty() && account.is_some() {
                classes.insert(Class::Words);
            }
            if classes.is_empty()
                && let Some(how) = old_writes.differ(&new_writes, id)
            {
                classes.insert(Class::Entries);
                account = Some(Account::writing(old_one, &how));
            }
            if !classes.is_empty() {
                self.found(name, account, classes);
                differs = true;
            }
        }
        if !differs && olds.summary != news.summary {
            self.found(name, None, [Class::Summary].into());
        }
    }

    fn found(&mut self, tick: &str, account: Option<Account>, classes: BTreeSet<Class>) {
        self.differing += 1;
        for class in classes {
            let first =
                || Occurrence { decisions: 0, accounts: BTreeSet::new(), first: (tick.into(), account.clone()) };
            let occurrence = self.classes.entry(class).or_insert_with(first);
            occurrence.decisions += 1;
            occurrence.accounts.extend(account.iter().map(|account| account.account_id.clone()));
        }
    }

    /// Why the new policy isn't published with these classes accepted, if it isn't.
    pub fn refusal(&self, accepted: &BTreeSet<Class>) -> Option<Refusal> {
        let inconclusive = |reason: String| Some(Refusal::Inconclusive(reason));
        if let Some(first) = self.unreadable.first() {
            let records = counted(self.unreadable.len(), "record");
            return inconclusive(format!("{records} can't be read, the first one: {first}"));
        }
        if let Some(first) = self.unreproduced.first() {
            let decisions = counted(self.unreproduced.len(), "recorded decision");
            return inconclusive(format!("the active policy doesn't come to {decisions}, the first one: {first}"));
        }
        if self.decisions == 0 {
            return inconclusive("no decision of the active policy is recorded in this time".into());
        }
        let unknown = self.classes.get(&Class::Reads).map_or(0, |found| found.decisions);
        if unknown == self.decisions {
            return inconclusive("the new policy asks AWS for what wasn't recorded, for every account".into());
        }
        let open: Vec<Class> = self.classes.keys().copied().filter(|class| !accepted.contains(class)).collect();
        (!open.is_empty()).then_some(Refusal::NotAccepted(open))
    }

    /// What was replayed and what differs, for a terminal.
    pub fn text(&self) -> String {
        let mut text = format!(
            "replayed {}, {} ({} by the active policy): {} decided differently\n",
            counted(self.ticks, "recorded tick"),
            counted(self.decisions, "decision"),
            counted(self.changes, "change"),
            counted(self.differing, "decision"),
        );
        for (class, found) in &self.classes {
            let (tick, account) = &found.first;
            let accounts = counted(found.accounts.len(), "account");
            text += &format!(
                "  {class}: {} of {accounts}: the new policy {}\n    first in {tick}",
                counted(found.decisions, "decision"),
                class.meaning(),
            );
            match account {
                Some(it) => text += &format!(": {}\n      OLD {}\n      NEW {}\n", it.account_id, it.old, it.new),
                None => text.push('\n'),
            }
        }
        if let Some(left_out) = counts(&self.left_out) {
            text += &format!("  not compared with the record: {left_out}\n");
        }
        if let Some(unused) = counts(&self.unused) {
            text += &format!("  not replayed: {unused}\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_read_as_it_is_written() {
        for (class, name, meaning) in Class::ALL {
            assert_eq!((name.parse(), class.to_string().as_str()), (Ok(class), name));
            assert!(!meaning.is_empty());
        }
        let error = "added".parse::<Class>().expect_err("no class");
        assert!(error.contains("added>0, added<0, removed>0"), "{error}");
    }

    #[test]
    fn nothing_recorded_is_inconclusive_and_not_a_pass() {
        let all = Class::ALL.iter().map(|(class, ..)| *class).collect();
        assert!(matches!(Replayed::default().refusal(&all), Some(Refusal::Inconclusive(_))));
        let unreadable = Replayed { decisions: 1, unreadable: vec!["x".into()], ..Replayed::default() };
        assert!(matches!(unreadable.refusal(&all), Some(Refusal::Inconclusive(_))));
        let good = Replayed { decisions: 1, ..Replayed::default() };
        assert_eq!(good.refusal(&BTreeSet::new()), None);
    }
}
