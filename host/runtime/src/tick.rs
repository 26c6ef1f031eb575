//! One tick: the table is read, the policy decides every account, changes are written, and a summary is made.

mod account;
mod account_gate;
mod account_item;
mod account_stream;
mod decider;
mod journaling;
mod merge;
mod numbers;
mod rollout;
mod scheduler;
mod shadow;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_smithy_types::date_time::{DateTime, Format};
use futures_util::stream::{self, StreamExt};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use crate::aws::{AwsApi, AwsError, Counter, Known, Segment, pacing};
use crate::bindings::types::{self, AccountOutcome};
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::journal::{CallNumbers, Journal, PolicyRef};
use crate::metrics::{self, Metric};
use crate::outcome::{self, Counts};
use crate::plan::Planned;
use crate::policy::{Policy, Release};
use crate::removals::{Part, RemovalBudget};
use crate::rollout::{Evidence, Stage};
use crate::summary;
use account::{Decided, Run, Step};
use account_gate::AccountGate;
use account_stream::AccountStream;
use decider::{Decider, Rescue};
use numbers::Before;
use rollout::Rollout;
use scheduler::{Plan, Scheduler, Told};
use shadow::Decisions;

pub use account::DEFERRED;
pub use decider::{LastGood, Policies};
pub use merge::{FailedSegment, Joined, Merged, OfTick};
pub use shadow::Shadow;

/// The input of a tick.
#[derive(Debug, Clone)]
pub struct Tick {
    /// The event.
    pub event: Event,
    /// When it began; the policy's only time.
    pub now: SystemTime,
    /// When the invocation ends, whatever is under way; `None` for no end.
    pub deadline: Option<Instant>,
    /// The reason that nothing is removed in this tick, whatever the policy requests; `None` if removals are allowed.
    pub hold_removals: Option<String>,
    /// The request that asks for it, by which the journal knows it; `None` where there's none.
    pub request: Option<String>,
    /// The stage of the rollout whose candidate is the shadow policy; `None` if the active policy decides every account.
    pub rollout: Option<Stage>,
}

impl Tick {
    /// A tick that begins now and may take as long as it likes.
    pub fn of(event: Event) -> Self {
        Self { event, now: SystemTime::now(), deadline: None, hold_removals: None, request: None, rollout: None }
    }
}

/// The result of a tick.
#[derive(Debug, Clone)]
pub struct Report {
    /// The policy's summary, whole: `summary::fit` shortens it for Lambda.
    pub summary: Value,
    /// The number of accounts of each status.
    pub counts: Counts,
    /// The outcome of each account, ordered by id.
    pub outcomes: Vec<AccountOutcome>,
    /// Whether time was out before all accounts were read.
    pub not_read: bool,
    /// What the policies knew of the tick, but for their settings.
    pub tick: types::Tick,
    /// The policy that decided an account, by the account's id, if it wasn't the active policy.
    pub decided_by: BTreeMap<String, String>,
    /// Whether the active policy should be replaced, because it failed on too many accounts, or on the summary.
    pub demoted: bool,
    /// The result of the shadow policy.
    pub shadow: Shadow,
    /// The tick in numbers, as its last log line has them.
    pub metrics: Vec<Metric>,
    /// The calls of AWS in numbers, by service.
    pub calls: BTreeMap<String, CallNumbers>,
    /// Why a configured policy isn't followed, as the summary has it.
    pub policy_rejected: Option<Value>,
    /// In a dry run the changes that it would have made, ordered by account id; otherwise none.
    pub planned: Vec<Planned>,
    /// The active policy.
    pub policy: PolicyRef,
    /// What the journal knows the tick by, if there's a journal.
    pub tick_id: Option<String>,
    /// What the tick saw of a candidate under rollout, and at which step.
    pub rollout: Option<(usize, Evidence)>,
}

/// The runtime of ticks: compiled policies, and AWS.
pub struct Runtime {
    config: Config,
    regions: Arc<[String]>,
    aws_api: Arc<dyn AwsApi>,
    active: Arc<Decider>,
    rescue: Option<Rescue>,
    shadow: Option<Arc<Decider>>,
    known: Arc<Known>,
    hold_removals: Option<String>,
    counter: Arc<Counter>,
    order: Scheduler,
    journal: Option<Arc<Journal>>,
}

