//! `staging-sync policy rollout`: how far a candidate is, and what operators do about it.

use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use staging_sync_runtime::activation::history::Kind;
use staging_sync_runtime::activation::manifest::Manifest;
use staging_sync_runtime::activation::rollouts;
use staging_sync_runtime::rollout::{Document, PolicyId, State};
use staging_sync_runtime::store::location::Location;
use staging_sync_runtime::tick::instant_text;
use staging_sync_workbench::rollout_status::{json as told, state};
use tokio::time::Instant;

use super::record::{Note, author, make};
use super::{change, rollout_status, source};
use crate::duration;
use crate::{CommandError, Exit, table};

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show each step of a rollout: what was seen, and what is missing to go on.
    Status(Status),
    /// Keep a rollout at its step. Its accounts stay with the candidate, and failures still abort it.
    Pause(Change),
    /// Let a paused rollout go on.
    Resume(Change),
    /// End a rollout: the active policy decides every account again.
    Abort(Change),
    /// Make the candidate active now, whatever its rollout has seen.
    Promote(change::Promote),
    /// Wait until a rollout ends, for pipelines.
    Wait(Wait),
}

#[derive(Args)]
struct Status {
    /// The manifest, as a path or an `s3://` URI.
    manifest: String,
    /// Print everything as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Change {
    /// The manifest, as a path or an `s3://` URI.
    manifest: String,
    /// The reason for the change, for `policy rollout status`.
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

#[derive(Args)]
struct Wait {
    /// The manifest, as a path or an `s3://` URI.
    manifest: String,
    /// The end to wait for. Another end is a failure.
    #[arg(long = "for", value_enum, default_value_t = End::Promoted)]
    end: End,
    /// How long to wait.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "1h")]
    timeout: Duration,
    /// How long to wait between two looks.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "5s")]
    every: Duration,
}

/// How a rollout ends.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum End {
    /// The candidate is active.
    Promoted,
    /// The active policy decides every account.
    Aborted,
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    match arguments.command {
        Command::Status(arguments) => status(&arguments).await,
        Command::Pause(arguments) => pause(&arguments).await,
        Command::Resume(arguments) => resume(&arguments).await,
        Command::Abort(arguments) => abort(&arguments).await,
        Command::Promote(arguments) => promote(arguments).await,
        Command::Wait(arguments) => wait(&arguments).await,
    }
}

/// A rollout of a manifest, as it was found.
struct Found {
    at: Location,
    manifest: Manifest,
    document: Document,
    state: State,
}

/// The rollout of the shadow policy, or the one that the active policy came from.
async fn find(manifest: &str) -> Result<Found, CommandError> {
    let (at, stored) = source::manifest(manifest).await?;
    let manifest = stored.manifest;
    let digests: Vec<String> =
        manifest.shadow.iter().chain([&manifest.active]).map(|entry| entry.sha256.clone()).collect();
    for sha256 in digests {
        if let Some(stored) = rollouts::read(&at, &sha256).await? {
            let state = state(&manifest, &stored.document);
            return Ok(Found { document: stored.document, at, manifest, state });
        }
    }
    Err(CommandError(format!(
        "{at}: has no rollout; to begin one, run `staging-sync policy publish POLICY --to {at} --rollout 1%:3,10%:3,50%:6`"
    )))
}

async fn status(arguments: &Status) -> Result<Exit, CommandError> {
    let Found { at, manifest, document, state } = find(&arguments.manifest).await?;
    match arguments.json {
        true => println!("{}", table::json(&told(&manifest, &document, state))),
        false => println!("{}", rollout_status::text(&at, &manifest, &document, state)),
    }
    Ok(Exit::Success)
}

/// Changes the state of a rollout that is in one of these states already, or may be brought there.
async fn change_state(
    found: &Found,
    from: &[State],
    to: State,
    comment: Option<&String>,
) -> Result<Option<State>, CommandError> {
    let by = author(&found.at).await;
    let now = instant_text(SystemTime::now());
    let mut before = None;
    rollouts::update(&found.at, &found.document.candidate.sha256, |document| {
        before = None;
        let is = state(&found.manifest, document);
        if is == to {
            return Ok(false);
        }
        if !from.contains(&is) {
            let (is, to) = (is.name(), to.name());
            return Err(format!("{}: the rollout is {is}, so it can't be {to} now", found.at));
        }
        before = Some(is);
        document.change(to, &now, &by, comment.cloned());
        Ok(true)
    })
    .await?;
    Ok(before)
}

