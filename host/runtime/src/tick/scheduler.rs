//! The order of a tick's accounts: the slow ones first, so that the tick doesn't end with a single account. If the
//! previous tick didn't reach all accounts, those that have waited longest come first.
//!
//! A warm host knows when it last processed an account. A cold host doesn't, so it starts at a different place each time.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::account_item::Account;
use crate::account::Item;
use crate::aws::Segment;

/// What is known from the ticks before; a cold start knows nothing.
#[derive(Default)]
pub(super) struct Scheduler {
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// Whether accounts had to wait: for want of time, or of places for removals.
    behind: bool,
    /// Where the pages of the table begin, but for the first, and of which slice.
    starts: Vec<Item>,
    segment: Option<Segment>,
    /// How long each account took.
    took: Arc<HashMap<String, Duration>>,
    /// Since ticks fell behind: in which of them each account was last done, by the tick's number.
    done: Arc<HashMap<String, u64>>,
    ticks: u64,
    /// Where the first page begins that the tick before didn't read.
    unread: Option<Item>,
}

/// The order of one tick.
pub(super) struct Plan {
    /// Where the scan begins; it goes on at the table's beginning then.
    pub(super) start: Option<Item>,
    /// Which part of a page comes last, as a share of it.
    turn: f64,
    /// How long each account took, where the slow ones come first.
    took: Option<Arc<HashMap<String, Duration>>>,
    /// In which tick each account was last done, where those come first that have waited longest.
    done: Option<Arc<HashMap<String, u64>>>,
}

/// What a tick over the table told for the next one.
pub(super) struct Told {
    /// Whether accounts had to wait: for want of time, or of places for removals.
    pub(super) behind: bool,
    pub(super) segment: Option<Segment>,
    /// Where the pages of the table begin, but for the first.
    pub(super) starts: Vec<Item>,
    /// Where the first page begins that wasn't read.
    pub(super) unread: Option<Item>,
    /// The accounts that were done, and how long each took.
    pub(super) took: HashMap<String, Duration>,
    /// The accounts that had to wait.
    pub(super) waiting: Vec<String>,
}

impl Scheduler {
    /// The order of a tick at `now` over this slice of the table.
    pub(super) fn plan(&self, now: SystemTime, segment: Option<Segment>) -> Plan {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = turn(now);
        if !memory.behind && !memory.took.is_empty() {
            return Plan { start: None, turn, took: Some(Arc::clone(&memory.took)), done: None };
        }
        if memory.behind && memory.segment == segment && !memory.done.is_empty() {
            return Plan { start: memory.unread.clone(), turn, took: None, done: Some(Arc::clone(&memory.done)) };
        }
        let starts = if memory.segment == segment { memory.starts.as_slice() } else { &[] };
        let pages = (starts.len() + 1) as f64;
        let page = (turn * pages) as usize;
        let start = page.checked_sub(1).and_then(|page| starts.get(page)).cloned();
        Plan { start, turn: (turn * pages).fract(), took: None, done: None }
    }

    /// Keeps what a tick over the table told for the next one.
    pub(super) fn learn(&self, told: Told) {
        let Told { behind, segment, starts, unread, took, waiting } = told;
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let ticks = memory.ticks + 1;
        let mut done = match behind && memory.behind && memory.segment == segment {
            true => HashMap::clone(&memory.done),
            false => HashMap::new(),
        };
        if behind {
            done.extend(took.keys().map(|account| (account.clone(), ticks)));
            if unread.is_none() {
                // What is in the table no more would be kept for ever.
                let there: HashSet<&String> = took.keys().chain(&waiting).collect();
                done.retain(|account, _| there.contains(account));
            }
        }
        *memory = Memory { behind, starts, segment, took: Arc::new(took), done: Arc::new(done), ticks, unread };
    }
}

impl Plan {
    /// Puts a page into the tick's order.
    pub(super) fn arrange(&self, page: &mut [Account]) {
        page.sort_by(|one, other| one.key.cmp(&other.key));
        if self.done.is_some() {
            return; // see `waits`
        }
        match &self.took {
            // By orders of magnitude: what differs by less differs by chance. One that isn't known may be slow.
            Some(took) => page.sort_by_key(|account| {
                let took = took.get(&account.key).map_or(u128::MAX, Duration::as_millis);
                Reverse(u128::BITS - took.leading_zeros())
            }),
            None => {
                let start = (self.turn * page.len() as f64) as usize;
                page.rotate_left(start.min(page.len()));
            }
        }
    }
}

impl Plan {
    /// Since which tick an account has been done, where others come first that weren't for longer; none for one that
    /// comes as it is.
    pub(super) fn waits(&self, account: &Account) -> Option<u64> {
        self.done.as_ref()?.get(&account.key).copied()
    }
}

