//! What is simulated, and what came out: two ticks over a fleet, by Lambdas of a memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use serde::Serialize;
use staging_sync_runtime::aws::Segment;
use staging_sync_runtime::policy::Policy;
use staging_sync_runtime::threads::MB_PER_PROCESSOR;
use staging_sync_runtime::{Config, Error, Event, Runtime, Tick};
use tokio::time::Instant;

use super::cloud::{Cloud, Host, PerCall, Reached, SERVICES, begin};
use super::quota::{Rate, Rates};

/// The processor time of a call, the policy's share included, of a whole vCPU: what `staging-sync bench` measures over TLS,
/// release build, in round numbers. In DRS it's that of a warm tick, in which nearly all calls are of DRS; in other services
/// what a first tick takes more than that.
const PER_CALL: PerCall = PerCall { drs: Duration::from_micros(60), other: Duration::from_micros(140) };
/// What a GB-second and an invocation cost, in dollars (x86_64, us-east-1).
const GB_SECOND: f64 = 0.000_016_666_7;
const INVOCATION: f64 = 0.000_000_2;
/// Ticks in 30 days.
const TICKS: f64 = 8_640.0;
/// How many segments a Map state runs at once where it isn't a distributed one.
const INLINE_MAP: usize = 40;

/// The fleet, AWS, and the settings of the host.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The number of target accounts.
    pub accounts: u32,
    /// The number of regions in which each account is asked.
    pub regions: u8,
    /// The time of an AWS call, in ms, plus or minus a quarter.
    pub latency_ms: u64,
    /// Quotas of AWS that aren't the defaults.
    pub throttle: Vec<Rate>,
    /// `MAX_CONCURRENCY`.
    pub concurrency: u32,
    /// The Lambda function's timeout, in seconds.
    pub timeout: u32,
    /// The size of an item of the table, in bytes.
    pub item_bytes: u32,
}

/// The Lambdas of a simulation.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The memory of each, in MB.
    pub memory_mb: u32,
    /// How many there are, each with a segment of the table.
    pub segments: u32,
}

/// One tick, as it came out.
#[derive(Debug, Clone)]
pub struct Simulated {
    /// Which one it was.
    pub name: &'static str,
    /// The longest of the segments, one after the other where they didn't run at once.
    pub took: Duration,
    /// Of all segments together.
    billed: Duration,
    /// Answered and throttled calls, by service.
    calls: [Reached; SERVICES.len()],
    /// The accounts that were decided: all of them are this, failed, deferred or unknown.
    pub done: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that the next tick has to do.
    pub deferred: u64,
    /// Those of segments that failed as a whole: nobody knows what became of them.
    pub unknown: u64,
    /// What stood in the way first.
    pub limit: Option<String>,
}

/// The figures of a simulation, as `simulate --json` prints them.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// The number of target accounts.
    pub accounts: u32,
    /// The number of regions.
    pub regions: u8,
    /// The time of a call, in ms.
    pub latency_ms: u64,
    /// `MAX_CONCURRENCY`.
    pub max_concurrency: u32,
    /// The memory of a Lambda, in MB.
    pub memory_mb: u32,
    /// The number of segments.
    pub segments: u32,
    /// The first tick and a warm one.
    pub ticks: Vec<TickFigures>,
}

/// The figures of one tick.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TickFigures {
    /// Which one it was.
    pub tick: &'static str,
    /// How long it took.
    pub seconds: f64,
    /// Calls by service.
    pub calls: ServiceCalls,
    /// The accounts that were decided.
    pub accounts_done: u64,
    /// Those that failed.
    pub accounts_failed: u64,
    /// Those that the next tick has to do.
    pub accounts_deferred: u64,
    /// Those of segments that failed as a whole.
    pub accounts_unknown: u64,
    /// What is billed for a tick.
    pub lambda_gb_seconds: f64,
    /// What that costs; none if the tick doesn't reach all accounts.
    pub lambda_dollars_a_month: Option<f64>,
    /// What stood in the way first.
    pub first_limit: Option<String>,
}

/// The calls of each service.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ServiceCalls {
    /// Of the table.
    pub dynamodb: CallFigures,
    /// Of DRS.
    pub drs: CallFigures,
    /// Of roles.
    pub sts: CallFigures,
}

