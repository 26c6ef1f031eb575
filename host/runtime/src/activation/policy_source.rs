//! A source of a policy, and the policy that ticks use between two refreshes.
//!
//! A look is cheap where nothing has changed. Where something has, the way to a new release is a task of its own:
//! a tick waits for it only so long, then goes by the release that was good before.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::manifest::{self, Entry, Manifest};
use super::rollouts::{Seen, Watched};
use super::{Admission, Rejected, Revision, Step};
use crate::metrics::{self, Metric};
use crate::policy::{COMPONENT, Release};
use crate::rollout::Stage;
use crate::store::Fetched;
use crate::store::location::Location;
use crate::text;
use crate::tick::{LastGood, Policies};

/// Why the packaged policy removes nothing where it stands in for another one.
const PACKAGED: &str =
    "the configured policy was rejected, and the packaged policy, which decides instead, removes nothing";

/// A source, looked at before every tick.
pub struct PolicySource {
    at: Location,
    admission: Arc<Admission>,
    /// The policy of the package, unless it is the source.
    packaged: Option<Location>,
    state: Mutex<State>,
    /// What is known of the rollout.
    rollout: Mutex<Watched>,
}

#[derive(Default)]
struct State {
    /// The source as it was seen last, whatever came of it.
    seen: Option<LastSeen>,
    under_way: Option<JoinHandle<Attempt>>,
    current: Option<CurrentPolicies>,
    rejected: Option<Rejected>,
    /// What was demoted: it must be another one before the source is followed again.
    demoted: Option<Arc<Release>>,
    /// A good release that was refused because another source serves its operation: it's judged again with every look.
    refused: Option<Arc<Release>>,
    /// What may stand in while the source has never had a good policy.
    substitute: Option<Substitute>,
    /// How often the current policies have changed.
    changes: u64,
}

/// What may stand in for a policy that was rejected: the one before it, else the packaged one with these settings.
struct Substitute {
    /// What the manifest calls the policy that was rejected.
    name: Option<String>,
    previous: Option<Entry>,
    settings: String,
}

/// The replacement of a policy that was rejected at the start, the better one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fallback {
    /// The policy that the manifest had before.
    Previous,
    /// The packaged policy for one of its name: with the settings that the manifest has for it.
    Namesake,
    /// The packaged policy for any.
    Packaged,
}

impl Fallback {
    /// All of them, in the order in which sources are asked.
    pub const ALL: [Self; 3] = [Self::Previous, Self::Namesake, Self::Packaged];
}

struct LastSeen {
    version: String,
    bytes: Arc<Vec<u8>>,
}

/// The policies that ticks use.
#[derive(Clone)]
pub struct CurrentPolicies {
    /// Decides.
    pub active: Arc<Release>,
    /// The one before, for what the active one fails on.
    before: Before,
    /// In the shadow.
    pub shadow: Option<Arc<Release>>,
    /// How the packaged policy stands in for another, if it does.
    fallback: Option<Fallback>,
    /// The manifest that names them, unless others took over.
    manifest: Option<Arc<Manifest>>,
    /// Counts up with every change.
    pub change: u64,
}

#[derive(Clone)]
enum Before {
    None,
    AtHand(Arc<Release>),
    Listed(Box<Entry>),
}

/// What became of a document: of the policy that it offers, and of those that it names besides.
struct Attempt {
    active: Result<Arc<Release>, Rejected>,
    shadow: Option<Result<Arc<Release>, Rejected>>,
    manifest: Option<Manifest>,
}

impl Substitute {
    /// For a policy without a manifest.
    fn of_plain(admission: &Admission) -> Self {
        Self { name: None, previous: None, settings: admission.settings.clone() }
    }
}

impl CurrentPolicies {
    /// How this is the packaged policy in place of another one, if it is.
    pub fn fallback(&self) -> Option<Fallback> {
        self.fallback
    }
}

