//! `staging-sync bench`: how fast a tick is, against a lab that answers as slowly as AWS.
//!
//! A time says little without its floor: the tick's AWS calls, each of which takes `latency`, in rounds of
//! `MAX_CONCURRENCY`. What is above it is the host's own doing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use staging_sync::aws::live::Patience;
use staging_sync::{Config, Event, Runtime, Tick};
use staging_sync_lab::{Account, Fleet, Lab, Region, Role};

use crate::{Exit, Unable, choice, lab, show, tick};

const ROLE: &str = "DRSOrchestrationRole";
const REGIONS: [&str; 8] = [
    "us-east-1",
    "us-west-2",
    "eu-west-1",
    "eu-central-1",
    "ap-south-1",
    "ap-southeast-2",
    "ca-central-1",
    "sa-east-1",
];

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    policy: choice::Choice,
    /// How many target accounts.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    accounts: u32,
    /// How many regions each of them is asked in.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=8))]
    regions: u8,
    /// How long every AWS call takes.
    #[arg(long, value_name = "MS", default_value_t = 100)]
    latency_ms: u64,
    /// `MAX_CONCURRENCY`.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=4096))]
    concurrency: u32,
    /// Prints the figures as JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(arguments: Arguments) -> Result<Exit, Unable> {
    let failed = |error: staging_sync_lab::Error| Unable(format!("lab: {error}"));
    let lab = Lab::start(fleet(&arguments)).await.map_err(failed)?;
    let mut variables = BTreeMap::from_iter(lab.env());
    variables.insert("MAX_CONCURRENCY", arguments.concurrency.to_string());
    variables.insert("MAX_REMOVALS_PERCENT", "100".into());
    let config = Config::read(&|name| variables.get(name).cloned())?;
    let policy = arguments.policy.load().await?;
    let door = Arc::new(lab::live(&lab, config.max_concurrency, Patience::default()));
    let runtime = Arc::new(Runtime::with(config, policy, door).await?);

    let mut measured = Vec::new();
    // The first tick of a new environment writes every item; the others find it warm, and nothing to do.
    for name in ["first, all change", "warm, nothing changes"] {
        lab.clear_calls();
        let began = Instant::now();
        let report = tick::with_progress(async |progress| {
            runtime.tick(Tick::of(Event::of("sync_staging_accounts")), progress).await
        })
        .await?;
        let took = began.elapsed();
        if report.counts.failed > 0 {
            return Err(Unable(format!("{} accounts failed: {}", report.counts.failed, show::json(&report.summary))));
        }
        measured.push(Measured { name, took, calls: lab.calls().len(), peak: lab.peak_concurrency() });
    }
    lab.shutdown().await;
    print(&arguments, &measured);
    Ok(Exit::Well)
}

/// One tick.
struct Measured {
    name: &'static str,
    took: Duration,
    calls: usize,
    peak: usize,
}

impl Measured {
    /// The least time in which so many calls can be made.
    fn floor(&self, arguments: &Arguments) -> Duration {
        let rounds = self.calls as f64 / f64::from(arguments.concurrency);
        Duration::from_millis(arguments.latency_ms).mul_f64(rounds)
    }

    /// How many times its floor the tick took; none without latency.
    fn ratio(&self, arguments: &Arguments) -> Option<f64> {
        let floor = self.floor(arguments).as_secs_f64();
        (floor > 0.0).then(|| self.took.as_secs_f64() / floor)
    }
}

fn print(arguments: &Arguments, measured: &[Measured]) {
    if arguments.json {
        let ticks = measured.iter().map(|tick| {
            json!({
                "tick": tick.name,
                "calls": tick.calls,
                "peakConcurrency": tick.peak,
                "seconds": tick.took.as_secs_f64(),
                "floorSeconds": tick.floor(arguments).as_secs_f64(),
                "ratio": tick.ratio(arguments),
            })
        });
        let figures = json!({
            "accounts": arguments.accounts,
            "regions": arguments.regions,
            "latencyMs": arguments.latency_ms,
            "maxConcurrency": arguments.concurrency,
            "ticks": ticks.collect::<Vec<_>>(),
        });
        println!("{}", show::json(&figures));
        return;
    }
    println!(
        "{} accounts in {} regions, {} ms a call, MAX_CONCURRENCY={}; floor: calls x {} ms / {}\n",
        arguments.accounts,
        arguments.regions,
        arguments.latency_ms,
        arguments.concurrency,
        arguments.latency_ms,
        arguments.concurrency,
    );
    let mut table = show::table(&["TICK", "CALLS", "AT ONCE", "FLOOR", "TOOK", "TOOK / FLOOR"]);
    for tick in measured {
        table.add_row([
            tick.name.to_owned(),
            tick.calls.to_string(),
            tick.peak.to_string(),
            format!("{:.2} s", tick.floor(arguments).as_secs_f64()),
            format!("{:.2} s", tick.took.as_secs_f64()),
            tick.ratio(arguments).map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}")),
        ]);
    }
    println!("{table}");
}

/// Target accounts without a stored staging account, each with one to find in every region.
fn fleet(arguments: &Arguments) -> Fleet {
    let regions = &REGIONS[..usize::from(arguments.regions).min(REGIONS.len())];
    let mut fleet = Fleet {
        regions: regions.iter().map(ToString::to_string).collect(),
        latency_ms: arguments.latency_ms,
        ..Fleet::default()
    };
    for number in 0..u64::from(arguments.accounts) {
        let id = format!("{:012}", 100_000_000_000 + number);
        let staging = |region: usize| format!("{:012}", 200_000_000_000 + number * 10 + region as u64);
        let item = json!({
            "accountId": id,
            "accountName": format!("Target {number}"),
            "roleArn": format!("arn:aws:iam::{id}:role/{ROLE}"),
        });
        fleet.targets.extend(item.as_object().cloned());
        let account = Account {
            roles: BTreeMap::from([(ROLE.to_owned(), Role::default())]),
            regions: (regions.iter().enumerate())
                .map(|(index, region)| (region.to_string(), Region::extended([staging(index)])))
                .collect(),
            page_size: None,
        };
        fleet.accounts.insert(id, account);
    }
    fleet
}
