//! The limits of a policy, and the reason for each number.

use std::fmt;
use std::sync::OnceLock;

use wasmtime::{Config, Engine, ResourceLimiter, Store};

use super::StoreData;
use super::memory::{Budget, Reservation, in_all};
use crate::capability::Displaced;

/// What one instance may use. Settings, because a policy in Python needs more than one in Rust.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Guest computation in units of fuel, about one a WebAssembly instruction. Deterministic: a replay stops
    /// at the same point. The default is some hundred times what a decision in Python takes, and below a
    /// second of computing.
    pub fuel: u64,
    /// Linear memory in bytes. The default is enough for a JavaScript or Python runtime.
    pub memory: usize,
    /// Elements of all kinds of one table. A language runtime's function table has some thousands.
    pub table_elements: usize,
    /// The memory that all instances have together.
    pub budget: &'static Budget,
}

impl Default for Limits {
    fn default() -> Self {
        Self { fuel: 500_000_000, memory: 64 << 20, table_elements: 100_000, budget: Budget::of_process() }
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fuel {}, memory {} of {}", self.fuel, self.memory, self.budget.total())
    }
}

/// The guest's stack in bytes: wasmtime's default, and enough for deep recursion in a JSON parser.
pub(super) const STACK: usize = 512 << 10;

/// After so much fuel a computing guest lets other accounts go on: below a millisecond.
const YIELD_INTERVAL: u64 = 1_000_000;

/// What the guest may hand to the host in one call, or return, in bytes. A list that fills an item (400 KB),
/// with what the host needs for its entries, fits several times.
const TRANSFER: usize = 4 << 20;

/// A component's size in bytes; more isn't read. A policy in Python, its interpreter included, has 18 MB.
pub const COMPONENT: u64 = 64 << 20;

/// A component is several core instances; a language runtime some more.
const INSTANCES: usize = 50;

/// Why a policy has less memory than its limit says.
const HERE: &str = "all that this process has for policies: raise the function's MemorySize";

/// A limit that an instance met.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct Exceeded(pub String);

/// The engine that compiles and runs policies: one for all of them.
pub(super) fn engine() -> wasmtime::Result<Engine> {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    if let Some(engine) = ENGINE.get() {
        return Ok(engine.clone());
    }
    let engine = Engine::new(&engine_config())?;
    Ok(ENGINE.get_or_init(|| engine).clone())
}

/// An engine that compiles for every processor of an architecture, like `x86_64`.
pub(super) fn engine_for(target: &str) -> wasmtime::Result<Engine> {
    let mut config = engine_config();
    config.target(&format!("{target}-unknown-linux-gnu"))?;
    Engine::new(&config)
}

/// How engines are made, for whoever measures with others.
pub fn engine_config() -> Config {
    let mut config = Config::new();
    // Instances are allocated on demand: 0.10 ms each, with 192 at once on 2 cores. A pool halves that (`make bench`), of
    // the milliseconds that an account's AWS calls cost; but one instance too many, or a policy that needs more than a
    // place of the pool has, would fail its account, and all places would be reserved for as long as the process lives.
    if address_space_is_bounded() {
        // By default a linear memory reserves 4 GiB, for code without checks of bounds. (A policy that was compiled for
        // that is compiled again.)
        config.memory_reservation(0);
        config.memory_guard_size(0);
        config.memory_reservation_for_growth(1 << 20);
    }
    config.consume_fuel(true);
    config.max_wasm_stack(STACK);
    config.async_stack_size(STACK + (1 << 20)); // the rest is for host functions
    config.wasm_backtrace_max_frames(None); // a trap is reported to the policy's author by its kind, not by addresses
    config
}

/// Whether `ulimit -v` bounds what the process may map.
fn address_space_is_bounded() -> bool {
    rlimit::Resource::AS.get().is_ok_and(|(soft, _)| soft != rlimit::INFINITY)
}

impl Limits {
    /// The limiter of one instance; `scale` is how many times the usual it may use. It waits for `bytes` of memory.
    pub(super) async fn limiter(&self, scale: u64, bytes: usize) -> Limiter {
        let scale = usize::try_from(scale).unwrap_or(usize::MAX).min(16);
        let own = self.memory.saturating_mul(scale);
        let memory = own.min(self.budget.total().saturating_sub(in_all(0)));
        let reservation = self.budget.reserve(in_all(bytes.min(memory))).await;
        Limiter { memory, own, used: 0, table_elements: self.table_elements, reservation, budget: self.budget }
    }

    /// Puts every limit on an instance's store.
    pub(super) fn apply(&self, store: &mut Store<StoreData>, scale: u64) -> wasmtime::Result<()> {
        store.limiter(|guest| &mut guest.limiter);
        store.set_hostcall_fuel(TRANSFER.saturating_mul(usize::try_from(scale).unwrap_or(usize::MAX)));
        store.set_fuel(self.fuel.saturating_mul(scale))?;
        store.fuel_async_yield_interval(Some(YIELD_INTERVAL))
    }
}

/// Counts the memory of all an instance's linear memories together.
pub(super) struct Limiter {
    memory: usize,
    /// Its limit where there's memory enough.
    own: usize,
    used: usize,
    table_elements: usize,
    reservation: Reservation,
    pub(super) budget: &'static Budget,
}

impl Limiter {
    /// What the instance took, in bytes of linear memory.
    pub(super) fn used(&self) -> usize {
        self.used
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.used = self.used.saturating_add(desired.saturating_sub(current));
        // Not just `false`: an allocator would turn that into a trap that doesn't say which limit it was.
        if self.used > self.memory {
            let (memory, why) = (self.memory >> 20, if self.memory < self.own { HERE } else { "POLICY_MEMORY_MIB" });
            return Err(wasmtime::Error::new(Exceeded(format!("{memory} MiB of memory ({why})"))));
        }
        if self.reservation.grow(in_all(self.used)) {
            return Ok(true);
        }
        Err(wasmtime::Error::new(Displaced(self.used.saturating_mul(2))))
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired <= self.table_elements {
            return Ok(true);
        }
        Err(wasmtime::Error::new(Exceeded(format!("{} table elements", self.table_elements))))
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        INSTANCES
    }

    fn memories(&self) -> usize {
        INSTANCES
    }
}
