//! The activation of a policy: fetched, verified, compiled, checked and proven. Each step has its own refusal.
//!
//! `manifest` is the document that names policies, `signature` and `proof` two of the steps, `policy_source` what ticks go
//! by between two looks, `publish` how a manifest is changed, `history` what changes it had, `rollouts` how far a candidate is.

pub mod history;
pub mod manifest;
mod policy_source;
pub mod proof;
pub mod publish;
pub mod rollouts;
pub mod signature;

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use serde_json::Value;

use crate::case::bundle;
use crate::error::{Error, ErrorKind};
use crate::policy::memory::memory_size;
use crate::policy::{self, COMPONENT, Cache, Candidate, Limits, Release};
use crate::store::Fetched;
use crate::store::location::Location;
use crate::text;
use manifest::{Cases, Entry};
use signature::Key;

pub use policy_source::{CurrentPolicies, Fallback, PolicySource};

/// The steps, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The document, the component or the cases couldn't be read, or are too large.
    Fetch,
    /// The manifest isn't one.
    Manifest,
    /// A file isn't the one that the manifest names.
    Sha256,
    /// There's no signature by the operator's key.
    Signature,
    /// It can't be compiled.
    Compile,
    /// It imports what no policy may, is of another version, or isn't the policy that the manifest names.
    Contract,
    /// It refuses its settings.
    Settings,
    /// It doesn't decide its cases as they say.
    Proof,
    /// Another policy of this host serves the same operation.
    Operations,
    /// It was active, and failed on too many accounts.
    Run,
}

impl Step {
    /// As log lines have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Manifest => "manifest",
            Self::Sha256 => "sha256",
            Self::Signature => "signature",
            Self::Compile => "compile",
            Self::Contract => "contract",
            Self::Settings => "settings",
            Self::Proof => "proof",
            Self::Operations => "operations",
            Self::Run => "run",
        }
    }
}

/// Why a policy doesn't become active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// At which step.
    pub step: Step,
    /// The reason, for people, with what to do next.
    pub reason: String,
    /// The invocation's error, should there be no other policy.
    pub kind: ErrorKind,
    /// Whether the same policy may be accepted next time.
    pub retryable: bool,
}

impl Rejected {
    fn new(step: Step, reason: impl Into<String>) -> Self {
        let kind = match step {
            Step::Fetch => ErrorKind::PolicyUnavailable,
            Step::Settings => ErrorKind::SettingsInvalid,
            Step::Run => ErrorKind::PolicyFailed,
            _ => ErrorKind::PolicyRefused,
        };
        // What lies in another file, or with another policy, can be mended without a change of the document.
        let retryable = matches!(step, Step::Fetch | Step::Sha256 | Step::Operations);
        Self { step, reason: reason.into(), kind, retryable }
    }

    /// Another policy serves an operation than the one that should.
    pub(crate) fn unserved(reason: String) -> Self {
        Self::new(Step::Operations, reason)
    }

    fn from(step: Step, error: Error) -> Self {
        Self { kind: error.kind, ..Self::new(step, error.message) }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step.name(), self.reason)
    }
}

/// The operator's settings for the admission of policies.
pub struct Admission {
    /// The limits of a policy.
    pub limits: Limits,
    /// The key that policies must be signed with, if any.
    pub key: Option<Key>,
    /// `POLICY_SETTINGS`, for a policy whose manifest has none.
    pub settings: String,
    /// Compiled policies.
    pub cache: Cache,
}

/// A policy as a source offers it.
pub enum Revision {
    /// A component or core module by itself.
    Plain(Vec<u8>),
    /// What a manifest says of it.
    Listed(Box<Entry>),
}

