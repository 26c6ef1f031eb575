//! `staging-sync simulate`: ticks of any size in simulated time, with the real scheduler and the real policy.
//!
//! AWS's answers, its quotas and the processor are simulated. The clock jumps to the next event, so an hour takes only
//! as long as its computation. The same input always produces the same result.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};
use staging_sync_runtime::aws::Segment;
use staging_sync_runtime::policy::Policy;
use staging_sync_runtime::text::counted;
use staging_sync_runtime::{Config, Event, Runtime, Tick};
use tokio::time::Instant;

use crate::{CommandError, Exit, policy_arg, table};
use staging_sync_workbench::simulate::cloud::{self, Cloud, Host, SERVICES, begin};
use staging_sync_workbench::simulate::quota::{Rate, Rates};

/// The processor time of a call, the policy's share included, in microseconds of a whole vCPU: what `staging-sync bench`
/// measures without latency, in round numbers.
const PER_CALL_US: u64 = 600;
/// A Lambda has a vCPU for so many MB.
const MB_PER_VCPU: f64 = 1_769.0;
/// What a GB-second and an invocation cost, in dollars (x86_64, us-east-1).
const GB_SECOND: f64 = 0.000_016_666_7;
const INVOCATION: f64 = 0.000_000_2;
/// Ticks in 30 days.
const TICKS: f64 = 8_640.0;
/// How many segments a Map state runs at once where it isn't a distributed one.
const INLINE_MAP: usize = 40;

/// Memories that `--fit` tries, in MB: the stack's default, and those of one and of two vCPUs.
const MEMORIES: [u32; 3] = [512, 1_769, 3_538];
/// How many more segments `--fit` tries at the most, a quarter more each time, where quotas keep them from being enough.
const TRIES: u32 = 4;

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    policy: policy_arg::Choice,
    /// The number of target accounts, 1 to 1000000.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    accounts: u32,
    /// The number of regions in which each account is asked, 1 to 34. All of them are in use.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=34))]
    regions: u8,
    /// The time of an AWS call, in ms, plus or minus a quarter.
    #[arg(long, value_name = "MS", default_value_t = 80)]
    latency_ms: u64,
    /// A quota of AWS per second: drs (calls of a target account to a region, default 10), drs-account (calls of a target
    /// account to all regions together, no default), sts (calls of the hub, default 600), dynamodb (capacity units of
    /// the table, default 4000).
    #[arg(long, value_name = "SERVICE=RATE")]
    throttle: Vec<Rate>,
    /// `MAX_CONCURRENCY`, 1 to 4096.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=4096))]
    concurrency: u32,
    /// The Lambda function's memory, which determines its processor share (one vCPU per 1769 MB). 128 to 10240.
    #[arg(long, value_name = "MB", default_value_t = 512, value_parser = clap::value_parser!(u32).range(128..=10_240))]
    memory_mb: u32,
    /// The Lambda function's timeout, 30 to 900.
    #[arg(long, value_name = "SECONDS", default_value_t = 270, value_parser = clap::value_parser!(u32).range(30..=900))]
    timeout: u32,
    /// The size of an item of the table, 100 to 400000.
    #[arg(long, value_name = "BYTES", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(100..=400_000))]
    item_bytes: u32,
    /// The number of segments, each of which runs in its own invocation, 1 to 1000.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    segments: u32,
    /// Find the memory and the number of segments that cost least and reach all accounts within the timeout.
    #[arg(long, conflicts_with_all = ["memory_mb", "segments"])]
    fit: bool,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

/// The Lambdas of a simulation.
#[derive(Debug, Clone, Copy)]
struct Shape {
    memory_mb: u32,
    segments: u32,
}

/// One tick, as it came out.
struct Simulated {
    name: &'static str,
    /// The longest of the segments, one after the other where they didn't run at once.
    took: Duration,
    /// Of all segments together.
    billed: Duration,
    /// Answered and throttled calls, by service.
    calls: [cloud::Reached; SERVICES.len()],
    /// The accounts: all of them are one of these.
    done: u64,
    failed: u64,
    deferred: u64,
    /// Those of segments that failed as a whole: nobody knows what became of them.
    unknown: u64,
    /// What stood in the way first.
    limit: Option<String>,
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let policy = arguments.policy.load().await?;
    // The clock stands still only in a runtime of its own, with one thread.
    let simulation = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.map_err(|error| CommandError(format!("no runtime: {error}")))?;
        let given = Shape { memory_mb: arguments.memory_mb, segments: arguments.segments };
        // The clock of a runtime goes on from one simulation to the next; each begins where it is.
        let (shape, ticks) = match arguments.fit {
            true => runtime.block_on(fit(&arguments, &policy))?,
            false => (given, runtime.block_on(simulate(&arguments, given, &policy))?),
        };
        print(&arguments, shape, &ticks);
        Ok(if ticks.iter().all(Simulated::gets_through) { Exit::Success } else { Exit::Failed })
    });
    let done = tokio::task::spawn_blocking(|| simulation.join()).await;
    done.ok()
        .and_then(Result::ok)
        .unwrap_or_else(|| Err(CommandError("the simulation ended because of a bug; please report it".into())))
}

