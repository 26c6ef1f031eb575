//! The application of a plan: each account on the condition that its list hasn't changed since.

use std::time::SystemTime;

use futures_util::stream::{self, StreamExt};

use super::{Plan, Planned};
use crate::account::{AccountId, Item};
use crate::aws::{Aws, Landed, Write};
use crate::change::{self, MAX_CONFLICTS};
use crate::journal::freezes::{Freeze, Freezes};
use crate::journal::{AccountRecord, TickRecorder, UNAVAILABLE};
use crate::target::Target;

/// What became of an account of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The target account.
    pub account_id: AccountId,
    /// Its name, as the plan has it.
    pub account_name: Option<String>,
    /// The ids that the plan adds.
    pub added: Vec<AccountId>,
    /// The ids that the plan removes.
    pub removed: Vec<AccountId>,
    /// How it ended.
    pub status: Status,
}

impl Applied {
    /// What the journal keeps of it.
    pub fn record(&self) -> AccountRecord {
        let texts = |ids: &[AccountId]| ids.iter().map(ToString::to_string).collect();
        let applied = self.status == Status::Applied;
        AccountRecord {
            account_id: self.account_id.to_string(),
            account_name: self.account_name.clone(),
            status: if applied { "updated" } else { self.status.name() }.to_owned(),
            added: if applied { texts(&self.added) } else { Vec::new() },
            removed: if applied { texts(&self.removed) } else { Vec::new() },
            error: self.status.reason().map(str::to_owned),
            ..AccountRecord::default()
        }
    }
}

/// How an account of a plan ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// The change is made; in a dry run it would be.
    Applied,
    /// All that the plan adds is stored, and nothing of what it removes: there's nothing to do.
    AlreadyAsPlanned,
    /// What is stored isn't what the plan was made for; says what differs. Nothing was written.
    NoLongerFits(String),
    /// AWS refused; says what.
    Failed(String),
}

impl Status {
    /// The status as JSON has it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::AlreadyAsPlanned => "already-as-planned",
            Self::NoLongerFits(_) => "no-longer-fits",
            Self::Failed(_) => "failed",
        }
    }

    /// Why it isn't applied, where there's more to say than the status.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::NoLongerFits(reason) | Self::Failed(reason) => Some(reason),
            _ => None,
        }
    }

    /// Whether the table is as the plan wants it.
    pub fn is_well(&self) -> bool {
        matches!(self, Self::Applied | Self::AlreadyAsPlanned)
    }
}

/// How a plan is applied.
pub struct Applying<'a> {
    /// The table.
    pub aws: &'a Aws,
    /// `updatedAt`.
    pub now: &'a str,
    /// Whether nothing is written.
    pub dry_run: bool,
    /// How many accounts are under way at once.
    pub at_once: usize,
    /// The freezes that count, and the time that they count at.
    pub freezes: (&'a Freezes, SystemTime),
    /// The journal, and who applies the plan; without a journal nothing is recorded.
    pub journal: Option<(&'a TickRecorder, &'a str)>,
}

/// Applies a plan, in its order.
pub async fn apply(plan: &Plan, applying: &Applying<'_>) -> Vec<Applied> {
    let account = async |planned: &Planned| Applied {
        account_id: planned.account_id.clone(),
        account_name: planned.account_name.clone(),
        added: planned.added.iter().map(|entry| entry.account_id.clone()).collect(),
        removed: planned.removed.iter().map(|entry| entry.account_id.clone()).collect(),
        status: planned.apply(applying).await,
    };
    stream::iter(&plan.accounts).map(account).buffered(applying.at_once.max(1)).collect().await
}

impl Planned {
    async fn apply(&self, applying: &Applying<'_>) -> Status {
        let Applying { aws, now, dry_run, journal, freezes: (freezes, at), .. } = *applying;
        if let Some(reason) = self.frozen(freezes, at) {
            return Status::NoLongerFits(format!(
                "{reason}: to apply it all the same, run `staging-sync unfreeze` first"
            ));
        }
        let failed = |error| Status::Failed(format!("AWS: {error}"));
        let mut item = match aws.get_item(&self.account_id).await {
            Ok(item) => item,
            Err(error) => return failed(error),
        };
        for _ in 0..=MAX_CONFLICTS {
            let (target, write) = match self.write(item.as_ref(), now) {
                Ok(_) if dry_run => return Status::Applied,
                Ok(write) => write,
                Err(status) => return status,
            };
            if let Some((journal, by)) = journal
                && let Err(error) = journal.before_write(&target, write.list.as_ref(), by, None).await
                && !self.removed.is_empty()
            {
                return Status::Failed(format!("{UNAVAILABLE}, so nothing is removed: {error}"));
            }
            item = match aws.replace(write).await {
                Ok(Landed::Done) => return Status::Applied,
                Ok(Landed::Edited(item)) => Some(item),
                Ok(Landed::Gone) => None,
                Err(error) => return failed(error),
            };
        }
        Status::NoLongerFits("the list keeps changing: nothing was written".into())
    }

    /// Why an operator doesn't want the change to be made, if one doesn't.
    fn frozen(&self, freezes: &Freezes, now: SystemTime) -> Option<String> {
        let account = self.account_id.as_str();
        let vetoes = |freeze: &Freeze| {
            freeze.veto.as_ref().is_some_and(|veto| {
                self.added.iter().any(|entry| veto.add.contains(&entry.account_id))
                    || self.removed.iter().any(|entry| veto.remove.contains(&entry.account_id))
            })
        };
        let vetoed = || freezes.vetoes(account, now).iter().find(|freeze| vetoes(freeze)).map(Freeze::reason);
        freezes.frozen(account, now).or_else(vetoed)
    }

    /// The write for an item as it is now; what else to say of it.
    fn write(&self, item: Option<&Item>, now: &str) -> Result<(Target, Write), Status> {
        let no = |what: String| Err(Status::NoLongerFits(what));
        let Some(item) = item else { return no("the item is gone: the target account was deleted".into()) };
        let target = match Target::read(item) {
            Ok(target) => target,
            Err(bad) => return no(format!("the item can't be read: {}", bad.problem)),
        };
        let is_stored = |id: &AccountId| target.staging_accounts.iter().any(|entry| entry.id == *id);
        let added = self.added.iter().all(|entry| is_stored(&entry.account_id));
        if added && !self.removed.iter().any(|entry| is_stored(&entry.account_id)) {
            return Err(Status::AlreadyAsPlanned);
        }
        if change::digest(target.stored_list.as_deref()) != self.condition.sha256 {
            return no(self.differs(&target));
        }
        let removed: Vec<&str> = self.removed.iter().map(|entry| entry.account_id.as_str()).collect();
        let write = Write {
            account: self.account_id.clone(),
            list: Some(change::list(&target.staging_accounts, &removed, self.added.iter().map(super::Added::stored))),
            read: target.stored_list.clone(),
            updated_at: now.to_owned(),
        };
        Ok((target, write))
    }

    /// How a stored list differs from the one that was read for the plan.
    fn differs(&self, target: &Target) -> String {
        let then = &self.condition.staging_accounts;
        let now: Vec<&AccountId> = target.staging_accounts.iter().map(|entry| &entry.id).collect();
        let came = now.iter().filter(|id| !then.contains(id)).map(|id| format!("{id} was added"));
        let went = then.iter().filter(|id| !now.contains(id)).map(|id| format!("{id} was removed"));
        let what: Vec<String> = came.chain(went).collect();
        match what.as_slice() {
            [] => "the list was edited: an entry has other attributes, or another place".into(),
            what => format!("the list was edited: {}", what.join(", ")),
        }
    }
}
