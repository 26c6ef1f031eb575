//! Schedules: an operation each, and the ticks of it, one at a time.

use std::sync::Arc;
use std::time::Duration;

use staging_sync_console::Live;
use staging_sync_runtime::tick::Report;
use staging_sync_runtime::{Event, Service, Tick};
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::state::{self, Failure, Shared};
use crate::duration;

/// When ticks of an operation run.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// What starts a tick.
    pub event: Event,
    /// The time from the start of one tick to the start of the next.
    pub every: Duration,
    /// The time limit of a tick.
    pub timeout: Duration,
}

/// An operation and its interval, as in `staging_drift_report=1h`.
pub fn parse(text: &str) -> Result<(String, Duration), String> {
    let Some((operation, every)) = text.split_once('=') else {
        return Err("expected OPERATION=DURATION, such as sync_staging_accounts=5m".into());
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if operation.is_empty() || !operation.bytes().all(fits) {
        return Err(format!(
            "{operation:?} can't be an operation: expected OPERATION=DURATION, such as sync_staging_accounts=5m"
        ));
    }
    Ok((operation.to_owned(), duration::parse(every)?))
}

/// Fails if an operation has two schedules: its ticks would overlap.
pub fn distinct(schedules: &[Schedule]) -> Result<(), String> {
    for (place, schedule) in schedules.iter().enumerate() {
        let operation = &schedule.event.operation;
        if schedules.iter().take(place).any(|other| other.event.operation == *operation) {
            return Err(format!(
                "serve: {operation} has two schedules: keep one (--every is a schedule of the operation in --event)"
            ));
        }
    }
    Ok(())
}

impl Schedule {
    /// Runs a tick at `start` and at each multiple of the interval after it, until `stop` is true. A multiple that comes
    /// while a tick is under way is skipped.
    pub async fn run(
        self,
        service: Arc<Service>,
        shared: Shared,
        live: Arc<Live>,
        start: Instant,
        mut stop: watch::Receiver<bool>,
    ) {
        let operation = self.event.operation.clone();
        let mut due = interval_at(start, self.every);
        due.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                // An error says that whoever could stop it is gone.
                _ = stop.wait_for(|stop| *stop) => return,
                _ = due.tick() => {}
            }
            state::of(&shared).tick_began(&operation);
            let tick = Tick { deadline: Some(Instant::now() + self.timeout), ..Tick::of(self.event.clone()) };
            let (service_of_tick, began, started) = (Arc::clone(&service), tick.now, Instant::now());
            // A task of its own, so that a panic costs one tick.
            let ended = outcome(tokio::spawn(async move { service_of_tick.tick(tick, |_, _| ()).await }).await);
            if let Err(failure) = &ended {
                tracing::error!(operation, errorType = failure.error_type, error = failure.message, "tick failed");
            }
            let (policy, rejected) = (service.current(&operation).await, service.rejected().await);
            let told = ended.as_ref().map_err(|failure| format!("{}: {}", failure.error_type, failure.message));
            let told = told.as_ref().map(|report| *report).map_err(String::as_str);
            let time = (began, started.elapsed());
            live.tick_ended(&operation, time, told, policy.clone(), service.rejections().await);
            state::of(&shared).tick_ended(&operation, ended, policy.as_deref(), rejected);
        }
    }
}

/// What a tick came to, a panic included.
fn outcome(ended: Result<Result<Report, staging_sync_runtime::Error>, JoinError>) -> Result<Report, Failure> {
    match ended {
        Ok(Ok(report)) => Ok(report),
        Ok(Err(error)) => Err(Failure { error_type: error.kind.error_type(), message: error.message }),
        Err(error) => Err(Failure { error_type: "Panic", message: format!("host: {error}; please report it") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_and_a_duration() {
        assert_eq!(parse("staging_drift_report=1h"), Ok(("staging_drift_report".into(), Duration::from_secs(3600))));
        for text in ["", "5m", "=5m", "staging sync=5m", "sync/accounts=5m"] {
            assert!(parse(text).is_err_and(|error| error.contains("sync_staging_accounts=5m")), "{text}");
        }
        assert_eq!(parse("sync=0s"), Err("expected 1s to 24h".into()));
        assert!(parse("sync=").is_err_and(|error| error.contains("30s, 5m or 1h30m")));
        assert!(parse("a=1h=2h").is_err());
    }

    #[test]
    fn one_schedule_for_each_operation() {
        let of = |operation: &str, seconds| Schedule {
            event: Event::of(operation),
            every: Duration::from_secs(seconds),
            timeout: Duration::from_secs(seconds),
        };
        assert_eq!(distinct(&[of("a", 1), of("b", 1), of("c", 2)]), Ok(()));
        let twice = distinct(&[of("a", 1), of("b", 1), of("a", 2)]);
        assert!(twice.is_err_and(|error| error.starts_with("serve: a has two schedules: keep one")));
    }
}
