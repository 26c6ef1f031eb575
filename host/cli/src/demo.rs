//! `staging-sync demo`: two ticks and a change of policies on this machine, step by step.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use staging_sync_console::Server;
use staging_sync_lab::{Call, Lab};
use staging_sync_runtime::aws::sdk_api::Patience;
use staging_sync_runtime::store::bucket::Objects;
use staging_sync_runtime::store::location::Location;
use staging_sync_runtime::{Config, Event, Service, Tick};

use crate::{CommandError, Exit, console, hot_swap, journal_demo, lab, policy_arg, table, tick};

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    policy: policy_arg::Choice,
    /// The fleet, as a JSON file. See `staging-sync lab`.
    #[arg(long, value_name = "FILE")]
    fleet: Option<PathBuf>,
    /// Show the result as a web page afterwards, until interrupted.
    #[arg(long)]
    console: bool,
    /// The address of the console.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8090", requires = "console")]
    listen: String,
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let failed = |error: staging_sync_lab::Error| CommandError(format!("lab: {error}"));
    let listener = match arguments.console {
        true => Some(console::listen("demo", &arguments.listen).await?),
        false => None,
    };
    let lab = Lab::start(lab::fleet(arguments.fleet.as_deref())?).await.map_err(failed)?;
    let variables = lab.env();
    let bucket = lab.edit(|fleet| fleet.hub.bucket.clone());
    let manifest = format!("s3://{bucket}/live/policy.json");
    let config = Config::read(&|name| match name {
        "JOURNAL" => Some(format!("s3://{bucket}/journal/")),
        "POLICY" => Some(manifest.clone()),
        name => variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()),
    })?;
    let policy = arguments.policy.load().await?;
    let bytes = std::fs::read(arguments.policy.path()).map_err(|error| CommandError(format!("the policy: {error}")))?;
    let objects = Arc::new(Objects::at(lab::endpoint(&lab), Patience::default()));
    let at = Location::parse(&manifest, Some(&objects)).map_err(CommandError)?;
    hot_swap::publish(&at, &policy, &bytes, json!({})).await?;
    println!("Policy {} {} from {}", policy.info().name, policy.info().version, arguments.policy.path().display());
    println!("A fleet on loopback, with DynamoDB, S3, STS and DRS at {}", lab.url());
    // What the fleet's faults throttle stays throttled: nobody is to watch that being waited for.
    let patience = Patience { throttled: Duration::ZERO, ..Patience::default() };
    let aws_api = Arc::new(lab::live(&lab, config.max_concurrency, patience));
    let table_name = config.table.clone();
    let place = config.journal.clone().unwrap_or_default();
    let service = Service::with(config, aws_api, Some(Arc::clone(&objects)))?;

    tick::strict(&service).await?;

    println!("\nThe table before:\n{}", table::targets(&lab.plain_items().map_err(failed)?));
    for (title, then) in [("The first tick:", "The table after it:"), ("A second tick, in which nothing changes:", "")]
    {
        lab.clear_calls();
        let report = tick::with_progress(async |progress| {
            service.tick(Tick::of(Event::of("sync_staging_accounts")), progress).await
        })
        .await?;
        println!("\n{title}\n{}", table::summary(&report.summary));
        println!("{}", calls(&lab.calls()));
        if !then.is_empty() {
            println!("\nIts summary, as the Lambda returns it:\n{}", table::json(&report.summary));
            println!("\n{then}\n{}", table::targets(&lab.plain_items().map_err(failed)?));
        }
    }
    if arguments.fleet.is_none() {
        hot_swap::run(&lab, &service, &at, &policy, &bytes).await?;
        if let Some(journal) = service.journal() {
            journal_demo::run(&lab, &service, journal, &table_name).await?;
        }
    }
    if let Some(listener) = listener {
        println!("\nThe console shows it (`staging-sync console --journal {place}`):");
        let console = console::of_demo(&place, &objects, &at, policy)?;
        console::serve_until_interrupted(Server::new(console, Vec::new(), None), listener).await?;
    }
    lab.shutdown().await;
    Ok(Exit::Success)
}

/// How many AWS calls a tick made, by operation.
fn calls(calls: &[Call]) -> String {
    let mut counts = std::collections::BTreeMap::<_, usize>::new();
    for call in calls {
        *counts.entry(format!("{}:{}", call.service, call.operation)).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    format!("AWS calls: {}", counts.join(", "))
}
