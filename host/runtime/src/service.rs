//! The running host: policies from their sources, and for each tick the policy that was good at its start.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::Config;
use crate::activation::rollouts::Seen;
use crate::activation::signature::Key;
use crate::activation::{Admission, CurrentPolicies, Fallback, PolicySource, Rejected};
use crate::aws::sdk_api::SdkApi;
use crate::aws::{AwsApi, Known, Segment};
use crate::config;
use crate::error::{Error, ErrorKind};
use crate::fanout::{self, Document, Merge, OutcomeLocations};
use crate::journal::names::TickId;
use crate::journal::{self, Journal};
use crate::policy::{Cache, Policy, Release};
use crate::rollout::{TickPart, TickRef};
use crate::store::bucket::Objects;
use crate::store::location::{self, Location};
use crate::summary;
use crate::tick::{Policies, Report, Runtime, Tick, unknown_operation};

/// How long a tick waits for a policy that is on its way, where it has one to go by.
const WAIT: Duration = Duration::from_secs(60);

/// How long a start waits for its policy. Lambda ends an init phase after 10 seconds and begins anew.
const INIT: Duration = Duration::from_secs(8);

/// The state that lives as long as the process: the sources of policies, and AWS.
pub struct Service {
    config: Config,
    aws_api: Arc<dyn AwsApi>,
    journal: Option<Arc<Journal>>,
    /// Sessions and unused regions: one knowledge for all policies, whichever is active.
    known: Arc<Known>,
    sources: Vec<PolicySource>,
    places: OutcomeLocations,
    /// The runtimes of each source's current policies.
    runtimes: Vec<Mutex<ByOperation<Arc<Runtime>>>>,
    /// The same of the policy before, where only that one serves an operation.
    runtimes_of_previous: Vec<Mutex<ByOperation<Previous>>>,
}

/// What runs the ticks of each operation, with the count of changes that it's of. Ticks of several operations may run at
/// once: each has its own numbers, order of accounts and tape, and all share what is known of AWS.
type ByOperation<T> = BTreeMap<String, (u64, T)>;
type Previous = (Arc<Release>, Arc<Runtime>);

/// What serves an operation.
struct Serving<'a> {
    source: &'a PolicySource,
    active: Arc<Release>,
    runtime: Arc<Runtime>,
    /// Why another than the source's active policy does.
    rejected: Option<Rejected>,
    /// What the source goes by, where its active policy serves.
    current: Option<CurrentPolicies>,
}

/// What a rollout's document knows a tick by.
struct TickKnownBy {
    at: SystemTime,
    request: Option<String>,
    part: TickPart,
}

impl TickKnownBy {
    fn of(tick: &Tick) -> Self {
        let part = match (&tick.event.account_ids, tick.event.segment) {
            (Some(_), _) => TickPart::Named,
            (None, None) => TickPart::Table,
            (None, Some(Segment { segment, total })) => {
                // Segments of one tick leave their outcomes in one folder.
                let folder = tick.event.outcomes_to.as_deref().and_then(|uri| uri.rsplit_once('/'));
                let fan_out = folder.map_or_else(String::new, |(folder, _)| folder.to_owned());
                TickPart::Segment { segment, total, fan_out }
            }
        };
        Self { at: tick.now, request: tick.request.clone(), part }
    }

    fn tick(self, report: &Report) -> TickRef {
        let of_journal = report.tick_id.clone();
        let id = of_journal.unwrap_or_else(|| TickId::new(self.at, self.request.as_deref()).to_string());
        TickRef { id, at: report.tick.now.clone(), request: self.request, part: self.part }
    }
}

