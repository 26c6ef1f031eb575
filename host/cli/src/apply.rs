//! `staging-sync apply`: exactly the changes of a plan, if they still fit.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use clap::Args;
use serde_json::{Value, json};
use staging_sync_runtime::account::AccountId;
use staging_sync_runtime::aws::sdk_api::SdkApi;
use staging_sync_runtime::aws::{self, Access, Aws};
use staging_sync_runtime::journal::Operator;
use staging_sync_runtime::journal::freezes::Freezes;
use staging_sync_runtime::plan::{self, Applied, Applying, Plan, Status};
use staging_sync_runtime::tick::instant_text;
use staging_sync_runtime::{Config, text};

use crate::accounts::Accounts;
use crate::{CommandError, Exit, journal, table};

#[derive(Args)]
#[command(
    after_long_help = "`apply` reads each account again, and writes it only if its stored list hasn't changed since the plan was \
                       made. Entries that stay aren't touched. `apply` decides nothing: it assumes no role and doesn't ask DRS. \
                       Applying a plan twice is a no-op.\n\nYou can apply a plan only to the table and in the region that it \
                       was made for. The plan contains the external ids of new entries, so keep the file private. It's written \
                       with mode 0600."
)]
pub struct Arguments {
    /// The plan that `tick --dry-run --out` wrote.
    plan: PathBuf,
    #[command(flatten)]
    accounts: Accounts,
    /// Compare, but write nothing, as with DRY_RUN=true.
    #[arg(long)]
    dry_run: bool,
    /// Print the result as JSON. This is the default if stdout isn't a terminal.
    #[arg(long)]
    json: bool,
    /// Print the result as a table. This is the default on a terminal.
    #[arg(long, conflicts_with = "json")]
    table: bool,
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let path = &arguments.plan;
    let mut plan = read(path)?;
    if let Some(named) = arguments.accounts.named() {
        only(&mut plan, &named, path)?;
    }
    let config = Config::from_env().await?;
    let live = Arc::new(SdkApi::from_env(config.max_concurrency).await?);
    let region = aws::region().await.unwrap_or_default();
    for (what, planned, variable, found) in [
        ("table", &plan.table, "TARGET_ACCOUNTS_TABLE", &config.table),
        ("region", &plan.region, "AWS_REGION", &region),
    ] {
        if planned != found {
            return Err(CommandError(format!(
                "{} at $.{what}: the plan is for {what} {planned}, but the environment names {found}: set \
                 {variable}={planned}, or make a new plan here",
                path.display()
            )));
        }
    }
    let dry_run = arguments.dry_run || config.dry_run;
    let began = SystemTime::now();
    let now = instant_text(began);
    let journal = match &config.journal {
        Some(place) => Some(journal::open(place, live.clone()).await?),
        None => None,
    };
    // As in a tick: nothing is written while it isn't known what is frozen.
    let freezes = match &journal {
        Some(journal) => journal.read_freezes().await,
        None => Ok(Freezes::default()),
    };
    let freezes =
        freezes.map_err(|error| CommandError(format!("nothing was applied, because freezes are unknown: {error}")))?;
    let recorder = match journal.filter(|_| !dry_run) {
        Some(journal) => {
            let author = journal::author(&live).await;
            let comment = Some(format!("a plan of {}", plan.planned_at));
            let operator = Operator { operation: "apply", now: began, author: author.clone(), comment };
            Some((journal.begin_operator(operator).await, author))
        }
        None => None,
    };
    // It reads and writes the table alone, so no session of a target account is made.
    let aws = Aws::new(live, &config.table, &Access { listings: Vec::new(), updates: true });
    let journal = recorder.as_ref().map(|(recorder, author)| (recorder, author.as_str()));
    let freezes = (&freezes, began);
    let applying = Applying { aws: &aws, now: &now, dry_run, at_once: config.max_concurrency, freezes, journal };
    let applied = plan::apply(&plan, &applying).await;
    let mut result = result(&plan, &applied, &now, dry_run);
    if let Some((recorder, _)) = recorder {
        let missed = recorder.finish_operator(applied.iter().map(Applied::record).collect()).await;
        if missed > 0 {
            result["journalFailed"] = missed.into();
        }
    }
    let table = arguments.table || (!arguments.json && std::io::stdout().is_terminal());
    println!("{}", if table { as_table(&applied, &result) } else { table::json(&result) });
    Ok(if applied.iter().all(|one| one.status.is_well()) { Exit::Success } else { Exit::Failed })
}

