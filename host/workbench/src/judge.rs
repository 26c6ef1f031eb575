//! The check of two consecutive ticks of a case against the invariants, in the world that its tape describes.

use std::sync::Arc;
use std::time::Duration;

use crate::invariants::{self, Ticked, Violation};
use crate::record::{Recorded, Recording, record};
use staging_sync_runtime::case::Case;
use staging_sync_runtime::error::{Error, ErrorKind};
use staging_sync_runtime::event::Event;
use staging_sync_runtime::policy::Policy;
use staging_sync_runtime::tape::InMemoryApi;
use staging_sync_runtime::tick::{Report, Runtime, Tick};

/// How long after the first tick the second one comes.
const LATER: Duration = Duration::from_secs(300);

/// The result of two ticks.
pub struct Judged {
    /// The first tick's report, unless the table couldn't be read or the policy failed outside of any account.
    pub report: Result<Report, Error>,
    /// The violated invariants.
    pub broken: Vec<Violation>,
    /// The calls of the ticks that aren't on the tape.
    pub unknown: Vec<String>,
}

/// Runs two ticks. An error is one of the case or of its settings, and says nothing about the policy's rules.
pub async fn judge(case: &Case, policy: &Policy) -> Result<Judged, Error> {
    let world = Arc::new(InMemoryApi::of(&case.tape));
    let event = Event::parse(&case.event)?;
    let config = case.config().map_err(|error| Error::new(ErrorKind::ConfigurationInvalid, error))?;
    let regions = config.regions.clone();
    let runtime = Arc::new(Runtime::with(config, policy.clone(), world.clone()).await?);
    let now = case.tape.now.time();
    let tick = async |now| runtime.tick(Tick { now, ..Tick::of(event.clone()) }, |_, _| ()).await;

    let (first, observed) = (tick(now).await, world.observed_tick());
    if let Err(error) = &first
        && ![ErrorKind::TableUnavailable, ErrorKind::PolicyFailed].contains(&error.kind)
    {
        return Err(error.clone());
    }
    let (second, later) = (tick(now + LATER).await, world.observed_tick());
    let ticked = |report, observed| Ticked {
        report,
        observed,
        regions: &regions,
        operation: &event.operation,
        dry_run: event.dry_run == Some(true),
    };
    let (one, other) = (ticked(&first, &observed), ticked(&second, &later));
    let mut broken = invariants::check(&one);
    for violation in invariants::check(&other) {
        let said = broken.iter().any(|it| (it.invariant, &it.account) == (violation.invariant, &violation.account));
        if !said {
            broken.push(Violation { what: format!("in the second tick: {}", violation.what), ..violation });
        }
    }
    broken.extend(invariants::settled(&one, &other));
    Ok(Judged { report: first, broken, unknown: [observed.unknown, later.unknown].concat() })
}

/// What the first tick asks and gets, on a tape of its own that can be replayed.
pub async fn played_out(case: &Case, policy: &Policy, about: String) -> Result<Recorded, Error> {
    let config = case.config().map_err(|error| Error::new(ErrorKind::ConfigurationInvalid, error))?;
    let now = case.tape.now.time();
    let recording = Recording { event: case.event.clone(), about, now, writes: true, anonymize: None };
    let world = Arc::new(InMemoryApi::of(&case.tape));
    record(config, policy.clone(), world, recording, |_, _| ()).await
}
