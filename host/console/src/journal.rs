//! What ticks left in the journal: `latest.json`, freezes and records, each kept as long as it's the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::stream::{self, StreamExt};
use staging_sync_runtime::journal::freezes::Freezes;
use staging_sync_runtime::journal::names::TickId;
use staging_sync_runtime::journal::{CONCURRENCY, Journal, LatestFound, ReadError};
use tokio::sync::Mutex;

use crate::fleet::Fleet;
use crate::ticks::{TickDetail, TickNumbers};

/// So many ticks are kept in numbers, some 400 bytes each, so that a page that is shown again isn't read again.
const KEPT: usize = 2_000;

/// A journal that is looked at.
pub struct Shown {
    journal: Journal,
    /// `latest.json` as it was read last, and its version.
    latest: Mutex<Option<(String, Arc<Fleet>)>>,
    ticks: Mutex<BTreeMap<TickId, Arc<TickNumbers>>>,
}

impl Shown {
    /// Shows what is in a journal.
    pub fn new(journal: Journal) -> Self {
        Self { journal, latest: Mutex::default(), ticks: Mutex::default() }
    }

    /// The journal itself.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The fleet after the last tick; none if there was none. The error says why it isn't known.
    pub async fn fleet(&self) -> Result<Option<Arc<Fleet>>, String> {
        let mut kept = self.latest.lock().await;
        let version = kept.as_ref().map(|(version, _)| version.clone());
        match self.journal.latest(version.as_deref()).await.map_err(|error| error.to_string())? {
            LatestFound::Same => {}
            LatestFound::Missing => *kept = None,
            LatestFound::Unreadable(error) => return Err(error),
            LatestFound::Found(latest, version) => *kept = Some((version, Arc::new(Fleet::of_latest(*latest)))),
        }
        Ok(kept.as_ref().map(|(_, fleet)| Arc::clone(fleet)))
    }

    /// The freezes as they are now.
    pub async fn freezes(&self) -> Result<Freezes, String> {
        self.journal.read_freezes().await.map_err(|error| error.to_string())
    }

    /// The ticks that left records within a time, the newest first, at most so many; whether there are more; and what
    /// couldn't be read.
    pub async fn ticks(
        &self,
        since: SystemTime,
        until: SystemTime,
        most: usize,
    ) -> Result<(Vec<Arc<TickNumbers>>, bool, Vec<String>), String> {
        let mut ids = self.journal.ticks(since, until).await.map_err(|error| error.to_string())?;
        let more = ids.len() > most;
        ids.truncate(most);
        let read = stream::iter(ids).map(|id| async move { (self.numbers(&id).await, id) });
        let mut read = read.buffered(CONCURRENCY);
        let (mut ticks, mut notices) = (Vec::new(), Vec::new());
        while let Some((numbers, id)) = read.next().await {
            match numbers {
                Ok(numbers) => ticks.push(numbers),
                Err(error) => notices.push(format!("{id}: {error}")),
            }
        }
        Ok((ticks, more, notices))
    }

    async fn numbers(&self, id: &TickId) -> Result<Arc<TickNumbers>, ReadError> {
        if let Some(known) = self.ticks.lock().await.get(id) {
            return Ok(Arc::clone(known));
        }
        let numbers = Arc::new(TickNumbers::of_record(&self.journal.tick(id).await?.content));
        let mut ticks = self.ticks.lock().await;
        ticks.insert(id.clone(), Arc::clone(&numbers));
        if ticks.len() > KEPT {
            ticks.pop_first();
        }
        Ok(numbers)
    }

    /// The record of a tick; none if it left none.
    pub async fn tick(&self, id: &TickId) -> Result<Option<TickDetail>, String> {
        match self.journal.tick(id).await {
            Ok(record) => Ok(Some(TickDetail::of_record(record.content))),
            Err(ReadError::Missing(_)) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}
