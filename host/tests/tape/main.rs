//! Recorded cases: what is on a tape, what a replay tells, and the project's own cases.

mod cases;
mod changed;
mod commands;
mod native;
mod recording;
mod support;