/// Where the order begins, from 0 to 1. Ticks are five minutes apart; the golden ratio spreads their starts evenly,
/// whatever share of the accounts a tick gets to.
fn turn(now: SystemTime) -> f64 {
    let minutes = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / 60;
    ((minutes / 5) as f64 * 0.618_033_988_749_895).fract()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn page(names: std::ops::Range<usize>) -> Vec<Account> {
        let account = |name| Account { key: format!("{name:012}"), item: None };
        names.map(account).collect()
    }

    fn nothing() -> Told {
        Told {
            behind: false,
            segment: None,
            starts: Vec::new(),
            unread: None,
            took: HashMap::new(),
            waiting: Vec::new(),
        }
    }

    fn keys(page: &[Account]) -> Vec<usize> {
        page.iter().map(|account| account.key.parse().expect("a number")).collect()
    }

    /// The order in which a tick takes the accounts of a table in pages of ten, where the ticks before fell behind.
    fn order(accounts: usize, turn: u64) -> Vec<usize> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_770_000_000 + turn * 300);
        let key = |number: usize| Item::from_iter([("accountId".to_owned(), json!(number))]);
        let order = Scheduler::default();
        let starts = (10..accounts).step_by(10).map(key).collect();
        order.learn(Told { behind: true, starts, ..nothing() });
        let plan = order.plan(now, None);
        let start = plan.start.as_ref().map_or(0, |start| start["accountId"].as_u64().expect("a number") as usize);
        let mut taken = Vec::new();
        for begin in (start..accounts).step_by(10).chain((0..start).step_by(10)) {
            let mut page = page(begin..(begin + 10).min(accounts));
            plan.arrange(&mut page);
            taken.extend(keys(&page));
        }
        taken
    }

    #[test]
    fn no_account_starves_however_few_a_tick_gets_to() {
        for (accounts, share) in [(100, 3), (100, 40), (100, 60), (100, 90), (7, 1), (1, 1), (1000, 250)] {
            let mut waits = vec![0_usize; accounts];
            let mut longest = 0;
            for turn in 0..400 {
                let order = order(accounts, turn);
                assert_eq!(order.len(), accounts);
                waits.iter_mut().for_each(|wait| *wait += 1);
                order[..share].iter().for_each(|account| waits[*account] = 0);
                longest = longest.max(waits.iter().copied().max().unwrap_or_default());
            }
            // Where a page isn't done in a tick, it's the page's turn that counts as well.
            let bound = 3 * accounts.div_ceil(share) * 10_usize.div_ceil(share);
            assert!(longest <= bound, "{accounts} accounts, {share} a tick: {longest} ticks");
        }
    }

    proptest::proptest! {
        /// With room for some of the accounts in a tick, a warm host has done all after as many ticks as it takes at least,
        /// and goes on in turns.
        #[test]
        fn who_has_waited_longest_comes_first(accounts in 1_usize..60, room in 1_usize..20, seed in 0_u64..1000) {
            let order = Scheduler::default();
            let mut last = vec![0_u64; accounts];
            let ticks = accounts.div_ceil(room) as u64;
            for tick in 1..=3 * ticks {
                let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seed * 300);
                let plan = order.plan(now, None);
                let mut page = page(0..accounts);
                plan.arrange(&mut page);
                let (mut later, mut all): (Vec<_>, Vec<_>) = page.into_iter().partition(|one| plan.waits(one).is_some());
                later.sort_by_key(|one| plan.waits(one));
                all.append(&mut later);
                let took = keys(&all).into_iter().take(room);
                let took: Vec<usize> = took.collect();
                took.iter().for_each(|account| last[*account] = tick);
                let name = |number: &usize| format!("{number:012}");
                let waiting = keys(&all).iter().skip(room).map(name).collect();
                let took = took.iter().map(|number| (name(number), Duration::ZERO)).collect();
                order.learn(Told { behind: accounts > room, took, waiting, ..nothing() });
                if tick >= ticks {
                    let oldest = last.iter().min().copied().unwrap_or_default();
                    proptest::prop_assert!(tick - oldest < ticks, "tick {}: {:?}", tick, last);
                }
            }
        }
    }

    #[test]
    fn slow_accounts_come_first_and_so_do_unknown_ones() {
        let order = Scheduler::default();
        let took = [(0, 90), (1, 100), (2, 4_000), (3, 110)];
        let took = took.into_iter().map(|(number, took)| (format!("{number:012}"), Duration::from_millis(took)));
        order.learn(Told { took: took.collect(), ..nothing() });
        let plan = order.plan(SystemTime::UNIX_EPOCH, None);
        let mut page = page(0..5);
        plan.arrange(&mut page);
        assert_eq!(keys(&page), [4, 2, 0, 1, 3]);
        assert!(plan.start.is_none());
    }
}
