//! An account of a tick: the policy's decision, the conditional write, and a new decision after a conflict.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::Instrument;
use tracing::instrument::WithSubscriber;

use super::account_item::Account;
use super::decider::Decider;
use super::rollout::Rollout;
use super::shadow::Decisions;
use super::{Runtime, Times};
use crate::account::AccountId;
use crate::aws::{AwsError, Landed, Write, pacing};
use crate::bindings::types::{self, AccountOutcome, Outcome};
use crate::capability::Scope;
use crate::change::MAX_CONFLICTS;
use crate::journal::{TickRecorder, UNAVAILABLE};
use crate::outcome;
use crate::plan::Planned;
use crate::policy::Fault;
use crate::removals::{self, RemovalBudget};
use crate::target::{Target, is_account_key};

/// The reason of accounts that a tick had no time for.
pub const DEFERRED: &str = "Deferred - out of time";

/// The reason of items that belong to others.
const NOT_AN_ACCOUNT: &str = "Not an account";

/// What became of an account, and who decided it.
pub(super) struct Decided {
    pub(super) account: AccountOutcome,
    pub(super) by: Arc<Decider>,
    /// How long it took, its waits for AWS and for a place among the calls included.
    pub(super) took: Duration,
}

impl Decided {
    /// An account that wasn't read in time.
    pub(super) fn deferred(id: &AccountId, by: &Arc<Decider>) -> Self {
        let outcome = outcome::skipped(DEFERRED);
        let account = AccountOutcome { account_id: id.to_string(), account_name: None, outcome };
        Self { account, by: Arc::clone(by), took: Duration::ZERO }
    }

    /// Whether it has to wait for a later tick: for time, or for a place among the removals that this one may make (`held` is
    /// the reason that it has then).
    pub(super) fn waits(&self, held: &str) -> bool {
        self.is_deferred() || self.account.outcome.held_reason.as_deref() == Some(held)
    }

    /// Whether there was no time for it.
    pub(super) fn is_deferred(&self) -> bool {
        self.account.outcome.reason.as_deref() == Some(DEFERRED)
    }
}

/// What came of an account so far.
pub(super) enum Step {
    /// It's decided.
    Decided(Box<Decided>),
    /// It would be emptied, and is decided when all others are.
    Last(Box<Last>),
}

/// An account that is decided last.
pub(super) struct Last {
    /// Its place in the tick's order.
    pub(super) position: usize,
    scope: Scope,
    by: Arc<Decider>,
    took: Duration,
}

/// An account that is done: its name, its outcome, and who decided it.
type Done = (Option<String>, Outcome, Arc<Decider>);

/// An account that is to be decided last, and who decides it.
type Unready = Box<(Scope, Arc<Decider>)>;

/// How the decision of an account ended: the outcome, who decided it, and the decision that it came from, if there is
/// one; or the account is to be decided last.
type Ended = Result<(Outcome, Arc<Decider>, Option<Decision>), Unready>;

fn decided(outcome: Outcome, by: Arc<Decider>, decision: Option<Decision>) -> Ended {
    Ok((outcome, by, decision))
}

/// What came of recording a write before it's made.
pub(super) enum Journaled {
    /// It may be made.
    Done,
    /// It can't be recorded, so the account is decided again without removals.
    NoRemovals,
    /// Time was out before it was recorded.
    Late,
}

/// One tick under way, as its accounts see it.
pub(super) struct Run {
    pub(super) runtime: Arc<Runtime>,
    pub(super) removals: Arc<RemovalBudget>,
    pub(super) tick: types::Tick,
    pub(super) now: Arc<str>,
    pub(super) times: Times,
    /// Whether every region is asked, whatever is known of it: who names accounts wants to know.
    pub(super) thorough: bool,
    /// How many accounts the active policy failed on, and the last good one decided.
    pub(super) rescued: AtomicUsize,
    /// What a policy in the shadow is compared with.
    pub(super) for_shadow: Decisions,
    /// The candidate under rollout, if there's one.
    pub(super) rollout: Option<Rollout>,
    /// What a dry run would have written.
    pub(super) planned: Mutex<Vec<Planned>>,
    /// The tick's journal, if there's one.
    pub(super) journal: Option<Arc<TickRecorder>>,
    /// How many accounts are frozen.
    pub(super) frozen: AtomicUsize,
}

