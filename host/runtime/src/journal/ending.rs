//! The end of a tick in the journal: its record and tape where it has something to tell, and `latest.json`.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::SystemTime;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::freezes::is_frozen;
use super::recorder::{By, TickRecorder};
use super::{
    AccountRecord, AccountState, CallNumbers, FORMAT, Journal, Known, LastChange, Latest, Numbers, PolicyRef, Record,
    RecordRef, TapeRef, latest, names, seal,
};
use crate::bindings::types::{AccountOutcome, Status, Tick};
use crate::outcome::{Counts, OfAccount};
use crate::store::{StoreError, When};

/// How often `latest.json` is read and written again because another host wrote it meanwhile.
const MAX_CONFLICTS: usize = 5;

/// What a tick came to.
#[derive(Default)]
pub struct Ended<'a> {
    /// What became of each account, ordered by id.
    pub outcomes: &'a [AccountOutcome],
    /// Who decided an account, by its id, where that was another than the active policy.
    pub decided_by: BTreeMap<String, String>,
    /// The calls of AWS in numbers, by service.
    pub calls: BTreeMap<String, CallNumbers>,
    /// How many accounts a policy in the shadow decides differently, or fails on.
    pub shadow_differences: usize,
    /// Whether all accounts were read that the event is about.
    pub whole: bool,
    /// Why it failed as a whole, if it did.
    pub error: Option<String>,
}

impl TickRecorder {
    /// Writes what the tick came to. Returns how many records are missing in all.
    pub async fn finish(&self, ended: Ended<'_>) -> usize {
        let counts = Counts::of(ended.outcomes);
        let accounts = ended.outcomes.iter().filter_map(|account| {
            let change = self.accounts().get(&account.account_id).and_then(|noted| noted.change.clone());
            AccountRecord::of(account, &ended.decided_by, change)
        });
        let accounts: Vec<AccountRecord> = accounts.collect();
        let tells = !accounts.is_empty() || ended.shadow_differences > 0 || ended.error.is_some();
        let last_record = match tells {
            true => self.record(&ended, &counts, accounts).await,
            false => {
                self.journal.taping.discard();
                None
            }
        };
        // A segment sees a part of the table, and its merge all of it.
        if self.begun.segment.is_none() {
            let mut latest = self.latest(&ended, &counts, last_record);
            latest.freezes = self.freezes.iter().flat_map(|freezes| freezes.at(self.begun.now)).cloned().collect();
            let whole = self.begun.whole_table && ended.whole && ended.error.is_none();
            if let Err(error) = self.journal.replace_latest(latest, whole, !whole).await {
                self.missed(names::LATEST, error);
            }
        }
        self.failed()
    }

    /// Time was out before the journal had all of the tick. Returns how many records are missing in all.
    pub fn late(&self) -> usize {
        self.journal.taping.discard();
        self.missed("the end of the tick", "no answer in time");
        self.failed()
    }

    async fn record(&self, ended: &Ended<'_>, counts: &Counts, accounts: Vec<AccountRecord>) -> Option<RecordRef> {
        for account in ended.outcomes {
            let mut line = json!({"outcome": OfAccount(account.clone())});
            if let Some(by) = ended.decided_by.get(&account.account_id) {
                line["decidedBy"] = json!(by);
            }
            self.journal.taping.line(&line);
        }
        let tape = self.keep_tape().await.map_err(|error| self.missed("the tape", error)).ok();
        let policy = match &self.begun.by {
            By::Policy(policy, _) => Some(policy.clone()),
            By::Operator { .. } => None,
        };
        let record = Record {
            duration_ms: self.milliseconds(),
            dry_run: self.begun.dry_run,
            segment: self.begun.segment,
            policy,
            counts: Numbers::from(counts),
            calls: ended.calls.clone(),
            error: ended.error.clone(),
            shadow_differences: ended.shadow_differences,
            accounts,
            tape,
            ..self.blank_record().await
        };
        self.keep_record(&record).await
    }

