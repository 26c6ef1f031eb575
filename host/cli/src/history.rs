//! `staging-sync history`: what ticks and operators changed, the newest first.

use std::collections::BTreeSet;
use std::io::IsTerminal;

use clap::Args;
use futures_util::stream::{self, StreamExt};
use serde_json::json;
use staging_sync_runtime::journal::{AccountRecord, CONCURRENCY};
use staging_sync_runtime::text;
use staging_sync_workbench::history::Told;

use crate::accounts::Accounts;
use crate::journal::{self, Moment, moment};
use crate::{CommandError, Exit, table};

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
    let (since, until) = journal::span(arguments.since, arguments.until)?;
    let ids = journal.ticks(since, until).await?;
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
                rows.extend(record.accounts.iter().filter(|account| wanted(account)).map(|one| Told::of(&record, one)));
                if statuses.contains("failed") && named.is_none() {
                    rows.extend(Told::of_failed(&record));
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

fn as_table(rows: &[Told]) -> String {
    let mut table = table::table(&["TIME", "ACCOUNT", "STATUS", "WHAT", "BY", "TICK"]);
    let printable = |text: &Option<String>| text::printable(text.as_deref().unwrap_or_default());
    for row in rows {
        let ids = |ids: &[String], sign: &str| ids.iter().map(|id| format!("{sign}{id}")).collect::<Vec<_>>();
        let mut what = [ids(&row.added, "+"), ids(&row.removed, "-"), ids(&row.held_removals, "held ")].concat();
        let reasons = [&row.held_reason, &row.reason, &row.error, &row.comment].into_iter().map(printable);
        what.extend(reasons.filter(|reason| !reason.is_empty()));
        let dry_run = if row.dry_run { " (dry run)" } else { "" };
        // The whole digest is in the JSON.
        let by = printable(&row.by);
        let short = by.split_once(" (").map_or(by.clone(), |(name, digest)| match digest.len() > 8 {
            true => format!("{name} ({})", digest.chars().take(8).collect::<String>()),
            false => by.clone(),
        });
        table.add_row([
            text::printable(&row.at),
            printable(&row.account_id),
            format!("{}{dry_run}", text::printable(&row.status)),
            what.join(", "),
            short,
            text::printable(&row.tick),
        ]);
    }
    format!("{table}\n{}", text::counted(rows.len(), "change"))
}
