//! The summary of a tick that ran in segments.

use serde_json::{Value, json};

use super::{Runtime, numbers, unknown_operation};
use crate::bindings::types::Tick;
use crate::error::Error;
use crate::fanout::Joined;
use crate::log::Json;
use crate::metrics;
use crate::outcome::Counts;
use crate::summary;

/// What a tick that ran in segments came to.
#[derive(Debug, Clone)]
pub struct Merged {
    /// The policy's summary, whole; with `failedSegments` where there are any.
    pub summary: Value,
    /// Whether the active policy failed on it.
    pub demoted: bool,
}

impl Runtime {
    /// Lets the policy sum up what the segments of a tick came to.
    pub async fn merge(&self, joined: Joined) -> Result<Merged, Error> {
        let Joined { tick, outcomes, mut decided_by, segments, not_read, failed } = joined;
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
