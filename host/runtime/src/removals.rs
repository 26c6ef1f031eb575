//! The blast radius: the number of accounts that may lose staging accounts in one tick, and which ones.
//!
//! Two rules. A budget: at most a share of the accounts loses any. And where most accounts would lose all they have,
//! none does, because DRS that says nothing about anybody is more likely broken than right.
//!
//! Accounts are decided concurrently, but who gets a place doesn't depend on who comes first: places go to
//! accounts in the tick's order. An account waits for those before it only where they could take the last
//! places, and for the table's last page only where there could be more places the more accounts there are; so a
//! replay decides as the recorded tick did. Accounts that would be emptied are decided last, for it's known only then
//! how many there are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// So many accounts may lose staging accounts in a tick, however few there are.
const LEAST: usize = 3;

/// Fewer accounts than these may always be emptied: that a few are says nothing about DRS.
const LEAST_EMPTIED: usize = 3;

/// The part of the table that a tick processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The whole table.
    Table,
    /// A segment of it: which one, from 0, of how many.
    Segment(u32, u32),
    /// Accounts that an operator named: both rules let them through, as long as anything may be removed at all.
    Named,
}

/// Whether a list may be emptied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Emptying {
    /// It isn't known yet: all accounts must have been decided that won't be emptied.
    Unknown,
    /// It may.
    Allowed,
    /// It may not, for this reason.
    Held(String),
}

/// The removals that one tick may make: a budget of permits.
pub struct RemovalBudget {
    /// The share of the accounts that may take a place, in percent; none where there are no places.
    percent: usize,
    part: Part,
    /// Why there are no places at all, if there are none.
    none: Option<String>,
    state: Mutex<State>,
    changed: Notify,
    total_wanted: Notify,
}

struct State {
    /// The accounts so far, in the tick's order.
    accounts: Vec<Permit>,
    /// All accounts before this position are settled, and so many of them have taken a place.
    settled: (usize, usize),
    /// How many accounts there are in all, once it's known.
    total: Option<usize>,
    total_wanted: bool,
    exhausted: bool,
    /// How many accounts have a stored list with entries.
    with_list: usize,
    emptying: Emptying,
}

#[derive(Clone, Copy, PartialEq)]
enum Permit {
    Undecided,
    Taken,
    NotNeeded,
}

impl RemovalBudget {
    /// Places for a tick: `percent` of its accounts, or 3 where that is more (segments share the 3); none for 0.
    pub fn new(percent: u8, part: Part) -> Arc<Self> {
        let none = (percent == 0).then(|| reason(0, part));
        Self::with(usize::from(percent), part, none)
    }

    /// No places at all, for this reason.
    pub fn none(reason: impl Into<String>) -> Arc<Self> {
        Self::with(0, Part::Table, Some(reason.into()))
    }

    /// As many places as there are accounts.
    pub fn unlimited() -> Arc<Self> {
        Self::with(100, Part::Named, None)
    }

