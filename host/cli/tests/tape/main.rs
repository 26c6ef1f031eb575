//! Recorded cases: what is on a tape, what a replay tells, the project's own cases, and the invariants.

mod cases;
mod changed;
mod commands;
mod damaged;
mod invariants;
mod native;
mod recording;
mod released;
mod values;
mod waived;

#[allow(dead_code, reason = "the sandbox's tests use all of it")]
#[path = "../../../runtime/tests/sandbox/guest.rs"]
mod guest;

#[path = "../../../runtime/tests/released/policies.rs"]
mod policies;

#[allow(dead_code, reason = "the ticks' tests use all of it")]
#[path = "../../../runtime/tests/ticks/support.rs"]
mod support;