impl Runtime {
    /// Creates the runtime of one policy with the settings of the environment. Fails if the policy refuses them.
    pub async fn with(config: Config, policy: Policy, aws_api: Arc<dyn AwsApi>) -> Result<Self, Error> {
        let release =
            Release::new(policy, config.settings.clone()).await.map_err(|error| error.of_settings("settings"))?;
        Ok(Self::new(config, Policies::only(release), aws_api))
    }

    /// Runs the ticks of these policies.
    pub fn new(config: Config, policies: Policies, aws_api: Arc<dyn AwsApi>) -> Self {
        let known = Known::new(config.region_recheck_ticks);
        Self::knowing(config, policies, aws_api, known)
    }

    /// The same with what is known of AWS from ticks of other policies.
    pub fn knowing(config: Config, policies: Policies, aws_api: Arc<dyn AwsApi>, known: Arc<Known>) -> Self {
        let counter = Arc::<Counter>::default();
        let decider = |release| Decider::new(release, &aws_api, &config, &counter, &known);
        Self {
            regions: config.regions.clone().into(),
            active: decider(policies.active),
            rescue: policies.last_good.map(Rescue::new),
            shadow: policies.shadow.map(decider),
            hold_removals: policies.hold_removals,
            known,
            config,
            aws_api,
            counter,
            order: Scheduler::default(),
            journal: None,
        }
    }

    /// The same with a journal, whose way to AWS is the runtime's.
    pub fn journaled(self, journal: Option<Arc<Journal>>) -> Self {
        Self { journal, ..self }
    }

    /// The last good policy, if there's one for this operation.
    async fn last_good(&self, operation: &str) -> Option<Arc<Decider>> {
        self.rescue.as_ref()?.find(operation, &self.aws_api, &self.config, &self.counter, &self.known).await
    }

    /// Runs one tick. `progress` receives the number of accounts that are done, and of all accounts.
    pub async fn tick(self: &Arc<Self>, tick: Tick, progress: impl Fn(usize, usize) + Sync) -> Result<Report, Error> {
        let span = tracing::info_span!("tick", operation = tick.event.operation);
        self.run(tick, progress).instrument(span).await
    }

