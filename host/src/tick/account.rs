//! One account of a tick: decided by the policy, written under a condition, decided anew on a conflict.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;
use tracing::instrument::WithSubscriber;

use super::decider::{Decider, gist};
use super::{Runtime, Times};
use crate::account::Item;
use crate::aws::{AwsError, Write, Written};
use crate::bindings::types::{self, AccountOutcome, Outcome};
use crate::capability::Scope;
use crate::log::Json;
use crate::outcome;
use crate::policy::Fault;
use crate::removals::{self, Removals};
use crate::target::Target;

/// How often an account is read and decided again because somebody edited it meanwhile.
const MAX_CONFLICTS: usize = 3;

/// The reason of accounts that a tick had no time for.
pub(super) const DEFERRED: &str = "Deferred - out of time";

/// An account of the tick: its key, and its item unless the event named one that there isn't.
pub(super) struct Account {
    pub(super) key: String,
    pub(super) item: Option<Item>,
}

impl Account {
    pub(super) fn of(item: Item) -> Self {
        let key = item.get("accountId").and_then(|id| id.get("S")).and_then(Value::as_str).unwrap_or_default();
        Self { key: key.to_owned(), item: Some(item) }
    }
}

/// What became of an account, and who decided it.
pub(super) struct Decided {
    pub(super) account: AccountOutcome,
    pub(super) by: Arc<Decider>,
    /// How long it took, its waits for AWS and for a place among the calls included.
    pub(super) took: Duration,
}

/// One tick under way, as its accounts see it.
pub(super) struct Run {
    pub(super) runtime: Arc<Runtime>,
    pub(super) removals: Arc<Removals>,
    pub(super) tick: types::Tick,
    pub(super) now: Arc<str>,
    pub(super) times: Times,
    /// Whether every region is asked, whatever is known of it: who names accounts wants to know.
    pub(super) thorough: bool,
    /// How many accounts the active policy failed on, and the last good one decided.
    pub(super) rescued: AtomicUsize,
    /// How many accounts the shadow policy decided differently, its own failures among them.
    pub(super) different: AtomicUsize,
    /// How many accounts the shadow policy failed on.
    pub(super) shadow_failed: AtomicUsize,
}

/// An account that has been decided: what the policy said, and the account as it knew it.
struct Decision {
    decided: Result<Outcome, Fault>,
    scope: Scope,
}

impl Run {
    /// Decides one account in a task of its own, so that whatever happens to it happens to it alone.
    /// Accounts have their places for removals in the order in which they come here.
    pub(super) fn spawn(self: &Arc<Self>, account: Account) -> impl Future<Output = Decided> + use<> {
        let (run, key) = (Arc::clone(self), account.key.clone());
        let place = run.removals.account();
        async move {
            let active = Arc::clone(&run.runtime.active);
            let began = Instant::now();
            let span = tracing::info_span!("account", accountId = key);
            let work = async move { run.account(place, account).await };
            let task = tokio::spawn(work.instrument(span).with_current_subscriber()); // a proof's ticks are silent
            let (account, by) = task.await.unwrap_or_else(|_| {
                let outcome = outcome::failed("host: a defect ended this account's work; please report it");
                (AccountOutcome { account_id: key, account_name: None, outcome }, active)
            });
            Decided { account, by, took: began.elapsed() }
        }
    }

    async fn account(&self, place: removals::Account, account: Account) -> (AccountOutcome, Arc<Decider>) {
        let (key, mut by) = (account.key, Arc::clone(&self.runtime.active));
        let done = |account_name, outcome| {
            (AccountOutcome { account_id: key.clone(), account_name, outcome }, Arc::clone(&by))
        };
        let Some(item) = account.item else {
            let outcome = outcome::failed(format_args!("item: no target account {key} is stored"));
            return done(None, outcome);
        };
        let target = match Target::read(&item) {
            Ok(target) => target,
            Err(bad) => return done(bad.name, outcome::failed(format_args!("item: {}", bad.problem))),
        };
        let account_name = target.name.clone();
        if Instant::now() >= self.times.stop {
            return done(account_name, outcome::skipped(DEFERRED));
        }
        let (outcome, decision);
        (outcome, by, decision) = self.decide_and_write(place, target).await;
        if let Some(decision) = decision {
            self.shadow(decision).await;
        }
        (AccountOutcome { account_id: key, account_name, outcome }, by)
    }

