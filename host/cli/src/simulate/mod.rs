//! `staging-sync simulate`: ticks of any size in simulated time, with the real scheduler and the real policy.
//!
//! AWS's answers, its quotas and the processor are simulated. The clock jumps to the next event, so an hour takes only
//! as long as its computation. The same input always produces the same result.

use clap::Args;
use serde_json::json;
use staging_sync_runtime::policy::Policy;
use staging_sync_runtime::text::counted;
use staging_sync_workbench::simulate::quota::Rate;
use staging_sync_workbench::simulate::scenario::{self, Figures, Scenario, Shape, Simulated, simulate};

use crate::{CommandError, Exit, policy_arg, table};

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

impl Arguments {
    fn scenario(&self) -> Scenario {
        Scenario {
            accounts: self.accounts,
            regions: self.regions,
            latency_ms: self.latency_ms,
            throttle: self.throttle.clone(),
            concurrency: self.concurrency,
            timeout: self.timeout,
            item_bytes: self.item_bytes,
        }
    }
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let policy = arguments.policy.load().await?;
    // The clock stands still only in a runtime of its own, with one thread.
    let simulation = std::thread::spawn(move || {
        let runtime = scenario::runtime().map_err(|error| CommandError(format!("no runtime: {error}")))?;
        let given = Shape { memory_mb: arguments.memory_mb, segments: arguments.segments };
        // The clock of a runtime goes on from one simulation to the next; each begins where it is.
        let (shape, ticks) = match arguments.fit {
            true => runtime.block_on(fit(&arguments, &policy))?,
            false => (given, runtime.block_on(simulate(&arguments.scenario(), given, &policy))?),
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
    let (mut candidates, scenario) = (Vec::new(), arguments.scenario());
    for memory_mb in MEMORIES {
        let one = Shape { memory_mb, segments: 1 };
        let ticks = simulate(&scenario, one, policy).await?;
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
            let ticks = simulate(&scenario, shape, policy).await?;
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

fn print(arguments: &Arguments, shape: Shape, ticks: &[Simulated]) {
    if arguments.json {
        let figures = Figures::of(&arguments.scenario(), shape, ticks);
        println!("{}", table::json(&json!(figures)));
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