    async fn run(self: &Arc<Self>, tick: Tick, progress: impl Fn(usize, usize) + Sync) -> Result<Report, Error> {
        let event = &tick.event;
        let policy = self.active.policy();
        let Some(title) = policy.title(&event.operation) else {
            return Err(unknown_operation(&event.operation, [policy]));
        };
        let times = Times::of(&tick, self.config.deadline_margin);
        let dry_run = event.dry_run.unwrap_or(false) || self.config.dry_run;
        let now: Arc<str> = instant_text(tick.now).into();
        tracing::info!(
            operation = event.operation,
            policy = policy.info().name,
            policyVersion = policy.info().version,
            policyDigest = policy.digest(),
            dryRun = dry_run,
            "{title} started"
        );

        if event.account_ids.is_none() {
            self.known.begin_tick();
        }
        if let Some(rescue) = &self.rescue {
            rescue.begin_tick();
        }
        let before = Before::now(&self.counter, policy);
        let journal = self.begin_journal(&tick, dry_run).await;

        let run = Arc::new(Run {
            runtime: Arc::clone(self),
            removals: match self.hold_removals.as_ref().or(tick.hold_removals.as_ref()) {
                Some(reason) => RemovalBudget::none(reason),
                None => RemovalBudget::new(self.config.max_removals_percent, part(event)),
            },
            tick: types::Tick {
                operation: event.operation.clone(),
                now: now.to_string(),
                dry_run,
                regions: self.regions.to_vec(),
                settings: String::new(), // each policy has its own
            },
            now,
            times,
            thorough: event.account_ids.is_some(),
            rescued: AtomicUsize::new(0),
            for_shadow: Decisions::for_shadow(self.shadow.clone()),
            rollout: Rollout::new(tick.rollout.clone(), self.shadow.as_ref(), &event.operation),
            planned: Mutex::default(),
            journal,
            frozen: AtomicUsize::new(0),
        });
        let plan = self.order.plan(tick.now, event.segment);
        let read = self.decide(&run, event, title, &plan, progress).await;
        self.counter.advise();
        let Read { mut decided, whole, emptied_held } = match read {
            Ok(read) => read,
            Err(error) => {
                run.journal_failed_tick(before.calls(&self.counter), &error).await;
                return Err(error);
            }
        };
        decided.sort_by(|one, other| one.account.account_id.cmp(&other.account.account_id));
        let others: BTreeMap<String, String> = decided
            .iter()
            .filter(|decided| !Arc::ptr_eq(&decided.by, &self.active))
            .map(|decided| (decided.account.account_id.clone(), decided.by.release().to_string()))
            .collect();
        let outcomes: Vec<AccountOutcome> = decided.into_iter().map(|decided| decided.account).collect();

        let counts = Counts::of(&outcomes);
        let deferred = outcomes.iter().filter(|one| one.outcome.reason.as_deref() == Some(DEFERRED)).count();
        if deferred > 0 {
            tracing::warn!(accountsDeferred = deferred, "{title}: out of time; the next tick continues");
        }
        if !whole {
            tracing::warn!(
                accountsNotRead = true,
                accountsRead = counts.total,
                "{title}: out of time before the whole table was read; the next tick starts with the remaining accounts"
            );
        }
        if run.removals.exhausted() {
            tracing::warn!(
                accountsHeld = counts.held,
                "{title}: more accounts would lose staging accounts, but {}; check whether DRS is right; the next tick \
                 continues",
                run.removals.reason(),
            );
        }
        let (mut summary, rescued) = match self.summarize(&run.tick, &outcomes).await {
            Ok(summarized) => summarized,
            Err(error) => {
                let calls = before.calls(&self.counter);
                run.end_journal(&outcomes, &others, &Shadow::default(), whole, calls, Some(&error)).await;
                return Err(error);
            }
        };
        let demoted = rescued || run.demoted();
        summary::name_deciders(&mut summary, &others);
        if !whole {
            summary::accounts_not_read(&mut summary);
        }
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        let shadow = run.for_shadow.compare(&run.tick, run.times.stop, run.rollout.as_ref()).await;
        let rollout = run.rollout.as_ref().map(|rollout| {
            rollout.not_compared(deferred);
            rollout.evidence(whole)
        });
        let calls = before.calls(&self.counter);
        let journal_failed = run.end_journal(&outcomes, &others, &shadow, whole, calls.clone(), None).await;
        let mut metrics = numbers::of(&counts);
        metrics.extend([
            Metric::count("accountsDeferred", deferred),
            Metric::count("accountsNotRead", usize::from(!whole)),
            Metric::count("emptyingsHeld", emptied_held),
            Metric::count("accountsRescued", count(&run.rescued)),
            Metric::count("shadowDifferences", shadow.different),
        ]);
        if let Some(failed) = journal_failed {
            let frozen = count(&run.frozen);
            metrics.extend([Metric::count("journalFailed", failed), Metric::count("accountsFrozen", frozen)]);
            summary::journal(&mut summary, failed, frozen);
        }
        metrics.extend(before.until_now(&self.counter, policy));
        tracing::info!(
            _aws = metrics::directive(tick.now, &["operation"], &metrics),
            functionName = metrics::function_name(),
            operation = event.operation,
            metrics = metrics::values(&metrics),
            accountsProcessed = counts.processed(),
            shadowPolicy = self.shadow.as_ref().map(|shadow| shadow.release().to_string()),
            shadowFailures = shadow.failed,
            shadowNotCompared = (shadow.not_compared > 0).then_some(shadow.not_compared),
            policy = policy.info().name,
            policyVersion = policy.info().version,
            policyDigest = policy.digest(),
            tickId = run.journal.as_ref().map(|journal| journal.id()),
            dryRun = dry_run,
            "{title} completed"
        );
        let (tick, decided_by) = (run.tick.clone(), others);
        let not_read = !whole;
        let mut planned = std::mem::take(&mut *run.planned.lock().unwrap_or_else(PoisonError::into_inner));
        planned.sort_by(|one, other| one.account_id.cmp(&other.account_id));
        Ok(Report {
            summary,
            counts,
            outcomes,
            not_read,
            tick,
            decided_by,
            demoted,
            shadow,
            metrics,
            calls,
            policy_rejected: None,
            planned,
            policy: journaling::policy_ref(self.active.release()),
            tick_id: run.journal.as_ref().map(|journal| journal.id().to_owned()),
            rollout,
        })
    }

