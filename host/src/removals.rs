//! The blast radius: how many accounts may lose staging accounts in one tick, and which ones do.
//!
//! Accounts are decided concurrently, but who gets a place doesn't depend on who comes first: places go to
//! accounts in the tick's order. An account waits for those before it only where they could take the last
//! places; so a replay decides as the recorded tick did.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The places of one tick.
pub struct Removals {
    limit: usize,
    reason: String,
    exhausted: AtomicBool,
    accounts: Mutex<Vec<Place>>,
    changed: Notify,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Undecided,
    Taken,
    NotNeeded,
}

impl Removals {
    /// Places for a tick over so many accounts, one of so many segments of the table: `percent` of the accounts, or
    /// the segment's share of 10 where that is more (at least 1, as segments don't know of each other); none for 0.
    pub fn new(accounts: usize, percent: u8, segments: u32) -> Arc<Self> {
        let limit = match percent {
            0 => 0,
            _ => (accounts * usize::from(percent) / 100).max(10_u32.div_ceil(segments.max(1)) as usize),
        };
        let whole = if segments > 1 { "segment" } else { "tick" };
        let reason = format!("MAX_REMOVALS_PERCENT lets {limit} accounts lose staging accounts in one {whole}");
        Self::with(accounts, limit, reason)
    }

    /// No places at all, for this reason.
    pub fn none(accounts: usize, reason: impl Into<String>) -> Arc<Self> {
        Self::with(accounts, 0, reason.into())
    }

    fn with(accounts: usize, limit: usize, reason: String) -> Arc<Self> {
        Arc::new(Self {
            limit,
            reason,
            exhausted: AtomicBool::new(false),
            accounts: Mutex::new(vec![Place::Undecided; accounts]),
            changed: Notify::new(),
        })
    }

    /// Why there are no more places than these.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether an account was refused a place, because all were taken.
    pub fn exhausted(&self) -> bool {
        self.exhausted.load(Ordering::Relaxed)
    }

    /// The account at this position of the tick's order; it's done when the value is dropped.
    pub fn account(self: &Arc<Self>, position: usize) -> Account {
        Account { removals: Arc::clone(self), position }
    }

    /// Settles an account that is undecided; one that has taken a place keeps it.
    fn settle(&self, position: usize, place: Place) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account @ Place::Undecided) = accounts.get_mut(position) {
            *account = place;
        }
        drop(accounts);
        self.changed.notify_waiters();
    }

    /// `None`: it depends on accounts before this one.
    fn decide(&self, position: usize) -> Option<bool> {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let before = accounts.get(..position).unwrap_or_default();
        let count = |place| before.iter().filter(|account| **account == place).count();
        if accounts.get(position) == Some(&Place::Taken) || count(Place::Taken) + count(Place::Undecided) < self.limit {
            Some(true)
        } else if count(Place::Taken) >= self.limit {
            Some(false)
        } else {
            None
        }
    }
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
                Some(false) => {
                    self.removals.exhausted.store(true, Ordering::Relaxed);
                    return false;
                }
                None => changed.await,
            }
        }
    }

    /// Why there are no more places.
    pub fn reason(&self) -> &str {
        &self.removals.reason
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
        let limit = |accounts, percent| Removals::new(accounts, percent, 1).limit;
        assert_eq!((limit(300, 20), limit(5, 20), limit(300, 0), limit(1000, 100)), (60, 10, 0, 1000));
    }

    #[test]
    fn segments_share_the_least_limit() {
        let limit = |accounts, percent, segments| Removals::new(accounts, percent, segments).limit;
        assert_eq!((limit(300, 20, 4), limit(5, 20, 4), limit(5, 20, 1000), limit(5, 0, 4)), (60, 3, 1, 0));
        assert!(Removals::new(5, 20, 4).reason().ends_with("in one segment"));
    }

    proptest! {
        /// Whatever the order in which accounts get there, the first ones of the tick get the places.
        #[test]
        fn places_go_by_the_ticks_order(
            wants in proptest::collection::vec(any::<bool>(), 1..40),
            seed in any::<u64>(),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let given: Vec<bool> = runtime.block_on(async {
                let removals = Removals::new(wants.len(), 1, 1);
                let mut order: Vec<usize> = (0..wants.len()).collect();
                order.sort_by_key(|position| (*position as u64 + 1).wrapping_mul(seed | 1));
                let mut tasks = vec![];
                for position in order {
                    let (account, wants) = (removals.account(position), wants[position]);
                    tasks.push((position, tokio::spawn(async move { wants && account.take().await })));
                }
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
