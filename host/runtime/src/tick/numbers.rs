//! The figures of a tick, for its last log line and the metrics.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::aws::{Calls, Counter};
use crate::journal::CallNumbers;
use crate::metrics::Metric;
use crate::outcome::Counts;
use crate::policy::{Policy, Used};

/// What was counted when a tick began.
pub(super) struct Before {
    began: Instant,
    calls: [Calls; Counter::SERVICES.len()],
    regions_skipped: u64,
    used: Used,
}

impl Before {
    pub(super) fn now(counter: &Counter, policy: &Policy) -> Self {
        let (calls, regions_skipped) = (counter.calls(), counter.regions_skipped());
        Self { began: Instant::now(), calls, regions_skipped, used: policy.used() }
    }

    /// What the tick called so far, by service.
    pub(super) fn calls(&self, counter: &Counter) -> BTreeMap<String, CallNumbers> {
        let calls = counter.calls().into_iter().zip(self.calls).map(|(after, before)| after.since(before).into());
        Counter::SERVICES.into_iter().map(str::to_owned).zip(calls).collect()
    }

    /// What the tick called, skipped, used and took.
    pub(super) fn until_now(self, counter: &Counter, policy: &Policy) -> Vec<Metric> {
        let mut metrics = calls(self.calls, counter.calls());
        let used = policy.used().since(self.used);
        let whole = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
        let microseconds = whole(used.time.as_micros());
        let milliseconds = whole(self.began.elapsed().as_millis());
        metrics.extend([
            Metric::count("regionsSkipped", counter.regions_skipped() - self.regions_skipped),
            Metric::count("policyFuel", used.fuel),
            Metric { name: "policyTimeUs", unit: "Microseconds", value: microseconds },
            Metric { name: "durationMs", unit: "Milliseconds", value: milliseconds },
        ]);
        metrics
    }
}

/// The accounts of a tick in numbers; `accountsSkipped` counts as the summary does.
pub(super) fn of(counts: &Counts) -> Vec<Metric> {
    vec![
        Metric::count("totalAccounts", counts.total),
        Metric::count("accountsUpdated", counts.updated),
        Metric::count("accountsUnchanged", counts.unchanged),
        Metric::count("accountsSkipped", counts.counted_as_skipped()),
        Metric::count("accountsFailed", counts.failed),
        Metric::count("accountsHeld", counts.held),
    ]
}

/// The calls of a tick in numbers: all, and by service.
fn calls(before: [Calls; Counter::SERVICES.len()], after: [Calls; Counter::SERVICES.len()]) -> Vec<Metric> {
    const NAMES: [[&str; 3]; Counter::SERVICES.len()] = [
        ["dynamodbCalls", "dynamodbThrottles", "dynamodbErrors"],
        ["drsCalls", "drsThrottles", "drsErrors"],
        ["stsCalls", "stsThrottles", "stsErrors"],
    ];
    let services = after.iter().zip(before).map(|(after, before)| after.since(before));
    let services: Vec<[u64; 3]> = services.map(|calls| [calls.made, calls.throttled, calls.failed]).collect();
    let all = |place: usize| services.iter().map(|numbers| numbers[place]).sum::<u64>();
    let totals = ["awsCalls", "awsThrottles", "awsErrors"].into_iter().zip([all(0), all(1), all(2)]);
    let by_service = NAMES.into_iter().flatten().zip(services.iter().flatten().copied());
    totals.chain(by_service).map(|(name, value)| Metric::count(name, value)).collect()
}