impl Service {
    /// Makes the AWS clients. Policies are looked at with every tick, or before by `prepare`.
    pub async fn start(config: Config) -> Result<Self, Error> {
        if let Some(unknown) = config.unknown_regions() {
            tracing::warn!("{unknown}: correct it, unless the region is newer than this program");
        }
        let live = SdkApi::from_env(config.max_concurrency).await?;
        let on_s3 = config.policies.iter().any(|policy| location::is_s3(policy)) || config.outcomes_prefix.is_some();
        let journal_on_s3 = config.journal.as_deref().is_some_and(location::is_s3);
        let objects = match (journal_on_s3, on_s3) {
            (true, _) => Some(Arc::new(Objects::concurrent(journal::CONCURRENCY).await?)),
            (false, true) => Some(Arc::new(Objects::from_env().await?)),
            (false, false) => None,
        };
        Self::with(config, Arc::new(live), objects)
    }

    /// Creates the service with the given APIs of AWS and S3.
    pub fn with(config: Config, aws_api: Arc<dyn AwsApi>, objects: Option<Arc<Objects>>) -> Result<Self, Error> {
        Self::with_packaged(config, aws_api, objects, &config::default_policy())
    }

    /// The same service with the packaged policy, which may replace rejected ones, at this path.
    pub fn with_packaged(
        config: Config,
        aws_api: Arc<dyn AwsApi>,
        objects: Option<Arc<Objects>>,
        packaged: &Path,
    ) -> Result<Self, Error> {
        let invalid = |error: String| Error::new(ErrorKind::ConfigurationInvalid, format!("environment: {error}"));
        let key = config.policy_public_key.as_deref().map(Key::named).transpose();
        let key = key.map_err(|error| invalid(format!("POLICY_PUBLIC_KEY {error}")))?;
        let admission = |key| {
            let (settings, cache) = (config.settings.clone(), Cache::standard(packaged));
            Arc::new(Admission { limits: config.limits, key, settings, cache })
        };
        // What is packaged with this program is as good as the program: it needs no signature.
        let (admission, of_packaged) = (admission(key), admission(None));
        let mut sources = Vec::new();
        for policy in &config.policies {
            let at = Location::parse(policy, objects.as_ref());
            let at = at.map_err(|error| Error::new(ErrorKind::PolicyUnavailable, format!("policy {error}")))?;
            let fallback = packaged.to_str().filter(|packaged| packaged != policy);
            let admission = if fallback.is_some() { &admission } else { &of_packaged };
            let fallback = fallback.filter(|_| config.packaged_stands_in);
            let fallback = fallback.and_then(|packaged| Location::parse(packaged, None).ok());
            sources.push(PolicySource::new(at, Arc::clone(admission), fallback));
        }
        let runtimes = sources.iter().map(|_| Mutex::default()).collect();
        let runtimes_of_previous = sources.iter().map(|_| Mutex::default()).collect();
        let journal =
            config.journal.as_deref().map(|place| Journal::open(place, objects.as_ref(), Arc::clone(&aws_api)));
        let journal = journal.transpose().map_err(|error| invalid(format!("JOURNAL: {error}")))?;
        let aws_api = journal.as_ref().map_or(aws_api, |journal| journal.aws_api());
        let places = OutcomeLocations::new(config.outcomes_prefix.as_deref(), objects);
        let known = Known::new(config.region_recheck_ticks);
        Ok(Self { config, aws_api, journal, known, sources, places, runtimes, runtimes_of_previous })
    }

    /// Loads the policies before the first tick. Fails if there's no policy to use.
    pub async fn prepare(&self) -> Result<(), Error> {
        let until = Instant::now() + INIT;
        self.refresh(until, until).await;
        for source in &self.sources {
            source.current().await.map_err(|rejected| unusable(source, &rejected))?;
        }
        Ok(())
    }

    /// The sources whose policy was rejected: which, at what step, and why.
    pub async fn rejected(&self) -> Vec<String> {
        self.rejections().await.into_iter().map(|(source, rejected)| format!("{source}: {rejected}")).collect()
    }

    /// The same in parts: the source's location, and the rejection.
    pub async fn rejections(&self) -> Vec<(String, Rejected)> {
        let mut all = Vec::new();
        for source in &self.sources {
            all.extend(source.rejected().await.map(|rejected| (source.location().to_string(), rejected)));
        }
        all
    }

