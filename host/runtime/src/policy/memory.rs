//! The memory budget of all policies together, which instances wait for as for a permit.
//!
//! An instance starts with what instances of its policy take as a rule. Where it grows beyond that and nothing is left,
//! it ends as `Displaced`, and its call is made again once there is room. So whoever waits holds nothing, and instances
//! never wait for each other. The same goes for one that waits for another account while memory is wanted.

use std::fs;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::threads::lambda_memory;

/// The unit of the budget: a page of a linear memory, in bytes.
const PAGE: usize = 64 << 10;

/// What an instance takes beside its linear memory, in bytes: its stack as far as it's used, its tables, its store.
const OVERHEAD: usize = 4 * PAGE;

/// The part of the process's memory that policies may have. The rest is for the program, its connections to AWS, and
/// what is known of the accounts of a tick: `make bench` prints what a tick of 10,000 takes.
const SHARE: (usize, usize) = (5, 8);

/// What compiling a component takes, in bytes: a fixed part, and so many for each of the component's. Measured on 2
/// cores, as the peak of `staging-sync policy inspect` above the program's own: Rust (0.16 MB) 81 MiB, JavaScript (1.1 MB)
/// 141 MiB, Python (18.9 MB) 598 MiB.
const COMPILING: (usize, usize) = (112 << 20, 28);

/// So many accounts should be decided at once, for a tick to be quick.
const AT_ONCE: usize = 64;

/// The memory that all instances of a process may use together.
pub struct Budget {
    pages: Semaphore,
    total: usize,
    least_free: AtomicUsize,
    waiting: watch::Sender<usize>,
}

impl Budget {
    /// The budget of this process, by the memory that it may have.
    pub fn of_process() -> &'static Self {
        static BUDGET: OnceLock<Budget> = OnceLock::new();
        BUDGET.get_or_init(|| Self::of(of_process()))
    }

    /// Creates a budget of this number of bytes.
    pub fn of(memory: usize) -> Self {
        let pages = (memory / SHARE.1 * SHARE.0 / PAGE).clamp(1, 1 << 26);
        let (total, least_free) = (pages * PAGE, AtomicUsize::new(pages * PAGE));
        Self { pages: Semaphore::new(pages), total, least_free, waiting: watch::Sender::new(0) }
    }

    /// All of it, in bytes.
    pub fn total(&self) -> usize {
        self.total
    }

    /// The available memory, in bytes.
    pub fn free(&self) -> usize {
        self.pages.available_permits() * PAGE
    }

    /// The most that was taken at once, in bytes.
    pub fn most_taken(&self) -> usize {
        self.total - self.least_free.load(Ordering::Relaxed)
    }

    fn taken(&self) {
        self.least_free.fetch_min(self.free(), Ordering::Relaxed);
    }

    /// Ready when somebody waits for memory.
    pub(crate) async fn is_wanted(&self) {
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await;
    }

    /// Waits for so many bytes, or for all there are where that is less.
    pub(super) async fn reserve(&'static self, bytes: usize) -> Reservation {
        let pages = self.pages_of(bytes);
        let permit = match self.pages.try_acquire_many(pages) {
            Ok(permit) => Some(permit),
            Err(_) => {
                self.waiting.send_modify(|waiting| *waiting += 1);
                let _no_longer = Waits(self);
                self.pages.acquire_many(pages).await.ok()
            }
        };
        self.taken();
        Reservation { budget: self, permit }
    }

    /// Waits for the memory that compiling a component takes. `Err`: it's more than there ever is, and how much.
    pub(crate) async fn reserve_for_compiling(&'static self, component: usize) -> Result<Reservation, usize> {
        let wanted = compiling(component);
        if wanted > self.total { Err(wanted) } else { Ok(self.reserve(wanted).await) }
    }

    fn pages_of(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.min(self.total).div_ceil(PAGE)).unwrap_or(u32::MAX)
    }
}

/// Counts one that waits, until it's dropped.
struct Waits(&'static Budget);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.waiting.send_modify(|waiting| *waiting = waiting.saturating_sub(1));
    }
}

/// A part of the budget, given back when it's dropped.
pub struct Reservation {
    budget: &'static Budget,
    permit: Option<SemaphorePermit<'static>>,
}

impl Reservation {
    /// Makes it hold so many bytes, if it doesn't and there are.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let held = self.permit.as_ref().map_or(0, SemaphorePermit::num_permits);
        let more = u32::try_from(bytes.div_ceil(PAGE).saturating_sub(held)).unwrap_or(u32::MAX);
        // Whoever waits comes first.
        let free = more == 0 || *self.budget.waiting.borrow() == 0;
        match (free, self.budget.pages.try_acquire_many(more)) {
            (true, Ok(permit)) => {
                match &mut self.permit {
                    Some(held) => held.merge(permit),
                    none => *none = Some(permit),
                }
                self.budget.taken();
                true
            }
            _ => false,
        }
    }
}

/// What instances of one policy take.
#[derive(Debug, Default)]
pub(super) struct Typical {
    bytes: AtomicUsize,
    most: AtomicUsize,
}

impl Typical {
    /// What an instance took, in bytes of linear memory.
    pub(super) fn record(&self, used: usize) {
        self.most.fetch_max(used, Ordering::Relaxed);
        // One that takes much counts for the next dozens, and not for ever.
        let _ = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |typical| {
            Some(used.max(typical - typical.saturating_sub(used) / 16))
        });
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

/// What an instance with such a linear memory takes in all, in bytes.
pub(super) fn in_all(linear_memory: usize) -> usize {
    linear_memory.saturating_add(OVERHEAD)
}

/// The memory that compiling a component of this size needs, in bytes.
pub fn compiling(component: usize) -> usize {
    component.saturating_mul(COMPILING.1).saturating_add(COMPILING.0)
}

/// The memory in MB that a Lambda function needs for a policy whose instances take so many bytes of linear memory: to
/// compile it, and to decide a good number of accounts at once. At least the stack's default.
pub fn memory_size(component: usize, instance: usize) -> usize {
    let budget = compiling(component).max(AT_ONCE * in_all(instance));
    (budget / SHARE.0 * SHARE.1).div_ceil(64 << 20).max(8) * 64
}

/// The memory that this process may have, in bytes: Lambda's, the container's or the machine's.
fn of_process() -> usize {
    if let Some(megabytes) = lambda_memory() {
        return megabytes.saturating_mul(1 << 20);
    }
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<usize>().ok();
    let container = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let kilobytes = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix(" kB")?;
        Some(kilobytes.trim().parse::<usize>().ok()?.saturating_mul(1 << 10))
    });
    container.into_iter().filter_map(number).chain(machine).min().unwrap_or(1 << 30)
}
