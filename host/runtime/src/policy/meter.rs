//! The resources that a policy uses: fuel, and the processor time of its instances.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The resources that instances used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Units of fuel, about one a WebAssembly instruction.
    pub fuel: u64,
    /// Computing, making the instances included; waiting isn't, nor what the host's functions compute.
    pub time: Duration,
}

impl Used {
    /// What was used since an earlier look.
    pub fn since(self, before: Self) -> Self {
        Self { fuel: self.fuel.saturating_sub(before.fuel), time: self.time.saturating_sub(before.time) }
    }
}

/// Adds up what instances used.
#[derive(Debug, Default)]
pub(super) struct Meter {
    fuel: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Meter {
    pub(super) fn count(&self, used: Used) {
        self.fuel.fetch_add(used.fuel, Ordering::Relaxed);
        let nanoseconds = u64::try_from(used.time.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    pub(super) fn used(&self) -> Used {
        let time = Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed));
        Used { fuel: self.fuel.load(Ordering::Relaxed), time }
    }
}

/// Does some work, and says how long it computed.
pub(crate) async fn busy<F: Future>(work: F) -> (F::Output, Duration) {
    let mut work = pin!(work);
    let mut busy = Duration::ZERO;
    let done = poll_fn(|context| {
        let began = Instant::now();
        let poll = work.as_mut().poll(context);
        busy += began.elapsed();
        poll
    });
    (done.await, busy)
}