    /// The summary, and whether the active policy failed on it: the writes are made, so a policy that can't sum up
    /// costs no tick either.
    async fn summarize(&self, tick: &types::Tick, outcomes: &[AccountOutcome]) -> Result<(Value, bool), Error> {
        let error = match self.active.summarize(tick, outcomes).await {
            Ok(summary) => return Ok((summary, false)),
            Err(error) => error,
        };
        let Some(last_good) = self.last_good(&tick.operation).await else { return Err(error) };
        tracing::warn!(
            policy = %self.active.release(),
            error = %error,
            rescuedBy = %last_good.release(),
            "policy failed on the summary: the last good policy makes it"
        );
        Ok((last_good.summarize(tick, outcomes).await?, true))
    }

    /// Reads the accounts that the event is about and decides them, as they come; those that would be emptied last.
    async fn decide(
        &self,
        run: &Arc<Run>,
        event: &Event,
        title: &str,
        plan: &Plan,
        progress: impl Fn(usize, usize) + Sync,
    ) -> Result<Read, Error> {
        let (pages, next) = mpsc::channel(1);
        let (aws, at_once) = (&self.active.aws, self.config.max_concurrency);
        let read = Mutex::default();
        let feed = AccountStream { aws, plan, removals: &run.removals, pages, at_once, read: &read }.run(event);
        let (total, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let account_done = |decided: &Decided| {
            let by = decided.by.policy();
            outcome::log(title, &decided.account, by.info(), by.digest(), decided.took);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, total.load(Ordering::Relaxed));
        };
        let (mut decided, mut last) = (Vec::new(), Vec::new());
        let most = self.config.max_accounts();
        let gate = AccountGate::new(self.config.max_concurrency, self.regions.len(), most);
        let accounts = stream::unfold(next, async |mut next| next.recv().await.map(|page| (page, next)));
        let decide = accounts
            .inspect(|page| {
                let total = total.fetch_add(page.len(), Ordering::Relaxed) + page.len();
                progress(done.load(Ordering::Relaxed), total);
            })
            .flat_map(stream::iter)
            .then(|account| {
                let gate = Arc::clone(&gate);
                async move { (gate.enter().await, account) }
            })
            .map(|(place, account)| {
                let (step, gate, aws) = (run.spawn(account), Arc::clone(&gate), Arc::clone(aws));
                async move {
                    let step = step.await;
                    gate.leave(place, aws.has_room());
                    step
                }
            })
            .buffer_unordered(most)
            .for_each(|step| {
                match step {
                    Step::Decided(one) => {
                        account_done(&one);
                        decided.push(*one);
                    }
                    Step::Last(one) => last.push(*one),
                }
                std::future::ready(())
            });
        let feed = async {
            let ended = timeout_at(run.times.end, pacing::until(run.times.end, feed)).await;
            run.removals.end();
            ended
        };
        let (ended, ()) = tokio::join!(feed, decide);
        let whole = matches!(ended, Ok(Ok(())));
        if let Ok(Err(error)) = &ended
            && !pacing::is_out_of_time(error, run.times.end)
        {
            let done = decided.iter().filter(|one| !one.is_deferred()).count();
            let before = if done == 0 { String::new() } else { format!("; {done} accounts were decided before") };
            // It wasn't the table's fault if nothing was asked.
            if error.code == AwsError::NOT_SENT {
                let message = format!("environment: can't call AWS: {}{before}", error.message);
                return Err(Error::new(ErrorKind::ConfigurationInvalid, message));
            }
            return Err(Error::new(
                ErrorKind::TableUnavailable,
                format!("AWS: {error}: {}{before}", error.remedy("TARGET_ACCOUNTS_TABLE, AWS_REGION")),
            ));
        }
        last.sort_by_key(|one| one.position);
        let mut emptied_held = 0;
        if let Some(reason) = run.removals.judge_emptying(last.len()) {
            emptied_held = last.len();
            tracing::error!(
                accountsHeld = emptied_held,
                "{title}: no staging accounts are removed from these accounts: {reason}"
            );
        }
        let mut turns = stream::iter(last).map(|one| run.spawn_last(one)).buffer_unordered(self.config.max_accounts());
        while let Some(step) = turns.next().await {
            if let Step::Decided(one) = step {
                account_done(&one);
                decided.push(*one);
            }
        }
        drop(turns);
        if let (false, Some(ids)) = (whole, &event.account_ids) {
            let known: HashSet<String> = decided.iter().map(|one| one.account.account_id.clone()).collect();
            let unread = ids.iter().filter(|id| !known.contains(id.as_str()));
            decided.extend(unread.map(|id| Decided::deferred(id, &self.active)));
        }
        if event.account_ids.is_none() {
            let behind = !whole || run.removals.exhausted() || decided.iter().any(Decided::is_deferred);
            let (waiting, done): (Vec<_>, Vec<_>) = decided.iter().partition(|one| one.waits(&run.removals.reason()));
            let id = |one: &&Decided| one.account.account_id.clone();
            let account_stream::Read { starts, unread, .. } = read.into_inner().unwrap_or_else(PoisonError::into_inner);
            self.order.learn(Told {
                behind,
                segment: event.segment,
                starts,
                unread,
                took: done.iter().map(|one| (id(one), one.took)).collect(),
                waiting: waiting.iter().map(id).collect(),
            });
        }
        Ok(Read { decided, whole, emptied_held })
    }
}

