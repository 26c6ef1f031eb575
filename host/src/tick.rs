//! One tick: read the table, let the policy decide every account, write what changes, sum up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use aws_smithy_types::date_time::{DateTime, Format};
use futures_util::stream::{self, StreamExt};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::account::Item;
use crate::aws::live::Live;
use crate::aws::{Aws, AwsError, Door, Write, Written};
use crate::bindings::types::{self, AccountOutcome, Outcome};
use crate::capability::Scope;
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::outcome::{self, Counts};
use crate::policy::{Fault, Policy};
use crate::removals::{self, Removals};
use crate::summary;
use crate::target::Target;

/// How often an account is read and decided again because somebody edited it meanwhile.
const MAX_CONFLICTS: usize = 3;

/// The reason of accounts that a tick had no time for.
pub const DEFERRED: &str = "Deferred - out of time";

/// What a tick needs to know.
#[derive(Debug, Clone)]
pub struct Tick {
    /// What is asked.
    pub event: Event,
    /// When it began; the policy's only time.
    pub now: SystemTime,
    /// When the invocation ends, whatever is under way; `None` for no end.
    pub deadline: Option<Instant>,
}

impl Tick {
    /// A tick that begins now and may take as long as it likes.
    pub fn of(event: Event) -> Self {
        Self { event, now: SystemTime::now(), deadline: None }
    }
}

/// What a tick came to.
#[derive(Debug, Clone)]
pub struct Report {
    /// The policy's summary, whole: `summary::fit` shortens it for Lambda.
    pub summary: Value,
    /// How many accounts there are of each status.
    pub counts: Counts,
}

/// What lives as long as the process: the policy, compiled, and AWS.
pub struct Runtime {
    config: Config,
    regions: Arc<[String]>,
    policy: Policy,
    aws: Arc<Aws>,
}

impl Runtime {
    /// Loads the policy, checks its settings and makes the AWS clients.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let policy = Policy::load(&config.policy, config.limits).await?;
        let live = Live::from_env(config.max_concurrency).await?;
        Self::with(config, policy, Arc::new(live)).await
    }

    /// The same with a policy and a door to AWS at hand.
    pub async fn with(config: Config, policy: Policy, door: Arc<dyn Door>) -> Result<Self, Error> {
        policy.validate_settings(&config.settings).await?;
        let regions = config.regions.clone().into();
        let aws = Arc::new(Aws::new(door, config.table.clone()));
        Ok(Self { config, regions, policy, aws })
    }

    /// The policy that decides.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Runs one tick. `progress` hears how many accounts are done, of how many.
    pub async fn tick(self: &Arc<Self>, tick: Tick, progress: impl Fn(usize, usize) + Sync) -> Result<Report, Error> {
        let began = Instant::now();
        let event = &tick.event;
        let Some(title) = self.policy.title(&event.operation) else { return Err(self.unknown(&event.operation)) };
        let times = Times::of(&tick, self.config.deadline_margin);
        let dry_run = event.dry_run.unwrap_or(false) || self.config.dry_run;
        let now: Arc<str> = instant_text(tick.now).into();
        tracing::info!(
            operation = event.operation,
            policy = self.policy.info().name,
            policyVersion = self.policy.info().version,
            dryRun = dry_run,
            "{title} started"
        );

        let found = timeout_at(times.stop, self.read(event)).await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::TableUnavailable, "out of time while reading the table of target accounts"))
        })?;
        let mut accounts = found;
        accounts.sort_by(|one, other| one.key.cmp(&other.key));
        rotate(&mut accounts, tick.now);

        let run = Arc::new(Run {
            runtime: Arc::clone(self),
            removals: Removals::new(accounts.len(), self.config.max_removals_percent),
            tick: types::Tick {
                operation: event.operation.clone(),
                now: now.to_string(),
                dry_run,
                regions: self.regions.to_vec(),
                settings: self.config.settings.clone(),
            },
            now,
            times,
        });
        let (total, done) = (accounts.len(), AtomicUsize::new(0));
        progress(0, total);
        let mut outcomes: Vec<AccountOutcome> = stream::iter(accounts.into_iter().enumerate())
            .map(|(position, account)| run.spawn(position, account))
            .buffer_unordered(self.config.max_concurrency)
            .inspect(|account| {
                outcome::log(title, account);
                progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
            })
            .collect()
            .await;
        outcomes.sort_by(|one, other| one.account_id.cmp(&other.account_id));

        let counts = Counts::of(&outcomes);
        let deferred = outcomes.iter().filter(|one| one.outcome.reason.as_deref() == Some(DEFERRED)).count();
        if deferred > 0 {
            tracing::warn!(accountsDeferred = deferred, "{title}: out of time, the next tick goes on");
        }
        let summary = summary::read(&self.policy.summarize(&run.tick, &outcomes).await?)?;
        tracing::info!(
            totalAccounts = counts.total,
            accountsProcessed = counts.updated + counts.unchanged,
            accountsUpdated = counts.updated,
            accountsSkipped = counts.skipped + counts.unchanged,
            accountsFailed = counts.failed,
            accountsHeld = counts.held,
            policy = self.policy.info().name,
            policyVersion = self.policy.info().version,
            dryRun = dry_run,
            durationMs = began.elapsed().as_millis() as u64,
            "{title} completed"
        );
        Ok(Report { summary, counts })
    }

    fn unknown(&self, operation: &str) -> Error {
        let known: Vec<&str> = self.policy.info().operations.iter().map(|served| served.name.as_str()).collect();
        Error::new(
            ErrorKind::UnknownOperation,
            format!("event at $.operation: unknown operation {operation:?}: this policy serves {}", known.join(", ")),
        )
    }

    /// The accounts that the event is about.
    async fn read(&self, event: &Event) -> Result<Vec<Account>, Error> {
        let unavailable = |error: AwsError| {
            let message =
                format!("AWS: {error}: check TARGET_ACCOUNTS_TABLE, AWS_REGION and the role of this function");
            Error::new(ErrorKind::TableUnavailable, message)
        };
        let Some(ids) = &event.account_ids else {
            let items = self.aws.scan(event.segment).await.map_err(unavailable)?;
            return Ok(items.into_iter().map(Account::of).collect());
        };
        let reads = ids.iter().map(|id| async move {
            let found = self.aws.get_item(id).await.map(|item| item.map(Account::of));
            found.map(|account| account.unwrap_or_else(|| Account { key: id.to_string(), item: None }))
        });
        let reads: Vec<_> = stream::iter(reads).buffered(self.config.max_concurrency).collect().await;
        reads.into_iter().collect::<Result<_, _>>().map_err(unavailable)
    }
}