    /// The journal, if there's one.
    pub fn journal(&self) -> Option<&Arc<Journal>> {
        self.journal.as_ref()
    }

    /// The way to AWS.
    pub fn aws_api(&self) -> Arc<dyn AwsApi> {
        Arc::clone(&self.aws_api)
    }

    /// Runs one tick with the policy that serves its operation. `progress` receives the number of accounts that are
    /// done, and of all accounts.
    pub async fn tick(&self, tick: Tick, progress: impl Fn(usize, usize) + Sync) -> Result<Report, Error> {
        Ok(self.tick_by_active(tick, progress).await?.0)
    }

    /// Runs one tick, and says which release was active.
    async fn tick_by_active(
        &self,
        mut tick: Tick,
        progress: impl Fn(usize, usize) + Sync,
    ) -> Result<(Report, Arc<Release>), Error> {
        let operation = tick.event.operation.clone();
        let Serving { source, active, runtime, rejected, current } = self.runtime(&operation, tick.deadline).await?;
        let not_followed = self.not_followed(source, rejected, &active).await;
        if let Some(current) = &current {
            tick.rollout = source.rollout(current, tick.deadline).await;
        }
        let (deadline, known_by) = (tick.deadline, TickKnownBy::of(&tick));
        let mut report = runtime.tick(tick, progress).await?;
        if let (Some(current), Some((step, evidence)), false) = (&current, &report.rollout, report.tick.dry_run) {
            let until = deadline.and_then(|deadline| deadline.checked_sub(self.config.deadline_margin / 8));
            let seen = Seen { step: *step, evidence: evidence.clone(), tick: known_by.tick(&report) };
            source.record(current, seen, until).await;
        }
        if report.demoted {
            source.demote(&active).await;
        }
        if let Some(rejected) = not_followed {
            summary::policy_rejected(&mut report.summary, rejected.clone());
            report.policy_rejected = Some(rejected);
        }
        Ok((report, active))
    }

    /// Why a configured policy isn't followed, where that is so: the one that serves the operation, or one that serves
    /// nothing.
    async fn not_followed(&self, serving: &PolicySource, other: Option<Rejected>, active: &Release) -> Option<Value> {
        let mut found = other.map(|rejected| (serving, rejected));
        if found.is_none() {
            found = serving.rejected().await.map(|rejected| (serving, rejected));
        }
        for source in self.sources.iter() {
            if found.is_none() && source.current().await.is_err() {
                found = source.rejected().await.map(|rejected| (source, rejected));
            }
        }
        let (source, rejected) = found?;
        Some(json!({
            "source": source.location().to_string(),
            "step": rejected.step.name(),
            "reason": rejected.reason,
            "decidedBy": active.to_string(),
        }))
    }

    /// Runs the tick of one segment and leaves its outcomes where the event says. A second run of the same segment
    /// finds what the first one wrote, and replaces what it left; it removes nothing, because the first one may have
    /// used up what one tick may remove. Returns how many accounts there are of each
    /// status and where the outcomes are: of a size that a state of Step Functions can carry, whatever the policy.
    pub async fn segment(&self, tick: Tick) -> Result<Value, Error> {
        let (Some(segment), Some(uri)) = (tick.event.segment, tick.event.outcomes_to.clone()) else {
            return Err(Error::new(ErrorKind::EventInvalid, "event at $.outcomesTo: expected a segment that has one"));
        };
        let place = self.places.at("$.outcomesTo", &uri)?;
        let tick = Tick { hold_removals: place.first_run().await.err(), ..tick };
        let (report, active) = self.tick_by_active(tick, |_, _| ()).await?;
        let counts = report.counts;
        let mut answer = json!({
            "timestamp": report.tick.now,
            "dryRun": report.tick.dry_run,
            "segment": segment.segment,
            "totalSegments": segment.total,
            "totalAccounts": counts.total,
            "accountsProcessed": counts.processed(),
            "accountsUpdated": counts.updated,
            "accountsSkipped": counts.counted_as_skipped(),
            "accountsFailed": counts.failed,
            "outcomes": uri,
        });
        if report.not_read {
            answer["accountsNotRead"] = true.into();
        }
        place.put(Document::of(segment, &active, report).text()).await?;
        Ok(answer)
    }

