//! The allocator, which counts what is allocated while `bench` asks it to.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use mimalloc::MiMalloc;
use serde::{Deserialize, Serialize};

static COUNTS: AtomicBool = AtomicBool::new(false);
static NUMBER: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// What was allocated, whether or not it was freed again.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Allocations {
    /// How often.
    pub number: u64,
    /// How much, in bytes.
    pub bytes: u64,
}

/// Counts from now on.
pub fn start() {
    NUMBER.store(0, Relaxed);
    BYTES.store(0, Relaxed);
    COUNTS.store(true, Relaxed);
}

/// What was allocated since `start`; nothing is counted any longer.
pub fn stop() -> Allocations {
    COUNTS.store(false, Relaxed);
    Allocations { number: NUMBER.load(Relaxed), bytes: BYTES.load(Relaxed) }
}

/// The allocator of the Lambda's program. Where nothing is counted, it costs one more read.
pub struct Counting;

fn count(bytes: usize) {
    if COUNTS.load(Relaxed) {
        NUMBER.fetch_add(1, Relaxed);
        BYTES.fetch_add(bytes as u64, Relaxed);
    }
}

// SAFETY: mimalloc does it all, with what it's given.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the promises of `GlobalAlloc`; so in the others.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as above.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as above.
        unsafe { MiMalloc.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { MiMalloc.dealloc(pointer, layout) }
    }
}
