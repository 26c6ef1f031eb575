//! In which order a tick takes its accounts: the slow ones first, so that its end isn't one account's; but in
//! turns where the tick before didn't get to all of them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::account::Account;
use crate::account::Item;
use crate::aws::Segment;

/// What is known from the ticks before; a cold start knows nothing.
#[derive(Default)]
pub(super) struct Order {
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
}

/// The order of one tick.
pub(super) struct Plan {
    /// Where the scan begins; it goes on at the table's beginning then.
    pub(super) start: Option<Item>,
    /// Which part of a page comes last, as a share of it.
    turn: f64,
    /// How long each account took, where the slow ones come first.
    took: Option<Arc<HashMap<String, Duration>>>,
}

impl Order {
    /// The order of a tick at `now` over this slice of the table.
    pub(super) fn plan(&self, now: SystemTime, segment: Option<Segment>) -> Plan {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = turn(now);
        if !memory.behind && !memory.took.is_empty() {
            return Plan { start: None, turn, took: Some(Arc::clone(&memory.took)) };
        }
        let starts = if memory.segment == segment { memory.starts.as_slice() } else { &[] };
        let pages = (starts.len() + 1) as f64;
        let page = (turn * pages) as usize;
        let start = page.checked_sub(1).and_then(|page| starts.get(page)).cloned();
        Plan { start, turn: (turn * pages).fract(), took: None }
    }

    /// Keeps what a tick over the table told for the next one.
    pub(super) fn learn(
        &self,
        behind: bool,
        segment: Option<Segment>,
        starts: Vec<Item>,
        took: HashMap<String, Duration>,
    ) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        *memory = Memory { behind, starts, segment, took: Arc::new(took) };
    }
}

impl Plan {
    /// Puts a page into the tick's order.
    pub(super) fn arrange(&self, page: &mut [Account]) {
        page.sort_by(|one, other| one.key.cmp(&other.key));
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

    fn keys(page: &[Account]) -> Vec<usize> {
        page.iter().map(|account| account.key.parse().expect("a number")).collect()
    }

    /// The order in which a tick takes the accounts of a table in pages of ten, where the ticks before fell behind.
    fn order(accounts: usize, turn: u64) -> Vec<usize> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_770_000_000 + turn * 300);
        let key = |number: usize| Item::from_iter([("accountId".to_owned(), json!(number))]);
        let order = Order::default();
        order.learn(
            true,
            None,
            (10..accounts).step_by(10).map(key).collect(),
            HashMap::from([(String::new(), Duration::ZERO)]),
        );
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

    #[test]
    fn slow_accounts_come_first_and_so_do_unknown_ones() {
        let order = Order::default();
        let took = [(0, 90), (1, 100), (2, 4_000), (3, 110)];
        let took = took.into_iter().map(|(number, took)| (format!("{number:012}"), Duration::from_millis(took)));
        order.learn(false, None, Vec::new(), took.collect());
        let plan = order.plan(SystemTime::UNIX_EPOCH, None);
        let mut page = page(0..5);
        plan.arrange(&mut page);
        assert_eq!(keys(&page), [4, 2, 0, 1, 3]);
        assert!(plan.start.is_none());
    }
}
