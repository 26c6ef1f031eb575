//! The summary of a tick that ran in segments.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::journaling::policy_ref;
use super::{Runtime, numbers, unknown_operation};
use crate::bindings::types::{AccountOutcome, Tick};
use crate::error::Error;
use crate::journal;
use crate::log::Json;
use crate::metrics;
use crate::outcome::Counts;
use crate::summary;

/// What the segments of one tick have in common, but for `now`: when this one began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OfTick {
    /// The operation.
    pub operation: String,
    /// ISO 8601 in UTC, to the second.
    pub now: String,
    /// Whether nothing was written.
    pub dry_run: bool,
}

/// One tick, put together.
#[derive(Debug)]
pub struct Joined {
    /// The tick, as old as its first segment.
    pub tick: OfTick,
    /// The outcome of each account, ordered by id.
    pub outcomes: Vec<AccountOutcome>,
    /// The policy that decided each account, by the account's id.
    pub decided_by: BTreeMap<String, String>,
    /// What the journal knows the tick by that changed an account, by the account's id.
    pub tick_ids: BTreeMap<String, String>,
    /// The number of segments.
    pub segments: u32,
    /// Whether time was out before all accounts were read.
    pub not_read: bool,
    /// The segments without outcomes.
    pub failed: Vec<FailedSegment>,
}

/// A segment whose invocation failed for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedSegment {
    /// Which one, from 0.
    pub segment: u32,
    /// The error, as Step Functions names it: an `errorType`, or a name like `Lambda.Unknown`.
    pub error: String,
}

/// The result of a tick that ran in segments.
#[derive(Debug, Clone)]
pub struct Merged {
    /// The policy's complete summary, with `failedSegments` if there are any.
    pub summary: Value,
    /// Whether the active policy failed on it.
    pub demoted: bool,
}

impl Runtime {
    /// Lets the policy make the summary of all segments of a tick.
    pub async fn merge(&self, joined: Joined) -> Result<Merged, Error> {
        let Joined { tick, outcomes, mut decided_by, tick_ids, segments, not_read, failed } = joined;
        let (release, policy) = (self.active.release().to_string(), self.active.policy());
        let Some(title) = policy.title(&tick.operation) else {
            return Err(unknown_operation(&tick.operation, [policy]));
        };
        let tick = Tick {
            operation: tick.operation,
            now: tick.now,
            dry_run: tick.dry_run,
            regions: self.regions.to_vec(),
            settings: String::new(), // each policy has its own
        };
        let (mut summary, demoted) = self.summarize(&tick, &outcomes).await?;
        decided_by.retain(|_, by| *by != release);
        summary::name_deciders(&mut summary, &decided_by);
        if not_read {
            summary::accounts_not_read(&mut summary);
        }
        if !failed.is_empty() {
            summary["failedSegments"] = json!(failed);
        }
        let counts = Counts::of(&outcomes);
        if let Some(journal) = &self.journal {
            let whole = !not_read && failed.is_empty();
            let merged = journal::Merged { tick: &tick, outcomes: &outcomes, tick_ids: &tick_ids, whole };
            let missed = journal.merged(merged, policy_ref(self.active.release())).await;
            summary::journal(&mut summary, missed, journal::frozen(&outcomes));
        }
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    operation = tick.operation,
                    segments,
                    accountsNotRead = not_read.then_some(true),
                    failedSegments = (!failed.is_empty()).then(|| Json::of(&failed)),
                    metrics = metrics::values(&numbers::of(&counts)),
                    accountsProcessed = counts.processed(),
                    policy = policy.info().name,
                    policyVersion = policy.info().version,
                    policyDigest = policy.digest(),
                    dryRun = tick.dry_run,
                    "{title} merged"
                )
            };
        }
        if failed.is_empty() {
            line!(info)
        } else {
            line!(error)
        }
        Ok(Merged { summary, demoted })
    }
}
