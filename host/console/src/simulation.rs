//! What if: ticks of a fleet of another size, in simulated time, by the engine of `staging-sync simulate`.
//!
//! One simulation at a time, on a thread of its own, for so long: whoever asks for more waits for their turn elsewhere.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use serde::Serialize;
use staging_sync_runtime::policy::Policy;
use staging_sync_workbench::simulate::scenario::{self, Figures, Scenario, Shape, simulate};
use tokio::sync::{Semaphore, oneshot};

use crate::query::Query;

/// How long a simulation may compute.
const LONGEST: Duration = Duration::from_secs(30);

/// The largest fleet, in accounts times regions: some ten seconds of a processor.
const MOST_CALLS: u32 = 10_000;

/// The memories that are compared with the one that is asked for, in MB.
const MEMORIES: [u32; 5] = [256, 512, 1_024, 1_769, 3_538];

/// What simulated ticks are decided by.
pub type PolicyLoader = Arc<dyn Fn() -> BoxFuture<'static, Result<Policy, String>> + Send + Sync>;

/// What is asked, as the query of `GET /api/v1/simulate` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// The number of target accounts.
    pub accounts: u32,
    /// The number of regions in which each account is asked.
    pub regions: u8,
    /// The memory of the Lambda function, in MB.
    pub memory_mb: u32,
    /// How many Lambda functions share the table.
    pub segments: u32,
}

/// What came out: for each memory the figures that `staging-sync simulate --json` prints.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Simulation {
    /// What was asked.
    pub asked: Asked,
    /// The policy that decided.
    pub policy: String,
    /// The figures, by growing memory.
    pub figures: Vec<Figures>,
}

/// Why there's no simulation.
pub enum NotSimulated {
    /// Somebody else's is under way.
    Busy,
    /// It can't be done, and why.
    Failed(String),
}

/// What simulates.
pub struct Simulator {
    policy: PolicyLoader,
    turn: Arc<Semaphore>,
}

impl Asked {
    /// What a query asks. The error says what is expected of which parameter.
    pub fn of(query: &Query) -> Result<Self, String> {
        fn number<N: std::str::FromStr + PartialOrd + Copy + std::fmt::Display>(
            query: &Query,
            name: &str,
            default: N,
            range: std::ops::RangeInclusive<N>,
        ) -> Result<N, String> {
            let Some(text) = query.get(name) else { return Ok(default) };
            let (first, last) = (*range.start(), *range.end());
            query.number(name, range).ok_or_else(|| format!("{name}: expected {first} to {last}, found {text:?}"))
        }
        let asked = Self {
            accounts: number(query, "accounts", 1_000, 1..=MOST_CALLS)?,
            regions: number(query, "regions", 4, 1..=34)?,
            memory_mb: number(query, "memoryMb", 512, 128..=10_240)?,
            segments: number(query, "segments", 1, 1..=100)?,
        };
        match asked.accounts.saturating_mul(asked.regions.into()) <= MOST_CALLS {
            true => Ok(asked),
            false => Err(format!(
                "accounts x regions: expected at most {MOST_CALLS} here: use `staging-sync simulate` for larger fleets"
            )),
        }
    }

    fn shapes(self) -> Vec<Shape> {
        let mut memories = MEMORIES.to_vec();
        memories.push(self.memory_mb);
        memories.sort_unstable();
        memories.dedup();
        memories.into_iter().map(|memory_mb| Shape { memory_mb, segments: self.segments }).collect()
    }

    fn scenario(self) -> Scenario {
        Scenario {
            accounts: self.accounts,
            regions: self.regions,
            latency_ms: 80,
            throttle: Vec::new(),
            concurrency: 128,
            timeout: 270,
            item_bytes: 1_000,
        }
    }
}

impl Simulator {
    /// Simulates with the policy that this loads.
    pub fn new(policy: PolicyLoader) -> Self {
        Self { policy, turn: Arc::new(Semaphore::new(1)) }
    }

    /// Simulates. It ends when nobody waits for it any more.
    pub async fn run(&self, asked: Asked) -> Result<Simulation, NotSimulated> {
        let turn = Arc::clone(&self.turn).try_acquire_owned().map_err(|_| NotSimulated::Busy)?;
        let policy = (self.policy)().await.map_err(NotSimulated::Failed)?;
        let (answer, answered) = oneshot::channel::<Result<Vec<Figures>, String>>();
        let title = format!("{} {}", policy.info().name, policy.info().version);
        let thread = move || {
            let _turn = turn; // until the thread ends, whoever waits for it
            let until = Instant::now() + LONGEST;
            let result = simulated(asked, &policy, || answer.is_closed() || Instant::now() > until);
            drop(answer.send(result)); // nobody may wait for it any more
        };
        let began = std::thread::Builder::new().name("simulation".into()).spawn(thread);
        began.map_err(|error| NotSimulated::Failed(format!("host: no thread: {error}")))?;
        let figures =
            answered.await.map_err(|_| NotSimulated::Failed("host: it ended by a bug; please report it".into()))?;
        Ok(Simulation { asked, policy: title, figures: figures.map_err(NotSimulated::Failed)? })
    }
}

/// The figures of each memory, unless it's to be given up.
fn simulated(asked: Asked, policy: &Policy, given_up: impl Fn() -> bool) -> Result<Vec<Figures>, String> {
    let runtime = scenario::runtime().map_err(|error| format!("host: no runtime: {error}"))?;
    let scenario = asked.scenario();
    let mut figures = Vec::new();
    for shape in asked.shapes() {
        let mut simulation = Box::pin(simulate(&scenario, shape, policy));
        // The clock of the runtime is simulated, so time is looked at from outside, each time that something happens.
        let ticks = runtime.block_on(poll_fn(|context| match given_up() {
            true => Poll::Ready(Err(format!("took longer than {} s: ask for a smaller fleet", LONGEST.as_secs()))),
            false => simulation.as_mut().poll(context).map_err(|error| error.message),
        }));
        figures.push(Figures::of(&scenario, shape, &ticks?));
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_bounded() {
        let asked = |query| Asked::of(&Query::parse(Some(query)));
        let expected = Asked { accounts: 2_500, regions: 4, memory_mb: 512, segments: 1 };
        assert_eq!(asked("accounts=2500"), Ok(expected));
        assert_eq!(asked("accounts=x").expect_err("no number"), "accounts: expected 1 to 10000, found \"x\"");
        assert!(asked("accounts=2501").is_err_and(|error| error.contains("staging-sync simulate")));
        assert!(asked("memoryMb=127").is_err() && asked("segments=0").is_err() && asked("regions=35").is_err());
        assert_eq!(expected.shapes().iter().map(|shape| shape.memory_mb).collect::<Vec<_>>(), MEMORIES);
    }
}
