//! What happens to policies offline: recording and checking cases, comparing policies, and holding them against
//! invariants.
//!
//! `check` compares with what a case expects. `invariants` need no expectation: `faults` holds them against what else
//! could have happened, `verify` against every small world.

pub mod check;
pub mod compare;
pub mod faults;
pub mod find;
pub mod invariants;
pub mod judge;
pub mod record;
pub mod simulate;
pub mod small;
pub mod verify;
mod view;

pub use check::{Verdict, check};
pub use judge::Judged;
pub use record::{Anonymize, Recorded, Recording, record, vacant};
