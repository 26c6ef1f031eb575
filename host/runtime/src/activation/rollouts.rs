//! The documents of rollouts: read and written beside a manifest, and what follows from them for the manifest.
//!
//! `policy.json` has `policy.sha256-<digest>.rollout.json` for the candidate with this digest, which is the manifest's shadow
//! policy. It isn't part of the manifest: a host that doesn't know rollouts would refuse one with a member that it doesn't
//! know, and runs the active policy and its shadow so. Every write has a condition on the version that was read, so hosts,
//! segments and operators agree.

use std::time::SystemTime;

use tokio::time::{Instant, timeout_at};

use super::history::{self, Change, Kind};
use super::manifest::{Entry, Manifest};
use super::publish::{self, Unchanged, promoted};
use crate::metrics::{self, Metric};
use crate::rollout::{Document, Event, Evidence, PolicyId, Stage, State, TickRef};
use crate::store::location::Location;
use crate::store::{Fetched, Put, StoreError, When};
use crate::text;
use crate::tick::instant_text;

/// How large a document may be, in bytes: it bounds what it keeps itself.
const MAX_BYTES: u64 = 8 << 20;

/// How often a change is tried against others who write the same document.
const TRIES: usize = 20;

/// Who changes a rollout that no operator changes.
const HOST: &str = "staging-sync host";

/// A document in a store, and the version that it has there.
#[derive(Debug, Clone)]
pub struct Stored {
    /// What it says.
    pub document: Document,
    /// The version that was read.
    version: String,
}

/// A document as a host saw it last.
struct Known {
    place: String,
    stored: Stored,
}

/// What a tick saw of a candidate.
pub struct Seen {
    /// At which step, from 1 on.
    pub step: usize,
    /// What it saw.
    pub evidence: Evidence,
    /// What the tick is known by.
    pub tick: TickRef,
}

/// What a host knows of the rollout of its manifest.
#[derive(Default)]
pub(super) struct Watched {
    known: Option<Known>,
    /// What couldn't be recorded yet: it may abort the rollout, so the candidate decides nothing until it is.
    pending: Option<Seen>,
}

impl From<&Entry> for PolicyId {
    fn from(entry: &Entry) -> Self {
        let Entry { name, version, sha256, settings, .. } = entry.clone();
        Self { name, version, sha256, settings }
    }
}

/// Where the document of a candidate with this digest is.
pub fn place(at: &Location, sha256: &str) -> Location {
    at.with_ending(".json", &format!(".sha256-{sha256}.rollout.json"))
}

/// Reads the document of a candidate with this digest; none if there's none.
pub async fn read(at: &Location, sha256: &str) -> Result<Option<Stored>, Unchanged> {
    let place = place(at, sha256);
    match place.get(None, MAX_BYTES).await? {
        Fetched::Found { bytes, version } => Ok(Some(parse(&place, &bytes, version)?)),
        Fetched::Missing | Fetched::Same => Ok(None),
    }
}

fn parse(place: &Location, bytes: &[u8], version: String) -> Result<Stored, String> {
    let document = text::decode(bytes).map_err(str::to_owned).and_then(|text| Document::parse(&text));
    let document = document.map_err(|error| format!("{place}: isn't the state of a rollout: {error}"))?;
    Ok(Stored { document, version })
}

/// Puts a document in the place of the one that was read, or where there's none.
pub async fn put(at: &Location, before: Option<&Stored>, document: &Document) -> Result<(), Unchanged> {
    let place = place(at, &document.candidate.sha256);
    let when = before.map_or(When::Missing, |before| When::Is(before.version.clone()));
    match place.put(document.text().into_bytes(), when).await? {
        Put::Done => Ok(()),
        // A write whose answer was lost is in its own way.
        Put::Changed => match read(at, &document.candidate.sha256).await? {
            Some(found) if found.document == *document => Ok(()),
            _ => Err(Unchanged::Conflict(place.to_string())),
        },
    }
}

/// Changes a document, whoever else does at the same time. `change` says whether there's anything to write; it's called again
/// where somebody else was faster. Returns the document afterwards.
pub async fn update(
    at: &Location,
    sha256: &str,
    mut change: impl FnMut(&mut Document) -> Result<bool, String>,
) -> Result<Document, Unchanged> {
    for _ in 0..TRIES {
        let Some(before) = read(at, sha256).await? else {
            return Err(format!("{}: there's no rollout of this candidate", place(at, sha256)).into());
        };
        let mut document = before.document.clone();
        if !change(&mut document)? {
            return Ok(document);
        }
        match put(at, Some(&before), &document).await {
            Err(Unchanged::Conflict(_)) => {}
            put => return put.map(|()| document),
        }
    }
    Err(StoreError::passing(format!("{}: other writers keep changing it", place(at, sha256))).into())
}