impl PolicySource {
    /// A source. `packaged` replaces its policy at the start, if the source has no good one.
    pub fn new(at: Location, admission: Arc<Admission>, packaged: Option<Location>) -> Self {
        Self { at, admission, packaged, state: Mutex::default(), rollout: Mutex::default() }
    }

    /// Where it is.
    pub fn location(&self) -> &Location {
        &self.at
    }

    /// Looks whether the source has changed, and takes what it offers if that is good. Waits until `until`, or until
    /// `latest` where there's nothing else to go by; what comes later, a later look takes. `taken` tells which
    /// policy besides serves an operation.
    pub async fn refresh(&self, until: Instant, latest: Instant, taken: &(dyn Fn(&str) -> Option<String> + Sync)) {
        let mut state = self.state.lock().await;
        let until = if state.current.is_some() { until } else { latest };
        if state.under_way.is_none() {
            self.see(&mut state, until).await;
        }
        if let Some(task) = &mut state.under_way {
            match timeout_at(until, task).await {
                Ok(attempt) => {
                    state.under_way = None;
                    match attempt {
                        Ok(attempt) => self.take(&mut state, attempt, taken),
                        Err(error) => {
                            let reason = format!("host: {error}; please report it");
                            state.rejected = Some(Rejected::new(Step::Compile, reason));
                        }
                    }
                }
                Err(_) => tracing::warn!(
                    source = %self.at,
                    "a policy is still loading; this tick uses the previous one"
                ),
            }
        }
        if let Some(rejected) = &state.rejected {
            self.tell(rejected, state.current.as_ref().map(|current| &current.active));
        }
    }

    /// Logs that the source's policy was rejected, and which policy continues.
    pub fn tell(&self, rejected: &Rejected, goes_on: Option<&Arc<Release>>) {
        let metrics = [Metric::count("policyRejected", 1_u64)];
        tracing::error!(
            _aws = metrics::directive(SystemTime::now(), &[], &metrics),
            functionName = metrics::function_name(),
            metrics = crate::log::is_json().then(|| metrics::values(&metrics)),
            source = %self.at,
            step = rejected.step.name(),
            reason = rejected.reason,
            goesOn = goes_on.map(ToString::to_string),
            "policy rejected"
        );
    }

    /// The policy before the active one, if there's one and it can be had.
    pub async fn previous(&self, current: &CurrentPolicies) -> Option<Arc<Release>> {
        self.load(&current.before).await
    }

    /// Lets another policy stand in where the source has no good one. To be called when all sources were looked at, for
    /// all of them by one before any of them by the next: `taken` tells which policy that is no worse than `by` serves
    /// an operation besides, and what another source serves nobody stands in for.
    pub async fn fall_back(&self, by: Fallback, taken: &(dyn Fn(&str) -> Option<String> + Sync)) {
        let mut state = self.state.lock().await;
        if let Some(current) = state.current.clone().filter(|current| current.fallback == Some(by))
            && let Err(rejected) = unserved(current.active, taken)
        {
            tracing::warn!(source = %self.at, reason = %rejected, "the packaged policy no longer stands in");
            state.current = None;
        }
        let vacant = state.current.as_ref().is_none_or(|current| current.fallback > Some(by));
        if vacant
            && state.under_way.is_none()
            && let Some(substitute) = &state.substitute
            && let Some(active) = self.substitute(by, substitute, taken).await
        {
            state.changes += 1;
            let (fallback, change) = ((by != Fallback::Previous).then_some(by), state.changes);
            state.current =
                Some(CurrentPolicies { active, before: Before::None, shadow: None, fallback, manifest: None, change });
        }
    }

    /// The policies that ticks use; `None` while the first policy is loading. Fails if it was rejected.
    pub async fn current(&self) -> Result<Option<CurrentPolicies>, Rejected> {
        let state = self.state.lock().await;
        match (&state.current, &state.rejected) {
            (None, Some(rejected)) if state.under_way.is_none() => Err(rejected.clone()),
            (current, _) => Ok(current.clone()),
        }
    }

