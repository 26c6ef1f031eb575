//! `staging-sync simulate`: ticks of any size in simulated time, with the real scheduler and the real policy.
//!
//! AWS's answers, its quotas and the processor are simulated. The clock jumps to the next event, so an hour takes only
//! as long as its computation. The same command always produces the same result.

mod plot;
mod print;

use std::path::PathBuf;

use clap::Args;
use staging_sync_runtime::policy::Policy;
use staging_sync_runtime::text::counted;
use staging_sync_workbench::simulate::quota::Rate;
use staging_sync_workbench::simulate::scenario::{self, Figures, Scenario, Shape, Simulated, simulate};

use crate::chart::{self, Destination};
use crate::{CommandError, Exit, policy_arg};

/// Memories that `--fit` tries, in MB: the stack's default, and those of one and of two vCPUs.
const MEMORIES: [u32; 3] = [512, 1_769, 3_538];
/// How many more segments `--fit` tries at the most, a quarter more each time, where quotas keep them from being enough.
const TRIES: u32 = 4;
/// The numbers of accounts and of segments of a chart.
const PLOTTED_ACCOUNTS: [u32; 6] = [10, 100, 1_000, 10_000, 100_000, 1_000_000];
const PLOTTED_SEGMENTS: [u32; 2] = [1, 16];

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    policy: policy_arg::Choice,
    /// The number of target accounts, 1 to 1000000. Each number of a comma-separated list is simulated separately.
    /// Default: 1000; with --plot, the powers of ten from 10 to 1000000.
    #[arg(long, value_name = "COUNT", value_delimiter = ',',
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    accounts: Vec<u32>,
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
    /// The number of segments, each of which runs in its own invocation, 1 to 1000. Each number of a comma-separated list
    /// is simulated separately. Default: 1; with --plot, 1 and 16.
    #[arg(long, value_name = "COUNT", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=1_000))]
    segments: Vec<u32>,
    /// Find the memory and the number of segments that cost least and reach all accounts within the timeout.
    #[arg(long, conflicts_with_all = ["memory_mb", "segments"])]
    fit: bool,
    /// Draw time, calls, cost and memory by number of accounts, with the quotas, into an SVG file. With the default sizes,
    /// this takes 5 to 10 minutes.
    #[arg(long, value_name = "FILE.svg", value_parser = chart::file_name, conflicts_with = "fit")]
    plot: Option<PathBuf>,
    /// Print the figures as JSON: an object, or a list if several numbers are simulated.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    /// The sizes to simulate: numbers of accounts, and the Lambdas for each, in rising order without repetition.
    fn sizes(&self) -> (Vec<u32>, Vec<u32>) {
        let sorted = |given: &[u32], plotted: &[u32], one: u32| {
            let default = if self.plot.is_some() { plotted.to_vec() } else { vec![one] };
            let mut sizes = if given.is_empty() { default } else { given.to_vec() };
            sizes.sort_unstable();
            sizes.dedup();
            sizes
        };
        (sorted(&self.accounts, &PLOTTED_ACCOUNTS, 1_000), sorted(&self.segments, &PLOTTED_SEGMENTS, 1))
    }

    fn scenario(&self, accounts: u32) -> Scenario {
        Scenario {
            accounts,
            regions: self.regions,
            latency_ms: self.latency_ms,
            throttle: self.throttle.clone(),
            concurrency: self.concurrency,
            timeout: self.timeout,
            item_bytes: self.item_bytes,
        }
    }
}

/// What was simulated, and what came out.
struct Simulation {
    scenario: Scenario,
    shape: Shape,
    ticks: Vec<Simulated>,
}

impl Simulation {
    fn gets_through(&self) -> bool {
        self.ticks.iter().all(Simulated::gets_through)
    }

    fn figures(&self) -> Figures {
        Figures::of(&self.scenario, self.shape, &self.ticks)
    }
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    // Opened first: that it can't be written is to be known before minutes of simulation.
    let plot = arguments.plot.as_deref().map(Destination::open).transpose()?;
    let policy = arguments.policy.load().await?;
    // The clock stands still only in a runtime of its own, with one thread.
    let simulation = std::thread::spawn(move || {
        let simulations = all(&arguments, &policy)?;
        if arguments.json {
            print::json(&simulations);
        } else {
            print::text(&simulations);
        }
        if let (Some(plot), Some(first)) = (plot, simulations.first()) {
            let figures: Vec<Figures> = simulations.iter().map(Simulation::figures).collect();
            plot.write(&plot::picture(&first.scenario, &figures).svg()?)?;
        }
        Ok(if simulations.iter().all(Simulation::gets_through) { Exit::Success } else { Exit::Failed })
    });
    let done = tokio::task::spawn_blocking(|| simulation.join()).await;
    done.ok()
        .and_then(Result::ok)
        .unwrap_or_else(|| Err(CommandError("the simulation ended because of a bug; please report it".into())))
}

/// Simulates all sizes, one after the other.
fn all(arguments: &Arguments, policy: &Policy) -> Result<Vec<Simulation>, CommandError> {
    let (accounts, segments) = arguments.sizes();
    let several = accounts.len() * segments.len() > 1;
    let mut simulations = Vec::new();
    for accounts in accounts {
        for segments in &segments {
            let (scenario, given) =
                (arguments.scenario(accounts), Shape { memory_mb: arguments.memory_mb, segments: *segments });
            if several && !arguments.fit {
                say!("{}, {} ...", counted(accounts as usize, "account"), print::lambdas(*segments));
            }
            // Each in a runtime of its own, whose clock begins with it.
            let runtime = scenario::runtime().map_err(|error| CommandError(format!("no runtime: {error}")))?;
            let (shape, ticks) = match arguments.fit {
                true => runtime.block_on(fit(&scenario, policy))?,
                false => (given, runtime.block_on(simulate(&scenario, given, policy))?),
            };
            simulations.push(Simulation { scenario, shape, ticks });
        }
    }
    Ok(simulations)
}

/// The cheapest Lambdas that get through. How much one of each memory gets done in a tick says how many are needed; the
/// simulation of all of them says whether that's so.
// The clock of a runtime goes on from one simulation to the next; each begins where it is.
async fn fit(scenario: &Scenario, policy: &Policy) -> Result<(Shape, Vec<Simulated>), CommandError> {
    let mut candidates = Vec::new();
    for memory_mb in MEMORIES {
        let one = Shape { memory_mb, segments: 1 };
        let ticks = simulate(scenario, one, policy).await?;
        let done = ticks.iter().map(|tick| tick.done).min().unwrap_or_default();
        if done == 0 {
            continue;
        }
        let gets_through = ticks.iter().all(Simulated::gets_through);
        let segments = if gets_through { 1 } else { (f64::from(scenario.accounts) / done as f64 * 1.1).ceil() as u32 };
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
            let ticks = simulate(scenario, shape, policy).await?;
            if ticks.iter().all(Simulated::gets_through) {
                return Ok((shape, ticks));
            }
            say!("{} MB: {} Lambdas don't reach all accounts", shape.memory_mb, shape.segments);
            shape.segments += shape.segments.div_ceil(4);
        }
    }
    let timeout = scenario.timeout;
    Err(CommandError(format!(
        "no number of segments reaches all accounts in {timeout} s: the quotas are too small for this number of calls"
    )))
}
