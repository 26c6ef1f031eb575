//! `staging-sync serve`: ticks at intervals, as a service in a container or on a machine.

mod http;
mod prometheus;
mod schedule;
mod state;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::{Args, ValueEnum};
use staging_sync_console::{Live, Server};
use staging_sync_runtime::{Config, ErrorKind, Event, Service, log};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::tick::json_event;
use crate::{CommandError, Exit, console, duration};
use schedule::Schedule;
use state::{Shared, State};

#[derive(Args)]
#[command(after_help = "\
Schedules run side by side: each has one tick at a time, at the start and at fixed multiples of its interval after it. A \
multiple that comes while the tick before is still running is skipped. Slow or failing ticks of one operation don't delay \
those of another. All of them share the process's memory and the limits of AWS calls.

On the first signal, the service finishes the current ticks and stops. A second signal stops it immediately. If a tick fails, \
the service logs the error and tries the next tick.")]
pub struct Arguments {
    /// The time from the start of one tick to the start of the next, such as 30s, 5m or 1h30m. 1s to 24h. The short form of
    /// --schedule for the operation in --event. Required, unless there is a --schedule.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, required_unless_present = "schedule")]
    every: Option<Duration>,
    /// An operation, and the time from the start of one of its ticks to the start of the next. Can be repeated, for other
    /// operations.
    #[arg(long, value_name = "OPERATION=DURATION", value_parser = schedule::parse)]
    schedule: Vec<(String, Duration)>,
    /// The address of the console, /healthz and /metrics. They are served over plain HTTP, to anyone who can connect.
    #[arg(long, env, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: String,
    #[command(flatten)]
    hosts: console::Hosts,
    /// The event of --every, as JSON, as the Lambda function receives it.
    #[arg(long, value_name = "JSON", default_value = r#"{"operation": "sync_staging_accounts"}"#, requires = "every")]
    event: String,
    /// The time limit of a tick, in the format of --every. Default: the interval of its schedule. DEADLINE_MARGIN_SECONDS
    /// is at most a quarter of the shortest time limit.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    timeout: Option<Duration>,
    /// The format of log lines.
    #[arg(long, value_name = "STYLE", value_enum, default_value_t = Lines::Json)]
    log: Lines,
}

/// The format of log lines.
#[derive(Clone, Copy, ValueEnum)]
enum Lines {
    /// One JSON object per line on stdout, as in the Lambda function.
    Json,
    /// Human-readable lines on stderr.
    Plain,
}

impl Arguments {
    /// The format of log lines.
    pub fn style(&self) -> log::Style {
        match self.log {
            Lines::Json => log::Style::Json,
            Lines::Plain => log::Style::Plain,
        }
    }

    /// The schedules, at least one.
    fn schedules(&self) -> Result<Vec<Schedule>, CommandError> {
        let schedule = |event, every| Schedule { event, every, timeout: self.timeout.unwrap_or(every) };
        let mut schedules = Vec::new();
        if let Some(every) = self.every {
            schedules.push(schedule(Event::parse(&json_event(&self.event)?)?, every));
        }
        schedules.extend(self.schedule.iter().map(|(operation, every)| schedule(Event::of(operation), *every)));
        schedule::distinct(&schedules).map_err(CommandError)?;
        Ok(schedules)
    }
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let schedules = arguments.schedules()?;
    let mut config = Config::from_env().await?;
    // Made for Lambda's minutes: of a short tick it would leave nothing.
    let shortest = schedules.iter().map(|schedule| schedule.timeout).min().unwrap_or_default();
    config.deadline_margin = config.deadline_margin.min(shortest / 4);
    let mut signals = Signals::new().map_err(|error| CommandError(format!("serve: signals: {error}")))?;
    let unable = |error| {
        let at = &arguments.listen;
        CommandError(format!("serve: can't listen on {at:?}: {error}: select another address with --listen or LISTEN"))
    };
    let listener = TcpListener::bind(&arguments.listen).await.map_err(unable)?;
    let address = listener.local_addr().map_err(unable)?;
    let manifests = console::Shown { policies: config.policies.clone(), journal: config.journal.clone() };
    let service = Arc::new(Service::start(config).await?);
    // A policy that isn't available now may be available later; an operation that none serves is a mistake in the event.
    if service.prepare().await.is_ok() {
        for schedule in &schedules {
            if let Err(error) = service.release(&schedule.event.operation).await
                && error.kind == ErrorKind::UnknownOperation
            {
                return Err(error.into());
            }
        }
    }
    let longest = |schedule: &Schedule| (schedule.event.operation.clone(), schedule.every.max(schedule.timeout));
    let shared: Shared = Arc::new(Mutex::new(State::new(schedules.iter().map(longest))));
    let live = Arc::new(Live::default());
    // What would happen is simulated with the policy of the first schedule.
    let operation = schedules.first().map(|schedule| schedule.event.operation.clone()).unwrap_or_default();
    let console = console::of_service(&service, &operation, Arc::clone(&live), manifests).await?;
    let monitoring = Arc::new(http::Monitoring(Arc::clone(&shared)));
    tokio::spawn(Server::new(console, arguments.hosts.allowed, Some(monitoring)).serve(listener));
    tracing::info!(%address, "serving");

    let (stop, stopping) = watch::channel(false);
    let (start, mut running) = (Instant::now(), JoinSet::new());
    for schedule in schedules {
        let (operation, every, timeout) =
            (&schedule.event.operation, schedule.every.as_secs(), schedule.timeout.as_secs());
        tracing::info!(operation, everySeconds = every, timeoutSeconds = timeout, "scheduled");
        running.spawn(schedule.run(
            Arc::clone(&service),
            Arc::clone(&shared),
            Arc::clone(&live),
            start,
            stopping.clone(),
        ));
    }
    loop {
        tokio::select! {
            ended = running.join_next() => match ended {
                // They end by themselves when they are asked to.
                Some(Ok(())) => {}
                Some(Err(error)) => return Err(CommandError(format!("serve: host: {error}; please report it"))),
                None => {
                    tracing::info!("stopped");
                    return Ok(Exit::Success);
                }
            },
            signal = signals.next() => {
                if *stop.borrow() {
                    tracing::warn!(signal, "stopped in the middle of a tick; the next tick processes the remaining accounts");
                    return Ok(Exit::Failed);
                }
                if state::of(&shared).is_under_way() {
                    tracing::info!(signal, "stopping after the current tick; a second signal stops immediately");
                }
                stop.send_replace(true);
            }
        }
    }
}

/// What asks the service to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The name of the next one.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
