//! The outcome of each account: from the policy or from the host, and its log line.

mod form;

use std::time::Duration;

use crate::aws::AwsError;
use crate::bindings::types::{AccountOutcome, Outcome, PolicyInfo, Receipt, Status};
use crate::log::Json;

pub use form::OfAccount;

/// A `failed` outcome from the host, because no policy could decide. The error says whose fault it is.
pub fn failed(error: impl ToString) -> Outcome {
    Outcome { error: Some(error.to_string()), ..blank(Status::Failed) }
}

/// A `skipped` outcome from the host.
pub fn skipped(reason: impl ToString) -> Outcome {
    Outcome { reason: Some(reason.to_string()), ..blank(Status::Skipped) }
}

/// An outcome of which nothing came because of an operator's veto: that's no failure.
pub fn vetoed(outcome: Outcome, veto: Option<&str>) -> Outcome {
    match veto {
        Some(veto) if outcome.status == Status::Failed && outcome.incomplete_regions.is_empty() => {
            Outcome { status: Status::Skipped, reason: Some(veto.to_owned()), error: None, ..outcome }
        }
        _ => outcome,
    }
}

/// The outcome of an account whose decision couldn't be written.
pub fn unwritten(error: &AwsError) -> Outcome {
    failed(format_args!("AWS: {error}"))
}

fn blank(status: Status) -> Outcome {
    Outcome {
        status,
        reason: None,
        error: None,
        added: Vec::new(),
        removed: Vec::new(),
        held_removals: Vec::new(),
        held_reason: None,
        staging_account_count: 0,
        incomplete_regions: Vec::new(),
        extra: None,
    }
}

/// How much one outcome may say, in bytes: a line of CloudWatch's log has 256 KB, and `heldRemovals` of every
/// entry that fits in an item 20 KB.
const MAX_BYTES: usize = 128 << 10;

/// Refuses an outcome that says other than what the policy asked for (a summary must be true), that says too
/// much, or whose `extra` isn't what the WIT package says.
pub fn check(outcome: &Outcome, staged: Option<&Receipt>) -> Result<(), String> {
    let nothing = Vec::new();
    let (added, removed) = staged.map_or((&nothing, &nothing), |receipt| (&receipt.added, &receipt.removed));
    if (outcome.status == Status::Updated) != staged.is_some() {
        return Err(format!(
            "reported {} but asked for {}; nothing was written",
            status_name(outcome.status),
            if staged.is_some() { "a change" } else { "no change" },
        ));
    }
    if (&outcome.added, &outcome.removed) != (added, removed) {
        return Err("reported other changes than it asked for; nothing was written".into());
    }
    if size(outcome) > MAX_BYTES {
        return Err(format!("reported more than {} KiB for one account; nothing was written", MAX_BYTES >> 10));
    }
    if let Some(extra) = &outcome.extra
        && let Err(error) = serde_json::from_str::<serde_json::Map<_, _>>(extra)
    {
        return Err(format!("reported an `extra` that isn't a JSON object: {error}; nothing was written"));
    }
    Ok(())
}

/// How much an outcome says, in bytes; a value of a list counts as some more than its text.
fn size(outcome: &Outcome) -> usize {
    let texts = [&outcome.reason, &outcome.error, &outcome.held_reason, &outcome.extra];
    let texts = texts.into_iter().flatten().map(String::len);
    let lists = [&outcome.added, &outcome.removed, &outcome.held_removals];
    let values = lists.into_iter().flatten().map(|value| value.len() + 8);
    let regions = outcome.incomplete_regions.iter().map(|at| at.region.len() + at.code.len() + 32);
    texts.chain(values).chain(regions).sum()
}

/// How many accounts there are of each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All accounts of the tick.
    pub total: usize,
    /// `updated`.
    pub updated: usize,
    /// `unchanged`.
    pub unchanged: usize,
    /// `skipped`.
    pub skipped: usize,
    /// `failed`.
    pub failed: usize,
    /// Accounts of any status with removals held back.
    pub held: usize,
}

impl Counts {
    /// Counts a tick's outcomes.
    pub fn of(outcomes: &[AccountOutcome]) -> Self {
        let mut counts = Self { total: outcomes.len(), ..Self::default() };
        for AccountOutcome { outcome, .. } in outcomes {
            *match outcome.status {
                Status::Updated => &mut counts.updated,
                Status::Unchanged => &mut counts.unchanged,
                Status::Skipped => &mut counts.skipped,
                Status::Failed => &mut counts.failed,
            } += 1;
            counts.held += usize::from(!outcome.held_removals.is_empty());
        }
        counts
    }

    /// The number of processed accounts, as summaries count them.
    pub fn processed(&self) -> usize {
        self.updated + self.unchanged
    }

    /// The number of skipped accounts, as summaries count them: an unchanged account counts as skipped too.
    pub fn counted_as_skipped(&self) -> usize {
        self.skipped + self.unchanged
    }
}

/// A status as summaries and log lines spell it.
pub fn status_name(status: Status) -> &'static str {
    match status {
        Status::Updated => "updated",
        Status::Unchanged => "unchanged",
        Status::Skipped => "skipped",
        Status::Failed => "failed",
    }
}

/// An account that takes longer is worth a line: regions usually answer within a second.
const SLOW: Duration = Duration::from_secs(10);

/// Logs `<title>: account <status>` for an account and the policy that decided it, unless it's unchanged with
/// nothing held. An unchanged one has a line only if it was slow, or where `RUST_LOG` asks for debug lines.
pub fn log(title: &str, account: &AccountOutcome, policy: &PolicyInfo, digest: &str, took: Duration) {
    let AccountOutcome { account_id, account_name, outcome } = account;
    let regions: Vec<String> =
        outcome.incomplete_regions.iter().map(|at| format!("{} in {}", at.code, at.region)).collect();
    let list = |values: &[String]| (!values.is_empty()).then(|| Json::of(values));
    let message = format!("{title}: account {}", status_name(outcome.status));
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                accountId = account_id.as_str(),
                accountName = account_name.as_deref(),
                added = list(&outcome.added),
                removed = list(&outcome.removed),
                heldRemovals = list(&outcome.held_removals),
                heldReason = outcome.held_reason.as_deref(),
                incompleteRegions = list(&regions),
                reason = outcome.reason.as_deref(),
                error = outcome.error.as_deref(),
                policy = policy.name,
                policyVersion = policy.version,
                policyDigest = digest,
                durationMs = took.as_millis() as u64,
                "{message}"
            )
        };
    }
    match outcome.status {
        Status::Failed => line!(error),
        Status::Unchanged if outcome.held_removals.is_empty() && took < SLOW => line!(debug),
        _ if !outcome.held_removals.is_empty() || !regions.is_empty() => line!(warn),
        _ => line!(info),
    }
}
