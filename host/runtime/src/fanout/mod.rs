//! Fan-out: what travels between the segments of a tick, which run in invocations of their own, and their merge.
//!
//! `document` is what a segment leaves, `places` where it does, `request` the event that asks for the merge, `join`
//! how documents become the outcomes of one tick. Outcomes travel by S3: a state of Step Functions carries 256 KiB.

mod document;
mod join;
mod places;
mod request;

pub use document::Document;
pub use join::join;
pub use places::OutcomeLocations;
pub use request::Merge;
