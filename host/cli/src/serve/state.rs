//! The state of the service's ticks, which `/healthz` and `/metrics` report.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use staging_sync_runtime::metrics::Metric;
use staging_sync_runtime::policy::Release;
use staging_sync_runtime::tick::{self, Report};

/// The state, as the loop and the connections share it.
pub type Shared = Arc<Mutex<State>>;

/// The state at hand; what a panic left of it is still good.
pub fn of(shared: &Shared) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a tick failed as a whole.
pub struct Failure {
    /// The stable type of the error.
    pub error_type: &'static str,
    /// What happened.
    pub message: String,
}

/// What is known of the ticks that ended.
pub struct State {
    /// How long there may be no end of a tick.
    patience: Duration,
    /// When the last tick ended, or the service began.
    since: Instant,
    /// The last tick that ended.
    pub last: Option<Ended>,
    /// When the last tick that succeeded ended.
    pub succeeded_at: Option<SystemTime>,
    /// The numbers of the last tick that succeeded.
    pub numbers: Vec<Metric>,
    /// Their sums since the start, by name.
    sums: BTreeMap<&'static str, u64>,
    /// How many ticks succeeded.
    pub succeeded: u64,
    /// How many ticks failed as a whole.
    pub failed: u64,
    /// The policy that the next tick goes by, unless there's a new one.
    pub policy: Option<Policy>,
    /// Why policies were rejected, if some were.
    pub rejected: Vec<String>,
    /// How often a tick found one rejected.
    pub rejections: u64,
}

/// A tick that ended.
pub struct Ended {
    /// When.
    pub at: SystemTime,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// A policy as log lines name it.
pub struct Policy {
    pub name: String,
    pub version: String,
    pub digest: String,
}

/// What `/healthz` answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// `ok`, `starting` (no tick ended yet), `failing` (the last one failed) or `late` (none ended for long).
    pub status: &'static str,
    last_tick_ended_at: Option<String>,
    last_tick_succeeded: Option<bool>,
    error: Option<String>,
    policy: Option<String>,
    policy_version: Option<String>,
    policy_digest: Option<String>,
    policy_rejected: Vec<String>,
}

impl State {
    /// Of a service that begins now, and whose ticks end so often.
    pub fn new(every: Duration) -> Self {
        Self {
            patience: 3 * every,
            since: Instant::now(),
            last: None,
            succeeded_at: None,
            numbers: Vec::new(),
            sums: BTreeMap::new(),
            succeeded: 0,
            failed: 0,
            policy: None,
            rejected: Vec::new(),
            rejections: 0,
        }
    }

    /// Takes what a tick came to, and what the next one goes by.
    pub fn tick_ended(&mut self, ended: Result<Report, Failure>, policy: Option<&Release>, rejected: Vec<String>) {
        let error = ended.as_ref().err().map(|failure| format!("{}: {}", failure.error_type, failure.message));
        self.ended(error);
        if let Ok(report) = ended {
            for metric in &report.metrics {
                *self.sums.entry(metric.name).or_default() += metric.value;
            }
            self.numbers = report.metrics;
        }
        self.policy = policy.map(|release| Policy {
            name: release.policy().info().name.clone(),
            version: release.policy().info().version.clone(),
            digest: release.policy().digest().to_owned(),
        });
        self.rejections += rejected.len() as u64;
        self.rejected = rejected;
    }

    fn ended(&mut self, error: Option<String>) {
        let at = SystemTime::now();
        self.since = Instant::now();
        match &error {
            Some(_) => self.failed += 1,
            None => {
                self.succeeded += 1;
                self.succeeded_at = Some(at);
            }
        }
        self.last = Some(Ended { at, error });
    }

    /// The sum of a number of ticks since the start.
    pub fn sum(&self, name: &str) -> u64 {
        self.sums.get(name).copied().unwrap_or_default()
    }

    /// How it is.
    pub fn health(&self) -> Health {
        let policy = self.policy.as_ref();
        Health {
            status: self.status(self.since.elapsed()),
            last_tick_ended_at: self.last.as_ref().map(|last| tick::instant_text(last.at)),
            last_tick_succeeded: self.last.as_ref().map(|last| last.error.is_none()),
            error: self.last.as_ref().and_then(|last| last.error.clone()),
            policy: policy.map(|policy| policy.name.clone()),
            policy_version: policy.map(|policy| policy.version.clone()),
            policy_digest: policy.map(|policy| policy.digest.clone()),
            policy_rejected: self.rejected.clone(),
        }
    }

    /// `quiet` is how long ago the last tick ended, or the service began.
    fn status(&self, quiet: Duration) -> &'static str {
        match &self.last {
            _ if quiet > self.patience => "late",
            None => "starting",
            Some(Ended { error: Some(_), .. }) => "failing",
            Some(_) => "ok",
        }
    }
}

impl Health {
    /// Whether all is well.
    pub fn is_good(&self) -> bool {
        matches!(self.status, "ok" | "starting")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_intervals_without_the_end_of_a_tick_are_too_long() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let mut state = State::new(minutes(5));
        assert_eq!((state.status(minutes(15)), state.status(minutes(16))), ("starting", "late"));
        state.ended(None);
        assert_eq!((state.status(minutes(15)), state.status(minutes(16))), ("ok", "late"));
        state.ended(Some("TableUnavailable".into()));
        assert_eq!((state.status(minutes(15)), state.status(minutes(16))), ("failing", "late"));
    }
}