    /// What ticks of an operation go by of the rollout of these policies' shadow, if it's under one and all of it can be read.
    pub async fn rollout(&self, current: &CurrentPolicies, until: Option<Instant>) -> Option<Stage> {
        let manifest = current.manifest.as_ref()?;
        current.shadow.as_ref()?;
        self.rollout.lock().await.look(&self.at, manifest, until).await
    }

    /// Keeps what a tick saw of a rollout, and does what follows from it.
    pub async fn record(&self, current: &CurrentPolicies, seen: Seen, until: Option<Instant>) {
        let Some(manifest) = &current.manifest else { return };
        self.rollout.lock().await.record(&self.at, manifest, seen, until).await;
    }

    /// Why the source isn't followed, if it isn't.
    pub async fn rejected(&self) -> Option<Rejected> {
        self.state.lock().await.rejected.clone()
    }

    /// Goes on with the release before, because the active one failed on too much.
    pub async fn demote(&self, failed: &Arc<Release>) {
        let mut state = self.state.lock().await;
        let Some(current) = state.current.clone().filter(|current| Arc::ptr_eq(&current.active, failed)) else {
            return;
        };
        let Some(last_good) = self.load(&current.before).await else { return };
        let reason = format!("{failed} failed on as many accounts as RESCUE_LIMIT allows: {last_good} takes over");
        state.rejected = Some(Rejected::new(Step::Run, reason));
        state.demoted = Some(Arc::clone(failed));
        state.changes += 1;
        state.current = Some(CurrentPolicies {
            active: last_good,
            before: Before::None,
            shadow: current.shadow,
            fallback: None,
            manifest: None,
            change: state.changes,
        });
        tracing::error!(source = %self.at, policy = %failed, "policy demoted: the last good policy takes over");
    }

    /// Reads the source, if it's another than the one seen before, and sets off what it offers.
    async fn see(&self, state: &mut State, until: Instant) {
        let most = if self.at.is_manifest() { manifest::MAX_BYTES } else { COMPONENT };
        let known = state.seen.as_ref().map(|seen| seen.version.as_str());
        let unread = match timeout_at(until, self.at.get(known, most)).await {
            Ok(Ok(Fetched::Found { bytes, version })) => {
                state.seen = Some(LastSeen { version, bytes: Arc::new(bytes) });
                None
            }
            Ok(Ok(Fetched::Same)) if state.rejected.as_ref().is_some_and(|rejected| rejected.retryable) => None,
            Ok(Ok(Fetched::Same)) => return,
            Ok(Ok(Fetched::Missing)) => Some(
                "the policy doesn't exist: set POLICY to a policy, or build the default policy with `make policy`"
                    .to_owned(),
            ),
            Ok(Err(error)) => Some(error.message),
            Err(_) => Some("wasn't read in time".to_owned()),
        };
        if let Some(reason) = unread {
            state.rejected = Some(Rejected::new(Step::Fetch, reason));
            if state.current.is_none() && !self.at.is_manifest() {
                state.substitute = Some(Substitute::of_plain(&self.admission));
            }
            return;
        }
        let Some(seen) = &state.seen else { return };
        let (at, admission, bytes) = (self.at.clone(), Arc::clone(&self.admission), Arc::clone(&seen.bytes));
        let mut known: Vec<Arc<Release>> = state.refused.iter().cloned().collect();
        if let Some(current) = state.current.as_ref().filter(|current| current.fallback.is_none()) {
            known.push(Arc::clone(&current.active));
            known.extend(current.shadow.clone());
            known.extend(match &current.before {
                Before::AtHand(release) => Some(Arc::clone(release)),
                _ => None,
            });
        }
        state.under_way = Some(tokio::spawn(async move { attempt(&at, &admission, &bytes, &known).await }));
    }

