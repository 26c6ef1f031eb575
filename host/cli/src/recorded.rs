//! Ticks of a journal as cases of a command: which ones, and one after the other.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use clap::Args;
use futures_util::stream::{self, Stream, StreamExt};
use staging_sync_runtime::journal::names::TickId;
use staging_sync_runtime::journal::{Journal, ReadError};
use staging_sync_workbench::recorded::{NoCase, RecordedTick, counts};

use crate::CommandError;
use crate::journal::{self, Moment, moment, span};

/// How many ticks are read and decided at once: a replay computes, and a read waits for S3.
const AT_ONCE: usize = 8;

/// `--journal`, `--since` and `--until` of a command that decides cases.
#[derive(Args)]
pub struct Recorded {
    /// Use the recorded ticks of this journal as cases: an s3://bucket/prefix/ or a folder. Default with --since: JOURNAL.
    #[arg(long, value_name = "PLACE", conflicts_with = "cases")]
    journal: Option<String>,
    /// Use the ticks that were recorded since then: so long ago, like 7d or 4h, or a time like 2026-02-02T22:45:00Z. Default
    /// with --journal: 7d.
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "cases")]
    since: Option<Moment>,
    /// Use the ticks that were recorded until then, like --since. Default: now.
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "cases")]
    until: Option<Moment>,
}

/// Records that weren't used.
#[derive(Default)]
pub struct Unused {
    /// How many are no cases, by the reason.
    counts: BTreeMap<NoCase, usize>,
    /// How many can't be read.
    pub unreadable: usize,
}

/// What became of a record.
pub enum Used<T> {
    /// Its tick was decided.
    Decided(T),
    /// It is no case.
    NoCase(NoCase),
    /// It can't be read, and why.
    Unreadable(String),
}

impl Recorded {
    /// The journal and its ticks, the oldest first; none if the command isn't about recorded ticks.
    pub async fn ticks(&self) -> Result<Option<(Arc<Journal>, Vec<TickId>)>, CommandError> {
        if self.journal.is_none() && self.since.is_none() && self.until.is_none() {
            return Ok(None);
        }
        let span = span(self.since.unwrap_or(Moment::WEEK), self.until)?;
        let journal = journal::Place::of(self.journal.clone()).open().await?;
        let ids = ticks(&journal, span).await?;
        Ok(Some((journal, ids)))
    }
}

/// The ticks of a journal in a span of time, the oldest first.
pub async fn ticks(journal: &Journal, (since, until): (SystemTime, SystemTime)) -> Result<Vec<TickId>, CommandError> {
    let mut ids = journal.ticks(since, until).await?;
    ids.reverse();
    Ok(ids)
}

/// What becomes of each tick, in their order.
pub fn each<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    journal: Arc<Journal>,
    ids: Vec<TickId>,
    decide: impl Fn(RecordedTick) -> F + Clone + Send + Sync + 'static,
) -> impl Stream<Item = Result<Used<T>, CommandError>> {
    stream::iter(ids)
        .map(move |id| {
            let (journal, decide) = (Arc::clone(&journal), decide.clone());
            let task = tokio::spawn(async move {
                Ok(match find(&journal, &id).await? {
                    Used::Decided(tick) => Used::Decided(decide(tick).await),
                    Used::NoCase(why) => Used::NoCase(why),
                    Used::Unreadable(error) => Used::Unreadable(error),
                })
            });
            async move { task.await.unwrap_or_else(|error| Err(CommandError(format!("host: {error}; please report it")))) }
        })
        .buffered(AT_ONCE)
}

/// The tick of a record. The error is of the journal as a whole.
pub async fn find(journal: &Journal, id: &TickId) -> Result<Used<RecordedTick>, CommandError> {
    let read = async {
        let record = journal.tick(id).await?.content;
        let taped = match record.policy.is_some() && record.error.is_none() {
            true => journal.tape(&record).await?,
            false => None,
        };
        Ok(RecordedTick::of(record, taped))
    };
    match read.await {
        Ok(Ok(tick)) => Ok(Used::Decided(tick)),
        Ok(Err(why)) => Ok(Used::NoCase(why)),
        Err(ReadError::Store(error)) => Err(error.into()),
        Err(error) => Ok(Used::Unreadable(error.to_string())),
    }
}

impl Unused {
    /// What became of a record's tick, if it was used. One that can't be read is told.
    pub fn filter<T>(&mut self, used: Used<T>) -> Option<T> {
        match used {
            Used::Decided(decided) => return Some(decided),
            Used::NoCase(why) => *self.counts.entry(why).or_default() += 1,
            Used::Unreadable(error) => {
                self.unreadable += 1;
                eprintln!("staging-sync: {error}");
            }
        }
        None
    }

    /// What wasn't used, in a line; none if all was.
    pub fn text(&self) -> Option<String> {
        counts(&self.counts).map(|counts| format!("not replayed: {counts}"))
    }
}
