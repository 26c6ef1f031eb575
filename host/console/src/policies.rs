//! The policies: which decide, and what the manifests name beside them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use staging_sync_runtime::activation::Admission;
use staging_sync_runtime::activation::manifest::{self, Entry, Manifest};
use staging_sync_runtime::activation::rollouts;
use staging_sync_runtime::journal::PolicyRef;
use staging_sync_runtime::store::Fetched;
use staging_sync_runtime::store::location::Location;
use staging_sync_runtime::text;
use staging_sync_workbench::policy_status::{PolicyStatus, RejectedAt, status};
use staging_sync_workbench::rollout_status;
use tokio::sync::Mutex;

use crate::live::Live;
use crate::redact::{hide, hide_in};

/// The policies, as `GET /api/v1/policies` answers them.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policies {
    /// The policy that decided the last tick of each operation.
    pub in_use: Vec<InUse>,
    /// The places that `POLICY` names.
    pub sources: Vec<Source>,
    /// The policies that the running host rejected.
    pub rejected: Vec<RejectedSource>,
    /// What keeps this from being complete, for people.
    pub notices: Vec<String>,
}

/// A policy that decides.
#[derive(Debug, Clone, Serialize)]
pub struct InUse {
    /// What it's asked.
    pub operation: String,
    /// The policy.
    pub policy: PolicyRef,
}

/// What is at one of the places of `POLICY`.
#[derive(Debug, Clone, Serialize)]
pub struct Source {
    /// The place.
    pub location: String,
    /// The entries of the manifest by their parts, as `staging-sync policy status --json` tells them: `active`, `previous`,
    /// `shadow`. None if it's a component without a manifest.
    pub policies: BTreeMap<String, PolicyStatus>,
    /// The rollout of the shadow policy, as `staging-sync policy rollout status --json` tells it.
    pub rollout: Option<Value>,
    /// Why the manifest can't be read, if it can't.
    pub problem: Option<String>,
}

/// A policy that isn't followed.
#[derive(Debug, Clone, Serialize)]
pub struct RejectedSource {
    /// Its place.
    pub source: String,
    /// At which step, and why.
    #[serde(flatten)]
    pub rejected: RejectedAt,
}

/// The places of `POLICY`, and who judges what they name.
pub struct Manifests {
    places: Vec<Location>,
    verdicts: Verdicts,
    /// What was read of each place.
    known: Mutex<BTreeMap<String, Known>>,
}

/// What was read of a place.
struct Known {
    version: String,
    source: Source,
    manifest: Option<Manifest>,
}

/// Who judges the policies of a manifest.
pub enum Verdicts {
    /// This program, as a host would: policies are compiled and proven here, each version of a manifest once.
    Here(Box<Admission>),
    /// The host in this process, which does it anyway.
    Host,
}

impl Manifests {
    /// The manifests at these places.
    pub fn new(places: Vec<Location>, verdicts: Verdicts) -> Self {
        Self { places, verdicts, known: Mutex::default() }
    }

    /// What there is now. Manifests are read one at a time, however many ask.
    pub(crate) async fn read(&self, live: Option<&Live>, in_use: Vec<InUse>) -> Policies {
        let rejected = live.map(Live::rejected).unwrap_or_default();
        let mut sources = Vec::new();
        for place in &self.places {
            sources.push(self.source(place, live).await);
        }
        let rejected =
            rejected.into_iter().map(|(source, rejected)| RejectedSource { source, rejected: rejected.into() });
        Policies { in_use, sources, rejected: rejected.collect(), notices: Vec::new() }
    }

    async fn source(&self, place: &Location, live: Option<&Live>) -> Source {
        let location = place.to_string();
        let mut source = Source { location: location.clone(), policies: BTreeMap::new(), rollout: None, problem: None };
        if !place.is_manifest() {
            return source;
        }
        let mut known = self.known.lock().await;
        let version = known.get(&location).map(|known| known.version.clone());
        let (bytes, version) = match place.get(version.as_deref(), manifest::MAX_BYTES).await {
            Ok(Fetched::Found { bytes, version }) => (bytes, version),
            Ok(Fetched::Same) => {
                if let Some(same) = known.get(&location) {
                    source = same.source.clone();
                    source.rollout = rollout(place, same.manifest.as_ref()).await;
                }
                return self.with_host(source, live);
            }
            Ok(Fetched::Missing) => {
                source.problem = Some("there's no manifest".into());
                return source;
            }
            Err(error) => {
                source.problem = Some(error.to_string());
                return source;
            }
        };
        let text = String::from_utf8_lossy(&bytes);
        let text = text::unmarked(&text);
        let manifest = Manifest::parse(text).map_err(|error| source.problem = Some(error)).ok();
        for (path, entry) in manifest.iter().flat_map(Manifest::entries) {
            let part = path.strip_prefix("$.").unwrap_or("active");
            let mut judged = self.judge(place, entry).await;
            judged.entry.settings.iter_mut().for_each(hide_in);
            source.policies.insert(part.to_owned(), judged);
        }
        known.insert(location, Known { version, source: source.clone(), manifest: manifest.clone() });
        source.rollout = rollout(place, manifest.as_ref()).await;
        self.with_host(source, live)
    }

    async fn judge(&self, place: &Location, entry: &Entry) -> PolicyStatus {
        match &self.verdicts {
            Verdicts::Here(admission) => status(place, entry, admission).await,
            Verdicts::Host => PolicyStatus {
                entry: entry.clone(),
                operations: None,
                signature_state: if entry.signature.is_some() { "signed" } else { "unsigned" },
                rejected: None,
            },
        }
    }

    /// With what the host in this process made of it.
    fn with_host(&self, mut source: Source, live: Option<&Live>) -> Source {
        let (Verdicts::Host, Some(live)) = (&self.verdicts, live) else { return source };
        let releases = live.releases();
        let rejected = live.rejected().into_iter().find(|(location, _)| *location == source.location);
        for (part, policy) in &mut source.policies {
            let release = releases.iter().find(|(_, release)| release.policy().digest() == policy.entry.sha256);
            policy.operations = release.map(|(_, release)| {
                release.policy().info().operations.iter().map(|operation| operation.name.clone()).collect()
            });
            if part == "active"
                && let Some((_, rejected)) = &rejected
            {
                policy.rejected = Some(rejected.clone().into());
            }
        }
        source
    }
}

/// The rollout of a manifest's shadow policy, if it's in one. Its state changes while the manifest doesn't.
async fn rollout(place: &Location, manifest: Option<&Manifest>) -> Option<Value> {
    let (manifest, shadow) = manifest.and_then(|manifest| Some((manifest, manifest.shadow.as_ref()?)))?;
    let mut told = match rollouts::read(place, &shadow.sha256).await {
        Ok(stored) => {
            let document = stored?.document;
            rollout_status::json(manifest, &document, rollout_status::state(manifest, &document))
        }
        Err(error) => json!({"problem": error.to_string()}),
    };
    hide(&mut told);
    Some(told)
}