    /// Takes what an attempt came to.
    fn take(&self, state: &mut State, attempt: Attempt, taken: &(dyn Fn(&str) -> Option<String> + Sync)) {
        state.refused = None;
        let active = attempt
            .active
            .and_then(|release| unserved(Arc::clone(&release), taken).inspect_err(|_| state.refused = Some(release)));
        let active = active.and_then(|release| match &state.demoted {
            Some(demoted) if demoted.is(release.policy().digest(), release.settings()) => {
                let goes_on = state.rejected.clone().filter(|rejected| rejected.step == Step::Run);
                Err(goes_on.unwrap_or_else(|| Rejected::new(Step::Run, format!("{demoted} failed before"))))
            }
            _ => Ok(release),
        });
        let (shadow, shadow_rejected) = match attempt.shadow {
            Some(Ok(release)) => (Some(release), None),
            Some(Err(rejected)) => (None, Some(rejected)),
            None => (None, None),
        };
        let release = match active {
            Ok(release) => release,
            Err(rejected) => {
                if state.current.as_ref().is_none_or(|current| current.fallback.is_some()) {
                    match attempt.manifest {
                        Some(Manifest { active, previous, .. }) => {
                            let settings = self.admission.settings_of_entry(&active);
                            // What stands in with the settings of another manifest has to give way.
                            if state.substitute.as_ref().is_some_and(|before| before.settings != settings) {
                                state.current = None;
                            }
                            state.substitute = Some(Substitute { name: Some(active.name), previous, settings });
                        }
                        None if self.at.is_manifest() => {}
                        None => state.substitute = Some(Substitute::of_plain(&self.admission)),
                    }
                }
                state.rejected = Some(rejected);
                return;
            }
        };
        state.demoted = None;
        state.rejected = shadow_rejected
            .map(|rejected| Rejected { reason: format!("the shadow policy: {}", rejected.reason), ..rejected });
        let old = state.current.take();
        let same = old.as_ref().is_some_and(|old| Arc::ptr_eq(&old.active, &release) && old.fallback.is_none());
        let manifest = attempt.manifest.clone().map(Arc::new);
        let before = match (attempt.manifest, &old) {
            (Some(Manifest { previous: Some(previous), .. }), _) => Before::Listed(Box::new(previous)),
            (Some(_), _) => Before::None,
            // A policy by itself: the one before it in this process.
            (None, Some(old)) if same => old.before.clone(),
            (None, Some(old)) if old.fallback.is_none() => Before::AtHand(Arc::clone(&old.active)),
            (None, _) => Before::None,
        };
        // What is at hand needn't be loaded: the one that was active, or the one before it where the active one stays.
        let before = match (before, &old) {
            (Before::Listed(entry), Some(old)) => {
                let kept = match &old.before {
                    Before::AtHand(release) if same => Some(release),
                    _ => None,
                };
                let settings = self.admission.settings_of_entry(&entry);
                let at_hand =
                    [Some(&old.active), kept].into_iter().flatten().find(|it| it.is(&entry.sha256, &settings));
                at_hand.map_or(Before::Listed(entry), |release| Before::AtHand(Arc::clone(release)))
            }
            (before, _) => before,
        };
        if !same {
            tracing::info!(
                source = %self.at,
                policy = release.policy().info().name,
                policyVersion = release.policy().info().version,
                policyDigest = release.policy().digest(),
                before = old.as_ref().map(|old| old.active.to_string()),
                "policy activated"
            );
        }
        state.substitute = None;
        state.changes += 1;
        let change = state.changes;
        state.current = Some(CurrentPolicies { active: release, before, shadow, fallback: None, manifest, change });
    }

