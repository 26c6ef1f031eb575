//! What a running service knows of its own ticks: the fleet after the last one, and the numbers of some before it.
//!
//! The service tells what a tick came to after it ended, and pages take what is there: neither waits for the other
//! longer than it takes to copy a pointer.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use staging_sync_runtime::activation::Rejected;
use staging_sync_runtime::journal::Numbers;
use staging_sync_runtime::journal::names::TickId;
use staging_sync_runtime::policy::Release;
use staging_sync_runtime::tick::{Report, instant_text};

use crate::fleet::Fleet;
use crate::ticks::TickNumbers;

/// So many ticks of an operation are kept in numbers: a day and a half of one every five minutes.
const TICKS: usize = 500;

/// What is known of the ticks of each operation.
#[derive(Default)]
pub struct Live {
    operations: Mutex<BTreeMap<String, Operation>>,
}

/// What is known of the ticks of one operation.
#[derive(Default)]
struct Operation {
    fleet: Option<Arc<Fleet>>,
    /// The oldest first.
    ticks: VecDeque<Arc<TickNumbers>>,
    release: Option<Arc<Release>>,
    rejected: Arc<[(String, Rejected)]>,
}

impl Live {
    /// Takes what a tick came to that began at `began` and took so long, and the policy that the next one goes by.
    pub fn tick_ended(
        &self,
        operation: &str,
        (began, took): (SystemTime, Duration),
        ended: Result<&Report, &str>,
        release: Option<Arc<Release>>,
        rejected: Vec<(String, Rejected)>,
    ) {
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let before = self.fleet(operation);
        let (fleet, numbers) = match ended {
            Ok(report) => {
                let tick = report.tick_id.clone().unwrap_or_else(|| TickId::new(began, None).to_string());
                let fleet = Fleet::of_report(&tick, duration_ms, report, before.as_deref());
                let numbers = TickNumbers::of_fleet(&fleet);
                (Some(Arc::new(fleet)), numbers)
            }
            Err(error) => {
                let failed = failed(operation, began, duration_ms, error);
                // What was known stays, and that it isn't new is told.
                let fleet = before.map(|before| Fleet { error: Some(error.to_owned()), ..(*before).clone() });
                (fleet.map(Arc::new), Some(failed))
            }
        };
        let mut operations = self.operations();
        let known = operations.entry(operation.to_owned()).or_default();
        known.fleet = fleet;
        if known.ticks.len() == TICKS {
            known.ticks.pop_front();
        }
        known.ticks.extend(numbers.map(Arc::new));
        (known.release, known.rejected) = (release, rejected.into());
    }

    fn operations(&self) -> MutexGuard<'_, BTreeMap<String, Operation>> {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The operations of which a tick ended.
    pub fn names(&self) -> Vec<String> {
        self.operations().keys().cloned().collect()
    }

    /// The fleet after the last tick of an operation.
    pub fn fleet(&self, operation: &str) -> Option<Arc<Fleet>> {
        self.operations().get(operation)?.fleet.clone()
    }

    /// The last ticks of an operation, or of all of them, the newest first.
    pub fn ticks(&self, operation: Option<&str>) -> Vec<Arc<TickNumbers>> {
        let operations = self.operations();
        let shown = operations.iter().filter(|(name, _)| operation.is_none_or(|operation| operation == *name));
        let mut ticks: Vec<Arc<TickNumbers>> = shown.flat_map(|(_, known)| known.ticks.iter().cloned()).collect();
        drop(operations);
        ticks.sort_by(|one, other| other.tick.cmp(&one.tick));
        ticks
    }

    /// The policy of an operation, or of the first one that has one.
    pub fn release(&self, operation: Option<&str>) -> Option<Arc<Release>> {
        let operations = self.operations();
        let mut shown = operations.iter().filter(|(name, _)| operation.is_none_or(|operation| operation == *name));
        shown.find_map(|(_, known)| known.release.clone())
    }

    /// The policy of each operation.
    pub fn releases(&self) -> Vec<(String, Arc<Release>)> {
        let operations = self.operations();
        operations.iter().filter_map(|(name, known)| Some((name.clone(), known.release.clone()?))).collect()
    }

    /// The policies that were rejected, by their locations.
    pub fn rejected(&self) -> Vec<(String, Rejected)> {
        let operations = self.operations();
        let all: BTreeMap<String, Rejected> =
            operations.values().flat_map(|known| known.rejected.iter().cloned()).collect();
        all.into_iter().collect()
    }
}

/// A tick that failed as a whole.
fn failed(operation: &str, began: SystemTime, duration_ms: u64, error: &str) -> TickNumbers {
    TickNumbers {
        tick: TickId::new(began, None).to_string(),
        at: instant_text(began),
        duration_ms,
        operation: operation.to_owned(),
        dry_run: false,
        segment: None,
        counts: Numbers::default(),
        calls: BTreeMap::new(),
        policy: None,
        author: None,
        error: Some(error.to_owned()),
        recorded: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_ticks_are_kept() {
        let live = Live::default();
        for number in 0..TICKS as u64 + 7 {
            let began = SystemTime::UNIX_EPOCH + Duration::from_secs(number);
            live.tick_ended("sync", (began, Duration::from_millis(number)), Err("TableUnavailable"), None, Vec::new());
        }
        let ticks = live.ticks(Some("sync"));
        assert_eq!((ticks.len(), ticks[0].duration_ms, live.ticks(Some("other")).len()), (TICKS, TICKS as u64 + 6, 0));
        assert!(live.fleet("sync").is_none(), "nothing is known of accounts");
    }
}
