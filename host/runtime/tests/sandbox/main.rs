//! The sandbox: whatever a policy does costs it the one account at hand, and what isn't a policy isn't loaded.

mod account;
mod fuzz;
mod guest;
mod load;
mod memory;
mod tick;

#[allow(dead_code, reason = "the ticks' tests use all of it")]
#[path = "../ticks/support.rs"]
mod support;

use staging_sync_runtime::policy::Limits;

/// Less fuel and memory than by default, so that a guest without end meets its limits soon.
fn limits() -> Limits {
    Limits { fuel: 20_000_000, memory: 16 << 20, ..Limits::default() }
}
