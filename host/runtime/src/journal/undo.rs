//! Taking changes back: by compare-and-set against what they left, with a veto so that the next tick leaves it at that.

use std::time::SystemTime;

use super::freezes::{Freeze, Veto};
use super::{AccountRecord, Change, Journal, ReadError, Sealed, TickRecorder, UNAVAILABLE};
use crate::account::AccountId;
use crate::aws::{Aws, Landed, Write};
use crate::change::MAX_CONFLICTS;
use crate::journal::names::TickId;
use crate::store::StoreError;
use crate::target::Target;

/// How changes are taken back.
pub struct Undoing<'a> {
    /// The table.
    pub aws: &'a Aws,
    /// The journal of the changes, and of what takes them back.
    pub journal: &'a Journal,
    /// What records the undo; none in a dry run, which writes nothing.
    pub recorder: Option<&'a TickRecorder>,
    /// `updatedAt`.
    pub now: &'a str,
    /// Who does it.
    pub author: &'a str,
    /// Why.
    pub comment: &'a str,
    /// Whether a veto is left.
    pub veto: bool,
}

/// What became of an account whose change was to be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undone {
    /// The list is what it was before the change; in a dry run it would be.
    Done {
        /// The ids that came back.
        added: Vec<String>,
        /// The ids that went again.
        removed: Vec<String>,
    },
    /// The list is what it was before the change already.
    AlreadyUndone,
    /// The list isn't what the change left, or the record is no good; says what differs. Nothing was written.
    Refused(String),
    /// It couldn't be written.
    Failed(String),
}

impl Undone {
    /// The status as JSON has it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done { .. } => "undone",
            Self::AlreadyUndone => "already-undone",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
        }
    }

    /// Why it isn't undone, where there's more to say.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Refused(reason) | Self::Failed(reason) => Some(reason),
            _ => None,
        }
    }

    /// Whether the list is what it was before.
    pub fn is_well(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::AlreadyUndone)
    }

    /// What the journal keeps of it.
    pub fn record(&self, account: &AccountId) -> AccountRecord {
        let (status, added, removed) = match self {
            Self::Done { added, removed } => ("updated", added.clone(), removed.clone()),
            other => (other.name(), Vec::new(), Vec::new()),
        };
        let error = self.reason().map(str::to_owned);
        let account_id = account.to_string();
        AccountRecord { account_id, status: status.to_owned(), added, removed, error, ..AccountRecord::default() }
    }
}

impl Journal {
    /// The change that an undo of an account takes back: the last one that was made, or was until the end of `until`. A
    /// record of a write that was never made is passed over. The error says why there's none.
    pub async fn change_to_undo(
        &self,
        stored: &Target,
        until: Option<&str>,
    ) -> Result<(String, Sealed<Change>), String> {
        let names = self.changes(&stored.id).await.map_err(|error| error.to_string())?;
        let prefix = super::names::changes_of(&stored.id).len();
        let in_time =
            |name: &&String| until.is_none_or(|until| name.get(prefix..).is_some_and(|recorded| recorded <= until));
        for name in names.iter().filter(in_time) {
            let change = self.verified(name).await.map_err(|error| error.to_string())?;
            if !change.content.is_before(stored) || change.content.undone(stored).is_ok() {
                return Ok((name.clone(), change));
            }
        }
        Err("the journal has no change of this account to take back".into())
    }

    /// The record of a change, whose digest is that in the record of its tick where that one was kept.
    pub async fn verified(&self, name: &str) -> Result<Sealed<Change>, ReadError> {
        let change = self.change(name).await?;
        let Some(id) = TickId::parse(&change.content.tick) else { return Ok(change) };
        let record = match self.tick(&id).await {
            Ok(record) => record.content,
            Err(ReadError::Missing(_)) => return Ok(change), // the host ended in the middle of the tick
            Err(error) => return Err(error),
        };
        let known = record.accounts.iter().filter_map(|account| account.change.as_ref());
        match known.filter(|known| known.name == name).all(|known| known.digest == change.digest) {
            true => Ok(change),
            false => Err(ReadError::Unsealed(self.title(name), super::Unsealed::Tampered)),
        }
    }
}