/// The cheapest Lambdas that get through. How much one of each memory gets done in a tick says how many are needed; the
/// simulation of all of them says whether that's so.
async fn fit(arguments: &Arguments, policy: &Policy) -> Result<(Shape, Vec<Simulated>), CommandError> {
    let mut candidates = Vec::new();
    for memory_mb in MEMORIES {
        let one = Shape { memory_mb, segments: 1 };
        let ticks = simulate(arguments, one, policy).await?;
        let done = ticks.iter().map(|tick| tick.done).min().unwrap_or_default();
        if done == 0 {
            continue;
        }
        let gets_through = ticks.iter().all(Simulated::gets_through);
        let segments = if gets_through { 1 } else { (f64::from(arguments.accounts) / done as f64 * 1.1).ceil() as u32 };
        let dollars = ticks.iter().map(|tick| tick.dollars_a_month(one)).fold(0.0, f64::max) * f64::from(segments);
        let shape = Shape { memory_mb, segments };
        let done = counted(done as usize, "account");
        say!(
            "{memory_mb} MB: one Lambda reaches {done} in a tick, so {segments} are needed, for about ${dollars:.2} a month"
        );
        candidates.push((dollars, shape));
    }
    candidates.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    for (_, mut shape) in candidates {
        for _ in 0..TRIES {
            let ticks = simulate(arguments, shape, policy).await?;
            if ticks.iter().all(Simulated::gets_through) {
                return Ok((shape, ticks));
            }
            say!("{} MB: {} Lambdas don't reach all accounts", shape.memory_mb, shape.segments);
            shape.segments += shape.segments.div_ceil(4);
        }
    }
    let timeout = arguments.timeout;
    Err(CommandError(format!(
        "no number of segments reaches all accounts in {timeout} s: the quotas are too small for this number of calls"
    )))
}

async fn simulate(arguments: &Arguments, shape: Shape, policy: &Policy) -> Result<Vec<Simulated>, CommandError> {
    let regions: Vec<String> = (1..=arguments.regions).map(|number| format!("xx-simulated-{number:02}")).collect();
    let variables = BTreeMap::from([
        ("TARGET_ACCOUNTS_TABLE", "simulated".to_owned()),
        ("DRS_REGIONS", regions.join(",")),
        ("MAX_CONCURRENCY", arguments.concurrency.to_string()),
        ("MAX_REMOVALS_PERCENT", "100".into()),
    ]);
    let config = Config::read(&|name| variables.get(name).cloned())?;
    let cloud = Arc::new(Cloud {
        accounts: arguments.accounts,
        regions: config.regions.clone(),
        item_bytes: arguments.item_bytes,
        latency: Duration::from_millis(arguments.latency_ms),
        rates: Rates::with(&arguments.throttle),
        state: Default::default(),
    });
    let per_call = Duration::from_micros(PER_CALL_US).mul_f64(MB_PER_VCPU / f64::from(shape.memory_mb));
    let mut hosts = Vec::new();
    for segment in 0..shape.segments {
        let host = Host::new(&cloud, config.max_concurrency, per_call, u64::from(segment));
        hosts.push(Arc::new(Runtime::with(config.clone(), policy.clone(), Arc::new(host)).await?));
    }
    let mut ticks = Vec::new();
    for name in ["first, all change", "warm, nothing changes"] {
        let began = Instant::now();
        (cloud.state().calls, cloud.state().first_throttled) = Default::default();
        let runs = hosts.iter().enumerate().map(|(segment, host)| async move {
            let mut event = Event::of("sync_staging_accounts");
            if shape.segments > 1 {
                event.segment = Some(Segment { segment: segment as u32, total: shape.segments });
            }
            let began = Instant::now();
            let deadline = Some(began + Duration::from_secs(arguments.timeout.into()));
            let report = host.tick(Tick { now: begin(), deadline, ..Tick::of(event) }, |_, _| ()).await;
            (segment as u32, began.elapsed(), report)
        });
        let runs: Vec<_> = stream::iter(runs).buffer_unordered(INLINE_MAP).collect().await;
        let mut tick = Simulated {
            name,
            took: began.elapsed(),
            billed: runs.iter().map(|(_, took, _)| *took).sum(),
            calls: cloud.state().calls,
            done: 0,
            failed: 0,
            deferred: 0,
            unknown: 0,
            limit: None,
        };
        for (segment, _, report) in runs {
            let share = arguments.accounts / shape.segments + u32::from(segment < arguments.accounts % shape.segments);
            let share = u64::from(share);
            match report {
                Ok(report) => {
                    let deferred = report.metrics.iter().find(|metric| metric.name == "accountsDeferred");
                    let deferred = deferred.map_or(0, |metric| metric.value);
                    tick.failed += report.counts.failed as u64;
                    tick.deferred += deferred;
                    tick.done += (report.counts.total as u64).saturating_sub(report.counts.failed as u64 + deferred);
                    tick.deferred += if report.not_read { share.saturating_sub(report.counts.total as u64) } else { 0 };
                }
                Err(_) => tick.unknown += share,
            }
        }
        let throttled = cloud.state().first_throttled;
        let throttled = throttled.map(|(at, service)| (service, (at - began).as_secs_f64()));
        // Throttling that it gets through with isn't what keeps it from getting through.
        tick.limit = match throttled {
            _ if tick.deferred > 0 && tick.failed == 0 => Some("the Lambda's timeout".into()),
            Some((service, after)) => Some(format!("{service} throttles after {after:.1} s")),
            None => None,
        };
        ticks.push(tick);
    }
    Ok(ticks)
}

