//! `staging-sync serve`: a tick at each interval, as a service in a container or on a machine.

mod duration;
mod http;
mod prometheus;
mod state;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::{Args, ValueEnum};
use staging_sync_console::{Live, Server};
use staging_sync_runtime::tick::Report;
use staging_sync_runtime::{Config, ErrorKind, Event, Service, Tick, log};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinError;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::tick::json_event;
use crate::{CommandError, Exit, console};
use state::{Failure, Shared, State};

#[derive(Args)]
#[command(after_help = "\
On the first signal, the service finishes the current tick and stops. A second signal stops it immediately. If a tick fails, \
the service logs the error and tries the next tick.")]
pub struct Arguments {
    /// The time from the start of one tick to the start of the next, such as 30s, 5m or 1h30m. 1s to 24h.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    every: Duration,
    /// The address of the console, /healthz and /metrics. They are served over plain HTTP, to anyone who can connect.
    #[arg(long, env, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: String,
    #[command(flatten)]
    hosts: console::Hosts,
    /// The event, as JSON, as the Lambda function receives it.
    #[arg(long, value_name = "JSON", default_value = r#"{"operation": "sync_staging_accounts"}"#)]
    event: String,
    /// The time limit of a tick, in the format of --every. Default: the value of --every. DEADLINE_MARGIN_SECONDS is at
    /// most a quarter of it.
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
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let event = Event::parse(&json_event(&arguments.event)?)?;
    let every = arguments.every;
    let timeout = arguments.timeout.unwrap_or(every);
    let mut config = Config::from_env().await?;
    // Made for Lambda's minutes: of a short tick it would leave nothing.
    config.deadline_margin = config.deadline_margin.min(timeout / 4);
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
    if service.prepare().await.is_ok()
        && let Err(error) = service.release(&event.operation).await
        && error.kind == ErrorKind::UnknownOperation
    {
        return Err(error.into());
    }
    let shared: Shared = Arc::new(Mutex::new(State::new(every.max(timeout))));
    let live = Arc::new(Live::default());
    let console = console::of_service(&service, &event.operation, Arc::clone(&live), manifests).await?;
    let monitoring = Arc::new(http::Monitoring(Arc::clone(&shared)));
    tokio::spawn(Server::new(console, arguments.hosts.allowed, Some(monitoring)).serve(listener));
    tracing::info!(%address, everySeconds = every.as_secs(), timeoutSeconds = timeout.as_secs(), "serving");

    let mut due = interval(every);
    due.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            signal = signals.next() => {
                tracing::info!(signal, "stopped");
                return Ok(Exit::Success);
            }
            _ = due.tick() => {}
        }
        let tick = Tick { deadline: Some(Instant::now() + timeout), ..Tick::of(event.clone()) };
        let (service_of_tick, began) = (Arc::clone(&service), tick.now);
        let started = Instant::now();
        // A task of its own, so that a panic costs one tick.
        let mut under_way = tokio::spawn(async move { service_of_tick.tick(tick, |_, _| ()).await });
        let mut stopping = false;
        let ended = loop {
            tokio::select! {
                ended = &mut under_way => break ended,
                signal = signals.next() => {
                    if stopping {
                        tracing::warn!(signal, "stopped in the middle of a tick; the next tick processes the remaining accounts");
                        return Ok(Exit::Failed);
                    }
                    stopping = true;
                    tracing::info!(signal, "stopping after the current tick; a second signal stops immediately");
                }
            }
        };
        let ended = outcome(ended);
        if let Err(failure) = &ended {
            tracing::error!(errorType = failure.error_type, error = failure.message, "tick failed");
        }
        let (policy, rejected) = (service.current(&event.operation).await, service.rejected().await);
        let told = ended.as_ref().map_err(|failure| format!("{}: {}", failure.error_type, failure.message));
        let told = told.as_ref().map(|report| *report).map_err(String::as_str);
        let time = (began, started.elapsed());
        live.tick_ended(&event.operation, time, told, policy.clone(), service.rejections().await);
        state::of(&shared).tick_ended(ended, policy.as_deref(), rejected);
        if stopping {
            tracing::info!("stopped");
            return Ok(Exit::Success);
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
