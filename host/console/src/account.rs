//! One account: what is stored, its changes with the lists before and after, and why.

use futures_util::stream::{self, StreamExt};
use serde::Serialize;
use staging_sync_runtime::account::AccountId;
use staging_sync_runtime::journal::freezes::Freeze;
use staging_sync_runtime::journal::names::TickId;
use staging_sync_runtime::journal::{CONCURRENCY, ReadError};
use staging_sync_workbench::explain::{self, Explanation};
use staging_sync_workbench::history::Told;

use crate::fleet::{Account, Fleet};
use crate::journal::Shown;
use crate::redact::shown_policy;

/// How many changes a page has.
pub const PAGE: usize = 20;

/// An account, as `GET /api/v1/accounts/ID` answers it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Detail {
    /// The account after the last tick.
    #[serde(flatten)]
    pub account: Account,
    /// The freezes and vetoes of the account that count now.
    pub freezes: Vec<Freeze>,
    /// Its changes, the newest first.
    pub timeline: Vec<Change>,
    /// The tick that the older changes are before; none if there are none.
    pub older: Option<String>,
    /// The decision of one tick, as `staging-sync explain --json` tells it: the one that was asked for, or the last that
    /// is recorded.
    pub explanation: Option<Explanation>,
    /// What keeps this from being complete, for people.
    pub notices: Vec<String>,
}

/// A change of an account's list, as `staging-sync history --json` tells it, with the lists.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// What was changed, and by whom.
    #[serde(flatten)]
    pub told: Told,
    /// The ids before, as far as they follow from those that are stored now.
    pub before: Option<Vec<String>>,
    /// The ids after.
    pub after: Option<Vec<String>>,
}

impl Detail {
    /// What is known of an account without a journal.
    pub fn of(account: Account) -> Self {
        let (freezes, timeline, notices) = (Vec::new(), Vec::new(), Vec::new());
        Self { account, freezes, timeline, older: None, explanation: None, notices }
    }

    /// Reads from the journal what it tells of the account: its changes before the tick `older_than`, and the decision of
    /// the tick `explained`.
    pub async fn read(&mut self, shown: &Shown, fleet: &Fleet, older_than: Option<&str>, explained: Option<&TickId>) {
        let Some(id) = AccountId::parse(&self.account.account_id) else { return };
        if let Err(error) = self.read_changes(shown, &id, older_than).await {
            self.notices.push(format!("The changes of the account can't be read: {error}"));
        }
        let chosen = explained.cloned().or_else(|| self.last_tick(fleet));
        let Some(tick) = chosen else { return };
        match explain::in_tick(shown.journal(), id.as_str(), &tick).await {
            Ok(Some(found)) => {
                let (mut explanation, _) = explain::explain(shown.journal(), &found).await;
                explanation.policy = explanation.policy.map(shown_policy);
                self.explanation = Some(explanation);
            }
            Ok(None) | Err(ReadError::Missing(_)) if explained.is_none() => {}
            Ok(None) => self.notices.push(format!("The record of tick {tick} tells nothing of this account.")),
            Err(error) => self.notices.push(format!("The tick can't be explained: {error}")),
        }
    }

    /// The last tick that has something to tell of the account, as far as the state after the last one says.
    fn last_tick(&self, fleet: &Fleet) -> Option<TickId> {
        let account = &self.account;
        let tells = matches!(account.status.as_str(), "updated" | "failed")
            || !account.held_removals.is_empty()
            || !account.incomplete_regions.is_empty();
        let last_change = account.last_change.as_ref().map(|change| change.tick.as_str());
        let tick = if tells { fleet.tick.as_deref() } else { last_change };
        TickId::parse(tick?)
    }

    async fn read_changes(&mut self, shown: &Shown, id: &AccountId, older_than: Option<&str>) -> Result<(), ReadError> {
        let names = shown.journal().changes(id).await?;
        let mut ticks: Vec<TickId> = names.iter().filter_map(|name| tick_of(name)).collect();
        ticks.dedup();
        // What is stored now is what the newest change left, so the lists are followed from there.
        let newer = ticks.iter().filter(|tick| older_than.is_some_and(|older| tick.as_str() >= older)).count();
        self.older = ticks.get(newer + PAGE - 1).filter(|_| ticks.len() > newer + PAGE).map(ToString::to_string);
        ticks.truncate(newer + PAGE);
        let reads = stream::iter(ticks)
            .map(|tick| async move { (explain::in_tick(shown.journal(), id.as_str(), &tick).await, tick) });
        let mut reads = reads.buffered(CONCURRENCY).enumerate();
        let mut after = self.account.staging_accounts.clone();
        while let Some((place, (found, tick))) = reads.next().await {
            match found {
                // Written down before it was to be made, and not made then.
                Ok(Some(found)) if found.account.status != "updated" || found.record.dry_run => {}
                Ok(Some(found)) => {
                    let told = Told::of(&found.record, &found.account);
                    let before = after.as_ref().and_then(|after| before(after, &told));
                    let change = Change { told, before: before.clone(), after: after.take() };
                    self.timeline.extend(Some(change).filter(|_| place >= newer));
                    after = before;
                }
                Ok(None) => {}
                Err(ReadError::Missing(_)) => {
                    after = None;
                    self.notices.push(format!("Tick {tick} left no record, so what it changed isn't shown."));
                }
                Err(error) => {
                    after = None;
                    self.notices.push(format!("{tick}: {error}"));
                }
            }
        }
        Ok(())
    }
}

/// The tick of a change, by the name of its record: `changes/<account>/<tick>-<n>.json`.
fn tick_of(name: &str) -> Option<TickId> {
    let (tick, _) = name.rsplit('/').next()?.strip_suffix(".json")?.rsplit_once('-')?;
    TickId::parse(tick)
}

/// The ids before a change that left these; none if it can't have left them.
fn before(after: &[String], told: &Told) -> Option<Vec<String>> {
    let fits = told.added.iter().all(|id| after.contains(id)) && !told.removed.iter().any(|id| after.contains(id));
    fits.then(|| {
        let kept = after.iter().filter(|id| !told.added.contains(id));
        let mut before: Vec<String> = kept.chain(&told.removed).cloned().collect();
        before.sort();
        before
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_followed_back_as_long_as_they_fit() {
        let ids = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        let told = Told { added: ids(&["3"]), removed: ids(&["1"]), ..Told::default() };
        assert_eq!(before(&ids(&["2", "3"]), &told), Some(ids(&["1", "2"])));
        assert_eq!(before(&ids(&["2"]), &told), None);
        assert_eq!(before(&ids(&["1", "3"]), &told), None);
        let tick = tick_of("changes/111122223333/20260202T224500000Z-8f5d-2a-1.json").expect("a tick");
        assert_eq!(tick.as_str(), "20260202T224500000Z-8f5d-2a");
    }
}