/// An account that has been decided: what the policy said, and the account as it knew it.
struct Decision {
    decided: Result<Outcome, Fault>,
    scope: Scope,
}

impl Run {
    /// Decides one account in a task of its own, so that whatever happens to it happens to it alone.
    /// Accounts have their places for removals in the order in which they come here.
    pub(super) fn spawn(self: &Arc<Self>, account: Account) -> impl Future<Output = Step> + use<> {
        let (run, key) = (Arc::clone(self), account.key.clone());
        let place = run.removals.account();
        self.task(key, Duration::ZERO, async move { run.account(place, account).await })
    }

    /// Decides an account that waited for all others. The observations are made.
    pub(super) fn spawn_last(self: &Arc<Self>, last: Last) -> impl Future<Output = Step> + use<> {
        let Last { mut scope, mut by, took, .. } = last;
        let (run, key, name) = (Arc::clone(self), scope.target.id.to_string(), scope.target.name.clone());
        if self.rollout.as_ref().is_some_and(|rollout| rollout.is_candidate(&by) && rollout.stopped()) {
            by = Arc::clone(&self.runtime.active);
            scope = scope.handed_to(Arc::clone(&by.aws));
        }
        let scope = scope.decided_last(run.removals.account());
        self.task(key, took, async move { run.decide(by, scope).await.map(|(outcome, by)| (name, outcome, by)) })
    }

    /// Runs an account's work in a task.
    fn task<W>(self: &Arc<Self>, key: String, took: Duration, work: W) -> impl Future<Output = Step> + use<W>
    where
        W: Future<Output = Result<Done, Unready>> + Send + 'static,
    {
        let active = Arc::clone(&self.runtime.active);
        let journal = self.journal.clone();
        let began = Instant::now();
        let span = tracing::info_span!("account", accountId = key);
        // Boxed first: it's large, and each wrapper around it would be as large, and copied as often.
        let work = pacing::until(self.times.stop, Box::pin(work));
        let task = tokio::spawn(work.instrument(span).with_current_subscriber()); // a proof's ticks are silent
        async move {
            let done = task.await.unwrap_or_else(|_| {
                let outcome =
                    outcome::failed("host: the processing of this account ended because of a bug; please report it");
                Ok((None, outcome, active))
            });
            let took = took + began.elapsed();
            match done {
                Ok((account_name, outcome, by)) => {
                    if let Some(journal) = journal {
                        journal.account_done(&key);
                    }
                    let account = AccountOutcome { account_id: key, account_name, outcome };
                    Step::Decided(Box::new(Decided { account, by, took }))
                }
                Err(unready) => {
                    let (scope, by) = *unready;
                    Step::Last(Box::new(Last { position: scope.leave_order(), scope, by, took }))
                }
            }
        }
    }

    async fn account(&self, place: removals::Account, account: Account) -> Result<Done, Unready> {
        let by = Arc::clone(&self.runtime.active);
        let Account { key, item } = account;
        let Some(item) = item else {
            return Ok((None, outcome::failed(format_args!("item: no target account {key} is stored")), by));
        };
        if !is_account_key(&key) {
            return Ok((None, outcome::skipped(NOT_AN_ACCOUNT), by));
        }
        let item = item.unpacked();
        let for_journal = self.journal.as_ref().map(|journal| (journal, item.clone()));
        let target = match Target::of(item) {
            Ok(target) => target,
            Err(bad) => return Ok((bad.name, outcome::failed(format_args!("item: {}", bad.problem)), by)),
        };
        if let Some((journal, item)) = for_journal {
            journal.account(&key, &item);
            journal.stored(&target);
            if let Some(reason) = journal.frozen(&target.id) {
                self.frozen.fetch_add(1, Ordering::Relaxed);
                return Ok((target.name, outcome::skipped(reason), by));
            }
        }
        if !target.staging_accounts.is_empty() {
            self.removals.has_list();
        }
        let name = target.name.clone();
        if Instant::now() >= self.times.stop {
            return Ok((name, outcome::skipped(DEFERRED), by));
        }
        let by = self.decider(&target.id).await;
        let (regions, now) = (Arc::clone(&self.runtime.regions), Arc::clone(&self.now));
        let vetoes = self.journal.as_ref().map(|journal| journal.vetoes(&target.id)).unwrap_or_default();
        let scope =
            Scope::new(target, Arc::clone(&by.aws), regions, now, place).thorough(self.thorough).without(vetoes);
        let (outcome, by) = self.decide(by, scope).await?;
        Ok((name, outcome, by))
    }