/// An account of the tick: its key, and its item unless the event named one that there isn't.
struct Account {
    key: String,
    item: Option<Item>,
}

impl Account {
    fn of(item: Item) -> Self {
        let key = item.get("accountId").and_then(|id| id.get("S")).and_then(Value::as_str).unwrap_or_default();
        Self { key: key.to_owned(), item: Some(item) }
    }
}

/// When a tick ends.
#[derive(Clone, Copy)]
struct Times {
    /// From here on nothing is started: no account, no write.
    stop: Instant,
    /// From here on a write under way isn't waited for.
    end: Instant,
}

impl Times {
    fn of(tick: &Tick, margin: Duration) -> Self {
        // "No deadline" is a far one, for timers have an end: Lambda's longest invocation is 15 minutes.
        let deadline = tick.deadline.unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400));
        let before = |time: Duration| deadline.checked_sub(time).unwrap_or(deadline);
        Self { stop: before(margin), end: before(margin / 2) }
    }
}

/// One tick under way, as its accounts see it.
struct Run {
    runtime: Arc<Runtime>,
    removals: Arc<Removals>,
    tick: types::Tick,
    now: Arc<str>,
    times: Times,
}

impl Run {
    /// Decides one account in a task of its own, so that whatever happens to it happens to it alone.
    fn spawn(self: &Arc<Self>, position: usize, account: Account) -> impl Future<Output = AccountOutcome> + use<> {
        let (run, key) = (Arc::clone(self), account.key.clone());
        async move {
            let place = run.removals.account(position);
            let task = tokio::spawn(async move { run.account(place, account).await });
            task.await.unwrap_or_else(|_| AccountOutcome {
                account_id: key,
                account_name: None,
                outcome: outcome::failed("host: a defect ended this account's work; please report it"),
            })
        }
    }

    async fn account(&self, place: removals::Account, account: Account) -> AccountOutcome {
        let key = account.key;
        let Some(item) = account.item else {
            let outcome = outcome::failed(format_args!("item: no target account {key} is stored"));
            return AccountOutcome { account_id: key, account_name: None, outcome };
        };
        let target = match Target::read(&item) {
            Ok(target) => target,
            Err(bad) => {
                let outcome = outcome::failed(format_args!("item: {}", bad.problem));
                return AccountOutcome { account_id: key, account_name: bad.name, outcome };
            }
        };
        let account_name = target.name.clone();
        let outcome = if Instant::now() >= self.times.stop {
            outcome::skipped(DEFERRED)
        } else {
            self.decide_and_write(place, target).await
        };
        AccountOutcome { account_id: key, account_name, outcome }
    }