/// The calls of one service.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct CallFigures {
    /// Those that were answered.
    pub answered: u64,
    /// Those that were throttled.
    pub throttled: u64,
}

impl ServiceCalls {
    /// All services together.
    pub fn all(&self) -> CallFigures {
        let Self { dynamodb, drs, sts } = self;
        CallFigures {
            answered: dynamodb.answered + drs.answered + sts.answered,
            throttled: dynamodb.throttled + drs.throttled + sts.throttled,
        }
    }
}

impl Figures {
    /// The figures of the ticks of a scenario.
    pub fn of(scenario: &Scenario, shape: Shape, ticks: &[Simulated]) -> Self {
        Self {
            accounts: scenario.accounts,
            regions: scenario.regions,
            latency_ms: scenario.latency_ms,
            max_concurrency: scenario.concurrency,
            memory_mb: shape.memory_mb,
            segments: shape.segments,
            ticks: ticks.iter().map(|tick| tick.figures(shape)).collect(),
        }
    }
}

/// The runtime of simulations, whose clock stands still while something is computed: one thread that does nothing else.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()
}

/// Runs a first tick, in which every account changes, and a warm one. It has to be in a `runtime`.
pub async fn simulate(scenario: &Scenario, shape: Shape, policy: &Policy) -> Result<Vec<Simulated>, Error> {
    let regions: Vec<String> = (1..=scenario.regions).map(|number| format!("xx-simulated-{number:02}")).collect();
    let variables = BTreeMap::from([
        ("TARGET_ACCOUNTS_TABLE", "simulated".to_owned()),
        ("DRS_REGIONS", regions.join(",")),
        ("MAX_CONCURRENCY", scenario.concurrency.to_string()),
        ("MAX_REMOVALS_PERCENT", "100".into()),
    ]);
    let config = Config::read(&|name| variables.get(name).cloned())?;
    let cloud = Arc::new(Cloud {
        accounts: scenario.accounts,
        regions: config.regions.clone(),
        item_bytes: scenario.item_bytes,
        latency: Duration::from_millis(scenario.latency_ms),
        rates: Rates::with(&scenario.throttle),
        state: Default::default(),
    });
    let per_call = PER_CALL.times(MB_PER_PROCESSOR / f64::from(shape.memory_mb));
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
            let deadline = Some(began + Duration::from_secs(scenario.timeout.into()));
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
            let share = scenario.accounts / shape.segments + u32::from(segment < scenario.accounts % shape.segments);
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

/// What ticks cost in 30 days of which each takes so many GB-seconds and invocations.
pub fn dollars_a_month(gb_seconds: f64, invocations: u32) -> f64 {
    TICKS * (gb_seconds * GB_SECOND + f64::from(invocations) * INVOCATION)
}

impl Simulated {
    /// All calls that were answered.
    pub fn calls(&self) -> u64 {
        self.calls.iter().map(|calls| calls.answered).sum()
    }

    /// All calls that were throttled.
    pub fn throttled(&self) -> u64 {
        self.calls.iter().map(|calls| calls.throttled).sum()
    }

    /// Whether it gets to all accounts, and decides them.
    pub fn gets_through(&self) -> bool {
        self.failed + self.deferred + self.unknown == 0
    }

    /// What is billed for it.
    pub fn gb_seconds(&self, shape: Shape) -> f64 {
        self.billed.as_secs_f64() * f64::from(shape.memory_mb) / 1_024.0
    }

    /// What ticks like this one cost in 30 days.
    pub fn dollars_a_month(&self, shape: Shape) -> f64 {
        dollars_a_month(self.gb_seconds(shape), shape.segments)
    }

    fn figures(&self, shape: Shape) -> TickFigures {
        // In the order of SERVICES.
        let [dynamodb, drs, sts] =
            self.calls.map(|Reached { answered, throttled }| CallFigures { answered, throttled });
        TickFigures {
            tick: self.name,
            seconds: self.took.as_secs_f64(),
            calls: ServiceCalls { dynamodb, drs, sts },
            accounts_done: self.done,
            accounts_failed: self.failed,
            accounts_deferred: self.deferred,
            accounts_unknown: self.unknown,
            lambda_gb_seconds: self.gb_seconds(shape),
            lambda_dollars_a_month: self.gets_through().then(|| self.dollars_a_month(shape)),
            first_limit: self.limit.clone(),
        }
    }
}
