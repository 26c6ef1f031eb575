//! A change of a manifest: made, recorded in the history, and reported with the command that undoes it.

use std::time::{Duration, SystemTime};

use clap::Args;
use staging_sync_runtime::activation::history::{self, Change, Kind};
use staging_sync_runtime::activation::manifest::Manifest;
use staging_sync_runtime::activation::publish::Unchanged;
use staging_sync_runtime::activation::rollouts;
use staging_sync_runtime::aws::sdk_api::SdkApi;
use staging_sync_runtime::store::location::Location;
use staging_sync_runtime::tick::instant_text;

use super::source;
use crate::{CommandError, Exit};

#[derive(Args)]
pub struct Note {
    /// The reason for the change, for `policy log`.
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// Check the change and print the manifest that would result, but change nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Makes a change, unless it's a dry run, and prints the manifest. `before` is what was there, as far as it could be read,
/// and its version; `said` tells the change to people.
pub async fn make(
    at: &Location,
    (before, version): (Option<&Manifest>, Option<&str>),
    manifest: &Manifest,
    kind: Kind,
    note: &Note,
    said: &str,
) -> Result<Exit, CommandError> {
    if note.dry_run {
        println!("{}", manifest.text().trim_end());
        say!("{at}: dry run, nothing was changed: {said}");
        return Ok(Exit::Success);
    }
    // Whatever begins to decide was proven first.
    let proven = match kind {
        Kind::Publish | Kind::Promote | Kind::Rollback => Some(&manifest.active),
        Kind::Shadow | Kind::Rollout => manifest.shadow.as_ref(),
        Kind::Withdraw | Kind::Unrecorded => None,
    };
    let by = author(at).await;
    // What began with this change must not end by it.
    let unended = match kind {
        Kind::Rollout => None,
        _ => end_rollouts(at, before, manifest, kind, &by).await,
    };
    let change = Change {
        at: instant_text(SystemTime::now()),
        by,
        change: kind,
        comment: note.comment.clone(),
        proof: proven.map(|entry| {
            let cases = if entry.cases.is_some() { "its cases" } else { "the built-in cases" };
            let replay = entry.replay.as_ref().map(|replay| format!("; {replay}"));
            format!("passed {cases}{}", replay.unwrap_or_default())
        }),
    };
    let recorded = history::change(at, before, version, manifest, change).await?;
    println!("{}", manifest.text().trim_end());
    say!("{at}: {said}");
    match (recorded.before, before) {
        (Some(number), Some(before)) => {
            let title = source::title(&before.active);
            say!("undo: staging-sync policy rollback {at} --to-change {number} (back to {title})");
        }
        (None, Some(_)) => {
            say!("undo: staging-sync policy rollback {at}, if the previous policy is the one to return to")
        }
        (_, None) => say!("undo: there was no policy before; set POLICY to its previous value"),
    }
    if let Some(error) = &unended {
        eprintln!("the manifest was changed, but a rollout may go on: {error}");
    }
    match recorded.missing {
        None if unended.is_some() => Ok(Exit::Failed),
        None => Ok(Exit::Success),
        Some(error) => {
            eprintln!("the manifest was changed, but the change isn't recorded in its history: {error}");
            Ok(Exit::Failed)
        }
    }
}

/// Ends the rollouts that a change leaves behind. Why that can't be done keeps no change from being made: a rollback is urgent.
pub async fn end_rollouts(
    at: &Location,
    before: Option<&Manifest>,
    manifest: &Manifest,
    kind: Kind,
    by: &str,
) -> Option<String> {
    let reason = format!("superseded by `{}`", kind.name());
    match rollouts::end(at, before, manifest, by, &reason).await {
        // Who may not list a bucket is told so of a document that isn't there.
        Err(Unchanged::Store(error)) if error.denied => None,
        ended => ended.err().map(|error| error.to_string()),
    }
}

/// How long STS may take to tell who makes a change: nobody's work waits for a name.
const AUTHOR_TIME: Duration = Duration::from_secs(5);

/// Who makes a change: the caller's ARN where S3 is changed, else the user of this machine.
pub async fn author(at: &Location) -> String {
    let user = || {
        let named = ["USER", "LOGNAME", "USERNAME"].into_iter().filter_map(|name| std::env::var(name).ok());
        named.into_iter().find(|name| !name.is_empty())
    };
    if !at.is_in_bucket() {
        return user().unwrap_or_else(|| "unknown".into());
    }
    let caller = async { SdkApi::from_env(1).await.ok()?.identity().await.caller.ok() };
    match tokio::time::timeout(AUTHOR_TIME, caller).await {
        Ok(Some(caller)) => caller.arn,
        _ => user().map_or("unknown".into(), |user| format!("{user} (caller unknown to STS)")),
    }
}
