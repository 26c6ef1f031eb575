//! The demo's second half: policies change while the host runs.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use staging_sync_lab::{Lab, Region};
use staging_sync_runtime::account::AccountId;
use staging_sync_runtime::activation::manifest::{Entry, Manifest};
use staging_sync_runtime::activation::publish::{self, published, rolled_back};
use staging_sync_runtime::policy::Policy;
use staging_sync_runtime::store::location::Location;
use staging_sync_runtime::{Event, Service, Tick};

use crate::{CommandError, table, tick};

/// The target account that is looked at, and what it loses.
const ACCOUNT: &str = "123456789012";
const REGION: &str = "us-west-2";

/// Makes a policy the active one of the manifest, as `staging-sync policy publish` does.
pub async fn publish(at: &Location, policy: &Policy, bytes: &[u8], settings: Value) -> Result<(), CommandError> {
    let settings = settings.as_object().cloned().filter(|settings| *settings != Map::new());
    let entry = Entry::of(policy.info(), bytes, settings);
    let _ = publish::keep(at, &entry.component, bytes.to_vec()).await?;
    change(at, |before| published(before, entry, false)).await
}

async fn change(
    at: &Location,
    change: impl FnOnce(Option<Manifest>) -> Result<Manifest, String>,
) -> Result<(), CommandError> {
    let stored = publish::read(at).await?;
    let manifest = change(stored.as_ref().map(|stored| stored.manifest.clone())).map_err(CommandError)?;
    Ok(publish::replace(at, stored.as_ref().map(|stored| stored.version.as_str()), &manifest).await?)
}

/// Another rule, a broken policy, and a rollback.
pub async fn run(
    lab: &Lab,
    service: &Service,
    at: &Location,
    policy: &Policy,
    bytes: &[u8],
) -> Result<(), CommandError> {
    lab.edit(|fleet| {
        if let Some(account) = fleet.accounts.get_mut(ACCOUNT) {
            account.regions.insert(REGION.into(), Region::extended([""; 0]));
        }
    });
    println!(
        "\nPolicies change while the host runs. Meanwhile, {ACCOUNT} no longer uses a staging account in {REGION}."
    );
    println!("\nA rule that removes nothing is published:");
    publish(at, policy, bytes, json!({"removals": "none"})).await?;
    one_tick(service).await?;
    println!("\nHalf a policy is published:");
    publish(at, policy, bytes.get(..bytes.len() / 2).unwrap_or_default(), json!({})).await?;
    one_tick(service).await?;
    println!("\nThe half is rolled back, and the first rule published again:");
    change(at, |before| rolled_back(before.ok_or("there is no manifest")?)).await?;
    publish(at, policy, bytes, json!({})).await?;
    one_tick(service).await
}

/// Runs a tick over the one account, and prints which policy decided it.
async fn one_tick(service: &Service) -> Result<(), CommandError> {
    let mut event = Event::of("sync_staging_accounts");
    event.account_ids = AccountId::parse(ACCOUNT).map(|id| BTreeSet::from([id]));
    let report = tick::with_progress(async |progress| service.tick(Tick::of(event), progress).await).await?;
    let release = service.release("sync_staging_accounts").await?;
    println!("{}", table::summary(&report.summary));
    println!("decided by {release} with settings {}", release.settings());
    Ok(())
}
