//! The host as it runs: policies from their sources, each tick by the one that was good at its start.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::Config;
use crate::activation::bucket::Objects;
use crate::activation::location::{self, Location};
use crate::activation::signature::Key;
use crate::activation::{Admission, PolicySource, Rejected, StandIn, Standing};
use crate::aws::sdk_api::SdkApi;
use crate::aws::{AwsApi, Known};
use crate::config;
use crate::error::{Error, ErrorKind};
use crate::fanout::{self, Document, Merge, Places};
use crate::policy::{Cache, Policy, Release};
use crate::summary;
use crate::tick::{Policies, Report, Runtime, Tick, unknown_operation};

/// How long a tick waits for a policy that is on its way, where it has one to go by.
const WAIT: Duration = Duration::from_secs(60);

/// How long a start waits for its policy. Lambda ends an init phase after 10 seconds and begins anew.
const INIT: Duration = Duration::from_secs(8);

/// What lives as long as the process: the sources of policies, and AWS.
pub struct Service {
    config: Config,
    aws_api: Arc<dyn AwsApi>,
    /// Sessions and unused regions: one knowledge for all policies, whichever is active.
    known: Arc<Known>,
    slots: Vec<PolicySource>,
    places: Places,
    /// The runtime of each slot's standing, by its count of changes: sessions last from tick to tick.
    runtimes: Vec<Mutex<Option<Counted>>>,
    /// The same of the policy before, where only that one serves an operation.
    runtimes_of_previous: Vec<Mutex<Option<CountedPrevious>>>,
}

/// A runtime and the count of changes that it's of.
type Counted = (u64, Arc<Runtime>);
type CountedPrevious = (u64, (Arc<Release>, Arc<Runtime>));

/// What serves an operation.
struct Serving<'a> {
    slot: &'a PolicySource,
    active: Arc<Release>,
    runtime: Arc<Runtime>,
    /// Why another than the source's active policy does.
    rejected: Option<Rejected>,
}

impl Service {
    /// Makes the AWS clients. Policies are looked at with every tick, or before by `prepare`.
    pub async fn start(config: Config) -> Result<Self, Error> {
        if let Some(unknown) = config.unknown_regions() {
            tracing::warn!("{unknown}: correct it, unless the region is newer than this program");
        }
        let live = SdkApi::from_env(config.max_concurrency).await?;
        let on_s3 = config.policies.iter().any(|policy| location::is_s3(policy)) || config.outcomes_prefix.is_some();
        let objects = match on_s3 {
            true => Some(Arc::new(Objects::from_env().await?)),
            false => None,
        };
        Self::with(config, Arc::new(live), objects)
    }

    /// The same with the APIs of AWS and of S3 given.
    pub fn with(config: Config, aws_api: Arc<dyn AwsApi>, objects: Option<Arc<Objects>>) -> Result<Self, Error> {
        Self::with_packaged(config, aws_api, objects, &config::default_policy())
    }

    /// The same with the packaged policy, which may stand in for others, at this path.
    pub fn with_packaged(
        config: Config,
        aws_api: Arc<dyn AwsApi>,
        objects: Option<Arc<Objects>>,
        packaged: &Path,
    ) -> Result<Self, Error> {
        let invalid = |error: String| Error::new(ErrorKind::ConfigurationInvalid, format!("environment: {error}"));
        let key = config.policy_public_key.as_deref().map(Key::named).transpose();
        let key = key.map_err(|error| invalid(format!("POLICY_PUBLIC_KEY {error}")))?;
        let gate = |key| {
            let (settings, cache) = (config.settings.clone(), Cache::standard(packaged));
            Arc::new(Admission { limits: config.limits, key, settings, cache })
        };
        // What is packaged with this program is as good as the program: it needs no signature.
        let (gate, of_packaged) = (gate(key), gate(None));
        let mut slots = Vec::new();
        for policy in &config.policies {
            let at = Location::parse(policy, objects.as_ref());
            let at = at.map_err(|error| Error::new(ErrorKind::PolicyUnavailable, format!("policy {error}")))?;
            let stand_in = packaged.to_str().filter(|packaged| packaged != policy);
            let gate = if stand_in.is_some() { &gate } else { &of_packaged };
            let stand_in = stand_in.filter(|_| config.packaged_stands_in);
            let stand_in = stand_in.and_then(|packaged| Location::parse(packaged, None).ok());
            slots.push(PolicySource::new(at, Arc::clone(gate), stand_in));
        }
        let runtimes = slots.iter().map(|_| Mutex::default()).collect();
        let runtimes_of_previous = slots.iter().map(|_| Mutex::default()).collect();
        let places = Places::new(config.outcomes_prefix.as_deref(), objects);
        let known = Known::new(config.region_recheck_ticks);
        Ok(Self { config, aws_api, known, slots, places, runtimes, runtimes_of_previous })
    }

