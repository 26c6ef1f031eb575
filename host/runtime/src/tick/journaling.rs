//! What a tick writes to the journal, and what it doesn't do where that fails.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::time::timeout_at;

use super::account::{Journaled, Run};
use super::decider::Decider;
use super::{Runtime, Shadow, Tick};
use crate::account::AccountId;
use crate::aws::{AwsError, Landed, Segment};
use crate::bindings::types::AccountOutcome;
use crate::capability::Staged;
use crate::error::Error;
use crate::journal::{Begun, By, CallNumbers, Ended, PolicyRef, TickRecorder};
use crate::policy::Release;
use crate::tape::HostSettings;
use crate::target::Target;

impl Runtime {
    /// Begins the journal of a tick, where there's a journal.
    pub(super) async fn begin_journal(&self, tick: &Tick, dry_run: bool) -> Option<Arc<TickRecorder>> {
        let journal = self.journal.as_ref()?;
        let event = &tick.event;
        let settings = HostSettings {
            table: self.config.table.clone(),
            regions: self.regions.to_vec(),
            max_removals_percent: self.config.max_removals_percent,
        };
        let begun = Begun {
            now: tick.now,
            request: tick.request.clone(),
            event: event.json(),
            operation: event.operation.clone(),
            dry_run,
            segment: event.segment.map(|Segment { segment, total }| (segment, total)),
            whole_table: event.account_ids.is_none() && event.segment.is_none(),
            by: By::Policy(policy_ref(self.active.release()), settings),
        };
        Some(Arc::new(journal.begin(begun).await))
    }
}

/// A release as reports, plans and the journal name it.
pub(super) fn policy_ref(release: &Release) -> PolicyRef {
    let (info, settings) = (release.policy().info(), release.settings());
    PolicyRef {
        name: info.name.clone(),
        version: info.version.clone(),
        digest: release.policy().digest().to_owned(),
        settings: serde_json::from_str(settings).unwrap_or_else(|_| settings.into()),
    }
}

impl Run {
    /// Records a write before it's made, with entries that come back in the place of new ones.
    pub(super) async fn journal_write(&self, target: &Target, staged: &mut Staged, by: &Decider) -> Journaled {
        let Some(journal) = &self.journal else { return Journaled::Done };
        // Boxed: not every tick has a journal, and its calls of S3 are large.
        let work = Box::pin(async {
            journal.bring_back(&target.id, &mut staged.list, staged.receipt.added.len()).await;
            journal.before_write(target, Some(&staged.list), &by.release().to_string(), None).await
        });
        match timeout_at(self.times.stop, work).await {
            Err(_) => Journaled::Late,
            Ok(Err(_)) if !staged.receipt.removed.is_empty() => Journaled::NoRemovals,
            Ok(_) => Journaled::Done,
        }
    }

    /// Notes what became of a write, of this list.
    pub(super) fn journal_written(&self, account: &AccountId, landed: &Result<Landed, AwsError>, list: Option<Value>) {
        let (Some(journal), Some(list)) = (&self.journal, list) else { return };
        match landed {
            Ok(Landed::Done) => journal.written(account, Some(&list)),
            // Without an answer it may have been made: its record stays.
            Err(_) => {}
            Ok(Landed::Edited(item)) => {
                journal.unwritten(account);
                if let Ok(target) = Target::read(item) {
                    journal.stored(&target);
                }
            }
            Ok(Landed::Gone) => journal.unwritten(account),
        }
    }

    /// Ends the journal of a tick. Returns how many records are missing, where there's a journal.
    pub(super) async fn end_journal(
        &self,
        outcomes: &[AccountOutcome],
        decided_by: &BTreeMap<String, String>,
        shadow: &Shadow,
        whole: bool,
        calls: BTreeMap<String, CallNumbers>,
        error: Option<&Error>,
    ) -> Option<usize> {
        let journal = self.journal.as_ref()?;
        let ended = Ended {
            outcomes,
            decided_by: decided_by.clone(),
            calls,
            shadow_differences: shadow.different,
            whole,
            error: error.map(|error| format!("{}: {}", error.kind.error_type(), error.message)),
        };
        let finished = timeout_at(self.times.journal, journal.finish(ended)).await;
        Some(finished.unwrap_or_else(|_| journal.late()))
    }

    /// Ends the journal of a tick that failed as a whole.
    pub(super) async fn journal_failed_tick(&self, calls: BTreeMap<String, CallNumbers>, error: &Error) {
        self.end_journal(&[], &BTreeMap::new(), &Shadow::default(), false, calls, Some(error)).await;
    }
}
