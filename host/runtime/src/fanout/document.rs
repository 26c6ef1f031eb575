//! The document that a segment stores for the merge: the outcomes of its accounts, and the policy that decided.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::aws::Segment;
use crate::outcome::OfAccount;
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
    /// What the journal knows the segment's tick by, if there's a journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tick_id: Option<String>,
    pub(super) outcomes: Vec<OfAccount>,
}

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
            tick_id: report.tick_id,
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