impl Admission {
    /// The way from a revision to a release that can decide; `at` is where the revision was found, `known` are releases
    /// that have come this way already.
    pub async fn activate(
        &self,
        at: &Location,
        revision: Revision,
        known: &[Arc<Release>],
    ) -> Result<Arc<Release>, Rejected> {
        let settings = self.settings_of(&revision);
        let place = match &revision {
            Revision::Listed(entry) if entry.settings.is_some() => "the manifest's settings",
            _ => "POLICY_SETTINGS",
        };
        let find = |digest: &str| known.iter().find(|release| release.is(digest, &settings)).cloned();
        let (bytes, entry, cases) = match revision {
            Revision::Plain(bytes) => {
                self.signed_beside(at, &bytes).await?;
                // None is known at a start, where hashing a policy in Python would take 10 ms.
                if !known.is_empty()
                    && let Some(release) = find(&policy::sha256(&bytes))
                {
                    return Ok(release);
                }
                (bytes, None, None)
            }
            Revision::Listed(entry) => {
                self.signed(&entry)?;
                // A release that is known is judged as on a host that doesn't know it: all but what can't differ.
                if let Some(release) = find(&entry.sha256) {
                    is_named(&entry, release.policy().info())?;
                    if let Some(cases) = &entry.cases
                        && !release.was_proven_on(&cases.sha256)
                    {
                        prove(&release, Some(&fetch_cases(at, cases).await?)).await?;
                    }
                    return Ok(release);
                }
                let bytes = fetch(at, &entry.component, &entry.sha256, COMPONENT).await?;
                let cases = match &entry.cases {
                    Some(cases) => Some(fetch_cases(at, cases).await?),
                    None => None,
                };
                (bytes, Some(entry), cases)
            }
        };
        self.judge(bytes, (settings, place), entry.as_deref(), cases).await.map(Arc::new)
    }

    /// The way of a policy that is at hand: compiled, judged, proven on its cases (a bundle's text). Settings come with
    /// where they are, for people.
    pub async fn judge(
        &self,
        bytes: Vec<u8>,
        (settings, place): (String, &str),
        entry: Option<&Entry>,
        cases: Option<Vec<u8>>,
    ) -> Result<Release, Rejected> {
        let candidate = self.compile(bytes).await?;
        // Boxed, so that what an instance is made of isn't a part of the types of all who wait for this.
        let policy =
            candidate.load(self.limits).boxed().await.map_err(|error| Rejected::from(Step::Contract, error))?;
        if let Some(entry) = entry {
            is_named(entry, policy.info())?;
        }
        let release = Release::new(policy, settings).await;
        let release = release.map_err(|error| Rejected::from(Step::Settings, error.of_settings(place)))?;
        // A proof takes longer than all the rest of a cold start; the packaged policy's was made with the package.
        if cases.is_some() || !self.cache.vouches(release.policy().digest(), &proof::id(release.settings())) {
            prove(&release, cases.as_deref()).await?;
        }
        Ok(release)
    }

    /// The settings that go with a revision.
    fn settings_of(&self, revision: &Revision) -> String {
        match revision {
            Revision::Listed(entry) => self.settings_of_entry(entry),
            Revision::Plain(_) => self.settings.clone(),
        }
    }

    fn settings_of_entry(&self, entry: &Entry) -> String {
        let settings = entry.settings.clone().map(|settings| Value::Object(settings).to_string());
        settings.unwrap_or_else(|| self.settings.clone())
    }

    /// An entry of a manifest carries its signature.
    pub fn signed(&self, entry: &Entry) -> Result<(), Rejected> {
        let Some(key) = &self.key else { return Ok(()) };
        let rejected = |reason: String| Rejected::new(Step::Signature, reason);
        let signature = entry.signature.as_ref().ok_or_else(|| {
            rejected("isn't signed, and POLICY_PUBLIC_KEY is set: publish it with `--sign KEY`".into())
        })?;
        key.verify(entry.statement().as_bytes(), signature).map_err(rejected)
    }

