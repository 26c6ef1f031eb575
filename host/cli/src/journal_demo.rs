//! The demo's end: why an entry was removed, how it comes back, and what keeps the next tick from removing it again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use staging_sync_lab::Lab;
use staging_sync_runtime::account::AccountId;
use staging_sync_runtime::aws::{Access, Aws};
use staging_sync_runtime::journal::{Journal, Operator, Undoing};
use staging_sync_runtime::tick::instant_text;
use staging_sync_runtime::{Event, Service, Tick};

use crate::{CommandError, explain, table, tick};

/// The target account that lost an entry.
pub const ACCOUNT: &str = "123456789012";

/// Who runs the demo, as the journal names it.
const AUTHOR: &str = "the demo";

pub async fn run(lab: &Lab, service: &Service, journal: &Arc<Journal>, table_name: &str) -> Result<(), CommandError> {
    let Some(account) = AccountId::parse(ACCOUNT) else { return Ok(()) };
    println!("\nThe journal tells why (`staging-sync explain --account {ACCOUNT}`):");
    explain::show(journal, &account, SystemTime::now(), None).await?;

    println!("\nIt takes the change back (`staging-sync undo --account {ACCOUNT}`):");
    let now = SystemTime::now();
    let comment = "DRS was wrong";
    let operator = Operator { operation: "undo", now, author: AUTHOR.into(), comment: Some(comment.into()) };
    let recorder = journal.begin_operator(operator).await;
    let aws = Aws::new(service.aws_api(), table_name, &Access { listings: Vec::new(), updates: true });
    let undoing = Undoing {
        aws: &aws,
        journal,
        recorder: Some(&recorder),
        now: &instant_text(now),
        author: AUTHOR,
        comment,
        veto: true,
    };
    let undone = undoing.last(&account, None).await;
    println!("{}", crate::undo::as_table(&[(account.clone(), undone.clone())]));
    recorder.finish_operator(vec![undone.record(&account)]).await;
    drop(recorder);
    the_item(lab, &account)?;

    println!("\nThe next tick leaves it, because the undo left a veto:");
    one_tick(service, &account).await?;
    println!("\nThe veto is ended (`staging-sync unfreeze --account {ACCOUNT}`), and the entry goes:");
    journal.change_freezes(SystemTime::now(), |all| all.retain(|freeze| freeze.account != ACCOUNT)).await?;
    one_tick(service, &account).await
}

fn the_item(lab: &Lab, account: &AccountId) -> Result<(), CommandError> {
    let items = lab.plain_items().map_err(|error| CommandError(format!("lab: {error}")))?;
    let item: Vec<_> = items.into_iter().filter(|item| item["accountId"] == account.as_str()).collect();
    println!("{}", table::targets(&item));
    Ok(())
}

async fn one_tick(service: &Service, account: &AccountId) -> Result<(), CommandError> {
    let event = Event { account_ids: Some(BTreeSet::from([account.clone()])), ..Event::of("sync_staging_accounts") };
    let report = tick::with_progress(async |progress| service.tick(Tick::of(event), progress).await).await?;
    println!("{}", table::summary(&report.summary));
    Ok(())
}
