//! `staging-sync doctor`: checks whether ticks can run in this environment, with a remedy for each problem.

mod aws;
mod check;
mod host;
mod permissions;
mod target;

use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};
use staging_sync_runtime::aws::sdk_api::SdkApi;
use staging_sync_runtime::aws::{Access, Aws, discovery::Listing};
use staging_sync_runtime::text::counted;

use crate::accounts::Accounts;
use crate::{CommandError, Exit, table};
use check::{Check, Status};
use permissions::Permissions;

/// The command that shows the stack's schedule; this program doesn't contain the EventBridge SDK.
const LOOK_AT_SCHEDULE: &str = "aws events list-rules --query \"Rules[?contains(Name, 'staging-account-sync')].[Name, State, \
                                ScheduleExpression]\" --output table";

#[derive(Args)]
#[command(
    after_long_help = "`doctor` changes nothing. To check whether the table can be written, it sends an update whose \
                       condition can't be true. It uses the credentials of your environment: to check what the function may do, \
                       run it with the function's role."
)]
pub struct Arguments {
    #[command(flatten)]
    accounts: Accounts,
    /// Print the checks as JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let checks = checks(arguments.accounts).await;
    let count = |status: Status| checks.iter().filter(|check| check.status == status).count();
    let [ok, warning, failed, not_checked] =
        [Status::Ok, Status::Warning, Status::Failed, Status::NotChecked].map(count);
    if arguments.json {
        let list: Vec<Value> = checks.iter().map(Check::json).collect();
        let result =
            json!({"ok": ok, "warnings": warning, "failed": failed, "notChecked": not_checked, "checks": list});
        println!("{}", table::json(&result));
    } else {
        for check in &checks {
            println!("{}", check.lines());
        }
        println!("\n{ok} ok, {}, {failed} failed, {not_checked} not checked", counted(warning, "warning"));
    }
    Ok(if failed > 0 { Exit::Failed } else { Exit::Success })
}

/// All checks, in the order in which to fix what they find.
async fn checks(accounts: Accounts) -> Vec<Check> {
    let (environment, settings) = host::environment().await;
    let (certificates, trusted) = host::certificates().await;
    let mut checks = vec![environment, certificates];
    let unreachable = if settings.is_none() { Some("environment") } else { (!trusted).then_some("certificates") };
    let known = match unreachable {
        Some(other) => {
            checks.extend([Check::behind("credentials", other), Check::behind("clock", other)]);
            None
        }
        None => {
            let (found, live) = aws::credentials().await;
            checks.extend(found);
            live
        }
    };
    // The check that blocks all checks that call AWS.
    let blocked = unreachable.or(known.is_none().then_some("credentials"));

    let (policy, release) = match &settings {
        Some(settings) => host::policy(settings, known.as_ref().map(|known| &known.live)).await,
        None => (Check::behind("policy", "environment"), None),
    };
    let access = release.map_or_else(
        || Access { listings: vec![Listing::StagingAccounts], updates: true },
        |release| release.policy().access(),
    );
    match (&settings, &known) {
        (Some(settings), Some(known)) => {
            checks.extend(in_aws(settings, known, &access, accounts).await);
            checks.push(policy);
            checks.push(host::bucket(settings).await);
            checks.push(host::journal(settings, &known.live).await);
        }
        _ => {
            let blocked = blocked.unwrap_or("credentials");
            checks.extend(["table", "role", "region", "permissions"].map(|name| Check::behind(name, blocked)));
            checks.push(policy);
            checks.extend(["bucket", "journal"].map(|name| Check::behind(name, blocked)));
        }
    }
    let unknown = "this program doesn't call EventBridge";
    checks.push(Check::not_checked("schedule", unknown, format!("check the deployed rule: {LOOK_AT_SCHEDULE}")));
    checks
}

/// The checks of the table and of target accounts, and what they show of permissions.
async fn in_aws(settings: &host::Settings, known: &aws::Known, access: &Access, accounts: Accounts) -> Vec<Check> {
    let mut permissions = Permissions::default();
    let Some(table) = &settings.table else {
        let unset = Check::failed(
            "table",
            "TARGET_ACCOUNTS_TABLE isn't set",
            "set TARGET_ACCOUNTS_TABLE to the name of the DynamoDB table of target accounts",
        );
        let behind = ["role", "region", "permissions"].map(|name| Check::behind(name, "table"));
        return [unset].into_iter().chain(behind).collect();
    };
    let live: &Arc<SdkApi> = &known.live;
    let host = Aws::new(Arc::clone(live) as _, table, access);
    let (check, usable) = aws::table(live, &host, table, &mut permissions).await;
    let mut checks = vec![check];
    if usable {
        let targets = target::Targets { host: &host, live, settings, caller: &known.caller, access };
        checks.extend(targets.check(accounts.named(), &mut permissions).await);
    } else {
        checks.extend(["role", "region"].map(|name| Check::behind(name, "table")));
    }
    permissions.probe(live, table, access).await;
    checks.push(permissions.check(access, &known.caller));
    checks
}