    fn with(percent: usize, part: Part, none: Option<String>) -> Arc<Self> {
        // Where nothing may be removed, or everything, the second rule has no say.
        let judged = none.is_some() || percent == 100 || part == Part::Named;
        let state = State {
            accounts: Vec::new(),
            settled: (0, 0),
            total: None,
            total_wanted: false,
            exhausted: false,
            with_list: 0,
            emptying: if judged { Emptying::Allowed } else { Emptying::Unknown },
        };
        let (changed, total_wanted) = Default::default();
        Arc::new(Self { percent, part, none, state: Mutex::new(state), changed, total_wanted })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The budget of a tick over so many accounts.
    fn limit(&self, accounts: usize) -> usize {
        if self.none.is_some() {
            return 0;
        }
        let share = accounts * self.percent / 100;
        match self.part {
            Part::Named => usize::MAX,
            Part::Table => share.max(LEAST),
            Part::Segment(segment, segments) => share.max(share_of(LEAST, segment, segments)),
        }
    }

    /// Records that an account has a stored list with entries.
    pub fn has_list(&self) {
        self.state().with_list += 1;
    }

    /// Decides whether lists may be emptied, now that all accounts are decided but so many that would be. Says why not,
    /// if not.
    pub fn judge_emptying(&self, emptied: usize) -> Option<String> {
        let mut state = self.state();
        // A segment sees a part of the table, and so of what is wrong with it.
        let least = match self.part {
            Part::Segment(_, segments) => {
                LEAST_EMPTIED.div_ceil(usize::try_from(segments).unwrap_or(usize::MAX).max(1))
            }
            _ => LEAST_EMPTIED,
        };
        if state.emptying == Emptying::Unknown {
            state.emptying = if emptied >= least && 2 * emptied > state.with_list {
                Emptying::Held(format!(
                    "DRS reports no staging accounts for {emptied} of the {} accounts of this {} that have some stored, \
                     which is more likely a fault than the truth: check DRS, then name the accounts in accountIds, or \
                     set MAX_REMOVALS_PERCENT=100 for one tick",
                    state.with_list,
                    whole(self.part),
                ))
            } else {
                Emptying::Allowed
            };
        }
        match &state.emptying {
            Emptying::Held(reason) => Some(reason.clone()),
            _ => None,
        }
    }

    /// Why there are no more places than these.
    pub fn reason(&self) -> String {
        self.none.clone().unwrap_or_else(|| {
            let state = self.state();
            reason(self.limit(state.total.unwrap_or(state.accounts.len())), self.part)
        })
    }

    /// Whether an account was refused a place, because all were taken.
    pub fn exhausted(&self) -> bool {
        self.state().exhausted
    }

    /// The next account in the tick's order; it's done when the value is dropped.
    pub fn account(self: &Arc<Self>) -> Account {
        let accounts = &mut self.state().accounts;
        accounts.push(Permit::Undecided);
        Account { removals: Arc::clone(self), position: accounts.len() - 1 }
    }

    /// Says how many accounts there are in all.
    pub fn close(&self, total: usize) {
        self.state().total = Some(total);
        self.changed.notify_waiters();
    }

    /// Says that no more accounts come, whyever, if it isn't said how many there are.
    pub fn end(&self) {
        let mut state = self.state();
        state.total = state.total.or(Some(state.accounts.len()));
        drop(state);
        self.changed.notify_waiters();
    }

    /// Ready when an account can't go on before it's known how many there are in all.
    pub async fn total_wanted(&self) {
        let wanted = self.total_wanted.notified();
        tokio::pin!(wanted);
        wanted.as_mut().enable(); // before looking, so that no change is missed
        let known = self.state().total_wanted;
        if !known {
            wanted.await;
        }
    }

    /// Settles an account that is undecided; one that has taken a place keeps it.
    fn settle(&self, position: usize, place: Permit) {
        let mut state = self.state();
        let State { accounts, settled, .. } = &mut *state;
        if let Some(account @ Permit::Undecided) = accounts.get_mut(position) {
            *account = place;
        }
        while let Some(place) = accounts.get(settled.0).filter(|place| **place != Permit::Undecided) {
            *settled = (settled.0 + 1, settled.1 + usize::from(*place == Permit::Taken));
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// `None`: it depends on accounts before this one, or on how many there are.
    fn decide(&self, position: usize) -> Option<bool> {
        let mut state = self.state();
        if state.accounts.get(position) == Some(&Permit::Taken) {
            return Some(true);
        }
        let (first, taken) = state.settled;
        let before = state.accounts.get(first..position).unwrap_or_default();
        let count = |place| before.iter().filter(|account| **account == place).count();
        let (taken, undecided) = (taken + count(Permit::Taken), count(Permit::Undecided));
        let known = state.total.is_some() || self.none.is_some();
        // There are at least as many places as the accounts so far make.
        let limit = self.limit(state.total.unwrap_or(state.accounts.len()));
        if taken + undecided < limit {
            return Some(true);
        }
        if known && taken >= limit {
            state.exhausted = true;
            return Some(false);
        }
        if !known {
            state.total_wanted = true;
            self.total_wanted.notify_waiters();
        }
        None
    }
}

fn reason(limit: usize, part: Part) -> String {
    format!("MAX_REMOVALS_PERCENT lets {limit} accounts lose staging accounts in one {}", whole(part))
}

fn whole(part: Part) -> &'static str {
    if matches!(part, Part::Segment(_, segments) if segments > 1) { "segment" } else { "tick" }
}

/// A segment's share of a number that all segments together may not exceed: the first ones have the rest.
fn share_of(number: usize, segment: u32, segments: u32) -> usize {
    let [segment, segments] = [segment, segments.max(1)].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    number / segments + usize::from(segment < number % segments)
}

/// One account's claim to a place.
pub struct Account {
    removals: Arc<RemovalBudget>,
    position: usize,
}

impl Account {
    /// Takes a place, if there's one. An account that has one keeps it.
    pub async fn take(&self) -> bool {
        loop {
            let changed = self.removals.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable(); // before looking, so that no change is missed
            match self.removals.decide(self.position) {
                Some(true) => {
                    self.removals.settle(self.position, Permit::Taken);
                    return true;
                }
                Some(false) => return false,
                None => changed.await,
            }
        }
    }

    /// Why there are no more places.
    pub fn reason(&self) -> String {
        self.removals.reason()
    }

    /// Where the account stands in the tick's order.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Says that the account needs no place for now, so that others don't wait for it.
    pub fn leave(&self) {
        self.removals.settle(self.position, Permit::NotNeeded);
    }

    /// Whether the account's list may be emptied.
    pub fn emptying(&self) -> Emptying {
        self.removals.state().emptying.clone()
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.removals.settle(self.position, Permit::NotNeeded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_limit_is_a_share_but_at_least_three_and_zero_is_none() {
        let limit = |accounts, percent| RemovalBudget::new(percent, Part::Table).limit(accounts);
        assert_eq!((limit(300, 20), limit(5, 20), limit(300, 0), limit(1000, 100)), (60, 3, 0, 1000));
    }

    #[test]
    fn segments_together_have_no_more_places_than_the_table() {
        for segments in [1, 2, 3, 4, 7, 1000] {
            let all: usize =
                (0..segments).map(|segment| RemovalBudget::new(20, Part::Segment(segment, segments)).limit(4)).sum();
            assert_eq!(all, 3, "{segments} segments");
        }
        assert!(RemovalBudget::new(20, Part::Segment(0, 4)).reason().ends_with("in one segment"));
    }

    #[test]
    fn accounts_that_an_operator_names_have_places_unless_nothing_may_be_removed() {
        assert_eq!(RemovalBudget::new(20, Part::Named).limit(8), usize::MAX);
        assert_eq!(RemovalBudget::new(0, Part::Named).limit(8), 0);
        assert_eq!(RemovalBudget::new(20, Part::Named).account().emptying(), Emptying::Allowed);
    }

    #[test]
    fn lists_are_held_where_three_and_more_than_half_would_be_emptied() {
        let held = |part, percent, emptied, with_list| {
            let removals = RemovalBudget::new(percent, part);
            (0..with_list).for_each(|_| removals.has_list());
            let held = removals.judge_emptying(emptied).is_some();
            assert_eq!(matches!(removals.account().emptying(), Emptying::Held(_)), held);
            held
        };
        assert!(held(Part::Table, 20, 3, 5) && held(Part::Table, 99, 8, 8));
        assert!(!held(Part::Table, 20, 3, 6), "half isn't more than half");
        assert!(!held(Part::Table, 20, 2, 2), "two say nothing");
        assert!(!held(Part::Table, 100, 8, 8) && !held(Part::Named, 20, 8, 8), "the operator's ways through");
        assert!(held(Part::Segment(1, 3), 20, 1, 1) && held(Part::Segment(0, 2), 20, 2, 3));
        assert!(!held(Part::Segment(0, 2), 20, 1, 1));
    }

    #[tokio::test]
    async fn who_was_refused_a_place_is_known_and_who_has_none_by_its_end_has_one_by_the_total() {
        let removals = RemovalBudget::new(20, Part::Table);
        let accounts: Vec<_> = (0..4).map(|_| removals.account()).collect();
        for account in &accounts[..3] {
            assert!(account.take().await);
        }
        assert!(!removals.exhausted(), "nobody was refused");
        let wanted = async {
            removals.total_wanted().await; // ready only because the fourth can't go on without it
            removals.end();
        };
        let (got, ()) = tokio::join!(accounts[3].take(), wanted);
        assert!(!got && removals.exhausted());
    }

    proptest! {
        /// Whatever the order in which accounts get there, the first ones of the tick get the places.
        #[test]
        fn places_go_by_the_ticks_order(
            wants in proptest::collection::vec(any::<bool>(), 1..40),
            seed in any::<u64>(),
            closed_after in 0_usize..40,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let given: Vec<bool> = runtime.block_on(async {
                let removals = RemovalBudget::new(1, Part::Table);
                let mut accounts: Vec<_> = wants.iter().map(|_| Some(removals.account())).collect();
                let mut order: Vec<usize> = (0..wants.len()).collect();
                order.sort_by_key(|position| (*position as u64 + 1).wrapping_mul(seed | 1));
                let mut tasks = vec![];
                for (turn, position) in order.into_iter().enumerate() {
                    if turn == closed_after {
                        tokio::task::yield_now().await;
                        removals.close(wants.len());
                    }
                    let (account, wants) = (accounts[position].take().expect("once"), wants[position]);
                    tasks.push((position, tokio::spawn(async move { wants && account.take().await })));
                }
                removals.close(wants.len());
                let mut given = vec![false; wants.len()];
                for (position, task) in tasks {
                    given[position] = task.await.expect("no panic");
                }
                given
            });
            let mut left = LEAST;
            let expected: Vec<bool> = wants.iter().map(|wants| {
                let got = *wants && left > 0;
                left -= usize::from(got);
                got
            }).collect();
            prop_assert_eq!(given, expected);
        }
    }
}
