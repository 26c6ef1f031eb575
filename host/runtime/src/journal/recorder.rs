//! The journal of one tick under way: records before writes, and the tick's own record and `latest.json` at its end.
//!
//! What can't be recorded is counted and logged. It never fails a tick; but nothing is removed without its record.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::change::Removed;
use super::freezes::{Freeze, Freezes, NOTHING_WRITTEN};
use super::names::{self, TickId};
use super::{Change, ChangeRef, Journal, PolicyRef, seal};
use crate::account::{AccountId, Item};
use crate::store::{StoreError, When};
use crate::tape::{self, HostSettings, Now};
use crate::target::Target;

/// The reason of removals that are held because they can't be recorded.
pub const UNAVAILABLE: &str = "Journal unavailable";

/// What is known of a tick when it begins.
pub struct Begun {
    /// When it began.
    pub now: SystemTime,
    /// The request that asked for it, if there's one.
    pub request: Option<String>,
    /// The event.
    pub event: Value,
    /// What was asked: the event's operation.
    pub operation: String,
    /// Whether nothing is written.
    pub dry_run: bool,
    /// Which segment of the table it is, from 0, and of how many.
    pub segment: Option<(u32, u32)>,
    /// Whether it's over all accounts of the table.
    pub whole_table: bool,
    /// Who decides.
    pub by: By,
}

/// Who decides what is changed.
pub enum By {
    /// A policy, on what is taped.
    Policy(PolicyRef, HostSettings),
    /// A person.
    Operator {
        /// Who it is.
        author: String,
        /// Why.
        comment: Option<String>,
    },
}

/// The journal of a tick.
pub struct TickRecorder {
    pub(super) journal: Arc<Journal>,
    pub(super) begun: Begun,
    pub(super) id: TickId,
    /// When it began, in UTC to the second.
    pub(super) at: String,
    pub(super) began: Instant,
    accounts: Mutex<HashMap<String, Noted>>,
    failures: AtomicUsize,
    /// What failed first; the rest is most likely the same.
    first_failure: Mutex<Option<String>>,
    /// The freezes that count; or why none is known, and so nothing may be written.
    pub(super) freezes: Result<Freezes, String>,
    _turn: OwnedMutexGuard<()>,
}

/// What is noted of an account while it's decided.
#[derive(Default)]
pub(super) struct Noted {
    /// The ids that are stored.
    pub stored: Vec<String>,
    /// The record of its last write.
    pub change: Option<ChangeRef>,
    /// How many writes were attempted.
    attempts: usize,
}

impl Journal {
    /// Begins the journal of a tick, once the one before is through.
    pub async fn begin(self: &Arc<Self>, begun: Begun) -> TickRecorder {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        if let By::Policy(policy, config) = &begun.by {
            let tape = json!({
                "version": tape::VERSION,
                "now": Now::of(begun.now),
                "event": begun.event,
                "settings": policy.settings,
                "config": config,
            });
            self.taping.begin(&json!({"format": seal::FORMAT, "tape": tape}));
        }
        let read = match &begun.by {
            By::Policy(..) => self.freezes(begun.now).await,
            // An operator knows.
            By::Operator { .. } => Ok(Default::default()),
        };
        let (freezes, failed) = match read {
            Ok((freezes, failed)) => (Ok(freezes), failed),
            Err(error) => (Err(error.clone()), Some(error)),
        };
        let recorder = TickRecorder {
            id: TickId::new(begun.now, begun.request.as_deref()),
            at: String::from(Now::of(begun.now)),
            began: Instant::now(),
            journal: Arc::clone(self),
            begun,
            accounts: Mutex::default(),
            failures: AtomicUsize::new(0),
            first_failure: Mutex::default(),
            freezes,
            _turn: turn,
        };
        if let Some(error) = failed {
            recorder.missed("what is known of freezes", error);
        }
        recorder
    }
}

impl TickRecorder {
    /// What the tick is known by.
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// How many records are missing.
    pub fn failed(&self) -> usize {
        self.failures.load(Ordering::Relaxed)
    }

