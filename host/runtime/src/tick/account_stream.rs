//! The stream of a tick's accounts from the table: page by page, and no faster than they are decided.
//!
//! So what a tick holds in memory grows with its concurrency and not with the table.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::{self, StreamExt};
use tokio::sync::mpsc;

use super::account_item::Account;
use super::scheduler::Plan;
use crate::account::{AccountId, Item};
use crate::aws::{Aws, AwsError};
use crate::event::Event;
use crate::removals::RemovalBudget;
use crate::target::is_account_key;

/// Where a tick's accounts are read from, and where they go.
pub(super) struct AccountStream<'a> {
    pub(super) aws: &'a Aws,
    pub(super) plan: &'a Plan,
    pub(super) removals: &'a Arc<RemovalBudget>,
    pub(super) pages: mpsc::Sender<Vec<Account>>,
    /// How many reads of single accounts may be under way at once.
    pub(super) at_once: usize,
    /// What was read so far, however reading ends.
    pub(super) read: &'a Mutex<Read>,
}

/// So many accounts at most wait for others that weren't done for longer: they're kept in memory meanwhile.
const WAITING: usize = 20_000;

/// What was read of a table.
#[derive(Default)]
pub(super) struct Read {
    /// Where the page begins that would be read next; none when all are read.
    pub(super) unread: Option<Item>,
    /// How many accounts; items that aren't any don't count.
    pub(super) accounts: usize,
    /// Where the pages begin, but for the first.
    pub(super) starts: Vec<Item>,
}

impl AccountStream<'_> {
    /// Reads the accounts that the event is about, to the last.
    pub(super) async fn run(self, event: &Event) -> Result<(), AwsError> {
        let mut waiting = VecDeque::new();
        if let Some(ids) = &event.account_ids {
            let accounts = self.named(ids.iter().cloned().collect()).await?;
            self.so_far().accounts = accounts.len();
            waiting.push_back(accounts);
        } else {
            self.scan(event, &mut waiting).await?;
        }
        let accounts = self.so_far().accounts;
        self.removals.close(accounts);
        for page in waiting {
            let _ = self.pages.send(page).await; // the other end goes only when the tick does
        }
        Ok(())
    }

    fn so_far(&self) -> MutexGuard<'_, Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn scan(&self, event: &Event, waiting: &mut VecDeque<Vec<Account>>) -> Result<(), AwsError> {
        let (mut seen, mut later) = (HashSet::new(), Vec::new());
        let mut at = self.plan.start.clone();
        let mut wrapped = at.is_none();
        loop {
            self.wanted().await;
            let (items, next) = self.aws.scan_page(event.segment, at).await?;
            let found = items.len();
            let mut page: Vec<Account> = items.into_iter().map(Account::of).collect();
            if self.plan.start.is_some() {
                page.retain(|account| seen.insert(account.key.clone()));
            }
            let met_the_start = wrapped && page.len() < found;
            self.so_far().accounts += page.iter().filter(|account| is_account_key(&account.key)).count();
            self.plan.arrange(&mut page);
            if later.len() < WAITING {
                let (mut wait, now): (Vec<_>, Vec<_>) =
                    page.into_iter().partition(|one| self.plan.waits(one).is_some());
                wait.iter_mut().for_each(Account::pack);
                later.extend(wait);
                page = now;
            }
            waiting.push_back(page);
            self.hand_over(waiting).await;
            let mut so_far = self.so_far();
            so_far.starts.extend(next.clone());
            so_far.unread = next.clone();
            drop(so_far);
            at = match next {
                Some(_) if met_the_start => break,
                Some(next) => Some(next),
                None if wrapped => break,
                None => {
                    wrapped = true;
                    None
                }
            };
        }
        self.so_far().unread = None;
        later.sort_by_key(|account| self.plan.waits(account));
        waiting.push_back(later);
        Ok(())
    }

    /// Waits until a page is worth its memory: until the one before is being worked on, or it must be known how many accounts
    /// there are.
    async fn wanted(&self) {
        tokio::select! {
            biased;
            _ = self.pages.reserve() => {}
            () = self.removals.total_wanted() => {}
        }
    }

    /// Hands over pages as there's room for them; or reads on, where accounts can't go on before it's known how
    /// many there are.
    async fn hand_over(&self, waiting: &mut VecDeque<Vec<Account>>) {
        while !waiting.is_empty() {
            tokio::select! {
                biased;
                Ok(place) = self.pages.reserve() => place.send(waiting.pop_front().unwrap_or_default()),
                () = self.removals.total_wanted() => break,
                else => break,
            }
        }
        waiting.back_mut().into_iter().flatten().for_each(Account::pack); // those before it are
    }

    async fn named(&self, ids: Vec<AccountId>) -> Result<Vec<Account>, AwsError> {
        let reads = ids.into_iter().map(|id| async move {
            let found = self.aws.get_item(&id).await.map(|item| item.map(Account::of));
            found.map(|account| account.unwrap_or_else(|| Account { key: id.to_string(), item: None }))
        });
        let reads: Vec<_> = stream::iter(reads).buffered(self.at_once).collect().await;
        let mut accounts = reads.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.plan.arrange(&mut accounts);
        Ok(accounts)
    }
}
