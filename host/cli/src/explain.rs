//! `staging-sync explain`: why an account's list is what it is, from the record and the tape of a tick.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args;
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};
use staging_sync_runtime::account::AccountId;
use staging_sync_runtime::bindings::types::Outcome;
use staging_sync_runtime::case::Case;
use staging_sync_runtime::journal::names::TickId;
use staging_sync_runtime::journal::{AccountRecord, CONCURRENCY, Journal, ReadError, Record, Taped};
use staging_sync_runtime::outcome::status_name;
use staging_sync_runtime::policy::{Limits, Policy};
use staging_sync_runtime::tape::{Answer, Exchange};
use staging_sync_runtime::text::printable;

use crate::accounts::account_id;
use crate::{CommandError, Exit, journal};

/// How far back a record is looked for.
const LONGEST: Duration = Duration::from_secs(90 * 86_400);

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
}

/// A record that tells something of an account.
struct Found {
    record: Record,
    account: AccountRecord,
    /// The record that refers to it and knows its digest, if it says another one.
    tampered: Option<String>,
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let journal = arguments.place.open().await?;
    let at = arguments.at.unwrap_or_else(SystemTime::now);
    show(&journal, &arguments.account, at, arguments.policy.as_deref()).await
}

/// Prints what the last record of an account up to a time tells, and what another policy would have decided.
pub async fn show(
    journal: &Journal,
    id: &AccountId,
    at: SystemTime,
    policy: Option<&Path>,
) -> Result<Exit, CommandError> {
    let Some(found) = find(journal, id, at).await? else {
        println!("{id}: not recorded: {}", why_not(journal, id).await?);
        return Ok(Exit::Failed);
    };
    let Found { record, account, tampered } = &found;
    head(record, account);
    let mut good = tampered.is_none();
    if let Some(tampered) = tampered {
        println!("  record:  {tampered}");
    }
    if let Some(change) = &account.change {
        match journal.verified(&change.name).await {
            Ok(_) => println!("  record:  {}", journal.title(&change.name)),
            Err(error) => {
                good = false;
                println!("  record:  {error}");
            }
        }
    }
    match journal.tape(record).await {
        Ok(Some(taped)) => {
            observations(&taped, id);
            if let Some(path) = policy {
                other_policy(&taped, id, path).await?;
            }
        }
        Ok(None) if record.author.is_some() => {}
        Ok(None) => println!("  tape:    couldn't be kept, so what DRS said isn't known"),
        Err(error) => {
            good = false;
            println!("  tape:    {error}");
        }
    }
    Ok(if good { Exit::Success } else { Exit::Failed })
}

