//! The AWS API of a simulated host: simulated answers, with latency and quotas.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};
use staging_sync_runtime::aws::call_limits::{CallLimit, CallLimits};
use staging_sync_runtime::aws::pacing::Pacing;
use staging_sync_runtime::aws::sdk_api::{PAGE_ITEMS, Patience};
use staging_sync_runtime::aws::{AwsApi, AwsError, Call, Principal, Request};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::quota::{Quotas, Rates};

/// Where the ids of target accounts begin.
const FIRST: u64 = 100_000_000_000;

/// When simulations begin: always at the same time, so that they always come to the same.
pub fn begin() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_770_000_000)
}

/// What all hosts of a simulation share.
pub struct Cloud {
    /// The number of target accounts in the table.
    pub accounts: u32,
    /// The regions that every account uses.
    pub regions: Vec<String>,
    /// The size of an item, which capacity units are counted by.
    pub item_bytes: u32,
    /// The time of a call, plus or minus a quarter.
    pub latency: Duration,
    /// The quotas per second.
    pub rates: Rates,
    /// What changes.
    pub state: Mutex<State>,
}

/// What changes.
#[derive(Default)]
pub struct State {
    quotas: Quotas,
    /// The accounts whose lists were written, by number.
    written: HashSet<u32>,
    /// Calls that reached AWS, by service: those that were answered, and those that were throttled.
    pub calls: [Reached; 3],
    /// The first call that was throttled: when, and of which service.
    pub first_throttled: Option<(Instant, &'static str)>,
}

/// Calls of a service that reached AWS.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reached {
    /// Those that were answered.
    pub answered: u64,
    /// Those that were throttled.
    pub throttled: u64,
}

/// The services, in the order of `State::calls`.
pub const SERVICES: [&str; 3] = ["dynamodb", "drs", "sts"];

impl Cloud {
    /// What changes, for this caller alone.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn id(number: u32) -> String {
        format!("{:012}", FIRST + u64::from(number))
    }

    fn number(id: &str) -> u32 {
        id.parse::<u64>().ok().and_then(|id| u32::try_from(id.checked_sub(FIRST)?).ok()).unwrap_or_default()
    }

    fn staging(number: u32, region: usize) -> String {
        format!("{:012}", 2 * FIRST + u64::from(number) * 100 + region as u64)
    }

    fn item(&self, number: u32, written: bool) -> Value {
        let id = Self::id(number);
        let entry = |region| json!({"M": {"accountId": {"S": Self::staging(number, region)}}});
        let mut item = json!({
            "accountId": {"S": id},
            "accountName": {"S": format!("Target {number}")},
            "roleArn": {"S": format!("arn:aws:iam::{id}:role/DRSOrchestrationRole")},
        });
        if written {
            item["stagingAccounts"] = json!({"L": (0..self.regions.len()).map(entry).collect::<Vec<_>>()});
        }
        item
    }

    /// A page that starts after this key: its accounts, by number, and the last of them if there are more.
    fn page(
        &self,
        start: Option<&Map<String, Value>>,
        segment: Option<u32>,
        segments: Option<u32>,
    ) -> (Vec<u32>, Option<u32>) {
        let (segment, segments) = (segment.unwrap_or(0), segments.unwrap_or(1));
        let id = start.and_then(|key| key["accountId"]["S"].as_str());
        let first = id.map_or(segment, |id| Self::number(id) + segments);
        let items = (1_000_000 / self.item_bytes.max(1)).clamp(1, PAGE_ITEMS.into());
        let numbers: Vec<u32> = (first..self.accounts).step_by(segments as usize).take(items as usize).collect();
        let last = numbers.last().copied().filter(|last| last + segments < self.accounts);
        (numbers, last)
    }

    fn answer(&self, call: &Call) -> Value {
        match &call.request {
            Request::Scan { exclusive_start_key, segment, total_segments, .. } => {
                let (numbers, last) = self.page(exclusive_start_key.as_ref(), *segment, *total_segments);
                let state = self.state();
                let item = |number: &u32| self.item(*number, state.written.contains(number));
                let mut page = json!({"Items": numbers.iter().map(item).collect::<Vec<_>>()});
                if let Some(last) = last {
                    page["LastEvaluatedKey"] = json!({"accountId": {"S": Self::id(last)}});
                }
                page
            }
            Request::GetItem { key, .. } => {
                let number = Self::number(key["accountId"]["S"].as_str().unwrap_or_default());
                let written = self.state().written.contains(&number);
                json!({"Item": self.item(number, written)})
            }
            Request::UpdateItem { key, .. } => {
                let number = Self::number(key["accountId"]["S"].as_str().unwrap_or_default());
                self.state().written.insert(number);
                json!({})
            }
            Request::AssumeRole { .. } => json!({"Credentials": {"Expiration": "2100-01-01T00:00:00Z"}}),
            Request::ListStagingAccounts { .. } => {
                let region = self.region(call) as usize;
                json!({"accounts": [{"accountID": Self::staging(account(call), region)}]})
            }
            Request::DescribeSourceServers { .. } => json!({"items": []}),
        }
    }

    /// Whether the quota allows a call, and what it counts as.
    fn allowed(&self, call: &Call) -> bool {
        let (service, operation) = call.request.name();
        let place = SERVICES.iter().position(|known| *known == service).unwrap_or_default();
        let Rates { drs, drs_account, sts, dynamodb } = self.rates;
        let (account, region) = (account(call), self.region(call));
        let units = |bytes: u32, unit: u32| f64::from(bytes.div_ceil(unit));
        let mut state = self.state();
        let allowed = match (service, operation) {
            ("drs", _) => {
                drs_account.is_none_or(|rate| state.quotas.take("drs-account", account, 0, rate, 1.0))
                    && state.quotas.take("drs", account, region, drs, 1.0)
            }
            ("sts", _) => state.quotas.take("sts", 0, 0, sts, 1.0),
            // A consistent read of 4 KB is a unit, and so is a write of 1 KB.
            (_, "UpdateItem") => state.quotas.take("writes", 0, 0, dynamodb, units(self.item_bytes, 1_024)),
            _ => state.quotas.take("reads", 0, 0, dynamodb, units(self.read_bytes(&call.request), 4_096)),
        };
        if allowed {
            state.calls[place].answered += 1;
        } else {
            state.calls[place].throttled += 1;
            state.first_throttled.get_or_insert((Instant::now(), SERVICES[place]));
        }
        allowed
    }

    /// What a call reads of the table, in bytes.
    fn read_bytes(&self, request: &Request) -> u32 {
        let items = match request {
            Request::Scan { exclusive_start_key, segment, total_segments, .. } => {
                self.page(exclusive_start_key.as_ref(), *segment, *total_segments).0.len()
            }
            _ => 1,
        };
        u32::try_from(items).unwrap_or(u32::MAX).saturating_mul(self.item_bytes).max(1)
    }

    fn region(&self, call: &Call) -> u32 {
        let place = self.regions.iter().position(|region| Some(region) == call.region.as_ref());
        place.and_then(|place| u32::try_from(place).ok()).unwrap_or_default()
    }
}

