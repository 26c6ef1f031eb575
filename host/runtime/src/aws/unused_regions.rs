//! A cache of the regions that accounts don't use, so that not every tick asks them.
//!
//! What is known here is never a reason to remove anything: see `discovery`, which asks all regions wherever the others
//! don't name every stored staging account.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::discovery::Listing;
use crate::account::AccountId;

/// Regions that said that an account doesn't use them, and until which tick that is believed.
pub(super) struct UnusedRegions {
    /// After so many ticks a region is asked again.
    recheck: u64,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Ticks so far.
    tick: u64,
    /// Region names, once each: an account's regions are their places here.
    regions: Vec<String>,
    /// By account and listing: the tick in which a region is asked again, by its place; 0 for one that is in use.
    again: HashMap<(AccountId, Listing), Vec<u32>>,
}

impl UnusedRegions {
    pub(super) fn new(recheck_ticks: u32) -> Self {
        Self { recheck: u64::from(recheck_ticks), known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tick begins.
    pub(super) fn tick(&self) {
        self.known().tick += 1;
    }

    /// Whether an account's region needn't be asked in this tick.
    pub(super) fn skips(&self, account: &AccountId, listing: Listing, region: &str) -> bool {
        let known = self.known();
        let place = known.regions.iter().position(|name| name == region);
        let again = known.again.get(&(account.clone(), listing)).zip(place).and_then(|(again, place)| again.get(place));
        again.is_some_and(|again| known.tick < u64::from(*again))
    }

    /// Remembers what an account's region said. The first time the regions of accounts are spread over the ticks to
    /// come, so that later ones ask as many of them each.
    pub(super) fn learn(&self, account: &AccountId, listing: Listing, region: &str, used: bool) {
        let mut known = self.known();
        let Known { tick, regions, again } = &mut *known;
        let place = regions.iter().position(|name| name == region).unwrap_or_else(|| {
            regions.push(region.to_owned());
            regions.len() - 1
        });
        let again = again.entry((account.clone(), listing)).or_default();
        if again.len() <= place {
            again.resize(place + 1, 0);
        }
        let next = match (used, again[place]) {
            (true, _) => 0,
            (false, 0) => *tick + 1 + spread(account, region) % self.recheck,
            (false, _) => *tick + self.recheck,
        };
        again[place] = u32::try_from(next).unwrap_or(u32::MAX);
    }
}

fn spread(account: &AccountId, region: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (account.as_str(), region).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: Listing = Listing::StagingAccounts;

    fn account(number: u64) -> AccountId {
        AccountId::parse(&format!("{number:012}")).expect("12 digits")
    }

    #[test]
    fn an_unused_region_is_asked_every_so_many_ticks_and_accounts_take_turns() {
        let unused = UnusedRegions::new(12);
        let mut asked = [0; 60];
        for asked in &mut asked {
            unused.tick();
            for number in 0..240 {
                if !unused.skips(&account(number), LISTING, "us-east-1") {
                    *asked += 1;
                    unused.learn(&account(number), LISTING, "us-east-1", false);
                }
            }
        }
        assert_eq!(asked[0], 240);
        for (tick, asked) in asked.iter().enumerate().skip(1) {
            assert!((5..=40).contains(asked), "tick {tick}: {asked} of 240 accounts, 20 expected");
        }
        assert_eq!(asked[13..25].iter().sum::<i32>(), 240, "every account once in 12 ticks");
    }

    #[test]
    fn a_region_in_use_is_always_asked_and_so_is_every_one_where_the_setting_is_1() {
        let unused = UnusedRegions::new(12);
        unused.tick();
        unused.learn(&account(1), LISTING, "us-east-1", false);
        assert!(unused.skips(&account(1), LISTING, "us-east-1"));
        assert!(!unused.skips(&account(1), Listing::SourceServers, "us-east-1"));
        assert!(!unused.skips(&account(2), LISTING, "us-east-1"));
        unused.learn(&account(1), LISTING, "us-east-1", true);
        assert!(!unused.skips(&account(1), LISTING, "us-east-1"));
        let always = UnusedRegions::new(1);
        for _ in 0..3 {
            always.tick();
            assert!(!always.skips(&account(1), LISTING, "us-east-1"));
            always.learn(&account(1), LISTING, "us-east-1", false);
        }
    }
}