    /// The outcome, and who decided it; or the account as it is where it's to be decided last.
    async fn decide(&self, by: Arc<Decider>, scope: Scope) -> Result<(Outcome, Arc<Decider>), Unready> {
        let (outcome, by, decision) = self.decide_and_write(by, scope).await?;
        if let Some(Decision { decided, scope }) = decision {
            if self.tick.dry_run && decided.is_ok() {
                let other = !Arc::ptr_eq(&by, &self.runtime.active);
                let planned = Planned::of(&scope, other.then(|| by.release().to_string()));
                self.planned.lock().unwrap_or_else(PoisonError::into_inner).extend(planned);
            }
            match &self.rollout {
                None => self.for_shadow.keep(&decided, &scope),
                Some(rollout) if rollout.has_seen(&scope.target.id) => {}
                Some(_) if Arc::ptr_eq(&by, &self.runtime.active) => self.for_shadow.keep(&decided, &scope),
                Some(rollout) => rollout.not_compared(1), // decided by neither
            }
        }
        Ok((outcome, by))
    }

    async fn decide_and_write(&self, mut by: Arc<Decider>, mut scope: Scope) -> Ended {
        let id = scope.target.id.clone();
        let mut conflicts = 0;
        loop {
            let decision = timeout_at(self.times.stop, by.sync(&self.tick, scope)).await;
            let Ok((said, given_back)) = decision else { return decided(outcome::skipped(DEFERRED), by, None) };
            let (outcome, decided_scope) = match (said, given_back) {
                (Err(_), Some(given_back)) if given_back.waits_for_others => {
                    return Err(Box::new((given_back, by)));
                }
                (said, Some(given_back)) if let Some(rollout) = self.rollout_of(&by) => {
                    let judged = Box::pin(rollout.judge(&self.runtime.active, &self.tick, &said, &given_back));
                    let Ok(active_decides) = timeout_at(self.times.stop, judged).await else {
                        return decided(outcome::skipped(DEFERRED), by, None);
                    };
                    match said {
                        Ok(outcome) if !active_decides => (outcome, given_back),
                        _ => {
                            by = Arc::clone(&self.runtime.active);
                            scope = given_back.handed_to(Arc::clone(&by.aws));
                            continue;
                        }
                    }
                }
                (Ok(outcome), Some(scope)) => (outcome, scope),
                (Err(fault), Some(given_back)) => {
                    let Some(last_good) = self.rescue(&by, id.as_str(), &fault).await else {
                        let outcome = outcome::failed(&fault);
                        return decided(outcome, by, Some(Decision { decided: Err(fault), scope: given_back }));
                    };
                    scope = given_back.handed_to(Arc::clone(&last_good.aws));
                    by = last_good;
                    continue;
                }
                (_, None) => return decided(outcome::failed("host: the account's scope was lost"), by, None),
            };
            let staged = decided_scope.staged.clone().filter(|_| !self.tick.dry_run);
            let decision = |scope: Scope| Some(Decision { decided: Ok(outcome.clone()), scope });
            let Some(mut staged) = staged else {
                let decision = decision(decided_scope);
                return decided(outcome, by, decision);
            };
            if Instant::now() >= self.times.stop {
                return decided(outcome::skipped(DEFERRED), by, None);
            }
            match self.journal_write(&decided_scope.target, &mut staged, &by).await {
                Journaled::Done => {}
                Journaled::NoRemovals => {
                    scope = decided_scope.without_removals(UNAVAILABLE);
                    continue;
                }
                Journaled::Late => return decided(outcome::skipped(DEFERRED), by, None),
            }
            let write = Write {
                account: id.clone(),
                read: decided_scope.target.stored_list.clone(),
                list: Some(staged.list),
                updated_at: self.now.to_string(),
            };
            let list = self.journal.as_ref().and_then(|_| write.list.clone());
            let landed = self.in_time(Box::pin(by.aws.replace(write))).await;
            self.journal_written(&id, &landed, list);
            let item = match landed {
                Ok(Landed::Done) => {
                    let decision = decision(decided_scope);
                    return decided(outcome, by, decision);
                }
                Ok(Landed::Edited(item)) => item,
                Ok(Landed::Gone) => {
                    let outcome = outcome::failed("conflict: the item was deleted meanwhile; it wasn't written again");
                    return decided(outcome, by, None);
                }
                Err(error) => return decided(outcome::unwritten(&error), by, decision(decided_scope)),
            };
            let target = match Target::of(item) {
                Ok(target) => target,
                Err(bad) => return decided(outcome::failed(format_args!("item: {}", bad.problem)), by, None),
            };
            conflicts += 1;
            if conflicts > MAX_CONFLICTS {
                let outcome = outcome::failed(format_args!(
                    "conflict: the item was edited between reading and writing, {conflicts} times in a row; nothing \
                     was written"
                ));
                return decided(outcome, by, None);
            }
            scope = decided_scope;
            scope.reread(target);
            tracing::info!(accountId = id.as_str(), "the item was edited meanwhile: deciding again");
        }
    }