    /// A record of this tick that says nothing of it yet.
    pub(super) async fn blank_record(&self) -> Record {
        Record {
            tick: self.id().to_owned(),
            at: self.at.clone(),
            duration_ms: self.milliseconds(),
            operation: self.begun.operation.clone(),
            dry_run: false,
            segment: None,
            policy: None,
            author: None,
            comment: None,
            counts: Numbers::default(),
            calls: BTreeMap::new(),
            error: None,
            shadow_differences: 0,
            journal_failed: self.failed(),
            accounts: Vec::new(),
            tape: None,
            previous: self.journal.last_record().await,
        }
    }

    async fn keep_tape(&self) -> Result<TapeRef, String> {
        let spooled = self.journal.taping.finish()?;
        let name = self.id.tape();
        let kept = self.journal.store.replace(&name, spooled.content.clone(), When::Missing).await;
        kept.map_err(|error| error.to_string())?;
        Ok(TapeRef { name, sha256: spooled.sha256.clone() })
    }

    /// Puts the record of the tick; none if it can't be kept.
    pub(super) async fn keep_record(&self, record: &Record) -> Option<RecordRef> {
        let kept = self.journal.put_record(&self.id, record).await;
        kept.map_err(|error| self.missed("the record of the tick", error)).ok()
    }

    fn latest(&self, ended: &Ended<'_>, counts: &Counts, last_record: Option<RecordRef>) -> Latest {
        let noted = self.accounts();
        let last_change = LastChange { tick: self.id().to_owned(), at: self.at.clone() };
        let state = |account: &AccountOutcome| {
            let changed = account.outcome.status == Status::Updated && !self.begun.dry_run;
            AccountState {
                staging_accounts: noted.get(&account.account_id).map(|noted| noted.stored.clone()),
                last_change: changed.then(|| last_change.clone()),
                ..AccountState::of(account)
            }
        };
        Latest {
            format: FORMAT,
            tick: self.id().to_owned(),
            at: self.at.clone(),
            duration_ms: self.milliseconds(),
            operation: self.begun.operation.clone(),
            dry_run: self.begun.dry_run,
            counts: Numbers::from(counts),
            calls: ended.calls.clone(),
            policy: match &self.begun.by {
                By::Policy(policy, _) => Some(policy.clone()),
                By::Operator { .. } => None,
            },
            error: ended.error.clone(),
            journal_failed: self.failed(),
            accounts_frozen: frozen(ended.outcomes),
            freezes: Vec::new(),
            last_record,
            accounts: ended.outcomes.iter().map(|account| (account.account_id.clone(), state(account))).collect(),
        }
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A tick that ran in segments, each of which left its own record.
pub struct Merged<'a> {
    /// The tick.
    pub tick: &'a Tick,
    /// What became of each account, ordered by id.
    pub outcomes: &'a [AccountOutcome],
    /// The id of the segment's tick that changed an account, by the account's id.
    pub tick_ids: &'a BTreeMap<String, String>,
    /// Whether it's over all accounts of the table.
    pub whole: bool,
}

impl Journal {
    /// Writes `latest.json` of a tick that ran in segments. Returns how many records are missing.
    pub async fn merged(&self, merged: Merged<'_>, policy: PolicyRef) -> usize {
        let Merged { tick, outcomes, tick_ids, whole } = merged;
        let state = |account: &AccountOutcome| {
            let tick_id = tick_ids.get(&account.account_id).filter(|_| !tick.dry_run);
            let last_change = tick_id.map(|id| LastChange { tick: id.clone(), at: tick.now.clone() });
            let moved = (account.outcome.added.clone(), account.outcome.removed.clone());
            let moved = if tick.dry_run { Default::default() } else { moved };
            AccountState { last_change, moved, ..AccountState::of(account) }
        };
        let latest = Latest {
            format: FORMAT,
            tick: names::TickId::new(SystemTime::now(), None).to_string(),
            at: tick.now.clone(),
            duration_ms: 0,
            operation: tick.operation.clone(),
            dry_run: tick.dry_run,
            counts: Numbers::from(&Counts::of(outcomes)),
            calls: BTreeMap::new(),
            policy: Some(policy),
            error: None,
            journal_failed: 0,
            accounts_frozen: frozen(outcomes),
            freezes: self.read_freezes().await.map(|freezes| freezes.freezes).unwrap_or_default(),
            last_record: None,
            accounts: outcomes.iter().map(|account| (account.account_id.clone(), state(account))).collect(),
        };
        let Err(error) = self.replace_latest(latest, whole, true).await else { return 0 };
        tracing::error!(error = %error, "journal: {} couldn't be kept", names::LATEST);
        1
    }