impl Watched {
    /// What a tick goes by of the rollout of a manifest's shadow policy. A host that can't read it, or that couldn't record what
    /// it saw, runs the active policy for every account.
    pub(super) async fn look(&mut self, at: &Location, manifest: &Manifest, until: Option<Instant>) -> Option<Stage> {
        let shadow = manifest.shadow.as_ref()?;
        if let Some(seen) = self.pending.take() {
            self.record(at, manifest, seen, until).await;
        }
        if self.pending.is_some() {
            return None;
        }
        let place = place(at, &shadow.sha256);
        let title = place.to_string();
        let before = self.known.take().filter(|known| known.place == title);
        let version = before.as_ref().map(|known| known.stored.version.clone());
        let stored = match in_time(until, place.get(version.as_deref(), MAX_BYTES)).await {
            Ok(Fetched::Same) => before.map(|known| known.stored),
            Ok(Fetched::Missing) => None,
            Ok(Fetched::Found { bytes, version }) => match parse(&place, &bytes, version) {
                Ok(stored) => Some(stored),
                Err(error) => {
                    unreadable(&error);
                    None
                }
            },
            // S3 answers so as well where there's no document, as for a shadow policy without a rollout.
            Err(error) if error.denied && before.is_none() => {
                tracing::debug!(error = %error, "policy rollout: none, or one that this role may not read");
                None
            }
            Err(error) => {
                unreadable(&error.message);
                None
            }
        };
        let stored = stored?;
        let stage = stored.document.stage(&(&manifest.active).into(), &shadow.into());
        self.known = Some(Known { place: title, stored });
        stage
    }

    /// Keeps what a tick saw, and does what follows from it: the rollout goes on, is aborted, or its candidate becomes active.
    pub(super) async fn record(&mut self, at: &Location, manifest: &Manifest, seen: Seen, until: Option<Instant>) {
        let Some(shadow) = &manifest.shadow else { return };
        let work = record_and_go_on(at, manifest, shadow, &mut self.known, &seen);
        let kept = match until {
            Some(until) => timeout_at(until, work).await.unwrap_or_else(|_| Err("out of time".to_owned().into())),
            None => work.await,
        };
        if let Err(error) = kept {
            let Seen { evidence, tick, .. } = &seen;
            tracing::error!(
                manifest = %at,
                tick = tick.id,
                differences = evidence.different,
                failures = evidence.failed,
                error = %error,
                "policy rollout not recorded: the active policy decides every account until it is"
            );
            self.pending = Some(seen);
        }
    }
}

async fn record_and_go_on(
    at: &Location,
    manifest: &Manifest,
    shadow: &Entry,
    known: &mut Option<Known>,
    Seen { step, evidence, tick }: &Seen,
) -> Result<(), Unchanged> {
    let (active, candidate) = (PolicyId::from(&manifest.active), PolicyId::from(shadow));
    let place = place(at, &shadow.sha256);
    let mut stored = known.take().map(|known| known.stored);
    for _ in 0..TRIES {
        let before = match stored.take() {
            Some(stored) => stored,
            None => match read(at, &shadow.sha256).await? {
                Some(stored) => stored,
                None => return Ok(()),
            },
        };
        let mut document = before.document.clone();
        // Another rollout began meanwhile, or it ended.
        if !document.is_of(&active, &candidate) {
            return Ok(());
        }
        let Some(events) = document.record(*step, evidence, tick, HOST) else { break };
        let bytes = document.text().into_bytes();
        if let Some(version) = place.replace(bytes, When::Is(before.version)).await? {
            told(at, &document, evidence, tick, &events);
            *known = Some(Known { place: place.to_string(), stored: Stored { document, version } });
            break;
        }
    }
    if let Some(known) = known
        && known.stored.document.state == State::Passed
    {
        if let Err(error) = promote(at, &active, &candidate, &tick.at).await {
            tracing::error!(
                manifest = %at,
                error = %error,
                "policy rollout passed, but its candidate couldn't be made active; the next tick tries again, or run `staging-sync \
                 policy rollout promote`"
            );
        }
        *known = match read(at, &shadow.sha256).await? {
            Some(stored) => Known { place: place.to_string(), stored },
            None => return Ok(()),
        };
    }
    Ok(())
}

fn unreadable(error: &str) {
    tracing::warn!(error, "policy rollout unreadable: the active policy decides every account");
}

