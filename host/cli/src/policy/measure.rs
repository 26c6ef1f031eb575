//! `staging-sync policy measure`: the cost of policies, side by side, without AWS and without a network.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use staging_sync_runtime::aws::{AwsApi, AwsError, Call, Request};
use staging_sync_runtime::policy::Policy;
use staging_sync_runtime::{Config, Event, Runtime, Tick};

use crate::{CommandError, Exit, table};

#[derive(Args)]
pub struct Arguments {
    /// The policies to measure.
    #[arg(required = true)]
    policies: Vec<PathBuf>,
    /// The number of target accounts that each policy decides, one after another, 1 to 100000. Every account changes.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    accounts: u32,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

/// What one policy costs.
struct Cost {
    policy: String,
    bytes: u64,
    load: Duration,
    account: Duration,
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let mut costs = Vec::new();
    for path in &arguments.policies {
        costs.push(measure(path, arguments.accounts).await?);
    }
    if arguments.json {
        let figures = costs.iter().map(|cost| {
            json!({
                "policy": cost.policy,
                "bytes": cost.bytes,
                "loadSeconds": cost.load.as_secs_f64(),
                "accountSeconds": cost.account.as_secs_f64(),
            })
        });
        println!("{}", table::json(&figures.collect()));
        return Ok(Exit::Success);
    }
    let mut table = table::table(&["POLICY", "SIZE", "COMPILE TIME", "PER ACCOUNT"]);
    for cost in &costs {
        table.add_row([
            cost.policy.clone(),
            format!("{:.2} MB", cost.bytes as f64 / 1e6),
            format!("{:.2} s", cost.load.as_secs_f64()),
            format!("{:.2} ms", cost.account.as_secs_f64() * 1e3),
        ]);
    }
    println!("{table}");
    Ok(Exit::Success)
}

async fn measure(path: &Path, accounts: u32) -> Result<Cost, CommandError> {
    let policy = path.display().to_string();
    let variables =
        [("TARGET_ACCOUNTS_TABLE", "measured"), ("DRS_REGIONS", "eu-central-1,us-east-1"), ("MAX_CONCURRENCY", "1")];
    let get = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let config = Config::read(&get)?;
    let bytes = super::read(path)?;
    let began = Instant::now();
    let loaded = Policy::from_bytes(&bytes, config.limits).await?;
    let load = began.elapsed();
    let Some(operation) = loaded.info().operations.first().map(|operation| operation.name.clone()) else {
        return Err(CommandError(format!("{policy}: the policy serves no operation")));
    };
    let runtime = Arc::new(Runtime::with(config, loaded, Arc::new(Canned { accounts })).await?);
    let began = Instant::now();
    let report = runtime.tick(Tick::of(Event::of(&operation)), |_, _| ()).await?;
    let account = began.elapsed() / accounts;
    if report.counts.failed > 0 {
        return Err(CommandError(format!("{policy}: {} of {accounts} accounts failed", report.counts.failed)));
    }
    Ok(Cost { policy, bytes: bytes.len() as u64, load, account })
}

/// An AWS that answers at once: accounts with nothing stored, and one staging account to find for each.
struct Canned {
    accounts: u32,
}

impl AwsApi for Canned {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Value, AwsError>> {
        let answer = match &call.request {
            Request::Scan { .. } => json!({"Items": (0..self.accounts).map(item).collect::<Vec<_>>()}),
            Request::AssumeRole { .. } => json!({"Credentials": {"Expiration": "2999-01-01T00:00:00Z"}}),
            Request::ListStagingAccounts { .. } => json!({"accounts": [{"accountID": "999999999999"}]}),
            Request::DescribeSourceServers { .. } => json!({"items": []}),
            Request::GetItem { .. } | Request::UpdateItem { .. } => json!({}),
        };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

fn item(number: u32) -> Value {
    let id = format!("{:012}", 100_000_000_000 + u64::from(number));
    json!({
        "accountId": {"S": id},
        "accountName": {"S": format!("Target {number}")},
        "roleArn": {"S": format!("arn:aws:iam::{id}:role/DRSOrchestrationRole")},
    })
}