    pub(super) fn accounts(&self) -> MutexGuard<'_, HashMap<String, Noted>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a record that is missing, and logs the first one.
    pub(super) fn missed(&self, what: &str, error: impl std::fmt::Display) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let mut first = self.first_failure.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() {
            let error = first.insert(error.to_string());
            tracing::error!(
                tickId = self.id(),
                error = error.as_str(),
                "journal: {what} couldn't be kept: check JOURNAL and the permissions of these credentials; without records \
                 nothing is removed"
            );
        }
    }

    /// Why an account is left as it is, if it is: it's frozen, or it isn't known whether it is.
    pub fn frozen(&self, account: &AccountId) -> Option<String> {
        match &self.freezes {
            Ok(freezes) => freezes.frozen(account.as_str(), self.begun.now),
            Err(error) => Some(format!("{NOTHING_WRITTEN}: {error}")),
        }
    }

    /// The vetoes of an account.
    pub fn vetoes(&self, account: &AccountId) -> Vec<Freeze> {
        let freezes = self.freezes.as_ref().ok();
        freezes.map(|freezes| freezes.vetoes(account.as_str(), self.begun.now)).unwrap_or_default()
    }

    /// An account is about to be decided.
    pub fn account(&self, key: &str, item: &Item) {
        self.journal.taping.learn(key, item);
    }

    /// An account's list as it was read.
    pub fn stored(&self, target: &Target) {
        let ids = target.staging_accounts.iter().map(|entry| entry.id.to_string()).collect();
        self.accounts().entry(target.id.to_string()).or_default().stored = ids;
    }

    /// An account is done.
    pub fn account_done(&self, key: &str) {
        self.journal.taping.forget(key);
    }

    /// Records a write before it's made: the change itself, and each entry that it removes where a later tick finds it.
    /// The error says that this isn't durable. `undoes` is the name of the change that it takes back, if it does.
    pub async fn before_write(
        &self,
        target: &Target,
        list: Option<&Value>,
        by: &str,
        undoes: Option<String>,
    ) -> Result<(), StoreError> {
        let number = {
            let mut accounts = self.accounts();
            let noted = accounts.entry(target.id.to_string()).or_default();
            noted.attempts += 1;
            noted.attempts - 1
        };
        let change = Change { undoes, ..Change::of(target, list, self.id(), &self.at, by) };
        let kept = self.journal.keep(&change, &self.id, number).await;
        let kept = kept.inspect_err(|error| self.missed("the record of a change", error))?;
        if let Some(noted) = self.accounts().get_mut(target.id.as_str()) {
            noted.change = Some(kept);
        }
        Ok(())
    }

    /// A write is made: the ids that are stored now.
    pub fn written(&self, account: &AccountId, list: Option<&Value>) {
        let ids = list.and_then(|list| list["L"].as_array()).into_iter().flatten();
        let ids = ids.filter_map(|entry| Some(entry.pointer("/M/accountId/S")?.as_str()?.to_owned())).collect();
        self.accounts().entry(account.to_string()).or_default().stored = ids;
    }

    /// A write wasn't made.
    pub fn unwritten(&self, account: &AccountId) {
        if let Some(noted) = self.accounts().get_mut(account.as_str()) {
            noted.change = None;
        }
    }

    /// Puts the entries that were removed before in the place of new ones, among the last `added` of a list.
    pub async fn bring_back(&self, account: &AccountId, list: &mut Value, added: usize) {
        let Some(list) = list.get_mut("L").and_then(Value::as_array_mut) else { return };
        let first = list.len().saturating_sub(added);
        let entries = list[first..].iter_mut().map(|entry| self.bring_back_one(account, entry));
        join_all(entries).await;
    }

    async fn bring_back_one(&self, account: &AccountId, entry: &mut Value) {
        let id = entry.pointer("/M/accountId/S").and_then(Value::as_str).and_then(AccountId::parse);
        let Some(id) = id else { return };
        match self.journal.removed(account, &id).await {
            Ok(Some(removed)) => *entry = removed,
            Ok(None) => {}
            Err(error) => self.missed("an entry that comes back", error),
        }
    }
}

impl Journal {
    /// Makes a change durable.
    pub(super) async fn keep(&self, change: &Change, id: &TickId, number: usize) -> Result<ChangeRef, StoreError> {
        let name = id.change(&change.account_id, number);
        let (record, digest) = seal::seal(change);
        let record = self.create(&name, tape::pretty(&record).into_bytes());
        let copies = change.removed.iter().map(|removed| {
            let copy =
                Removed { account_id: change.account_id.clone(), change: name.clone(), entry: removed.entry.clone() };
            let (copy, _) = seal::seal(&copy);
            let name = names::removed(&change.account_id, removed.account_id.as_str());
            async move { self.store.put(&name, tape::pretty(&copy).into_bytes(), When::Always).await }
        });
        // All of them are waited for, so that what is asked of S3 doesn't depend on which one fails first.
        let (record, copies) = tokio::join!(record, join_all(copies));
        record?;
        copies.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(ChangeRef { name, digest })
    }

    /// The entry that was last removed of an account's list, if one was with this id.
    async fn removed(&self, account: &AccountId, id: &AccountId) -> Result<Option<Value>, String> {
        let name = names::removed(account, id.as_str());
        let Some((bytes, _)) = self.get(&name).await.map_err(|error| error.to_string())? else { return Ok(None) };
        let removed: Removed = seal::open(&bytes).map_err(|error| format!("{}: {error}", self.title(&name)))?.content;
        let is_it = removed.entry.pointer("/M/accountId/S").and_then(Value::as_str) == Some(id.as_str());
        match is_it && removed.account_id == *account {
            true => Ok(Some(removed.entry)),
            false => Err(format!("{}: is of another account; somebody tampered with it", self.title(&name))),
        }
    }
}