/// Says what a tick's evidence brought about.
fn told(at: &Location, document: &Document, evidence: &Evidence, tick: &TickRef, events: &[Event]) {
    let (ticks_missing, changes_missing) = document.missing();
    let candidate = &document.candidate;
    tracing::info!(
        manifest = %at,
        candidate = candidate.name,
        candidateVersion = candidate.version,
        candidateDigest = candidate.sha256,
        tick = tick.id,
        state = document.state.name(),
        step = document.step,
        share = document.current().map(|step| step.share.to_string()),
        compared = evidence.compared,
        decidedByCandidate = evidence.by_candidate,
        changes = evidence.changes,
        differences = evidence.different,
        failures = evidence.failed,
        notMeasured = evidence.not_measured,
        cleanTicksMissing = ticks_missing,
        changesMissing = changes_missing,
        "policy rollout recorded"
    );
    for event in events {
        match event {
            Event::StepPassed(step) => {
                tracing::info!(manifest = %at, step, "policy rollout step passed");
            }
            Event::Passed => {
                tracing::info!(manifest = %at, "policy rollout passed: the candidate becomes active");
            }
            Event::Aborted(reason) => {
                let metrics = [Metric::count("policyRolloutAborted", 1_u64)];
                tracing::error!(
                    _aws = metrics::directive(SystemTime::now(), &[], &metrics),
                    functionName = metrics::function_name(),
                    metrics = crate::log::is_json().then(|| metrics::values(&metrics)),
                    manifest = %at,
                    candidate = candidate.name,
                    candidateVersion = candidate.version,
                    candidateDigest = candidate.sha256,
                    tick = tick.id,
                    reason,
                    "policy rollout aborted: the active policy decides every account"
                );
            }
        }
    }
}

/// Makes a candidate active whose rollout is passed, under a condition on the manifest. Whoever was faster did the same, or
/// had a reason not to.
async fn promote(at: &Location, active: &PolicyId, candidate: &PolicyId, now: &str) -> Result<(), Unchanged> {
    let Some(stored) = publish::read(at).await? else { return Ok(()) };
    let is_of = |manifest: &Manifest| {
        let shadow = manifest.shadow.as_ref().map(PolicyId::from);
        active.is_same(&(&manifest.active).into()) && shadow.is_some_and(|shadow| candidate.is_same(&shadow))
    };
    // The manifest was read before it's known that the rollout is passed still: an abort that comes later changes it.
    let passed = read(at, &candidate.sha256).await?.is_some_and(|stored| stored.document.state == State::Passed);
    if passed && is_of(&stored.manifest) {
        let manifest = promoted(stored.manifest.clone())?;
        let change = Change {
            at: now.to_owned(),
            by: HOST.to_owned(),
            change: Kind::Promote,
            comment: Some("the rollout passed all its steps".into()),
            proof: None,
        };
        let before = (Some(&stored.manifest), Some(stored.version.as_str()));
        match history::change(at, before.0, before.1, &manifest, change).await {
            Ok(recorded) => {
                if let Some(error) = recorded.missing {
                    tracing::warn!(manifest = %at, error, "policy rollout: the promotion isn't in the history");
                }
                tracing::info!(
                    manifest = %at,
                    candidate = candidate.name,
                    candidateVersion = candidate.version,
                    candidateDigest = candidate.sha256,
                    "policy rollout promoted: the candidate is active from the next tick on"
                );
            }
            Err(Unchanged::Conflict(_)) => return Ok(()),
            Err(error) => return Err(error),
        }
        settle(at, &candidate.sha256, now).await?;
    }
    Ok(())
}

/// Says in the document of a candidate that it was promoted.
async fn settle(at: &Location, sha256: &str, now: &str) -> Result<(), Unchanged> {
    let promoted = |document: &mut Document| {
        let is_live = document.state.is_live();
        if is_live {
            document.change(State::Promoted, now, HOST, None);
        }
        Ok(is_live)
    };
    update(at, sha256, promoted).await.map(drop)
}

/// Ends the rollouts that a change of a manifest leaves behind: of a candidate that it makes active, or takes out, or of which
/// it says no more that it's under rollout. Called before the manifest is changed, for one that must not go on meanwhile.
pub async fn end(
    at: &Location,
    before: Option<&Manifest>,
    after: &Manifest,
    by: &str,
    reason: &str,
) -> Result<(), Unchanged> {
    let now = instant_text(SystemTime::now());
    let entries = before.into_iter().flat_map(|before| [Some(&before.active), before.shadow.as_ref()]);
    let mut digests: Vec<&str> =
        entries.chain([after.shadow.as_ref()]).flatten().map(|entry| entry.sha256.as_str()).collect();
    digests.sort_unstable();
    digests.dedup();
    for sha256 in digests {
        let ended = |document: &mut Document| {
            if !document.state.is_live() {
                return Ok(false);
            }
            let is_active = |manifest: &Manifest| document.candidate.is_same(&(&manifest.active).into());
            let (is_promoted, was_promoted) = (is_active(after), before.is_some_and(is_active));
            match is_promoted || was_promoted {
                true => document.change(State::Promoted, &now, by, None),
                false => document.change(State::Aborted, &now, by, Some(reason.to_owned())),
            }
            Ok(true)
        };
        if read(at, sha256).await?.is_some() {
            update(at, sha256, ended).await?;
        }
    }
    Ok(())
}

async fn in_time<T>(
    until: Option<Instant>,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match until {
        Some(until) => {
            timeout_at(until, work).await.unwrap_or_else(|_| Err(StoreError::passing("wasn't read in time")))
        }
        None => work.await,
    }
}