    /// A component by itself has its signature in a file beside it, as minisign writes it.
    async fn signed_beside(&self, at: &Location, bytes: &[u8]) -> Result<(), Rejected> {
        let Some(key) = &self.key else { return Ok(()) };
        let place = at.with_suffix(".minisig");
        let signature = match place.get(None, 1 << 16).await {
            Ok(Fetched::Found { bytes, .. }) => text::decode(&bytes).unwrap_or_default(),
            Ok(_) => {
                let reason = format!("isn't signed, and POLICY_PUBLIC_KEY is set: expected a signature in {place}");
                return Err(Rejected { retryable: true, ..Rejected::new(Step::Signature, reason) });
            }
            Err(error) => {
                return Err(Rejected { retryable: error.retryable, ..Rejected::new(Step::Fetch, error.message) });
            }
        };
        // The signature may be the one of the version before, which is replaced a moment later.
        let rejected = |reason| Rejected { retryable: true, ..Rejected::new(Step::Signature, reason) };
        key.verify(bytes, &signature).map_err(rejected)
    }

    /// Compiles a component where it isn't yet, and where there's memory for that.
    async fn compile(&self, bytes: Vec<u8>) -> Result<Candidate, Rejected> {
        let (bytes, cache) = (Arc::new(bytes), self.cache.clone());
        let (known, among) = (Arc::clone(&bytes), self.cache.clone());
        if let Some(candidate) = compute(move || Candidate::compiled(&known, &among)).await? {
            return Ok(candidate);
        }
        let _memory = self.limits.budget.reserve_for_compiling(bytes.len()).await.map_err(|wanted| {
            let (wanted, all) = (wanted >> 20, self.limits.budget.total() >> 20);
            let size = memory_size(bytes.len(), 0);
            Rejected::new(
                Step::Compile,
                format!(
                    "compiling it takes about {wanted} MiB, and this process has {all} MiB for policies: raise the \
                     function's MemorySize to {size} MB, or package it precompiled (`make package`)"
                ),
            )
        })?;
        compute(move || Candidate::compile_once(&bytes, &cache)).await
    }
}

/// Computes for a while, apart from the accounts that may be under way on this thread.
async fn compute<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Rejected> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| Rejected::new(Step::Compile, format!("host: {error}; please report it")))?;
    done.map_err(|error| Rejected::from(Step::Compile, error))
}

/// Lets a release decide its cases (a bundle's text), and remembers that it did.
async fn prove(release: &Release, cases: Option<&[u8]>) -> Result<(), Rejected> {
    proof::prove(release, cases).await.map_err(|unproven| Rejected {
        retryable: unproven.out_of_time,
        ..Rejected::new(Step::Proof, unproven.reason)
    })?;
    cases.into_iter().for_each(|cases| release.is_proven_on(policy::sha256(cases)));
    Ok(())
}

/// Fetches a bundle of cases that a manifest at `at` names, and verifies its digest.
pub async fn fetch_cases(at: &Location, cases: &Cases) -> Result<Vec<u8>, Rejected> {
    fetch(at, &cases.file, &cases.sha256, bundle::MAX_BYTES).await
}

/// Fetches a file that a manifest names.
async fn fetch(at: &Location, reference: &str, sha256: &str, most: u64) -> Result<Vec<u8>, Rejected> {
    let place = at.beside(reference).map_err(|error| Rejected::new(Step::Manifest, error))?;
    let bytes = match place.get(None, most).await {
        Ok(Fetched::Found { bytes, .. }) => bytes,
        Ok(_) => return Err(Rejected::new(Step::Fetch, format!("{place}: the file doesn't exist"))),
        Err(error) => return Err(Rejected { retryable: error.retryable, ..Rejected::new(Step::Fetch, error.message) }),
    };
    let found = policy::sha256(&bytes);
    if found != sha256 {
        let reason = format!("{place}: has SHA-256 {found}, but the manifest says {sha256}");
        return Err(Rejected::new(Step::Sha256, reason));
    }
    Ok(bytes)
}

/// The policy that decided is always known: a manifest can't call it something else.
fn is_named(entry: &Entry, info: &crate::bindings::types::PolicyInfo) -> Result<(), Rejected> {
    if (&entry.name, &entry.version) == (&info.name, &info.version) {
        return Ok(());
    }
    let reason =
        format!("is {} {}, but the manifest calls it {} {}", info.name, info.version, entry.name, entry.version);
    Err(Rejected::new(Step::Contract, reason))
}