/// The accounts of a tick.
struct Read {
    decided: Vec<Decided>,
    /// Whether they were read to the last one.
    whole: bool,
    /// How many keep their lists because too many would be emptied.
    emptied_held: usize,
}

/// What a tick is over, as far as removals are concerned.
fn part(event: &Event) -> Part {
    match (&event.account_ids, event.segment) {
        (Some(_), _) => Part::Named,
        (None, Some(Segment { segment, total })) => Part::Segment(segment, total),
        (None, None) => Part::Table,
    }
}

/// The error of an event that none of these policies serves.
pub(crate) fn unknown_operation<'a>(operation: &str, policies: impl IntoIterator<Item = &'a Policy>) -> Error {
    let served = policies.into_iter().flat_map(|policy| &policy.info().operations);
    let known: Vec<&str> = served.map(|served| served.name.as_str()).collect();
    Error::new(
        ErrorKind::UnknownOperation,
        format!("event at $.operation: unknown operation {operation:?}: this host serves {}", known.join(", ")),
    )
}

/// When a tick ends.
#[derive(Clone, Copy)]
struct Times {
    /// From here on nothing is started: no account, no write.
    stop: Instant,
    /// From here on a write under way isn't waited for.
    end: Instant,
    /// From here on the journal isn't waited for.
    journal: Instant,
}

impl Times {
    fn of(tick: &Tick, margin: Duration) -> Self {
        // "No deadline" is a far one, for timers have an end: Lambda's longest invocation is 15 minutes.
        let deadline = tick.deadline.unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400));
        let before = |time: Duration| deadline.checked_sub(time).unwrap_or(deadline);
        Self { stop: before(margin), end: before(margin / 2), journal: before(margin / 4) }
    }
}

/// A time as the table and the summary have it, to the second.
pub fn instant_text(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    DateTime::from_secs(seconds as i64).fmt(Format::DateTime).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_to_the_second() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_770_072_300_123);
        assert_eq!(instant_text(time), "2026-02-02T22:45:00Z");
    }
}