async fn pause(arguments: &Change) -> Result<Exit, CommandError> {
    let found = find(&arguments.manifest).await?;
    let (at, step) = (&found.at, found.document.step);
    match change_state(&found, &[State::Running], State::Paused, arguments.comment.as_ref()).await? {
        Some(_) => {
            say!("{at}: the rollout stays at step {step}\nnext: staging-sync policy rollout resume {at}")
        }
        None => say!("{at}: nothing to do: the rollout is paused"),
    }
    Ok(Exit::Success)
}

async fn resume(arguments: &Change) -> Result<Exit, CommandError> {
    let found = find(&arguments.manifest).await?;
    let at = &found.at;
    match change_state(&found, &[State::Paused], State::Running, arguments.comment.as_ref()).await? {
        Some(_) => say!("{at}: the rollout goes on"),
        None => say!("{at}: nothing to do: the rollout is running"),
    }
    Ok(Exit::Success)
}

async fn abort(arguments: &Change) -> Result<Exit, CommandError> {
    let found = find(&arguments.manifest).await?;
    let at = &found.at;
    let live = [State::Running, State::Paused, State::Passed];
    let Some(before) = change_state(&found, &live, State::Aborted, arguments.comment.as_ref()).await? else {
        say!("{at}: nothing to do: the rollout is aborted");
        return Ok(Exit::Success);
    };
    say!("{at}: aborted: {} decides every account from the next tick on", source::title(&found.manifest.active));
    if before != State::Passed {
        say!("the candidate stays as shadow policy; to remove it: staging-sync policy withdraw {at}");
        return Ok(Exit::Success);
    }
    // A host may be about to make it active: a change of the manifest keeps it from that, or finds that it was faster.
    let (at, stored) = source::manifest(&arguments.manifest).await?;
    let mut manifest = stored.manifest.clone();
    let candidate = &found.document.candidate;
    if manifest.shadow.take().is_some_and(|shadow| candidate.is_same(&PolicyId::from(&shadow))) {
        let note = Note { comment: arguments.comment.clone(), dry_run: false };
        let before = (Some(&stored.manifest), Some(stored.version.as_str()));
        return make(&at, before, &manifest, Kind::Withdraw, &note, "the candidate was taken out").await;
    }
    if candidate.is_same(&PolicyId::from(&stored.manifest.active)) {
        return Err(CommandError(format!(
            "{at}: the candidate was made active meanwhile; to go back: staging-sync policy rollback {at}"
        )));
    }
    Ok(Exit::Success)
}

async fn promote(arguments: change::Promote) -> Result<Exit, CommandError> {
    let found = find(arguments.manifest()).await?;
    if found.manifest.shadow.is_none() {
        say!("{}: nothing to do: the rollout is {}", found.at, found.state.name());
        return Ok(Exit::Success);
    }
    change::promote(arguments).await
}

async fn wait(arguments: &Wait) -> Result<Exit, CommandError> {
    let until = Instant::now() + arguments.timeout;
    let mut said = None;
    loop {
        let found = match find(&arguments.manifest).await {
            // What was there at the first look is there; a pipeline outlasts that it can't be read once.
            Err(error) if said.is_some() && Instant::now() + arguments.every <= until => {
                eprintln!("{error}; trying again");
                tokio::time::sleep(arguments.every).await;
                continue;
            }
            found => found?,
        };
        let Found { at, document, state, .. } = &found;
        let now = (*state, document.step);
        if said != Some(now) {
            say!("{at}: {}, step {} of {}", state.name(), document.step, document.rollout.steps.len());
            said = Some(now);
        }
        let ended = match state {
            State::Promoted => Some(End::Promoted),
            State::Aborted => Some(End::Aborted),
            _ if !document.is_of(&(&found.manifest.active).into(), &document.candidate) => Some(End::Aborted),
            State::Running | State::Paused | State::Passed => None,
        };
        if let Some(ended) = ended {
            println!("{}", json!({"state": state.name(), "step": document.step, "reason": document.reason}));
            return Ok(if ended == arguments.end { Exit::Success } else { Exit::Failed });
        }
        if Instant::now() + arguments.every > until {
            println!("{}", json!({"state": state.name(), "step": document.step, "reason": "the timeout is over"}));
            return Ok(Exit::Failed);
        }
        tokio::time::sleep(arguments.every).await;
    }
}