impl Simulated {
    fn calls(&self) -> u64 {
        self.calls.iter().map(|calls| calls.answered).sum()
    }

    fn throttled(&self) -> u64 {
        self.calls.iter().map(|calls| calls.throttled).sum()
    }

    /// Whether it gets to all accounts, and decides them.
    fn gets_through(&self) -> bool {
        self.failed + self.deferred + self.unknown == 0
    }

    fn gb_seconds(&self, shape: Shape) -> f64 {
        self.billed.as_secs_f64() * f64::from(shape.memory_mb) / 1_024.0
    }

    fn dollars_a_month(&self, shape: Shape) -> f64 {
        TICKS * (self.gb_seconds(shape) * GB_SECOND + f64::from(shape.segments) * INVOCATION)
    }

    fn figures(&self, shape: Shape) -> Value {
        let calls = SERVICES.iter().zip(self.calls);
        let calls = calls.map(|(service, calls)| {
            (service.to_string(), json!({"answered": calls.answered, "throttled": calls.throttled}))
        });
        json!({
            "tick": self.name,
            "seconds": self.took.as_secs_f64(),
            "calls": serde_json::Map::from_iter(calls),
            "accountsDone": self.done,
            "accountsFailed": self.failed,
            "accountsDeferred": self.deferred,
            "accountsUnknown": self.unknown,
            "lambdaGbSeconds": self.gb_seconds(shape),
            "lambdaDollarsAMonth": self.gets_through().then(|| self.dollars_a_month(shape)),
            "firstLimit": self.limit,
        })
    }
}

fn print(arguments: &Arguments, shape: Shape, ticks: &[Simulated]) {
    if arguments.json {
        let figures = json!({
            "accounts": arguments.accounts,
            "regions": arguments.regions,
            "latencyMs": arguments.latency_ms,
            "maxConcurrency": arguments.concurrency,
            "memoryMb": shape.memory_mb,
            "segments": shape.segments,
            "ticks": ticks.iter().map(|tick| tick.figures(shape)).collect::<Vec<_>>(),
        });
        println!("{}", table::json(&figures));
        return;
    }
    println!(
        "{} in {}, {} ms a call, MAX_CONCURRENCY={}, {} MB, {}\n",
        counted(arguments.accounts as usize, "account"),
        counted(arguments.regions.into(), "region"),
        arguments.latency_ms,
        arguments.concurrency,
        shape.memory_mb,
        if shape.segments > 1 { format!("{} segments", shape.segments) } else { "one Lambda".into() },
    );
    let mut table = table::table(&[
        "TICK",
        "TAKES",
        "CALLS",
        "THROTTLED",
        "DONE",
        "FAILED",
        "DEFERRED",
        "GB-SECONDS",
        "LAMBDA A MONTH",
        "FIRST LIMIT",
    ]);
    for tick in ticks {
        table.add_row([
            tick.name.to_owned(),
            format!("{:.1} s", tick.took.as_secs_f64()),
            tick.calls().to_string(),
            tick.throttled().to_string(),
            tick.done.to_string(),
            (tick.failed + tick.unknown).to_string(),
            tick.deferred.to_string(),
            format!("{:.1}", tick.gb_seconds(shape)),
            match tick.gets_through() {
                true => format!("${:.2}", tick.dollars_a_month(shape)),
                false => "not all accounts".into(),
            },
            tick.limit.clone().unwrap_or_else(|| "none".into()),
        ]);
    }
    println!("{table}");
    if !ticks.iter().all(Simulated::gets_through) {
        println!(
            "\nA tick doesn't reach all accounts. To find the memory and the number of segments that do, use `--fit`."
        );
    }
}
