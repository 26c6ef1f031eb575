//! A candidate under rollout in one tick: whom it decides, and what its decisions are compared with.
//!
//! For an account of the cohort the candidate decides, and before anything is written the active policy decides on the same
//! observations. Where the candidate fails, or differs although that aborts the rollout, the active policy's decision counts,
//! and the candidate decides no further account of the tick. For the other accounts see `shadow`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::decider::{Decider, gist};
use crate::account::AccountId;
use crate::bindings::types::{Outcome, Tick};
use crate::capability::Scope;
use crate::log::Json;
use crate::policy::Fault;
use crate::rollout::{Comparison, DecidedBy, Evidence, Stage, Verdict};

/// The rollout of one tick.
pub(super) struct Rollout {
    stage: Stage,
    candidate: Arc<Decider>,
    /// Whether the candidate decides no more accounts.
    stopped: AtomicBool,
    seen: Mutex<BTreeMap<String, Comparison>>,
    not_compared: AtomicUsize,
}

impl Rollout {
    /// A candidate at this stage; none where it doesn't serve the operation.
    pub(super) fn new(stage: Option<Stage>, candidate: Option<&Arc<Decider>>, operation: &str) -> Option<Self> {
        let candidate = candidate.filter(|candidate| candidate.policy().title(operation).is_some())?;
        Some(Self {
            stage: stage?,
            candidate: Arc::clone(candidate),
            stopped: AtomicBool::new(false),
            seen: Mutex::default(),
            not_compared: AtomicUsize::new(0),
        })
    }

    /// The candidate, if it decides this account.
    pub(super) fn decider(&self, account: &AccountId) -> Option<&Arc<Decider>> {
        (!self.stopped() && self.stage.cohort.contains(account)).then_some(&self.candidate)
    }

    /// Whether this is the candidate.
    pub(super) fn is_candidate(&self, by: &Arc<Decider>) -> bool {
        Arc::ptr_eq(&self.candidate, by)
    }

    /// Whether the candidate decides no more accounts of this tick.
    pub(super) fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Whether the account was compared already.
    pub(super) fn has_seen(&self, account: &AccountId) -> bool {
        self.seen().contains_key(account.as_str())
    }

    /// Compares a decision of the candidate with the active policy's. Whether the active policy has to decide the account.
    pub(super) async fn judge(
        &self,
        active: &Decider,
        tick: &Tick,
        decided: &Result<Outcome, Fault>,
        scope: &Scope,
    ) -> bool {
        let (other, beside) = active.sync(tick, scope.beside(Arc::clone(&active.aws))).await;
        let unobserved = beside.is_some_and(|scope| scope.unobserved);
        let comparison = Comparison::of(DecidedBy::Candidate, gist(&other), gist(decided), unobserved);
        self.saw(&scope.target.id, comparison) || decided.is_err()
    }

    /// Keeps a comparison. Whether it aborts the rollout.
    pub(super) fn saw(&self, account: &AccountId, mut comparison: Comparison) -> bool {
        let aborts = match comparison.verdict {
            Verdict::Failed => true,
            Verdict::Different => self.stage.aborts_on_difference,
            Verdict::Same | Verdict::NotMeasured => false,
        };
        let in_cohort = comparison.decided_by == DecidedBy::Candidate;
        if in_cohort && aborts {
            comparison.decided_by = DecidedBy::Active; // it has to decide now
        }
        if in_cohort && matches!(comparison.verdict, Verdict::Failed | Verdict::Different) {
            tracing::warn!(
                accountId = account.as_str(),
                candidate = %self.candidate.release(),
                active = Json::of(&comparison.active),
                decided = Json::of(&comparison.candidate),
                decidedByActive = aborts,
                "policy rollout: the candidate decides differently"
            );
        }
        if aborts {
            self.stopped.store(true, Ordering::Relaxed);
        }
        self.seen().insert(account.to_string(), comparison);
        aborts
    }

    /// Counts accounts that weren't compared.
    pub(super) fn not_compared(&self, accounts: usize) {
        self.not_compared.fetch_add(accounts, Ordering::Relaxed);
    }

    /// What the tick saw.
    pub(super) fn evidence(&self, whole: bool) -> (usize, Evidence) {
        let seen = std::mem::take(&mut *self.seen());
        (self.stage.step, Evidence::of(seen, self.not_compared.load(Ordering::Relaxed), whole))
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Comparison>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A comparison in the shadow, as a rollout counts it.
pub(super) fn in_the_shadow(active: Value, candidate: Value, unobserved: bool) -> Comparison {
    Comparison::of(DecidedBy::Active, active, candidate, unobserved)
}
