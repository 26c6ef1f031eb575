//! `staging-sync history`: what ticks and operators changed, the newest first.

use std::collections::BTreeSet;
use std::io::IsTerminal;

use clap::Args;
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};
use staging_sync_runtime::journal::{AccountRecord, CONCURRENCY, Record};
use staging_sync_runtime::text;

use crate::accounts::Accounts;
use crate::journal::{self, Moment, moment};
use crate::{CommandError, Exit, recorded, table};

#[derive(Args)]
#[command(
    after_long_help = "The journal keeps a small record of each tick that has something to tell, so a month takes one list a \
                             day and one read a record. A record that is no good is reported, and the others are shown."
)]
pub struct Arguments {
    #[command(flatten)]
    accounts: Accounts,
    /// From when: so long ago, like 7d or 4h, or a time like 2026-02-02T22:45:00Z.
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = moment)]
    since: Moment,
    /// Until when, like --since. Default: now.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Moment>,
    /// What became of the accounts: a comma list of updated, unchanged, skipped and failed. `unchanged` and `skipped` are
    /// recorded only where something was held.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "updated", value_parser = ["updated", "unchanged", "skipped", "failed"])]
    status: Vec<String>,
    #[command(flatten)]
    place: journal::Place,
    /// Prints the changes as JSON. The default where stdout isn't a terminal.
    #[arg(long)]
    json: bool,
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let journal = arguments.place.open().await?;
    let mut ids = recorded::ticks(&journal, arguments.since, arguments.until).await?;
    ids.reverse();
    let named = arguments.accounts.named();
    let statuses: BTreeSet<&str> = arguments.status.iter().map(String::as_str).collect();
    let wanted = |account: &AccountRecord| {
        statuses.contains(account.status.as_str())
            && named.as_ref().is_none_or(|named| named.iter().any(|id| id.as_str() == account.account_id))
    };
    let mut records = stream::iter(ids).map(async |id| (journal.tick(&id).await, id)).buffered(CONCURRENCY);
    let (mut rows, mut bad) = (Vec::new(), 0);
    while let Some((record, id)) = records.next().await {
        match record {
            Ok(record) => {
                let record = record.content;
                rows.extend(record.accounts.iter().filter(|account| wanted(account)).map(|one| row(&record, one)));
                if let (Some(error), true) = (&record.error, statuses.contains("failed") && named.is_none()) {
                    rows.push(json!({"at": record.at, "tick": record.tick, "status": "failed", "error": error}));
                }
            }
            Err(error) => {
                bad += 1;
                eprintln!("staging-sync: {id}: {error}");
            }
        }
    }
    let as_json = arguments.json || !std::io::stdout().is_terminal();
    println!("{}", if as_json { table::json(&json!(rows)) } else { as_table(&rows) });
    Ok(if bad == 0 { Exit::Success } else { Exit::Failed })
}

/// What became of an account, with who decided it.
fn row(record: &Record, account: &AccountRecord) -> Value {
    let mut row = json!({"at": record.at, "tick": record.tick});
    let policy = record.policy.as_ref().map(ToString::to_string);
    let by = account.decided_by.clone().or(policy);
    let by = by.or_else(|| record.author.as_ref().map(|author| format!("{} by {author}", record.operation)));
    if let (Some(row), Value::Object(said)) = (row.as_object_mut(), json!(account)) {
        row.extend(said.into_iter().filter(|(name, _)| name != "change" && name != "decidedBy"));
        row.insert("by".into(), json!(by));
        for (name, value) in [("comment", json!(record.comment)), ("dryRun", json!(record.dry_run))] {
            if !value.is_null() && value != false {
                row.insert(name.into(), value);
            }
        }
    }
    row
}

fn as_table(rows: &[Value]) -> String {
    let mut table = table::table(&["TIME", "ACCOUNT", "STATUS", "WHAT", "BY", "TICK"]);
    let text_of = |value: &Value| text::printable(value.as_str().unwrap_or_default());
    for row in rows {
        let ids = |name: &str, sign: &str| {
            let ids = row[name].as_array().into_iter().flatten().filter_map(Value::as_str);
            ids.map(|id| format!("{sign}{id}")).collect::<Vec<_>>()
        };
        let mut what = [ids("added", "+"), ids("removed", "-"), ids("heldRemovals", "held ")].concat();
        let reasons = ["heldReason", "reason", "error", "comment"].into_iter().map(|name| text_of(&row[name]));
        what.extend(reasons.filter(|reason| !reason.is_empty()));
        let dry_run = if row["dryRun"] == true { " (dry run)" } else { "" };
        // The whole digest is in the JSON.
        let by = text_of(&row["by"]);
        let short = by.split_once(" (").map_or(by.clone(), |(name, digest)| match digest.len() > 8 {
            true => format!("{name} ({})", digest.chars().take(8).collect::<String>()),
            false => by.clone(),
        });
        table.add_row([
            text_of(&row["at"]),
            text_of(&row["accountId"]),
            format!("{}{dry_run}", text_of(&row["status"])),
            what.join(", "),
            short,
            text_of(&row["tick"]),
        ]);
    }
    format!("{table}\n{}", text::counted(rows.len(), "change"))
}
