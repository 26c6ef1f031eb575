//! `staging-sync undo`: takes back what a tick changed, as far as nobody edited it since.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::SystemTime;

use clap::Args;
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};
use staging_sync_runtime::account::AccountId;
use staging_sync_runtime::aws::sdk_api::SdkApi;
use staging_sync_runtime::aws::{Access, Aws};
use staging_sync_runtime::journal::names::{TickId, stamp};
use staging_sync_runtime::journal::{Journal, Operator, Undoing, Undone};
use staging_sync_runtime::tick::instant_text;
use staging_sync_runtime::{Config, text};

use crate::accounts::Accounts;
use crate::{CommandError, Exit, journal, table};

#[derive(Args)]
#[command(
    after_long_help = "The list of an account becomes what it was before the change, to the byte, if it's still what the change \
                       left. Where somebody edited it since, the command says what differs and changes nothing; the other \
                       accounts go on. Neither DRS nor a policy is asked.\n\nA veto keeps the next tick from making the change \
                       again; `staging-sync unfreeze` ends it. An undo is recorded, so another undo takes it back."
)]
pub struct Arguments {
    #[command(flatten)]
    accounts: Accounts,
    /// All accounts that a tick changed, by the tick's id.
    #[arg(long, value_name = "ID", conflicts_with_all = ["accounts", "at"], value_parser = tick_id)]
    tick: Option<TickId>,
    /// The last change up to this time, like 2026-02-02T22:45:00Z. Default: the account's last change.
    #[arg(long, value_name = "TIME", value_parser = journal::time_argument)]
    at: Option<SystemTime>,
    /// Why, for those who find the veto.
    #[arg(long, value_name = "TEXT", default_value = "undone")]
    comment: String,
    /// Leaves no veto, so that the next tick may change the list again.
    #[arg(long)]
    no_veto: bool,
    /// Compares, and writes nothing. So does DRY_RUN=true.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    place: journal::Place,
    /// Prints the result as JSON. The default where stdout isn't a terminal.
    #[arg(long)]
    json: bool,
}

fn tick_id(text: &str) -> Result<TickId, String> {
    TickId::parse(text)
        .ok_or_else(|| "expected a tick's id like 20260202T224500000Z-8f5d2a0c91be, as `history` shows it".into())
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let named = arguments.accounts.named();
    if named.is_none() && arguments.tick.is_none() {
        return Err(CommandError("nothing is named to undo: use --account ID, or --tick ID".into()));
    }
    let config = Config::from_env().await?;
    let live = Arc::new(SdkApi::from_env(config.max_concurrency).await?);
    let journal = journal::open(arguments.place.text()?, live.clone()).await?;
    let changes = match &arguments.tick {
        Some(tick) => of_tick(&journal, tick).await?,
        None => named.into_iter().flatten().map(|account| (account, None)).collect(),
    };
    let began = SystemTime::now();
    let (now, author) = (instant_text(began), journal::author(&live).await);
    let aws = Aws::new(live, &config.table, &Access { listings: Vec::new(), updates: true });
    let dry_run = arguments.dry_run || config.dry_run;
    let recorder = match dry_run {
        true => None,
        false => {
            let comment = Some(arguments.comment.clone());
            let operator = Operator { operation: "undo", now: began, author: author.clone(), comment };
            Some(journal.begin_operator(operator).await)
        }
    };
    let undoing = Undoing {
        aws: &aws,
        journal: &journal,
        recorder: recorder.as_ref(),
        now: &now,
        author: &author,
        comment: &arguments.comment,
        veto: !arguments.no_veto,
    };
    let until = arguments.at.map(|at| format!("{}~", stamp(at))); // '~' comes after all that ids have
    let undo = async |(account, name): (AccountId, Option<String>)| {
        let undone = match name {
            Some(name) => undoing.named(&account, &name).await,
            None => undoing.last(&account, until.as_deref()).await,
        };
        (account, undone)
    };
    let undone: Vec<(AccountId, Undone)> =
        stream::iter(changes).map(undo).buffered(config.max_concurrency.max(1)).collect().await;
    let mut result = json!({"timestamp": now, "details": undone.iter().map(detail).collect::<Vec<_>>()});
    if dry_run {
        result["dryRun"] = true.into();
    }
    if let Some(recorder) = &recorder {
        result["tick"] = recorder.id().into();
        let missed = recorder.finish_operator(undone.iter().map(|(account, undone)| undone.record(account)).collect());
        let missed = missed.await;
        if missed > 0 {
            result["journalFailed"] = missed.into();
        }
    }
    let as_json = arguments.json || !std::io::stdout().is_terminal();
    println!("{}", if as_json { table::json(&result) } else { as_table(&undone) });
    Ok(if undone.iter().all(|(_, undone)| undone.is_well()) { Exit::Success } else { Exit::Failed })
}

/// The accounts that a tick changed, each with the name of its change.
async fn of_tick(journal: &Journal, tick: &TickId) -> Result<Vec<(AccountId, Option<String>)>, CommandError> {
    let record = journal.tick(tick).await?.content;
    let changed = record.accounts.into_iter().filter_map(|account| {
        let change = account.change.filter(|_| account.status == "updated")?;
        Some((AccountId::parse(&account.account_id)?, Some(change.name)))
    });
    let changed: Vec<_> = changed.collect();
    match changed.is_empty() {
        true => Err(CommandError(format!("{tick}: changed nothing that could be undone"))),
        false => Ok(changed),
    }
}

fn detail((account, undone): &(AccountId, Undone)) -> Value {
    let mut detail = json!({"accountId": account, "status": undone.name()});
    if let Undone::Done { added, removed } = undone {
        (detail["added"], detail["removed"]) = (json!(added), json!(removed));
    }
    if let Some(reason) = undone.reason() {
        detail["reason"] = reason.into();
    }
    detail
}

/// What became of each account, for people.
pub fn as_table(undone: &[(AccountId, Undone)]) -> String {
    let mut table = table::table(&["ACCOUNT", "STATUS", "WHAT"]);
    for (account, undone) in undone {
        let mut what: Vec<String> = Vec::new();
        if let Undone::Done { added, removed } = undone {
            what.extend(added.iter().map(|id| format!("+{id}")).chain(removed.iter().map(|id| format!("-{id}"))));
        }
        what.extend(undone.reason().map(text::printable));
        table.add_row([account.to_string(), undone.name().replace('-', " "), what.join(", ")]);
    }
    table.to_string()
}
