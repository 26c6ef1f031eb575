//! Offline work with policies: recording and checking cases, comparing policies, and checking invariants.
//!
//! `check` compares with what a case expects; `recorded` makes cases of a journal's ticks, and `replay` judges on them
//! whether a new policy may take the active one's place. `invariants` need no expectation: `faults` holds them against what else
//! could have happened, `verify` against every small world, and against `varied` values in some; what a policy is
//! excused from is in `waived`.

#![warn(missing_docs)]

pub mod check;
pub mod compare;
pub mod constants;
pub mod explain;
pub mod faults;
pub mod find;
pub mod history;
pub mod invariants;
pub mod judge;
pub mod policy_status;
pub mod record;
pub mod recorded;
pub mod replay;
pub mod rollout_status;
pub mod simulate;
pub mod small;
pub mod varied;
pub mod verify;
mod view;
pub mod waived;

pub use check::{Verdict, check};
pub use judge::Judged;
pub use record::{Anonymize, Recorded, Recording, record, vacant};