impl Undoing<'_> {
    /// Takes back the change of an account that has this name.
    pub async fn named(&self, account: &AccountId, name: &str) -> Undone {
        match self.journal.verified(name).await {
            Ok(change) if change.content.account_id == *account => self.undo(name, &change.content).await,
            Ok(_) => Undone::Refused(format!("{}: is of another account", self.journal.title(name))),
            Err(error) => Undone::Refused(error.to_string()),
        }
    }

    /// Takes back the last change of an account, or the last one until a time, as ids begin with it.
    pub async fn last(&self, account: &AccountId, until: Option<&str>) -> Undone {
        let stored = match self.read(account).await {
            Ok(stored) => stored,
            Err(undone) => return undone,
        };
        match self.journal.change_to_undo(&stored, until).await {
            Ok((name, change)) => self.undo(&name, &change.content).await,
            Err(error) => Undone::Refused(error),
        }
    }

    async fn read(&self, account: &AccountId) -> Result<Target, Undone> {
        match self.aws.get_item(account).await {
            Ok(Some(item)) => {
                Target::read(&item).map_err(|bad| Undone::Refused(format!("the item can't be read: {}", bad.problem)))
            }
            Ok(None) => Err(Undone::Refused("the item is gone: the target account was deleted".into())),
            Err(error) => Err(Undone::Failed(format!("AWS: {error}"))),
        }
    }

    async fn undo(&self, name: &str, change: &Change) -> Undone {
        let mut left = None;
        let undone = self.write(name, change, &mut left).await;
        // Nothing was written, so there's nothing to keep from being done again. After an error that isn't certain.
        if let (Some(veto), Undone::Refused(_)) = (left, &undone)
            && let Err(error) = self.withdraw(&veto).await
        {
            let account = &change.account_id;
            return Undone::Failed(format!(
                "nothing was written, and the veto stays: run `staging-sync unfreeze --account {account}`: {error}"
            ));
        }
        undone
    }

    /// Takes a change back; `left` is the veto that it leaves.
    async fn write(&self, name: &str, change: &Change, left: &mut Option<Freeze>) -> Undone {
        let id = &change.account_id;
        let done = Undone::Done {
            added: change.removed_ids().iter().map(ToString::to_string).collect(),
            removed: change.added.clone(),
        };
        let mut vetoed = false;
        for _ in 0..=MAX_CONFLICTS {
            let stored = match self.read(id).await {
                Ok(stored) => stored,
                Err(undone) => return undone,
            };
            let list = match change.undone(&stored) {
                Ok(list) => list,
                Err(_) if change.is_before(&stored) => return Undone::AlreadyUndone,
                Err(differs) => return Undone::Refused(format!("the list isn't what the change left: {differs}")),
            };
            let Some(recorder) = self.recorder else { return done };
            // Before the write: otherwise a tick could do it again in between.
            if !std::mem::replace(&mut vetoed, true) {
                match self.leave_veto(change).await {
                    Ok(veto) => *left = veto,
                    Err(error) => {
                        return Undone::Failed(format!("the veto can't be left, so nothing was written: {error}"));
                    }
                }
            }
            let by = format!("undo by {}", self.author);
            if let Err(error) = recorder.before_write(&stored, list.as_ref(), &by, Some(name.to_owned())).await {
                return Undone::Failed(format!("{UNAVAILABLE}, so nothing was written: {error}"));
            }
            let write = Write {
                account: id.clone(),
                read: stored.stored_list.clone(),
                list: list.clone(),
                updated_at: self.now.to_owned(),
            };
            match self.aws.replace(write).await {
                Ok(Landed::Done) => {
                    recorder.written(id, list.as_ref());
                    return done;
                }
                Ok(Landed::Edited(_)) => recorder.unwritten(id),
                Ok(Landed::Gone) => return Undone::Refused("the item is gone: the target account was deleted".into()),
                Err(error) => return Undone::Failed(format!("AWS: {error}")),
            }
        }
        Undone::Refused("the list is edited all the time: nothing was written".into())
    }

    /// Leaves a veto of the change that is taken back, and returns it. Where that is an undo itself, its veto ends.
    async fn leave_veto(&self, change: &Change) -> Result<Option<Freeze>, StoreError> {
        if !self.veto {
            return Ok(None);
        }
        let account = change.account_id.to_string();
        let ids = |ids: &[String]| ids.iter().filter_map(|id| AccountId::parse(id)).collect();
        let veto = Veto { add: ids(&change.added), remove: change.removed_ids().into_iter().collect() };
        let freeze = Freeze {
            account: account.clone(),
            until: None,
            author: self.author.to_owned(),
            comment: self.comment.to_owned(),
            veto: Some(veto.clone()),
        };
        let undoes = change.undoes.is_some();
        let edit = |all: &mut Vec<Freeze>| {
            for known in all.iter_mut().filter(|known| known.account == account) {
                if let Some(known) = &mut known.veto {
                    // What comes back may come back, and what goes may go.
                    known.add.retain(|id| !veto.remove.contains(id));
                    known.remove.retain(|id| !veto.add.contains(id));
                }
            }
            all.retain(|known| known.veto.as_ref().is_none_or(|veto| !veto.add.is_empty() || !veto.remove.is_empty()));
            if !undoes {
                all.push(freeze.clone());
            }
        };
        self.journal.change_freezes(SystemTime::now(), edit).await?;
        Ok((!undoes).then_some(freeze))
    }

    /// Ends a veto that was left for nothing: one of those that are the same.
    async fn withdraw(&self, veto: &Freeze) -> Result<(), StoreError> {
        let edit = |all: &mut Vec<Freeze>| {
            if let Some(place) = all.iter().rposition(|known| known == veto) {
                all.remove(place);
            }
        };
        self.journal.change_freezes(SystemTime::now(), edit).await.map(drop)
    }
}
