//! `staging-sync explain`: why an account's list is what it is, from the record and the tape of a tick.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use serde_json::json;
use staging_sync_runtime::account::AccountId;
use staging_sync_runtime::bindings::types::Outcome;
use staging_sync_runtime::case::Case;
use staging_sync_runtime::journal::{Journal, Taped};
use staging_sync_runtime::outcome::status_name;
use staging_sync_runtime::policy::{Limits, Policy};
use staging_sync_runtime::text::printable;
use staging_sync_workbench::explain::{self, Explanation, Found, Observed};

use crate::accounts::account_id;
use crate::{CommandError, Exit, journal, table};

#[derive(Args)]
pub struct Arguments {
    /// The target account.
    #[arg(long, value_name = "ID", value_parser = account_id)]
    account: AccountId,
    /// The last record of the account up to this time, like 2026-02-02T22:45:00Z. Default: its last one.
    #[arg(long, value_name = "TIME", value_parser = journal::time_argument)]
    at: Option<SystemTime>,
    /// Shows what another policy would have decided on the same observations, with the settings of that tick.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    place: journal::Place,
    /// Print the explanation as JSON.
    #[arg(long, conflicts_with = "policy")]
    json: bool,
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let journal = arguments.place.open().await?;
    let at = arguments.at.unwrap_or_else(SystemTime::now);
    if !arguments.json {
        return show(&journal, &arguments.account, at, arguments.policy.as_deref()).await;
    }
    match find(&journal, &arguments.account, at).await? {
        Some(found) => {
            let (explanation, _) = explain::explain(&journal, &found).await;
            println!("{}", table::json(&json!(explanation)));
            Ok(exit(&explanation))
        }
        None => {
            let why = explain::why_not(&journal, &arguments.account).await?;
            eprintln!("staging-sync: {}: not recorded: {}", arguments.account, printable(&why));
            Ok(Exit::Failed)
        }
    }
}

/// Prints what the last record of an account up to a time tells, and what another policy would have decided.
pub async fn show(
    journal: &Journal,
    id: &AccountId,
    at: SystemTime,
    policy: Option<&Path>,
) -> Result<Exit, CommandError> {
    let Some(found) = find(journal, id, at).await? else {
        println!("{id}: not recorded: {}", printable(&explain::why_not(journal, id).await?));
        return Ok(Exit::Failed);
    };
    let (explanation, taped) = explain::explain(journal, &found).await;
    head(&explanation);
    for problem in explanation.record_problems.iter().chain(&explanation.change_record) {
        println!("  record:  {problem}");
    }
    match (&explanation.observed, &explanation.tape_problem) {
        (Some(observed), _) => observations(observed),
        (None, Some(problem)) => println!("  tape:    {problem}"),
        (None, None) if explanation.author.is_some() => {}
        (None, None) => println!("  tape:    couldn't be kept, so what DRS said isn't known"),
    }
    if let (Some(taped), Some(path)) = (&taped, policy) {
        other_policy(taped, id, path).await?;
    }
    Ok(exit(&explanation))
}

fn exit(explanation: &Explanation) -> Exit {
    let good = explanation.record_problems.is_empty() && explanation.tape_problem.is_none();
    if good { Exit::Success } else { Exit::Failed }
}

/// The last record of an account up to a time; what is no good on the way is told.
async fn find(journal: &Journal, id: &AccountId, at: SystemTime) -> Result<Option<Found>, CommandError> {
    let last = explain::last(journal, id, at).await?;
    for unreadable in last.unreadable {
        eprintln!("staging-sync: {unreadable}");
    }
    Ok(last.found)
}

fn head(explanation: &Explanation) {
    let Explanation { told, operation, author, policy, .. } = explanation;
    let name = told.account_name.as_deref().map(printable).unwrap_or_else(|| "Unknown".into());
    println!("{} {name} at {}, tick {}", told.account_id.as_deref().unwrap_or_default(), told.at, told.tick);
    let ids = |sign: &str, ids: &[String]| ids.iter().map(|id| format!("{sign}{id}")).collect::<Vec<_>>();
    let what = [ids("+", &told.added), ids("-", &told.removed)].concat().join(", ");
    let dry_run = if told.dry_run { ", dry run: nothing was written" } else { "" };
    println!("  result:  {} {what}{dry_run}", told.status);
    for reason in [&told.reason, &told.error].into_iter().flatten() {
        println!("           {}", printable(reason));
    }
    if !told.held_removals.is_empty() {
        let why = told.held_reason.as_deref().map(printable).unwrap_or_default();
        let incomplete = told.incomplete_regions.join(", ");
        println!("  held:    {}: {why}{incomplete}", told.held_removals.join(", "));
    }
    if let (Some(author), comment) = (author, told.comment.as_deref().unwrap_or_default()) {
        println!("  by:      {operation} by {}: {}", printable(author), printable(comment));
    }
    if let (Some(policy), Some(by)) = (policy, &told.by) {
        println!("  policy:  {by}, settings {}", policy.settings);
    }
}

/// What was stored, what each region said, and what was written.
fn observations(observed: &Observed) {
    for stored in &observed.stored {
        println!("  stored:  {}", listed(stored));
    }
    for answer in &observed.answers {
        println!("  region:  {}: {}", answer.call, printable(&answer.said));
    }
    for write in &observed.written {
        let condition = match &write.condition {
            Some(read) => format!("the list is still {}", listed(read)),
            None => "there's no list yet".into(),
        };
        let error = write.error.as_deref().map(|error| format!(": {}", printable(error))).unwrap_or_default();
        println!("  written: {}, if {condition}{error}", listed(&write.list));
    }
}

fn listed(ids: &[String]) -> String {
    if ids.is_empty() { "an empty list".into() } else { ids.join(", ") }
}

/// What another policy decides on the tape.
async fn other_policy(taped: &Taped, id: &AccountId, path: &Path) -> Result<(), CommandError> {
    let policy = Policy::load(path, Limits::default()).await?;
    let tape = taped.tape.clone();
    let mut event = tape.event.clone();
    event["dryRun"] = json!(false);
    let case = Case {
        dir: path.to_owned(),
        name: "journal".into(),
        event,
        settings: tape.settings.clone(),
        pins_settings: false,
        expected: None,
        tape,
    };
    let run = case.run(&policy).await.map_err(CommandError)?;
    let title = format!("{} {} ({})", policy.info().name, policy.info().version, policy.digest());
    let outcome = match &run.report {
        Ok(report) => report.outcomes.iter().find(|account| account.account_id == id.as_str()),
        Err(error) => return Err(CommandError(format!("{title}: {error}"))),
    };
    match outcome {
        Some(account) => println!("  instead: {title}: {}", decided(&account.outcome)),
        None => println!("  instead: {title}: the account isn't on the tape"),
    }
    Ok(())
}

fn decided(outcome: &Outcome) -> String {
    let ids = |sign: &str, ids: &[String]| ids.iter().map(|id| format!("{sign}{id}")).collect::<Vec<_>>();
    let what = [ids("+", &outcome.added), ids("-", &outcome.removed), ids("held ", &outcome.held_removals)].concat();
    let reasons =
        [&outcome.reason, &outcome.error, &outcome.held_reason].into_iter().flatten().map(|text| printable(text));
    let all: Vec<String> = what.into_iter().chain(reasons).collect();
    format!("{} {}", status_name(outcome.status), all.join(", ")).trim_end().to_owned()
}
