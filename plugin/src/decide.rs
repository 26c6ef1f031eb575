//! The decision of one account: what is stored, what DRS reports, what changes, and the outcome.

use std::collections::BTreeMap;

use serde_json::json;

use crate::diff::{diff, incomplete};
use crate::settings::{self, Removals, Settings};
use crate::skip;
use crate::types::{
    Account, AwsError, Change, NewStagingAccount, Outcome, Receipt, RegionError, RegionView, Status, Tick,
};

/// Decides `account`, and asks the host only for what is needed: `discover` unless the account is skipped
/// or the settings can't be used, `update` if the stored list is to change. Both as the WIT package says.
pub fn decide(
    tick: &Tick,
    account: &Account,
    discover: impl FnOnce(&[String]) -> Result<Vec<RegionView>, AwsError>,
    update: impl FnOnce(&Change) -> Receipt,
) -> Outcome {
    let outcome = unchanged(account);
    if let Some(reason) = skip::reason(account) {
        return Outcome { status: Status::Skipped, reason: Some(reason.into()), ..outcome };
    }
    let settings = match settings_for(tick) {
        Ok(settings) => settings,
        Err(error) => return failed(outcome, error),
    };
    let views = match discover(settings.regions.as_deref().unwrap_or_default()) {
        Ok(views) => views,
        Err(error) => return failed(outcome, blame(&error)),
    };

    let asked = settings.regions.as_ref().unwrap_or(&tick.regions);
    // Some of the regions show what there is, but not what there isn't.
    let limited = tick.regions.iter().any(|region| !asked.contains(region));
    let removals = if limited { Removals::None } else { settings.removals };
    let diff = diff(account, &views, removals);
    let unread = incomplete(asked, &views);

    let mut outcome = Outcome {
        incomplete_regions: unread
            .iter()
            .map(|(region, error)| RegionError { region: region.clone(), code: error.code.clone() })
            .collect(),
        extra: (!diff.kept.is_empty()).then(|| json!({ "kept": diff.kept }).to_string()),
        ..outcome
    };
    let mut remove = Vec::from_iter(diff.removable);
    if !unread.is_empty() && !remove.is_empty() {
        outcome.held_reason = Some("Incomplete discovery".into());
        outcome.held_removals.append(&mut remove);
    }
    let add = diff.add.into_iter().map(|(id, region)| entry(account, &settings, id, region));
    let change = Change { add: add.collect(), remove };
    if !change.add.is_empty() || !change.remove.is_empty() {
        changed(outcome, update(&change))
    } else if !unread.is_empty() {
        failed(outcome, describe(&unread))
    } else {
        outcome
    }
}

/// An outcome that leaves everything as it is.
fn unchanged(account: &Account) -> Outcome {
    Outcome {
        status: Status::Unchanged,
        reason: None,
        error: None,
        added: Vec::new(),
        removed: Vec::new(),
        held_removals: Vec::new(),
        held_reason: None,
        staging_account_count: u32::try_from(account.staging_accounts.len()).unwrap_or(u32::MAX),
        incomplete_regions: Vec::new(),
        extra: None,
    }
}

/// Says whose fault it is that no region could be asked.
fn blame(error: &AwsError) -> String {
    let whose = if ["NoRole", "InvalidRole"].contains(&error.code.as_str()) { "item" } else { "AWS" };
    format!("{whose}: {}: {}", error.code, error.message)
}

fn failed(outcome: Outcome, error: String) -> Outcome {
    Outcome { status: Status::Failed, error: Some(error), ..outcome }
}

/// The outcome of a change, as far as the host took it.
fn changed(mut outcome: Outcome, receipt: Receipt) -> Outcome {
    outcome.held_removals.extend(receipt.held);
    outcome.held_removals.sort();
    outcome.held_removals.dedup();
    outcome.held_reason = receipt.held_reason.or(outcome.held_reason);
    if receipt.added.is_empty() && receipt.removed.is_empty() {
        let reason = outcome.held_reason.as_deref().unwrap_or("the host gave no reason");
        let error = format!("Removals held: {reason}");
        return failed(outcome, error);
    }
    Outcome {
        status: Status::Updated,
        added: receipt.added,
        removed: receipt.removed,
        staging_account_count: receipt.total,
        ..outcome
    }
}

/// The settings, or why they can't be used in this tick.
fn settings_for(tick: &Tick) -> Result<Settings, String> {
    let settings = settings::parse(&tick.settings).map_err(|errors| {
        let errors = errors.iter().map(|error| format!("{}: {}", error.path, error.message));
        format!("POLICY_SETTINGS: {}", errors.collect::<Vec<_>>().join("; "))
    })?;
    let unknown = settings.regions.iter().flatten().filter(|region| !tick.regions.contains(region));
    let unknown = unknown.map(String::as_str).collect::<Vec<_>>().join(", ");
    if !unknown.is_empty() {
        return Err(format!(
            "The setting `regions` names {unknown}, which isn't among the tick's regions: \
             fix POLICY_SETTINGS or DRS_REGIONS"
        ));
    }
    // Nothing asked is nothing known, and would read like an account without staging accounts.
    if tick.regions.is_empty() {
        return Err("There is no region to ask: fix DRS_REGIONS".into());
    }
    Ok(settings)
}

/// The complete entry for a staging account that DRS named.
fn entry(account: &Account, settings: &Settings, id: String, discovered_from: String) -> NewStagingAccount {
    // `arn:<partition>:iam::...`; the staging accounts are in the target's partition.
    let partition = skip::role_arn(account)
        .and_then(|arn| arn.strip_prefix("arn:")?.split(':').next())
        .filter(|partition| !partition.is_empty())
        .unwrap_or("aws");
    NewStagingAccount {
        name: format!("Staging Account {id}"),
        role_arn: format!("arn:{partition}:iam::{id}:role/{}", settings.staging_role_name),
        external_id: settings.external_id(&id),
        discovered_from,
        id,
    }
}

/// Like `ThrottlingException in eu-west-1 (Rate exceeded); AccessDeniedException in us-east-1`.
/// A message that several regions gave is said once.
fn describe(unread: &BTreeMap<String, AwsError>) -> String {
    let mut said = Vec::new();
    let errors = unread.iter().map(|(region, error)| {
        let name = format!("{} in {region}", error.code);
        if error.message.is_empty() || said.contains(&&error.message) {
            return name;
        }
        said.push(&error.message);
        format!("{name} ({})", error.message)
    });
    format!("AWS: {}", errors.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests;