fn read(path: &Path) -> Result<Plan, CommandError> {
    let text = text::read(path).map_err(|error| CommandError(format!("{}: {error}", path.display())))?;
    Plan::read(&text).map_err(|problem| CommandError(format!("{} {problem}", path.display())))
}

/// Keeps only the named accounts.
fn only(plan: &mut Plan, named: &BTreeSet<AccountId>, path: &Path) -> Result<(), CommandError> {
    let planned: BTreeSet<&AccountId> = plan.accounts.iter().map(|account| &account.account_id).collect();
    let unknown: Vec<&str> = named.iter().filter(|id| !planned.contains(id)).map(AccountId::as_str).collect();
    if !unknown.is_empty() {
        let unknown = unknown.join(", ");
        return Err(CommandError(format!(
            "{}: the plan has no change for {unknown}, which --account names",
            path.display()
        )));
    }
    plan.accounts.retain(|account| named.contains(&account.account_id));
    Ok(())
}

fn result(plan: &Plan, applied: &[Applied], now: &str, dry_run: bool) -> Value {
    let count = |like: &Status| applied.iter().filter(|one| one.status.name() == like.name()).count();
    let mut result = json!({
        "timestamp": now,
        "plannedAt": plan.planned_at,
        "totalAccounts": applied.len(),
        "accountsApplied": count(&Status::Applied),
        "accountsAlreadyAsPlanned": count(&Status::AlreadyAsPlanned),
        "accountsNoLongerFit": count(&Status::NoLongerFits(String::new())),
        "accountsFailed": count(&Status::Failed(String::new())),
    });
    if dry_run {
        result["dryRun"] = true.into();
    }
    let detail = |one: &Applied| {
        let mut detail = json!({
            "accountId": one.account_id,
            "accountName": one.account_name.as_deref().unwrap_or("Unknown"),
            "status": one.status.name(),
            "added": one.added,
            "removed": one.removed,
        });
        if let Some(reason) = one.status.reason() {
            detail["reason"] = reason.into();
        }
        detail
    };
    result["details"] = applied.iter().map(detail).collect();
    result
}

fn as_table(applied: &[Applied], result: &Value) -> String {
    let mut table = table::table(&["ACCOUNT", "NAME", "STATUS", "WHAT"]);
    for one in applied {
        let signed = |sign: char, ids: &[AccountId]| ids.iter().map(|id| format!("{sign}{id}")).collect::<Vec<_>>();
        let mut what = [signed('+', &one.added), signed('-', &one.removed)].concat();
        what.extend(one.status.reason().map(text::printable));
        table.add_row([
            one.account_id.to_string(),
            text::printable(one.account_name.as_deref().unwrap_or("Unknown")),
            one.status.name().replace('-', " "),
            what.join(", "),
        ]);
    }
    let number = |name: &str| result[name].as_u64().unwrap_or_default();
    format!(
        "{table}\n{} planned at {}: {} applied, {} already as planned, {} no longer fit, {} failed{}",
        text::counted(applied.len(), "account"),
        text::printable(result["plannedAt"].as_str().unwrap_or_default()),
        number("accountsApplied"),
        number("accountsAlreadyAsPlanned"),
        number("accountsNoLongerFit"),
        number("accountsFailed"),
        if result["dryRun"] == true { ", dry run: nothing was written" } else { "" },
    )
}