    async fn decide_and_write(&self, place: removals::Account, target: Target) -> Outcome {
        let Runtime { aws, policy, regions, .. } = &*self.runtime;
        let id = target.id.clone();
        let mut scope = Scope::new(target, Arc::clone(aws), Arc::clone(regions), Arc::clone(&self.now), place);
        for _ in 0..=MAX_CONFLICTS {
            let decision = policy.sync(&self.tick, scope);
            let Ok((decided, given_back)) = timeout_at(self.times.stop, decision).await else {
                return outcome::skipped(DEFERRED);
            };
            let staged = given_back.as_ref().and_then(|scope| scope.staged.clone());
            let receipt = staged.as_ref().map(|staged| &staged.receipt);
            let decided =
                decided.and_then(|outcome| outcome::check(&outcome, receipt).map_err(Fault).map(|()| outcome));
            let (outcome, mut decided_scope) = match (decided, given_back) {
                (Ok(outcome), Some(scope)) => (outcome, scope),
                (Err(fault), _) => return outcome::failed(fault),
                (Ok(_), None) => return outcome::failed("host: the account's scope was lost"),
            };
            let Some(staged) = staged.filter(|_| !self.tick.dry_run) else { return outcome };
            if Instant::now() >= self.times.stop {
                return outcome::skipped(DEFERRED);
            }
            let write = Write {
                account: id.clone(),
                read: decided_scope.target.stored_list.clone(),
                list: staged.list.clone(),
                updated_at: self.now.to_string(),
            };
            match self.in_time(aws.write(write)).await {
                Ok(Written::Done) => return outcome,
                Ok(Written::Conflict) => {}
                Err(error) => return outcome::unwritten(&error),
            }
            let item = match self.in_time(aws.get_item(&id)).await {
                Ok(Some(item)) => item,
                Ok(None) => {
                    return outcome::failed("conflict: the item was deleted meanwhile; it wasn't written again");
                }
                Err(error) => return outcome::unwritten(&error),
            };
            if self.wrote(&item, &staged.list) {
                return outcome;
            }
            match Target::read(&item) {
                Ok(target) => decided_scope.reread(target),
                Err(bad) => return outcome::failed(format_args!("item: {}", bad.problem)),
            }
            tracing::info!(accountId = id.as_str(), "the item was edited meanwhile: deciding again");
            scope = decided_scope;
        }
        outcome::failed(format_args!(
            "conflict: the item was edited between reading and writing, {} times in a row; nothing was written",
            MAX_CONFLICTS + 1
        ))
    }

    /// Whether a conflict is with our own write: its answer was lost, and the SDK tried it again.
    fn wrote(&self, item: &Item, list: &Value) -> bool {
        item.get("stagingAccounts") == Some(list)
            && item.get("updatedAt").and_then(|time| time.get("S")).and_then(Value::as_str) == Some(&*self.now)
    }

    async fn in_time<T>(&self, call: impl Future<Output = Result<T, AwsError>>) -> Result<T, AwsError> {
        timeout_at(self.times.end, call).await.unwrap_or_else(|_| {
            Err(AwsError {
                code: AwsError::TIMEOUT.into(),
                message: "no answer before the tick's end; the next tick will see whether it was done".into(),
                retryable: true,
            })
        })
    }
}

/// Begins the order of accounts somewhere else every tick, so that what one tick had no time for comes early
/// in the next ones. Ticks are five minutes apart; the golden ratio spreads their starts evenly, whatever
/// share of the accounts a tick gets to.
fn rotate<T>(accounts: &mut [T], now: SystemTime) {
    let minutes = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / 60;
    let turn = (minutes / 5) as f64 * 0.618_033_988_749_895;
    let start = (turn.fract() * accounts.len() as f64) as usize;
    accounts.rotate_left(start.min(accounts.len()));
}

/// A time as the table and the summary have it, to the second.
fn instant_text(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    DateTime::from_secs(seconds as i64).fmt(Format::DateTime).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_account_starves_however_few_a_tick_gets_to() {
        for (accounts, share) in [(100, 3), (100, 40), (100, 60), (100, 90), (7, 1), (1, 1)] {
            let mut waits = vec![0_usize; accounts];
            let mut longest = 0;
            for turn in 0..400 {
                let mut order: Vec<usize> = (0..accounts).collect();
                rotate(&mut order, SystemTime::UNIX_EPOCH + Duration::from_secs(1_770_000_000 + turn * 300));
                waits.iter_mut().for_each(|wait| *wait += 1);
                order[..share].iter().for_each(|account| waits[*account] = 0);
                longest = longest.max(waits.iter().copied().max().unwrap_or_default());
            }
            assert!(longest <= 3 * accounts.div_ceil(share), "{accounts} accounts, {share} a tick: {longest} ticks");
        }
    }

    #[test]
    fn times_are_written_to_the_second() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_770_072_300_123);
        assert_eq!(instant_text(time), "2026-02-02T22:45:00Z");
    }
}