/// The last record of an account up to a time.
async fn find(journal: &Journal, id: &AccountId, at: SystemTime) -> Result<Option<Found>, CommandError> {
    let day = Duration::from_secs(86_400);
    let (mut until, mut gone) = (at, Duration::ZERO);
    // The record after the one at hand: it has the digest of that one, if it's of the same host.
    let mut after: Option<Record> = None;
    while gone <= LONGEST {
        let since = until.checked_sub(day).unwrap_or(SystemTime::UNIX_EPOCH);
        let ids = journal.ticks(since, until).await?;
        let mut records =
            stream::iter(ids).map(|id: TickId| async move { (journal.tick(&id).await, id) }).buffered(CONCURRENCY);
        while let Some((record, tick)) = records.next().await {
            let sealed = match record {
                Ok(sealed) => sealed,
                Err(error @ (ReadError::Unsealed(..) | ReadError::Missing(_))) => {
                    eprintln!("staging-sync: {tick}: {error}");
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let record = sealed.content;
            if let Some(account) = record.accounts.iter().find(|one| one.account_id == id.as_str()).cloned() {
                let told = after.as_ref().and_then(|after| after.previous.as_ref());
                let tampered = told.filter(|told| told.tick == record.tick && told.digest != sealed.digest).map(|_| {
                    "was changed after it was written: the record after it knows another digest; somebody tampered with it".to_owned()
                });
                return Ok(Some(Found { record, account, tampered }));
            }
            after = Some(record);
        }
        (until, gone) = (since, gone + day);
    }
    Ok(None)
}

/// Why an account has no record.
async fn why_not(journal: &Journal, id: &AccountId) -> Result<String, CommandError> {
    let latest = journal.read_latest().await?;
    Ok(match latest {
        None => "the journal has no latest.json: no tick has run with this JOURNAL".into(),
        Some((None, _)) => "latest.json can't be read by this program".into(),
        Some((Some(latest), _)) => match latest.accounts.get(id.as_str()) {
            None => format!("no tick has seen the account; the last one was at {}", latest.at),
            Some(account) => {
                let reason = account.reason.as_deref().map(|reason| format!(" ({})", printable(reason)));
                format!(
                    "it was {}{} at {}, and nothing was changed, failed or held within 90 days",
                    account.status,
                    reason.unwrap_or_default(),
                    latest.at
                )
            }
        },
    })
}

fn head(record: &Record, account: &AccountRecord) {
    let name = account.account_name.as_deref().map(printable).unwrap_or_else(|| "Unknown".into());
    println!("{} {name} at {}, tick {}", account.account_id, record.at, record.tick);
    let ids = |sign: &str, ids: &[String]| ids.iter().map(|id| format!("{sign}{id}")).collect::<Vec<_>>();
    let what = [ids("+", &account.added), ids("-", &account.removed)].concat().join(", ");
    let dry_run = if record.dry_run { ", dry run: nothing was written" } else { "" };
    println!("  result:  {} {what}{dry_run}", account.status);
    for reason in [&account.reason, &account.error].into_iter().flatten() {
        println!("           {}", printable(reason));
    }
    if !account.held_removals.is_empty() {
        let why = account.held_reason.as_deref().map(printable).unwrap_or_default();
        let incomplete = account.incomplete_regions.join(", ");
        println!("  held:    {}: {why}{incomplete}", account.held_removals.join(", "));
    }
    if let (Some(author), comment) = (&record.author, record.comment.as_deref().unwrap_or_default()) {
        println!("  by:      {} by {}: {}", record.operation, printable(author), printable(comment));
    }
    if let Some(policy) = &record.policy {
        let by = account.decided_by.clone().unwrap_or_else(|| policy.to_string());
        println!("  policy:  {by}, settings {}", policy.settings);
    }
}

/// What was stored, what each region said, and what was written.
fn observations(taped: &Taped, id: &AccountId) {
    let items = taped.tape.host.iter().filter_map(|exchange| match &exchange.answer {
        Answer::Response(response) => response.get("Items").and_then(Value::as_array),
        Answer::Error(_) => None,
    });
    let of_id = |item: &&Value| item["accountId"]["S"] == id.as_str();
    if let Some(item) = items.flatten().find(of_id) {
        println!("  stored:  {}", listed(&item["stagingAccounts"]));
    }
    let calls: Vec<&Exchange> = taped.tape.targets.get(id.as_str()).into_iter().flatten().collect();
    for read in calls.iter().filter(|call| call.operation == "GetItem") {
        if let Answer::Response(response) = &read.answer {
            println!("  stored:  {}", listed(&response["Item"]["stagingAccounts"]));
        }
    }
    // Regions are asked at once, so their order means nothing.
    let is_of_table = |call: &&&Exchange| call.service == "dynamodb";
    let is_session = |call: &&Exchange| call.operation == "AssumeRole" && call.failure().is_none();
    let regions = calls.iter().filter(|call| !is_of_table(call) && !is_session(call));
    let mut regions: Vec<String> = regions.map(|call| format!("{}: {}", call.name(), said(call, id))).collect();
    regions.sort();
    for region in regions {
        println!("  region:  {region}");
    }
    for write in calls.iter().filter(|call| call.is_write()) {
        let values = &write.request["ExpressionAttributeValues"];
        let condition = match values.get(":read") {
            Some(read) => format!("the list is still {}", listed(read)),
            None => "there's no list yet".into(),
        };
        println!("  written: {}, if {condition}{}", listed(&values[":list"]), error(write));
    }
}

fn error(exchange: &Exchange) -> String {
    exchange.failure().map(|error| format!(": {}: {}", error.code, printable(&error.message))).unwrap_or_default()
}

/// What a call to AWS came to; DRS names the account itself too, which is left out.
fn said(exchange: &Exchange, account: &AccountId) -> String {
    match &exchange.answer {
        Answer::Error(failure) if failure.message == Taped::NOT_ASKED => "not in use, so it wasn't asked".into(),
        Answer::Error(failure) if failure.code == "UninitializedAccountException" => {
            "nothing, DRS isn't in use there".into()
        }
        Answer::Error(failure) => format!("{}: {}", failure.code, printable(&failure.message)),
        Answer::Response(response) => {
            let accounts = response["accounts"].as_array().into_iter().flatten();
            let accounts = accounts.filter_map(|account| account["accountID"].as_str());
            let servers = response["items"].as_array().into_iter().flatten();
            let servers = servers.filter_map(|server| server["stagingArea"]["stagingAccountID"].as_str());
            let ids: BTreeSet<&str> = accounts.chain(servers).filter(|id| *id != account.as_str()).collect();
            let ids = Vec::from_iter(ids);
            if ids.is_empty() { "nothing".into() } else { ids.join(", ") }
        }
    }
}

fn listed(list: &Value) -> String {
    let entries = list["L"].as_array().into_iter().flatten();
    let ids: Vec<&str> = entries.filter_map(|entry| entry["M"]["accountId"]["S"].as_str()).collect();
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