    /// Makes one summary of what segments have left, by the policy that serves their operation now. The answer is
    /// shortened to what a state of Step Functions can carry where the whole summary is kept elsewhere.
    pub async fn merge(&self, merge: Merge, deadline: Option<Instant>) -> Result<Value, Error> {
        let summary_to = merge.summary_to.as_ref().map(|uri| self.places.at("$.summaryTo", uri)).transpose()?;
        let joined = fanout::join(self.places.documents(&merge.outcomes).await?, merge.failed_segments)?;
        let operation = joined.tick.operation.clone();
        let Serving { source, active, runtime, rejected, .. } = self.runtime(&operation, deadline).await?;
        let not_followed = self.not_followed(source, rejected, &active).await;
        let mut merged = runtime.merge(joined).await?;
        if merged.demoted {
            source.demote(&active).await;
        }
        if let Some(rejected) = not_followed {
            summary::policy_rejected(&mut merged.summary, rejected);
        }
        let Some(place) = summary_to else { return Ok(summary::fit(merged.summary, summary::MAX_BYTES)) };
        place.put(merged.summary.to_string()).await?;
        Ok(summary::fit(merged.summary, summary::MAX_STATE_BYTES))
    }

    /// What runs the ticks of an operation now, and what it goes by.
    async fn runtime(&self, operation: &str, deadline: Option<Instant>) -> Result<Serving<'_>, Error> {
        let now = Instant::now();
        let left = deadline.map_or(8 * WAIT, |deadline| deadline.saturating_duration_since(now));
        self.refresh(now + (left / 4).min(WAIT), now + left / 2).await;
        let place = match self.serving(operation).await {
            Err(error) if error.kind == ErrorKind::UnknownOperation => {
                return self.by_previous(operation).await.ok_or(error);
            }
            place => place?,
        };
        let (Some(source), Some(kept)) = (self.sources.get(place), self.runtimes.get(place)) else {
            return Err(unknown_operation(operation, []));
        };
        let current = usable(source).await?;
        let mut kept = kept.lock().await;
        let runtime = match kept.get(operation) {
            Some((change, runtime)) if *change == current.change => Arc::clone(runtime),
            _ => {
                let runtime = self.runtime_of(source.policies(&current));
                kept.insert(operation.to_owned(), (current.change, Arc::clone(&runtime)));
                runtime
            }
        };
        Ok(Serving { source, active: Arc::clone(&current.active), runtime, rejected: None, current: Some(current) })
    }

    /// A runtime of policies, whose ticks may run at the same time as those of others.
    fn runtime_of(&self, policies: Policies) -> Arc<Runtime> {
        let journal = self.journal.as_ref().map(|journal| journal.beside());
        let aws_api = journal.as_ref().map_or_else(|| Arc::clone(&self.aws_api), |journal| journal.aws_api());
        let runtime = Runtime::knowing(self.config.clone(), policies, aws_api, Arc::clone(&self.known));
        Arc::new(runtime.journaled(journal))
    }

    /// Lets the policy serve that a manifest had before its active one, where only that one serves an operation: whoever
    /// published the active one may not have meant to end it.
    async fn by_previous(&self, operation: &str) -> Option<Serving<'_>> {
        for (source, kept) in self.sources.iter().zip(&self.runtimes_of_previous) {
            let Some(current) = source.current().await.ok().flatten() else { continue };
            let mut kept = kept.lock().await;
            let known = kept.remove(operation).filter(|(change, _)| *change == current.change);
            let (release, runtime) = match known {
                Some((_, known)) => known,
                None => {
                    let Some(release) = source.previous(&current).await else { continue };
                    let runtime = self.runtime_of(Policies::of(Arc::clone(&release)));
                    (release, runtime)
                }
            };
            kept.insert(operation.to_owned(), (current.change, (Arc::clone(&release), Arc::clone(&runtime))));
            if release.policy().title(operation).is_none() {
                continue;
            }
            let reason = format!(
                "{} doesn't serve {operation}, so the previous policy, {release}, stays in use: publish a policy that serves it, or \
                     list both in POLICY",
                current.active
            );
            let rejected = Rejected::unserved(reason);
            source.tell(&rejected, Some(&release));
            return Some(Serving { source, active: release, runtime, rejected: Some(rejected), current: None });
        }
        None
    }

    /// The release that serves an operation now.
    pub async fn release(&self, operation: &str) -> Result<Arc<Release>, Error> {
        let until = Instant::now() + 2 * WAIT;
        self.refresh(until, until).await;
        Ok(usable(&self.sources[self.serving(operation).await?]).await?.active)
    }

    /// The release that ticks of an operation go by, without another look at its source.
    pub async fn current(&self, operation: &str) -> Option<Arc<Release>> {
        let place = self.serving(operation).await.ok()?;
        Some(usable(&self.sources[place]).await.ok()?.active)
    }

    /// Looks at every source, and then lets others stand in for what no source serves. What is on its way is waited for
    /// until `until`, and until `latest` where there's nothing else to go by.
    async fn refresh(&self, until: Instant, latest: Instant) {
        for (place, source) in self.sources.iter().enumerate() {
            let others = self.others(place, None).await;
            source.refresh(until, latest, &|operation| served_by(&others, operation)).await;
        }
        // One round each, so that the packaged policy for one source doesn't keep out the previous one of another.
        for by in Fallback::ALL {
            for (place, source) in self.sources.iter().enumerate() {
                let others = self.others(place, Some(by)).await;
                source.fall_back(by, &|operation| served_by(&others, operation)).await;
            }
        }
    }

    /// The releases of all other sources; those that stand in for another policy only where they do it as well as this.
    async fn others(&self, place: usize, fallbacks: Option<Fallback>) -> Vec<Arc<Release>> {
        let mut others = Vec::new();
        for (_, other) in self.sources.iter().enumerate().filter(|(other, _)| *other != place) {
            let current = other.current().await.ok().flatten();
            let current = current.filter(|current| current.fallback() <= fallbacks);
            others.extend(current.map(|current| current.active));
        }
        others
    }

    /// The source whose policy serves an operation.
    async fn serving(&self, operation: &str) -> Result<usize, Error> {
        let mut known: Vec<Policy> = Vec::new();
        let mut unusable_one = None;
        for (place, source) in self.sources.iter().enumerate() {
            match usable(source).await {
                Ok(current) if current.active.policy().title(operation).is_some() => return Ok(place),
                Ok(current) => known.push(current.active.policy().clone()),
                Err(error) => unusable_one = unusable_one.or(Some(error)),
            }
        }
        Err(unusable_one.unwrap_or_else(|| unknown_operation(operation, &known)))
    }
}

/// Which of these releases serves an operation.
fn served_by(releases: &[Arc<Release>], operation: &str) -> Option<String> {
    releases.iter().find(|release| release.policy().title(operation).is_some()).map(ToString::to_string)
}

/// What a source's ticks go by.
async fn usable(source: &PolicySource) -> Result<CurrentPolicies, Error> {
    let current = source.current().await.map_err(|rejected| unusable(source, &rejected))?;
    current.ok_or_else(|| {
        let message = format!("policy {}: is still loading; the next tick tries again", source.location());
        Error::new(ErrorKind::PolicyUnavailable, message)
    })
}

/// The error of an invocation for which there's no policy.
fn unusable(source: &PolicySource, rejected: &Rejected) -> Error {
    Error::new(rejected.kind, format!("policy {}: {rejected}", source.location()))
}
