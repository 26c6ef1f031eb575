//! Recorded cases: what is on a tape, what a replay tells, and the project's own cases.

mod cases;
mod changed;
mod commands;
mod native;
mod recording;

#[allow(dead_code, reason = "the ticks' tests use all of it")]
#[path = "../ticks/support.rs"]
mod support;
