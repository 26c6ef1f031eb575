//! What a host would say of the policies of a manifest: each entry, and whether it's accepted.

use serde::Serialize;
use staging_sync_runtime::activation::manifest::Entry;
use staging_sync_runtime::activation::{Admission, Rejected, Revision};
use staging_sync_runtime::store::location::Location;

/// An entry of a manifest, and what a host would make of it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
    /// The operations that the policy serves; none if it's rejected.
    pub operations: Option<Vec<String>>,
    /// Whether it's signed, in words.
    pub signature_state: &'static str,
    /// At which step it's rejected, if it is.
    pub rejected: Option<RejectedAt>,
}

/// Why a policy is rejected.
#[derive(Debug, Clone, Serialize)]
pub struct RejectedAt {
    /// The step's name.
    pub step: &'static str,
    /// The reason, with what to do next.
    pub reason: String,
}

impl From<Rejected> for RejectedAt {
    fn from(rejected: Rejected) -> Self {
        Self { step: rejected.step.name(), reason: rejected.reason }
    }
}

/// Judges an entry of the manifest at `at`.
pub async fn status(at: &Location, entry: &Entry, admission: &Admission) -> PolicyStatus {
    let verdict = admission.activate(at, Revision::Listed(Box::new(entry.clone())), &[]).await;
    let signature_state = match (&entry.signature, &admission.key) {
        (None, _) => "unsigned",
        (Some(_), None) => "signed, not verified because POLICY_PUBLIC_KEY isn't set",
        (Some(_), Some(_)) => match admission.signed(entry) {
            Ok(()) => "signed, verified",
            Err(_) => "signed, NOT verified",
        },
    };
    let operations = verdict.as_ref().ok().map(|release| {
        let served = release.policy().info().operations.iter();
        served.map(|operation| operation.name.clone()).collect()
    });
    PolicyStatus { entry: entry.clone(), operations, signature_state, rejected: verdict.err().map(RejectedAt::from) }
}