    /// Loads the policies, so that the first tick finds them. Fails where there's none to go by.
    pub async fn prepare(&self) -> Result<(), Error> {
        let until = Instant::now() + INIT;
        self.look(until, until).await;
        for slot in &self.slots {
            slot.standing().await.map_err(|rejected| unusable(slot, &rejected))?;
        }
        Ok(())
    }

    /// Why sources aren't followed that aren't: which, at what step, and why.
    pub async fn rejected(&self) -> Vec<String> {
        let mut all = Vec::new();
        for slot in &self.slots {
            all.extend(slot.rejected().await.map(|rejected| format!("{}: {rejected}", slot.location())));
        }
        all
    }

    /// The way to AWS.
    pub fn aws_api(&self) -> Arc<dyn AwsApi> {
        Arc::clone(&self.aws_api)
    }

    /// Runs one tick by the policy that serves its operation. `progress` hears how many accounts are done, of how
    /// many.
    pub async fn tick(&self, tick: Tick, progress: impl Fn(usize, usize) + Sync) -> Result<Report, Error> {
        Ok(self.tick_by_active(tick, progress).await?.0)
    }

    /// Runs one tick, and says which release was active.
    async fn tick_by_active(
        &self,
        tick: Tick,
        progress: impl Fn(usize, usize) + Sync,
    ) -> Result<(Report, Arc<Release>), Error> {
        let operation = tick.event.operation.clone();
        let Serving { slot, active, runtime, rejected } = self.runtime(&operation, tick.deadline).await?;
        let not_followed = self.not_followed(slot, rejected, &active).await;
        let mut report = runtime.tick(tick, progress).await?;
        if report.demoted {
            slot.demote(&active).await;
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
        for slot in self.slots.iter() {
            if found.is_none() && slot.standing().await.is_err() {
                found = slot.rejected().await.map(|rejected| (slot, rejected));
            }
        }
        let (slot, rejected) = found?;
        Some(json!({
            "source": slot.location().to_string(),
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
        let Serving { slot, active, runtime, rejected } = self.runtime(&operation, deadline).await?;
        let not_followed = self.not_followed(slot, rejected, &active).await;
        let mut merged = runtime.merge(joined).await?;
        if merged.demoted {
            slot.demote(&active).await;
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
        self.look(now + (left / 4).min(WAIT), now + left / 2).await;
        let place = match self.serving(operation).await {
            Err(error) if error.kind == ErrorKind::UnknownOperation => {
                return self.by_previous(operation).await.ok_or(error);
            }
            place => place?,
        };
        let (Some(slot), Some(kept)) = (self.slots.get(place), self.runtimes.get(place)) else {
            return Err(unknown_operation(operation, []));
        };
        let standing = usable(slot).await?;
        let mut kept = kept.lock().await;
        let runtime = match &*kept {
            Some((change, runtime)) if *change == standing.change => Arc::clone(runtime),
            _ => {
                let policies = slot.policies(&standing);
                let (config, aws_api, known) =
                    (self.config.clone(), Arc::clone(&self.aws_api), Arc::clone(&self.known));
                let runtime = Arc::new(Runtime::knowing(config, policies, aws_api, known));
                *kept = Some((standing.change, Arc::clone(&runtime)));
                runtime
            }
        };
        Ok(Serving { slot, active: standing.active, runtime, rejected: None })
    }

    /// Lets the policy serve that a manifest had before its active one, where only that one serves an operation: whoever
    /// published the active one may not have meant to end it.
    async fn by_previous(&self, operation: &str) -> Option<Serving<'_>> {
        for (slot, kept) in self.slots.iter().zip(&self.runtimes_of_previous) {
            let Some(standing) = slot.standing().await.ok().flatten() else { continue };
            let mut kept = kept.lock().await;
            let known = kept.take().filter(|(change, _)| *change == standing.change);
            let (release, runtime) = match known {
                Some((_, known)) => known,
                None => {
                    let Some(release) = slot.previous(&standing).await else { continue };
                    let policies = Policies::of(Arc::clone(&release));
                    let (config, aws_api, known) =
                        (self.config.clone(), Arc::clone(&self.aws_api), Arc::clone(&self.known));
                    (release, Arc::new(Runtime::knowing(config, policies, aws_api, known)))
                }
            };
            *kept = Some((standing.change, (Arc::clone(&release), Arc::clone(&runtime))));
            if release.policy().title(operation).is_none() {
                continue;
            }
            let reason = format!(
                "{} doesn't serve {operation}, which {release} before it does and goes on with: publish a policy that \
                 serves it, or list both in POLICY",
                standing.active
            );
            let rejected = Rejected::unserved(reason);
            slot.tell(&rejected, Some(&release));
            return Some(Serving { slot, active: release, runtime, rejected: Some(rejected) });
        }
        None
    }

    /// The release that serves an operation now.
    pub async fn release(&self, operation: &str) -> Result<Arc<Release>, Error> {
        let until = Instant::now() + 2 * WAIT;
        self.look(until, until).await;
        Ok(usable(&self.slots[self.serving(operation).await?]).await?.active)
    }

    /// The release that ticks of an operation go by, without another look at its source.
    pub async fn standing(&self, operation: &str) -> Option<Arc<Release>> {
        let place = self.serving(operation).await.ok()?;
        Some(usable(&self.slots[place]).await.ok()?.active)
    }

    /// Looks at every source, and then lets others stand in for what no source serves. What is on its way is waited for
    /// until `until`, and until `latest` where there's nothing else to go by.
    async fn look(&self, until: Instant, latest: Instant) {
        for (place, slot) in self.slots.iter().enumerate() {
            let others = self.others(place, None).await;
            slot.look(until, latest, &|operation| served_by(&others, operation)).await;
        }
        // One round each, so that the packaged policy for one source doesn't keep out the previous one of another.
        for by in StandIn::ALL {
            for (place, slot) in self.slots.iter().enumerate() {
                let others = self.others(place, Some(by)).await;
                slot.stand_in(by, &|operation| served_by(&others, operation)).await;
            }
        }
    }

    /// The releases of all other slots; those that stand in for another policy only where they do it as well as this.
    async fn others(&self, place: usize, stand_ins: Option<StandIn>) -> Vec<Arc<Release>> {
        let mut others = Vec::new();
        for (_, other) in self.slots.iter().enumerate().filter(|(other, _)| *other != place) {
            let standing = other.standing().await.ok().flatten();
            let standing = standing.filter(|standing| standing.stands_in() <= stand_ins);
            others.extend(standing.map(|standing| standing.active));
        }
        others
    }

    /// The slot whose policy serves an operation.
    async fn serving(&self, operation: &str) -> Result<usize, Error> {
        let mut known: Vec<Policy> = Vec::new();
        let mut unusable_one = None;
        for (place, slot) in self.slots.iter().enumerate() {
            match usable(slot).await {
                Ok(standing) if standing.active.policy().title(operation).is_some() => return Ok(place),
                Ok(standing) => known.push(standing.active.policy().clone()),
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

/// What a slot's ticks go by.
async fn usable(slot: &PolicySource) -> Result<Standing, Error> {
    let standing = slot.standing().await.map_err(|rejected| unusable(slot, &rejected))?;
    standing.ok_or_else(|| {
        let message = format!("policy {}: is still on its way; the next tick goes on", slot.location());
        Error::new(ErrorKind::PolicyUnavailable, message)
    })
}

/// The error of an invocation for which there's no policy.
fn unusable(slot: &PolicySource, rejected: &Rejected) -> Error {
    Error::new(rejected.kind, format!("policy {}: {rejected}", slot.location()))
}
