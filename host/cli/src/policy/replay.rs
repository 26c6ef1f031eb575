//! `policy publish --replay`: a new policy is published only if it decides recorded ticks as the active one did, or differs
//! in ways that somebody accepts.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::SystemTime;

use clap::Args;
use futures_util::stream::StreamExt;
use serde_json::{Map, Value};
use staging_sync_runtime::activation::manifest::{self, Entry};
use staging_sync_runtime::case::Case;
use staging_sync_runtime::policy::Policy;
use staging_sync_runtime::store::location::Location;
use staging_sync_runtime::text::printable_lines;
use staging_sync_runtime::tick::instant_text;
use staging_sync_workbench::recorded::{NoCase, RecordedTick};
use staging_sync_workbench::replay::{Class, Refusal, Replayed};

use super::record::author;
use super::source;
use crate::CommandError;
use crate::journal::{self, Moment, moment, span};
use crate::recorded::{self, Used};

#[derive(Args)]
pub struct Replaying {
    /// Publish only if the policy decides the ticks that were recorded since then as the active policy did: so long ago,
    /// like 7d or 4h, or a time like 2026-02-02T22:45:00Z. Needs a journal.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    replay: Option<Moment>,
    /// Accept a class of differences, like added>0 or failed<0. May be repeated. It's kept in the manifest.
    #[arg(long, value_name = "CLASS", requires = "replay", value_delimiter = ',')]
    accept: Vec<Class>,
    /// The journal of --replay: an s3://bucket/prefix/ or a folder. Default: JOURNAL.
    #[arg(long, value_name = "PLACE", requires = "replay")]
    journal: Option<String>,
}

/// The policies of a replay.
struct Pair {
    old: Policy,
    old_entry: Entry,
    new: Policy,
    new_settings: Option<Map<String, Value>>,
}

impl Replaying {
    /// Replays the recorded ticks of the active policy, and says what a new one decides differently. Returns what the
    /// manifest says of it. The error is why the new policy may not be published.
    pub async fn judge(
        &self,
        at: &Location,
        active: Option<&Entry>,
        new: &Policy,
        settings: Option<&Map<String, Value>>,
    ) -> Result<Option<manifest::Replay>, CommandError> {
        let Some(since) = self.replay else { return Ok(None) };
        let (since, now) = span(since, None)?;
        let refused = |reason: String| CommandError(format!("{at}: not published: {reason}"));
        let active = active.ok_or_else(|| {
            refused("--replay compares with the active policy, and there is none yet; publish without --replay".into())
        })?;
        let pair = Pair {
            old: source::component(at, active).await?,
            old_entry: active.clone(),
            new: new.clone(),
            new_settings: settings.cloned(),
        };
        let replayed = pair.replay(self.journal.clone(), (since, now)).await?;
        eprint!("{}", printable_lines(&replayed.text()));
        let accepted: BTreeSet<Class> = self.accept.iter().copied().collect();
        match replayed.refusal(&accepted) {
            None => {}
            Some(Refusal::Inconclusive(reason)) => {
                return Err(refused(format!(
                    "the replay is inconclusive: {reason}; choose another time for --replay, or publish with --shadow or \
                     without --replay"
                )));
            }
            Some(Refusal::NotAccepted(classes)) => {
                let options: Vec<String> = classes.iter().map(|class| format!("--accept '{class}'")).collect();
                return Err(refused(format!(
                    "the policy decides differently; if that is what you want, accept it with {}",
                    options.join(" ")
                )));
            }
        }
        let found = |class: &&Class| replayed.classes.contains_key(class);
        Ok(Some(manifest::Replay {
            at: instant_text(now),
            by: author(at).await,
            since: instant_text(since),
            against: active.sha256.clone(),
            ticks: replayed.ticks,
            decisions: replayed.decisions,
            differing: replayed.differing,
            accepted: accepted.iter().filter(found).map(ToString::to_string).collect(),
        }))
    }
}

impl Pair {
    async fn replay(self, place: Option<String>, span: (SystemTime, SystemTime)) -> Result<Replayed, CommandError> {
        let journal = journal::Place::of(place).open().await?;
        let ids = recorded::ticks(&journal, span).await?;
        let (total, mut done) = (ids.len(), 0);
        let Self { old, old_entry, new, new_settings } = self;
        let decide = move |tick: RecordedTick| {
            let (old, new, new_settings) = (old.clone(), new.clone(), new_settings.clone());
            // Other policies and settings decided otherwise, for good reasons.
            let is_own = tick.policy.digest == old_entry.sha256
                && old_entry.settings.as_ref().is_none_or(|settings| *settings == tick.case.settings);
            async move {
                if !is_own {
                    return Ok(None);
                }
                let case =
                    Case { settings: new_settings.unwrap_or_else(|| tick.case.settings.clone()), ..tick.case.clone() };
                let (old, new) = (tick.case.run(&old).await?, case.run(&new).await?);
                Ok::<_, String>(Some((tick, old, new)))
            }
        };
        let mut ticks = pin!(recorded::each(journal, ids, decide));
        let mut replayed = Replayed::default();
        while let Some(used) = ticks.next().await {
            done += 1;
            if done % 500 == 0 {
                say!("replayed {done} of {total} recorded ticks");
            }
            match used? {
                Used::NoCase(why) => replayed.unused(why),
                Used::Unreadable(error) => replayed.unreadable.push(error),
                Used::Decided(decided) => match decided.map_err(CommandError)? {
                    None => replayed.unused(NoCase::OtherPolicy),
                    Some((tick, old, new)) => replayed.add(&tick, &old, &new),
                },
            }
        }
        Ok(replayed)
    }
}