    /// The rollout, where its candidate has decided.
    fn rollout_of(&self, by: &Arc<Decider>) -> Option<&Rollout> {
        self.rollout.as_ref().filter(|rollout| rollout.is_candidate(by))
    }

    /// Who decides an account: a candidate where the account is in its cohort, else the active policy, until it has failed on
    /// too many.
    async fn decider(&self, account: &AccountId) -> Arc<Decider> {
        let active = &self.runtime.active;
        if let Some(candidate) = self.rollout.as_ref().and_then(|rollout| rollout.decider(account)) {
            return Arc::clone(candidate);
        }
        if self.demoted()
            && let Some(last_good) = self.last_good().await
        {
            return last_good;
        }
        Arc::clone(active)
    }

    /// The last good policy, if it's there in time.
    async fn last_good(&self) -> Option<Arc<Decider>> {
        // Boxed: fetching one takes many times what the rest of an account does, and is hardly ever needed.
        let last_good = Box::pin(self.runtime.last_good(&self.tick.operation));
        timeout_at(self.times.stop, last_good).await.ok().flatten()
    }

    /// Whether the active policy has failed on as many accounts as it may.
    pub(super) fn demoted(&self) -> bool {
        let rescued = self.rescued.load(Ordering::Relaxed);
        rescued > 0 && rescued >= self.runtime.config.rescue_limit
    }

    /// The last good policy, where it wasn't itself that failed.
    async fn rescue(&self, failed: &Arc<Decider>, account: &str, fault: &Fault) -> Option<Arc<Decider>> {
        if !Arc::ptr_eq(failed, &self.runtime.active) {
            return None;
        }
        let last_good = self.last_good().await?;
        self.rescued.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            accountId = account,
            policy = %failed.release(),
            error = %fault,
            rescuedBy = %last_good.release(),
            "policy failed on an account: the last good policy decides it"
        );
        Some(last_good)
    }

    async fn in_time<T>(&self, call: impl Future<Output = Result<T, AwsError>>) -> Result<T, AwsError> {
        timeout_at(self.times.end, call).await.unwrap_or_else(|_| {
            Err(AwsError {
                code: AwsError::TIMEOUT.into(),
                message: "no answer before the tick's end; the next tick will see whether it was done".into(),
                retryable: true,
            })
        })
    }
}