    /// What stands in at the start. Where the settings aren't known, because the manifest isn't, nothing does: they must
    /// not be made up.
    async fn substitute(
        &self,
        by: Fallback,
        Substitute { name, previous, settings }: &Substitute,
        taken: &(dyn Fn(&str) -> Option<String> + Sync),
    ) -> Option<Arc<Release>> {
        if by == Fallback::Previous {
            let release = self.load(&Before::Listed(Box::new(previous.clone()?))).await?;
            return unserved(release, taken).ok();
        }
        let packaged = self.packaged.as_ref()?;
        let Ok(Fetched::Found { bytes, .. }) = packaged.get(None, COMPONENT).await else { return None };
        let admission =
            Admission { key: None, settings: settings.clone(), cache: self.admission.cache.clone(), ..*self.admission };
        let release = admission.activate(packaged, Revision::Plain(bytes), &[]).await.ok()?;
        let is_namesake = name.as_deref() == Some(release.policy().info().name.as_str());
        if by == Fallback::Namesake && !is_namesake {
            return None;
        }
        unserved(release, taken).ok()
    }

    async fn load(&self, before: &Before) -> Option<Arc<Release>> {
        match before {
            Before::None => None,
            Before::AtHand(release) => Some(Arc::clone(release)),
            Before::Listed(entry) => load(&self.at, &self.admission, entry).await,
        }
    }

    /// The policies of a tick.
    pub fn policies(&self, current: &CurrentPolicies) -> Policies {
        Policies {
            active: Arc::clone(&current.active),
            last_good: match &current.before {
                Before::None => None,
                Before::AtHand(release) => Some(LastGood::at_hand(Arc::clone(release))),
                Before::Listed(entry) => {
                    let (at, admission, entry) = (self.at.clone(), Arc::clone(&self.admission), entry.clone());
                    Some(LastGood::found_by(move || {
                        let (at, admission, entry) = (at.clone(), Arc::clone(&admission), entry.clone());
                        Box::pin(async move { load(&at, &admission, &entry).await })
                    }))
                }
            },
            shadow: current.shadow.clone(),
            hold_removals: current.fallback.map(|_| PACKAGED.to_owned()),
        }
    }
}

/// Brings a release of a manifest back.
async fn load(at: &Location, admission: &Admission, entry: &Entry) -> Option<Arc<Release>> {
    match admission.activate(at, Revision::Listed(Box::new(entry.clone())), &[]).await {
        Ok(release) => Some(release),
        Err(rejected) => {
            tracing::error!(source = %at, reason = %rejected, "the previous policy can't take over either");
            None
        }
    }
}

/// Refuses a policy that serves what another one serves.
fn unserved(release: Arc<Release>, taken: &dyn Fn(&str) -> Option<String>) -> Result<Arc<Release>, Rejected> {
    let served = release.policy().info().operations.iter();
    let twice = served.filter_map(|served| Some((served.name.clone(), taken(&served.name)?))).next();
    match twice {
        None => Ok(release),
        Some((operation, other)) => {
            let reason = format!("serves {operation}, which {other} serves already: remove one of them from POLICY");
            Err(Rejected::new(Step::Operations, reason))
        }
    }
}

/// The way from a document to its releases.
async fn attempt(at: &Location, admission: &Admission, bytes: &Arc<Vec<u8>>, known: &[Arc<Release>]) -> Attempt {
    let failed = |rejected| Attempt { active: Err(rejected), shadow: None, manifest: None };
    if !at.is_manifest() {
        let active = admission.activate(at, Revision::Plain(bytes.to_vec()), known).await;
        return Attempt { active, shadow: None, manifest: None };
    }
    let manifest = match text::decode(bytes).map_err(str::to_owned).and_then(|text| Manifest::parse(&text)) {
        Ok(manifest) => manifest,
        Err(error) => return failed(Rejected::new(Step::Manifest, format!("{at}: {error}"))),
    };
    let active = admission.activate(at, Revision::Listed(Box::new(manifest.active.clone())), known).await;
    let shadow = match &manifest.shadow {
        Some(shadow) => Some(admission.activate(at, Revision::Listed(Box::new(shadow.clone())), known).await),
        None => None,
    };
    Attempt { active, shadow, manifest: Some(manifest) }
}
