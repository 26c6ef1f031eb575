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

/// What is known of the service's ticks.
pub struct State {
    /// Of each operation that has a schedule, in the order of the schedules.
    pub operations: Vec<Operation>,
    /// Why policies were rejected, if some were.
    pub rejected: Vec<String>,
}

/// What is known of the ticks of an operation.
pub struct Operation {
    /// Its name.
    pub name: String,
    /// How long there may be no end of a tick.
    patience: Duration,
    /// When the last tick ended, or the service began.
    since: Instant,
    /// Whether a tick is under way.
    under_way: bool,
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
    /// How often a tick found a policy rejected.
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

/// What `/healthz` answers: what is known of the operation that is worst off, and of each.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    #[serde(flatten)]
    worst: OperationHealth,
    policy_rejected: Vec<String>,
    operations: Vec<OperationHealth>,
}

/// What `/healthz` says of an operation.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct OperationHealth {
    operation: String,
    status: Status,
    last_tick_ended_at: Option<String>,
    last_tick_succeeded: Option<bool>,
    error: Option<String>,
    policy: Option<String>,
    policy_version: Option<String>,
    policy_digest: Option<String>,
}

/// How an operation is, the better first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
enum Status {
    Ok,
    /// No tick ended yet.
    Starting,
    /// The last tick failed.
    Failing,
    /// No tick ended for long.
    Late,
}

impl State {
    /// Of a service that begins now: operations, and how often their ticks end. There's at least one.
    pub fn new(operations: impl IntoIterator<Item = (String, Duration)>) -> Self {
        let operations = operations.into_iter().map(|(name, every)| Operation::new(name, every));
        Self { operations: operations.collect(), rejected: Vec::new() }
    }

    /// Takes that a tick of an operation began.
    pub fn tick_began(&mut self, operation: &str) {
        self.of_operation(operation, |operation| operation.under_way = true);
    }

    /// Takes what a tick of an operation came to, and what the next one goes by.
    pub fn tick_ended(
        &mut self,
        operation: &str,
        ended: Result<Report, Failure>,
        policy: Option<&Release>,
        rejected: Vec<String>,
    ) {
        self.of_operation(operation, |operation| operation.tick_ended(ended, policy, rejected.len() as u64));
        self.rejected = rejected;
    }

    fn of_operation(&mut self, name: &str, change: impl FnOnce(&mut Operation)) {
        if let Some(operation) = self.operations.iter_mut().find(|operation| operation.name == name) {
            change(operation);
        }
    }

    /// Whether a tick is under way.
    pub fn is_under_way(&self) -> bool {
        self.operations.iter().any(|operation| operation.under_way)
    }

    /// How it is.
    pub fn health(&self) -> Health {
        let operations: Vec<OperationHealth> = self.operations.iter().map(Operation::health).collect();
        // Of equals the first, whose schedule was named first.
        let worst = operations.iter().rev().max_by_key(|operation| operation.status).cloned();
        let worst = worst.unwrap_or_else(|| Operation::new(String::new(), Duration::ZERO).health());
        Health { worst, policy_rejected: self.rejected.clone(), operations }
    }
}

impl Operation {
    /// Of an operation whose ticks end so often.
    fn new(name: String, every: Duration) -> Self {
        Self {
            name,
            patience: 3 * every,
            since: Instant::now(),
            under_way: false,
            last: None,
            succeeded_at: None,
            numbers: Vec::new(),
            sums: BTreeMap::new(),
            succeeded: 0,
            failed: 0,
            policy: None,
            rejections: 0,
        }
    }

    fn tick_ended(&mut self, ended: Result<Report, Failure>, policy: Option<&Release>, rejections: u64) {
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
        self.rejections += rejections;
    }

    fn ended(&mut self, error: Option<String>) {
        let at = SystemTime::now();
        (self.since, self.under_way) = (Instant::now(), false);
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

    fn health(&self) -> OperationHealth {
        let policy = self.policy.as_ref();
        OperationHealth {
            operation: self.name.clone(),
            status: self.status(self.since.elapsed()),
            last_tick_ended_at: self.last.as_ref().map(|last| tick::instant_text(last.at)),
            last_tick_succeeded: self.last.as_ref().map(|last| last.error.is_none()),
            error: self.last.as_ref().and_then(|last| last.error.clone()),
            policy: policy.map(|policy| policy.name.clone()),
            policy_version: policy.map(|policy| policy.version.clone()),
            policy_digest: policy.map(|policy| policy.digest.clone()),
        }
    }

    /// `quiet` is how long ago the last tick ended, or the service began.
    fn status(&self, quiet: Duration) -> Status {
        match &self.last {
            _ if quiet > self.patience => Status::Late,
            None => Status::Starting,
            Some(Ended { error: Some(_), .. }) => Status::Failing,
            Some(_) => Status::Ok,
        }
    }
}

impl Health {
    /// Whether all is well.
    pub fn is_good(&self) -> bool {
        self.worst.status <= Status::Starting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(60 * minutes)
    }

    #[test]
    fn three_intervals_without_the_end_of_a_tick_are_too_long() {
        let mut operation = Operation::new("sync".into(), minutes(5));
        let status = |operation: &Operation| (operation.status(minutes(15)), operation.status(minutes(16)));
        assert_eq!(status(&operation), (Status::Starting, Status::Late));
        operation.ended(None);
        assert_eq!(status(&operation), (Status::Ok, Status::Late));
        operation.ended(Some("TableUnavailable".into()));
        assert_eq!(status(&operation), (Status::Failing, Status::Late));
    }

    #[test]
    fn the_operation_that_is_worst_off_says_how_the_service_is() {
        let mut state = State::new([("sync".to_owned(), minutes(5)), ("report".to_owned(), minutes(60))]);
        let told =
            |state: &State| (state.health().worst.operation, state.health().worst.status, state.health().is_good());
        assert_eq!(told(&state), ("sync".into(), Status::Starting, true));
        state.tick_began("sync");
        assert!(state.is_under_way());
        state.of_operation("sync", |operation| operation.ended(None));
        assert!(!state.is_under_way());
        assert_eq!(told(&state), ("report".into(), Status::Starting, true));
        state.of_operation("report", |operation| operation.ended(Some("TableUnavailable".into())));
        assert_eq!(told(&state), ("report".into(), Status::Failing, false));
        state.of_operation("report", |operation| operation.ended(None));
        assert_eq!(told(&state), ("sync".into(), Status::Ok, true));
    }
}
