//! The document that a segment stores for the merge: the outcomes of its accounts, and the policy that decided.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::aws::Segment;
use crate::bindings::types::{AccountOutcome, Outcome, RegionError, Status};
use crate::policy::Release;
use crate::tick::{OfTick, Report};

/// The document. Written and read by the same program, so what it doesn't know in it is an error.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Document {
    pub(super) tick: OfTick,
    pub(super) segment: u32,
    pub(super) total_segments: u32,
    /// Whether time was out before the segment was read to its end.
    #[serde(default)]
    pub(super) accounts_not_read: bool,
    /// The policy that was active.
    pub(super) policy: String,
    /// Who decided an account, by its id, where that was another.
    pub(super) decided_by: BTreeMap<String, String>,
    pub(super) outcomes: Vec<OfAccount>,
}

/// An account's outcome.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct OfAccount(#[serde(with = "AccountOutcomeForm")] pub AccountOutcome);

impl Document {
    /// What a segment leaves that came to this.
    pub fn of(segment: Segment, active: &Release, report: Report) -> Self {
        let tick = OfTick { operation: report.tick.operation, now: report.tick.now, dry_run: report.tick.dry_run };
        Self {
            tick,
            segment: segment.segment,
            total_segments: segment.total,
            accounts_not_read: report.not_read,
            policy: active.to_string(),
            decided_by: report.decided_by,
            outcomes: report.outcomes.into_iter().map(OfAccount).collect(),
        }
    }

    /// Reads a document; the error says where what is wrong.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let mut read = serde_json::Deserializer::from_slice(text);
        let document = serde_path_to_error::deserialize(&mut read).map_err(|error| error.to_string())?;
        read.end().map_err(|error| error.to_string())?;
        Ok(document)
    }

    /// As JSON.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() // texts, numbers and lists of them can't fail
    }
}

// How the WIT package's types look as JSON.

#[derive(Serialize, Deserialize)]
#[serde(remote = "AccountOutcome", rename_all = "camelCase", deny_unknown_fields)]
struct AccountOutcomeForm {
    account_id: String,
    account_name: Option<String>,
    #[serde(with = "OutcomeForm")]
    outcome: Outcome,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Outcome", rename_all = "camelCase", deny_unknown_fields)]
struct OutcomeForm {
    #[serde(with = "StatusForm")]
    status: Status,
    reason: Option<String>,
    error: Option<String>,
    added: Vec<String>,
    removed: Vec<String>,
    held_removals: Vec<String>,
    held_reason: Option<String>,
    staging_account_count: u32,
    #[serde(with = "regions")]
    incomplete_regions: Vec<RegionError>,
    extra: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Status", rename_all = "camelCase")]
enum StatusForm {
    Updated,
    Unchanged,
    Skipped,
    Failed,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RegionError", deny_unknown_fields)]
struct RegionErrorForm {
    region: String,
    code: String,
}

/// A list of regions that couldn't be read.
mod regions {
    use super::{Deserialize, RegionError, RegionErrorForm, Serialize};
    use serde::{Deserializer, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct One(#[serde(with = "RegionErrorForm")] RegionError);

    pub(super) fn serialize<S: Serializer>(regions: &[RegionError], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(regions.iter().cloned().map(One))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<RegionError>, D::Error> {
        Ok(Vec::<One>::deserialize(from)?.into_iter().map(|one| one.0).collect())
    }
}
