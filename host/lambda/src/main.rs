//! The Lambda function: one invocation is one tick, one segment of it, or the merge of its segments.

// The futures of a tick are nested more deeply than the compiler looks by default.
#![recursion_limit = "256"]

use std::process::ExitCode;
use std::sync::Once;
use std::time::SystemTime;

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use staging_sync_runtime::fanout::Merge;
use staging_sync_runtime::{Config, Error, Event, Service, Tick, log, summary, threads};
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tracing::Instrument;

/// The AWS SDK allocates a lot: a fifth of a tick's processor time is saved by a fast allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What an execution environment makes once: AWS clients, and whatever lasts from tick to tick.
static SERVICE: OnceCell<Service> = OnceCell::const_new();

fn main() -> Result<ExitCode, lambda_runtime::Error> {
    threads::tokio_runtime()?.block_on(start())
}

async fn start() -> Result<ExitCode, lambda_runtime::Error> {
    // Lambda sets it, and the runtime panics where it isn't.
    let api = std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap_or_default();
    let is_url = api.bytes().all(|byte| byte.is_ascii_graphic()) && (!api.contains('/') || api.contains("://"));
    if api.is_empty() || !is_url {
        eprintln!(
            "ConfigurationInvalid: environment: AWS_LAMBDA_RUNTIME_API is {api:?}: this is the Lambda function; elsewhere \
             use `staging-sync tick` or `staging-sync serve`"
        );
        return Ok(ExitCode::from(2));
    }
    staging_sync_runtime::aws::transport::raise_file_limit();
    log::init(log::Style::Json, "warn,staging_sync=info,bootstrap=info");
    // In the init phase, which isn't billed as an invocation. A failure isn't the end: every invocation tries
    // again and answers with the reason, until what is missing is there.
    let prepared = async { service().await?.prepare().await };
    if let Err(error) = prepared.await {
        tracing::error!(errorType = error.kind.error_type(), error = error.message, "start failed");
    }
    lambda_runtime::run(service_fn(invoke)).await?;
    Ok(ExitCode::SUCCESS)
}

async fn service() -> Result<&'static Service, Error> {
    SERVICE.get_or_try_init(|| async { Service::start(Config::from_env().await?).await }).await
}

async fn invoke(request: LambdaEvent<Value>) -> Result<Value, Error> {
    let context = &request.context;
    let span = tracing::info_span!("invocation", requestId = context.request_id, xrayTraceId = context.xray_trace_id);
    answer(request).instrument(span).await
}

async fn answer(request: LambdaEvent<Value>) -> Result<Value, Error> {
    let answer = work(request).await;
    if let Err(error) = &answer {
        tracing::error!(errorType = error.kind.error_type(), error = error.message, "invocation failed");
    }
    answer
}

/// When the invocation ends. One that had ended when it arrived isn't one: emulators send deadlines of 1970.
fn deadline(end: SystemTime) -> Option<Instant> {
    static WARNED: Once = Once::new();
    let left = end.duration_since(SystemTime::now()).ok();
    if left.is_none() {
        WARNED.call_once(|| {
            tracing::warn!(
                "host: the invocation arrived after its deadline, so the deadline is ignored: is this an emulator, or is a clock \
                 wrong?"
            );
        });
    }
    Some(Instant::now() + left?)
}

async fn work(request: LambdaEvent<Value>) -> Result<Value, Error> {
    let deadline = deadline(request.context.deadline());
    if Merge::is_asked(&request.payload) {
        let merge = Merge::parse(&request.payload)?;
        return service().await?.merge(merge, deadline).await;
    }
    let event = Event::parse(&request.payload)?;
    let tick = Tick { deadline, request: Some(request.context.request_id), ..Tick::of(event) };
    if tick.event.outcomes_to.is_some() {
        return service().await?.segment(tick).await;
    }
    let report = service().await?.tick(tick, |_, _| ()).await?;
    let summary = summary::fit(report.summary, summary::MAX_BYTES);
    if let Some(omitted) = summary.get("detailsOmitted") {
        tracing::warn!(
            detailsOmitted = omitted.as_u64(),
            "the summary exceeds Lambda's limit and was shortened; the log has a line for every account that isn't unchanged",
        );
    }
    Ok(summary)
}