/// The account that makes a call, by number.
fn account(call: &Call) -> u32 {
    match &call.principal {
        Principal::Host => 0,
        Principal::Role(session) => Cloud::number(session.role.account.as_str()),
    }
}

/// What a call takes of a host's processor.
#[derive(Debug, Clone, Copy)]
pub struct PerCall {
    /// A call of DRS.
    pub drs: Duration,
    /// A call of another service.
    pub other: Duration,
}

impl PerCall {
    /// The same on a processor so many times as slow.
    pub fn times(self, factor: f64) -> Self {
        Self { drs: self.drs.mul_f64(factor), other: self.other.mul_f64(factor) }
    }
}

/// A host's access to the cloud, with the limits, retries and processor of a real host.
pub struct Host {
    /// What it calls.
    pub cloud: Arc<Cloud>,
    places: Arc<Semaphore>,
    limits: CallLimits,
    /// How long the processor takes for a call.
    per_call: PerCall,
    processor: Mutex<Instant>,
    seed: Mutex<u64>,
    began: Instant,
}

impl Host {
    /// A host that takes `per_call` of processor time for each call; `seed` is where its jitter starts.
    pub fn new(cloud: &Arc<Cloud>, max_concurrency: usize, per_call: PerCall, seed: u64) -> Self {
        Self {
            cloud: Arc::clone(cloud),
            places: Arc::new(Semaphore::new(max_concurrency)),
            limits: CallLimits::new(max_concurrency),
            per_call,
            processor: Mutex::new(Instant::now()),
            seed: Mutex::new(seed),
            began: Instant::now(),
        }
    }

    /// Computes for a call, after what was to be computed before.
    async fn compute(&self, call: &Call) {
        let PerCall { drs, other } = self.per_call;
        let takes = if call.request.name().0 == "drs" { drs } else { other };
        let done = {
            let mut free = self.processor.lock().unwrap_or_else(PoisonError::into_inner);
            *free = (*free).max(Instant::now()) + takes;
            *free
        };
        tokio::time::sleep_until(done).await;
    }

    /// The next random number from 0 to 1 (splitmix64): simulations are to be repeatable.
    fn random(&self) -> f64 {
        let mut seed = self.seed.lock().unwrap_or_else(PoisonError::into_inner);
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn limit(&self, call: &Call) -> CallLimit {
        let account = match &call.principal {
            Principal::Host => None,
            Principal::Role(session) => Some(session.role.account.as_str()),
        };
        self.limits.of(call.request.name().0, call.region.as_deref(), account)
    }

    async fn make(&self, call: &Call) -> Result<Value, AwsError> {
        let patience = Patience::default();
        let (limit, mut pacing) = (self.limit(call), Pacing::new(&patience));
        loop {
            let of_kind = limit.acquire().await;
            let place = self.places.acquire().await;
            self.compute(call).await;
            let allowed = self.cloud.allowed(call);
            // As long as it's set, up to a quarter more or less.
            sleep(self.cloud.latency.mul_f64(0.75 + 0.5 * self.random())).await;
            limit.on_response(!allowed);
            drop((place, of_kind));
            if allowed {
                return Ok(self.cloud.answer(call));
            }
            let Some(wait) = pacing.next(&limit, self.random()) else { break };
            sleep(wait).await;
        }
        let message = "simulated: too many calls".into();
        Err(AwsError { code: "ThrottlingException".into(), message, retryable: true })
    }
}

impl AwsApi for Host {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Value, AwsError>> {
        self.make(call).boxed()
    }

    fn has_room(&self) -> bool {
        self.places.available_permits() > 0
    }

    fn now(&self) -> SystemTime {
        begin() + self.began.elapsed()
    }
}
