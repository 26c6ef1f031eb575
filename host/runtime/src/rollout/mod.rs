//! The progressive rollout of a candidate policy: who is in its cohort, what a tick saw of it, and how it goes on.
//!
//! All of it is pure: `cohort` says which accounts the candidate decides, `terms` what an operator asked for, `evidence` what
//! a tick compared, `document` the state and the evidence of a rollout, and its steps. `activation::rollouts` reads and writes
//! the document, `tick::rollout` makes the comparisons.

mod cohort;
mod document;
mod evidence;
mod terms;

pub use cohort::{Cohort, bucket, is_in};
pub use document::{Document, Event, FORMAT, PolicyId, Stage, State, StepEvidence};
pub use evidence::{Comparison, DecidedBy, Difference, Evidence, TickPart, TickRef, Verdict};
pub use terms::{AbortOn, BASE, Share, Step, Terms, parse_steps};
