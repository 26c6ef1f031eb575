//! How outcomes look as JSON: in what segments leave for the merge, and in the journal.

use serde::{Deserialize, Serialize};

use crate::bindings::types::{AccountOutcome, Outcome, RegionError, Status};

/// An account's outcome, as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OfAccount(#[serde(with = "AccountOutcomeForm")] pub AccountOutcome);

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
