//! The blast radius: how many accounts may lose staging accounts in one tick, and which ones do.
//!
//! Accounts are decided concurrently, but who gets a place doesn't depend on who comes first: places go to
//! accounts in the tick's order. An account waits for those before it only where they could take the last
//! places, and for the table's last page only where there could be more places the more accounts there are; so a
//! replay decides as the recorded tick did.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// So many accounts may lose staging accounts in a tick, however few there are.
const LEAST: usize = 10;

/// The places of one tick.
pub struct Removals {
    /// The share of the accounts that may take a place, in percent; none where there are no places.
    percent: usize,
    /// The least number of places.
    least: usize,
    /// Why there are no places at all, if there are none.
    none: Option<String>,
    /// What the accounts are all of: a tick's, or a segment's.
    whole: &'static str,
    state: Mutex<State>,
    changed: Notify,
    total_wanted: Notify,
}

#[derive(Default)]
struct State {
    /// The accounts so far, in the tick's order.
    accounts: Vec<Place>,
    /// All accounts before this position are settled, and so many of them have taken a place.
    settled: (usize, usize),
    /// How many accounts there are in all, once it's known.
    total: Option<usize>,
    total_wanted: bool,
    exhausted: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Undecided,
    Taken,
    NotNeeded,
}

impl Removals {
    /// Places for a tick over one of so many segments of the table: `percent` of its accounts, or the segment's part
    /// of 10 where that is more; none for 0.
    pub fn new(percent: u8, segments: u32) -> Arc<Self> {
        let least = LEAST.div_ceil(usize::try_from(segments).unwrap_or(usize::MAX).max(1));
        let whole = if segments > 1 { "segment" } else { "tick" };
        let none = (percent == 0).then(|| reason(0, whole));
        Self::with(usize::from(percent), least, none, whole)
    }

    /// No places at all, for this reason.
    pub fn none(reason: impl Into<String>) -> Arc<Self> {
        Self::with(0, 0, Some(reason.into()), "tick")
    }

    fn with(percent: usize, least: usize, none: Option<String>, whole: &'static str) -> Arc<Self> {
        let (state, changed, total_wanted) = Default::default();
        Arc::new(Self { percent, least, none, whole, state, changed, total_wanted })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limit(&self, accounts: usize) -> usize {
        if self.none.is_some() { 0 } else { (accounts * self.percent / 100).max(self.least) }
    }

    /// Why there are no more places than these.
    pub fn reason(&self) -> String {
        self.none.clone().unwrap_or_else(|| {
            let state = self.state();
            reason(self.limit(state.total.unwrap_or(state.accounts.len())), self.whole)
        })
    }

    /// Whether an account was refused a place, because all were taken.
    pub fn exhausted(&self) -> bool {
        self.state().exhausted
    }

    /// The next account in the tick's order; it's done when the value is dropped.
    pub fn account(self: &Arc<Self>) -> Account {
        let accounts = &mut self.state().accounts;
        accounts.push(Place::Undecided);
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
    fn settle(&self, position: usize, place: Place) {
        let mut state = self.state();
        let State { accounts, settled, .. } = &mut *state;
        if let Some(account @ Place::Undecided) = accounts.get_mut(position) {
            *account = place;
        }
        while let Some(place) = accounts.get(settled.0).filter(|place| **place != Place::Undecided) {
            *settled = (settled.0 + 1, settled.1 + usize::from(*place == Place::Taken));
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// `None`: it depends on accounts before this one, or on how many there are.
    fn decide(&self, position: usize) -> Option<bool> {
        let mut state = self.state();
        if state.accounts.get(position) == Some(&Place::Taken) {
            return Some(true);
        }
        let (first, taken) = state.settled;
        let before = state.accounts.get(first..position).unwrap_or_default();
        let count = |place| before.iter().filter(|account| **account == place).count();
        let (taken, undecided) = (taken + count(Place::Taken), count(Place::Undecided));
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

fn reason(limit: usize, whole: &str) -> String {
    format!("MAX_REMOVALS_PERCENT lets {limit} accounts lose staging accounts in one {whole}")
}

/// One account's claim to a place.
pub struct Account {
    removals: Arc<Removals>,
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
                    self.removals.settle(self.position, Place::Taken);
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
}

impl Drop for Account {
    fn drop(&mut self) {
        self.removals.settle(self.position, Place::NotNeeded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_limit_is_a_share_but_at_least_ten_and_zero_is_none() {
        let limit = |accounts, percent| Removals::new(percent, 1).limit(accounts);
        assert_eq!((limit(300, 20), limit(5, 20), limit(300, 0), limit(1000, 100)), (60, 10, 0, 1000));
    }

    #[test]
    fn segments_share_the_least_number_of_places() {
        let limit = |segments| Removals::new(20, segments).limit(5);
        assert_eq!((limit(1), limit(2), limit(4), limit(1000)), (10, 5, 3, 1));
        assert!(Removals::new(20, 4).reason().ends_with("in one segment"));
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
                let removals = Removals::new(1, 1);
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
            let mut left = 10;
            let expected: Vec<bool> = wants.iter().map(|wants| {
                let got = *wants && left > 0;
                left -= usize::from(got);
                got
            }).collect();
            prop_assert_eq!(given, expected);
        }
    }
}
