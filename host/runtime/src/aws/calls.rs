//! Counters of calls by service, and of their results.

use std::sync::atomic::{AtomicU64, Ordering};

use super::AwsError;
use super::advice::Advice;
use super::discovery::NOT_OPTED_IN;
use super::regions;

/// The calls of one service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// All of them.
    pub made: u64,
    /// Failed after all their tries because there were too many of them.
    pub throttled: u64,
    /// Failed for whatever other reason; errors that are answers aren't among them.
    pub failed: u64,
}

/// What services call too many requests.
pub(super) const THROTTLED: [&str; 6] = [
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
];

/// Errors that are answers: somebody edited the item; DRS isn't initialised there.
const ANSWERS: [&str; 2] = ["ConditionalCheckFailedException", "UninitializedAccountException"];

/// Whether an error of a call to this region is an answer. That the account isn't opted in to the region is one, where
/// it's a region that accounts can be without.
fn is_answer(code: &str, region: Option<&str>) -> bool {
    ANSWERS.contains(&code) || (code == NOT_OPTED_IN && region.is_some_and(regions::is_opt_in))
}

/// Counts calls by service; shared by all that make calls in a tick.
#[derive(Debug, Default)]
pub struct Counter {
    services: [Service; Counter::SERVICES.len()],
    skipped: AtomicU64,
    advice: Advice,
}

#[derive(Debug, Default)]
struct Service {
    made: AtomicU64,
    throttled: AtomicU64,
    failed: AtomicU64,
}

impl Counter {
    /// The services, by their signing names.
    pub const SERVICES: [&str; 3] = ["dynamodb", "drs", "sts"];

    /// Counts a call to one of the services, in a region unless it's the host's own, and the error that it ended with.
    pub(super) fn count(&self, service: &str, region: Option<&str>, error: Option<&AwsError>) {
        let Some(place) = Self::SERVICES.iter().position(|known| *known == service) else { return };
        let counted = &self.services[place];
        counted.made.fetch_add(1, Ordering::Relaxed);
        error.into_iter().for_each(|error| self.advice.note(service, region, error));
        match error.map(|error| error.code.as_str()) {
            Some(code) if THROTTLED.contains(&code) => counted.throttled.fetch_add(1, Ordering::Relaxed),
            Some(code) if !is_answer(code, region) => counted.failed.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }

    /// Logs what to change, if settings made calls fail since the last time.
    pub fn advise(&self) {
        self.advice.tell();
    }

    /// Counts regions that weren't asked.
    pub(super) fn skip(&self, regions: usize) {
        self.skipped.fetch_add(regions as u64, Ordering::Relaxed);
    }

    /// The number of regions that weren't asked so far, because their accounts don't use them.
    pub fn regions_skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// The counts so far, in the order of `SERVICES`.
    pub fn calls(&self) -> [Calls; Self::SERVICES.len()] {
        self.services.each_ref().map(|service| Calls {
            made: service.made.load(Ordering::Relaxed),
            throttled: service.throttled.load(Ordering::Relaxed),
            failed: service.failed.load(Ordering::Relaxed),
        })
    }
}

impl Calls {
    /// Those since an earlier count.
    pub fn since(self, before: Self) -> Self {
        Self {
            made: self.made - before.made,
            throttled: self.throttled - before.throttled,
            failed: self.failed - before.failed,
        }
    }
}