    /// Puts the record of a tick.
    async fn put_record(&self, id: &names::TickId, record: &Record) -> Result<RecordRef, StoreError> {
        let (record, digest) = seal::seal(record);
        let name = id.record();
        let bytes = gzip(&record).map_err(|error| StoreError::passing(format!("{}: {error}", self.title(&name))))?;
        self.create(&name, bytes).await?;
        Ok(RecordRef { tick: id.as_str().to_owned(), digest })
    }

    /// The last record that this host knows.
    async fn last_record(&self) -> Option<RecordRef> {
        let mut known = self.known.lock().await;
        if known.is_none() {
            *known = match self.read_latest().await {
                Ok(Some((latest, version))) => Some(Known::of(latest, version)),
                Ok(None) => Some(Known::default()),
                Err(_) => None,
            };
        }
        known.as_ref().and_then(|known| known.last_record.clone())
    }

    /// Remembers the last record.
    pub(super) async fn remember(&self, record: Option<RecordRef>) {
        let mut known = self.known.lock().await;
        let known = known.get_or_insert_default();
        known.last_record = record.or_else(|| known.last_record.take());
    }

    /// `latest.json` with its version; none if there's none, or none that this program can read.
    pub async fn read_latest(&self) -> Result<Option<(Option<Latest>, String)>, StoreError> {
        let found = self.get(names::LATEST).await?;
        Ok(found.map(|(bytes, version)| (latest::parse(&bytes).ok(), version)))
    }

    /// Puts `latest.json` in the place of the one that is there, with what that one knows. Where this host wrote that one,
    /// and it needn't be read, that costs a single call.
    pub(super) async fn replace_latest(&self, mut latest: Latest, whole: bool, read: bool) -> Result<(), StoreError> {
        let mut known = self.known.lock().await;
        for attempt in 0..=MAX_CONFLICTS {
            if read || attempt > 0 || known.is_none() {
                let found = self.read_latest().await?;
                *known = Some(match found {
                    Some((Some(before), version)) => {
                        latest.follow(&before, whole);
                        Known::of(Some(before), version)
                    }
                    Some((None, version)) => Known::of(None, version),
                    None => Known::default(),
                });
            }
            let Some(before) = &*known else { continue };
            for (id, account) in &mut latest.accounts {
                account.last_change = account.last_change.take().or_else(|| before.last_changes.get(id).cloned());
            }
            latest.last_record = latest.last_record.take().or_else(|| before.last_record.clone());
            let bytes = serde_json::to_vec(&latest).unwrap_or_default(); // texts, numbers and lists of them can't fail
            let when = before.version.clone().map_or(When::Missing, When::Is);
            if let Some(version) = self.store.replace(names::LATEST, bytes, when).await? {
                *known = Some(Known::of(Some(latest), version));
                return Ok(());
            }
        }
        *known = None;
        Err(StoreError::passing(format!("{}: other hosts write it all the time", self.title(names::LATEST))))
    }
}

impl Known {
    fn of(latest: Option<Latest>, version: String) -> Self {
        let Some(latest) = latest else { return Self { version: Some(version), ..Self::default() } };
        let changes = latest.accounts.into_iter();
        let last_changes = changes.filter_map(|(id, account)| Some((id, account.last_change?))).collect();
        Self { version: Some(version), last_changes, last_record: latest.last_record }
    }
}

/// How many accounts were skipped because they are frozen.
pub fn frozen(outcomes: &[AccountOutcome]) -> usize {
    let reasons = outcomes.iter().filter_map(|account| account.outcome.reason.as_deref());
    reasons.filter(|reason| is_frozen(reason)).count()
}

/// A record as it's kept.
fn gzip(record: &serde_json::Map<String, Value>) -> std::io::Result<Vec<u8>> {
    let mut compressed = GzEncoder::new(Vec::new(), Compression::default());
    serde_json::to_writer(&mut compressed, record)?;
    compressed.flush()?;
    compressed.finish()
}