    /// The outcome, who decided it, and the decision that it came from, if there is one.
    async fn decide_and_write(
        &self,
        place: removals::Account,
        target: Target,
    ) -> (Outcome, Arc<Decider>, Option<Decision>) {
        let Runtime { regions, .. } = &*self.runtime;
        let id = target.id.clone();
        let mut by = self.decider().await;
        let scope = Scope::new(target, Arc::clone(&by.aws), Arc::clone(regions), Arc::clone(&self.now), place);
        let mut scope = scope.thorough(self.thorough);
        let mut conflicts = 0;
        loop {
            let decision = timeout_at(self.times.stop, by.sync(&self.tick, scope)).await;
            let Ok((decided, given_back)) = decision else { return (outcome::skipped(DEFERRED), by, None) };
            let (outcome, decided_scope) = match (decided, given_back) {
                (Ok(outcome), Some(scope)) => (outcome, scope),
                (Err(fault), Some(given_back)) => {
                    let Some(last_good) = self.rescue(&by, id.as_str(), &fault).await else {
                        let outcome = outcome::failed(&fault);
                        return (outcome, by, Some(Decision { decided: Err(fault), scope: given_back }));
                    };
                    scope = given_back.handed_to(Arc::clone(&last_good.aws));
                    by = last_good;
                    continue;
                }
                (_, None) => return (outcome::failed("host: the account's scope was lost"), by, None),
            };
            let staged = decided_scope.staged.clone().filter(|_| !self.tick.dry_run);
            let decision = |scope: Scope| Some(Decision { decided: Ok(outcome.clone()), scope });
            let Some(staged) = staged else {
                let decision = decision(decided_scope);
                return (outcome, by, decision);
            };
            if Instant::now() >= self.times.stop {
                return (outcome::skipped(DEFERRED), by, None);
            }
            let write = Write {
                account: id.clone(),
                read: decided_scope.target.stored_list.clone(),
                list: staged.list.clone(),
                updated_at: self.now.to_string(),
            };
            match self.in_time(by.aws.write(write)).await {
                Ok(Written::Done) => {
                    let decision = decision(decided_scope);
                    return (outcome, by, decision);
                }
                Ok(Written::Conflict) => {}
                Err(error) => return (outcome::unwritten(&error), by, decision(decided_scope)),
            }
            let item = match self.in_time(by.aws.get_item(&id)).await {
                Ok(Some(item)) => item,
                Ok(None) => {
                    let outcome = outcome::failed("conflict: the item was deleted meanwhile; it wasn't written again");
                    return (outcome, by, None);
                }
                Err(error) => return (outcome::unwritten(&error), by, None),
            };
            if self.wrote(&item, &staged.list) {
                let decision = decision(decided_scope);
                return (outcome, by, decision);
            }
            let target = match Target::read(&item) {
                Ok(target) => target,
                Err(bad) => return (outcome::failed(format_args!("item: {}", bad.problem)), by, None),
            };
            conflicts += 1;
            if conflicts > MAX_CONFLICTS {
                let outcome = outcome::failed(format_args!(
                    "conflict: the item was edited between reading and writing, {conflicts} times in a row; nothing \
                     was written"
                ));
                return (outcome, by, None);
            }
            scope = decided_scope;
            scope.reread(target);
            tracing::info!(accountId = id.as_str(), "the item was edited meanwhile: deciding again");
        }
    }

    /// Who decides the next account: the active policy, until it has failed on too many.
    async fn decider(&self) -> Arc<Decider> {
        let active = &self.runtime.active;
        if self.demoted()
            && let Some(last_good) = self.last_good().await
        {
            return last_good;
        }
        Arc::clone(active)
    }

    /// The last good policy, if it's there in time.
    async fn last_good(&self) -> Option<Arc<Decider>> {
        timeout_at(self.times.stop, self.runtime.last_good(&self.tick.operation)).await.ok().flatten()
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
            "policy failed on an account: the last good one decides it"
        );
        Some(last_good)
    }

    /// Lets the shadow policy decide on the same observations, and says where it would decide differently.
    async fn shadow(&self, Decision { decided, scope }: Decision) {
        let Some(shadow) = &self.runtime.shadow else { return };
        let decision = timeout_at(self.times.stop, shadow.sync(&self.tick, scope.shadow())).await;
        let Ok((shadows, _)) = decision else { return };
        self.shadow_failed.fetch_add(usize::from(shadows.is_err()), Ordering::Relaxed);
        let (active, other) = (gist(&decided), gist(&shadows));
        if active != other {
            self.different.fetch_add(1, Ordering::Relaxed);
            tracing::info!(
                accountId = scope.target.id.as_str(),
                shadowPolicy = %shadow.release(),
                active = Json::of(&active),
                shadow = Json::of(&other),
                "shadow policy decides differently"
            );
        }
    }

    /// Whether a conflict is with our own write: its answer was lost, and the SDK tried it again.
    fn wrote(&self, item: &Item, list: &Value) -> bool {
        item.get("stagingAccounts") == Some(list)
            && item.get("updatedAt").and_then(|time| time.get("S")).and_then(Value::as_str) == Some(&*self.now)
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
