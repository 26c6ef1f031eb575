//! A release: a policy as ticks run it, with its settings and its identity.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;

use super::Policy;
use crate::error::Error;

/// A policy with settings that it has accepted.
#[derive(Clone)]
pub struct Release {
    policy: Policy,
    settings: String,
    /// The SHA-256 of each file of cases that it has decided as they say.
    proven: Arc<Mutex<HashSet<String>>>,
}

impl Release {
    /// Puts settings (a JSON text) to a policy. Fails where the policy doesn't accept them.
    pub async fn new(policy: Policy, settings: impl Into<String>) -> Result<Self, Error> {
        let settings = settings.into();
        // Boxed, so that what an instance is made of isn't a part of the types of all who wait for this.
        policy.validate_settings(&settings).boxed().await?;
        Ok(Self { policy, settings, proven: Arc::default() })
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Its settings, a JSON text.
    pub fn settings(&self) -> &str {
        &self.settings
    }

    /// Remembers that it has decided these cases (the SHA-256 of their file) as they say.
    pub fn is_proven_on(&self, cases: String) {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner).insert(cases);
    }

    /// Whether it has decided these cases before.
    pub fn was_proven_on(&self, cases: &str) -> bool {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner).contains(cases)
    }

    /// Whether these are the same component and the same settings.
    pub fn is(&self, digest: &str, settings: &str) -> bool {
        self.policy.digest() == digest && self.settings == settings
    }
}

impl fmt::Display for Release {
    /// Name, version and the beginning of the digest, as log lines have it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (info, digest) = (self.policy.info(), self.policy.digest());
        write!(f, "{} {} (sha256 {})", info.name, info.version, digest.get(..12).unwrap_or(digest))
    }
}
