//! The shadow policy: compared after all accounts are decided and written, within its own time budget.
//!
//! So it costs the accounts nothing, whatever it does. What the budget doesn't reach isn't compared, and that is said.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::decider::{Decider, gist};
use super::rollout::{Rollout, in_the_shadow};
use crate::account::AccountId;
use crate::bindings::types::{Outcome, Tick};
use crate::capability::Scope;
use crate::log::Json;
use crate::policy::Fault;

/// After so many failures of the shadow it's off for the rest of the tick: more of them say nothing new, and each may
/// burn all the fuel that an instance has.
const FAILURES: usize = 10;

/// How long a tick waits for its shadow, at most: a decision takes a millisecond, in Python five.
const TIME: Duration = Duration::from_secs(60);

/// How many decisions are kept to be compared: each is an account's observations, some kilobytes.
const MOST: usize = 5_000;

/// How many accounts that are decided differently are named: the log has all of them.
const NAMED: usize = 5;

/// How many comparisons are under way at once.
const AT_ONCE: usize = 8;

/// How a policy in the shadow compares, in accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shadow {
    /// The policy in the shadow, if there's one: its name, version and digest.
    pub policy: Option<String>,
    /// Decided, differently or not, or failed on.
    pub compared: usize,
    /// Decided differently, its failures among them.
    pub different: usize,
    /// The first of these accounts, by their ids.
    pub differing: Vec<String>,
    /// It failed.
    pub failed: usize,
    /// Not compared, because its budget for the tick was used up.
    pub not_compared: usize,
}

/// The decisions of a tick that a shadow is compared with.
pub(super) struct Decisions {
    shadow: Option<Arc<Decider>>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    decisions: Vec<(Value, Scope)>,
    left_out: usize,
}

impl Decisions {
    pub(super) fn for_shadow(shadow: Option<Arc<Decider>>) -> Self {
        Self { shadow, kept: Mutex::default() }
    }

    /// Keeps a decision, with the observations that it was made on.
    pub(super) fn keep(&self, decided: &Result<Outcome, Fault>, scope: &Scope) {
        if self.shadow.is_none() {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.decisions.len() < MOST {
            kept.decisions.push((gist(decided), scope.shadow()));
        } else {
            kept.left_out += 1;
        }
    }

    /// Lets the shadow decide the same accounts, until its budget is used up or the tick stops. What it decides is evidence of
    /// its rollout, if it's under one.
    pub(super) async fn compare(&self, tick: &Tick, stop: Instant, rollout: Option<&Rollout>) -> Shadow {
        let Some(shadow) = &self.shadow else { return Shadow::default() };
        let Kept { decisions, left_out } =
            std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        let all = decisions.len() + left_out;
        let until = stop.min(Instant::now() + TIME);
        let mut sum = Shadow { policy: Some(shadow.release().to_string()), ..Shadow::default() };
        let compare = decisions.into_iter().map(|(active, scope)| compare(shadow, tick, active, scope));
        let mut comparisons = stream::iter(compare).buffer_unordered(AT_ONCE);
        while sum.failed < FAILURES
            && let Ok(Some(Compared { account, active, decided, failed, unobserved })) =
                timeout_at(until, comparisons.next()).await
        {
            let different = active != decided;
            sum.compared += 1;
            sum.different += usize::from(different);
            if different && sum.differing.len() < NAMED {
                sum.differing.push(account.to_string());
            }
            sum.failed += usize::from(failed);
            if let Some(rollout) = rollout {
                rollout.saw(&account, in_the_shadow(active, decided, unobserved));
            }
        }
        drop(comparisons);
        sum.differing.sort();
        sum.not_compared = all - sum.compared;
        if let Some(rollout) = rollout {
            rollout.not_compared(sum.not_compared - left_out); // more of the same would say nothing new
        }
        if sum.not_compared > 0 {
            tracing::warn!(
                shadowPolicy = %shadow.release(),
                shadowFailures = sum.failed,
                accountsCompared = sum.compared,
                accountsNotCompared = sum.not_compared,
                "shadow policy: off for the rest of this tick, because it failed {FAILURES} times, or ran out of time"
            );
        }
        sum
    }
}

/// An account that was compared.
struct Compared {
    account: AccountId,
    active: Value,
    decided: Value,
    /// The shadow failed.
    failed: bool,
    /// The shadow asked for what wasn't observed.
    unobserved: bool,
}

/// Compares one account, and says where it's decided differently.
async fn compare(shadow: &Decider, tick: &Tick, active: Value, scope: Scope) -> Compared {
    let account = scope.target.id.clone();
    let (decided, scope) = shadow.sync(tick, scope).await;
    let other = gist(&decided);
    if active != other {
        tracing::info!(
            accountId = account.as_str(),
            shadowPolicy = %shadow.release(),
            active = Json::of(&active),
            shadow = Json::of(&other),
            "shadow policy decides differently"
        );
    }
    let unobserved = scope.is_some_and(|scope| scope.unobserved);
    Compared { account, active, decided: other, failed: decided.is_err(), unobserved }
}
