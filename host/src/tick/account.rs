//! One account of a tick: decided by the policy, written under a condition, decided anew on a conflict.

use std::sync::Arc;

use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::{Runtime, Times};
use crate::account::Item;
use crate::aws::{AwsError, Write, Written};
use crate::bindings::types::{self, AccountOutcome, Outcome};
use crate::capability::Scope;
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

/// One tick under way, as its accounts see it.
pub(super) struct Run {
    pub(super) runtime: Arc<Runtime>,
    pub(super) removals: Arc<Removals>,
    pub(super) tick: types::Tick,
    pub(super) now: Arc<str>,
    pub(super) times: Times,
}

impl Run {
    /// Decides one account in a task of its own, so that whatever happens to it happens to it alone.
    pub(super) fn spawn(
        self: &Arc<Self>,
        position: usize,
        account: Account,
    ) -> impl Future<Output = AccountOutcome> + use<> {
        let (run, key) = (Arc::clone(self), account.key.clone());
        async move {
            let place = run.removals.account(position);
            let task = tokio::spawn(async move { run.account(place, account).await });
            task.await.unwrap_or_else(|_| AccountOutcome {
                account_id: key,
                account_name: None,
                outcome: outcome::failed("host: a defect ended this account's work; please report it"),
            })
        }
    }

    async fn account(&self, place: removals::Account, account: Account) -> AccountOutcome {
        let key = account.key;
        let Some(item) = account.item else {
            let outcome = outcome::failed(format_args!("item: no target account {key} is stored"));
            return AccountOutcome { account_id: key, account_name: None, outcome };
        };
        let target = match Target::read(&item) {
            Ok(target) => target,
            Err(bad) => {
                let outcome = outcome::failed(format_args!("item: {}", bad.problem));
                return AccountOutcome { account_id: key, account_name: bad.name, outcome };
            }
        };
        let account_name = target.name.clone();
        let outcome = if Instant::now() >= self.times.stop {
            outcome::skipped(DEFERRED)
        } else {
            self.decide_and_write(place, target).await
        };
        AccountOutcome { account_id: key, account_name, outcome }
    }

    async fn decide_and_write(&self, place: removals::Account, target: Target) -> Outcome {
        let Runtime { aws, policy, regions, .. } = &*self.runtime;
        let id = target.id.clone();
        let mut scope = Scope::new(target, Arc::clone(aws), Arc::clone(regions), Arc::clone(&self.now), place);
        for _ in 0..=MAX_CONFLICTS {
            let decision = policy.sync(&self.tick, scope);
            let Ok((decided, given_back)) = timeout_at(self.times.stop, decision).await else {
                return outcome::skipped(DEFERRED);
            };
            let staged = given_back.as_ref().and_then(|scope| scope.staged.clone());
            let receipt = staged.as_ref().map(|staged| &staged.receipt);
            let decided =
                decided.and_then(|outcome| outcome::check(&outcome, receipt).map_err(Fault).map(|()| outcome));
            let (outcome, mut decided_scope) = match (decided, given_back) {
                (Ok(outcome), Some(scope)) => (outcome, scope),
                (Err(fault), _) => return outcome::failed(fault),
                (Ok(_), None) => return outcome::failed("host: the account's scope was lost"),
            };
            let Some(staged) = staged.filter(|_| !self.tick.dry_run) else { return outcome };
            if Instant::now() >= self.times.stop {
                return outcome::skipped(DEFERRED);
            }
            let write = Write {
                account: id.clone(),
                read: decided_scope.target.stored_list.clone(),
                list: staged.list.clone(),
                updated_at: self.now.to_string(),
            };
            match self.in_time(aws.write(write)).await {
                Ok(Written::Done) => return outcome,
                Ok(Written::Conflict) => {}
                Err(error) => return outcome::unwritten(&error),
            }
            let item = match self.in_time(aws.get_item(&id)).await {
                Ok(Some(item)) => item,
                Ok(None) => {
                    return outcome::failed("conflict: the item was deleted meanwhile; it wasn't written again");
                }
                Err(error) => return outcome::unwritten(&error),
            };
            if self.wrote(&item, &staged.list) {
                return outcome;
            }
            match Target::read(&item) {
                Ok(target) => decided_scope.reread(target),
                Err(bad) => return outcome::failed(format_args!("item: {}", bad.problem)),
            }
            tracing::info!(accountId = id.as_str(), "the item was edited meanwhile: deciding again");
            scope = decided_scope;
        }
        outcome::failed(format_args!(
            "conflict: the item was edited between reading and writing, {} times in a row; nothing was written",
            MAX_CONFLICTS + 1
        ))
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
