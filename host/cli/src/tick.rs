//! `staging-sync tick`: one tick against AWS as configured in the environment.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use staging_sync_runtime::plan::{self, Plan};
use staging_sync_runtime::tick::Report;
use staging_sync_runtime::{Config, Error, Event, Service, Tick, aws, text};
use tokio::time::Instant;

use crate::accounts::Accounts;
use crate::plan_file::PlanFile;
use crate::{CommandError, Exit, output, table};

#[derive(Args)]
pub struct Arguments {
    /// Decide, but write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print the summary as JSON, as the Lambda function returns it. This is the default if stdout isn't a terminal.
    #[arg(long)]
    json: bool,
    /// Print the summary as a table. This is the default on a terminal.
    #[arg(long, conflicts_with = "json")]
    table: bool,
    #[command(flatten)]
    accounts: Accounts,
    /// Write the changes of a dry run to a plan file, which you can review and then apply with `staging-sync apply`. The
    /// file contains the external ids of new entries, and has mode 0600.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The event, as JSON, as the Lambda function receives it. The other options add to it.
    #[arg(long, value_name = "JSON", default_value = r#"{"operation": "sync_staging_accounts"}"#)]
    event: String,
    /// Don't run if a configured policy was rejected.
    #[arg(long)]
    strict: bool,
    /// Finish and report within this time, as the Lambda function does before its timeout.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

/// The value of `--event`.
pub fn json_event(text: &str) -> Result<Value, CommandError> {
    serde_json::from_str(text::unmarked(text))
        .map_err(|error| CommandError(format!("EventInvalid: --event: isn't valid JSON: {error}")))
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let mut event = Event::parse(&json_event(&arguments.event)?)?;
    if arguments.dry_run {
        event.dry_run = Some(true);
    }
    if let Some(named) = arguments.accounts.named() {
        event.account_ids = Some(named);
    }
    let config = Config::from_env().await?;
    let out = arguments.out.as_deref().map(|out| plan_file(out, &event, &config)).transpose()?;
    let table_name = config.table.clone();
    let service = Service::start(config).await?;
    if arguments.strict {
        strict(&service).await?;
    }
    let deadline = arguments.timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let tick = Tick { deadline, ..Tick::of(event.clone()) };
    let report = with_progress(async |progress| service.tick(tick, progress).await).await?;
    if let (Some(out), Some(path)) = (out, &arguments.out) {
        let plan = Plan {
            format: plan::FORMAT,
            planned_at: report.tick.now.clone(),
            table: table_name,
            region: aws::region().await.unwrap_or_default(),
            policy: report.policy.clone(),
            event: event.json(),
            accounts: report.planned.clone(),
        };
        out.finish(&plan.text())?;
        let changed = text::counted(plan.accounts.len(), "account");
        say!("{}: wrote a plan that changes {changed}; to make the changes, run `staging-sync apply`", path.display());
    }
    let table = arguments.table || (!arguments.json && std::io::stdout().is_terminal());
    if table {
        println!("{}", table::tick(&report));
    } else {
        println!("{}", table::json(&report.summary));
    }
    Ok(if report.counts.failed > 0 || report.policy_rejected.is_some() { Exit::Failed } else { Exit::Success })
}

/// The plan file, which only a dry run can write.
fn plan_file(path: &Path, event: &Event, config: &Config) -> Result<PlanFile, CommandError> {
    match event.dry_run == Some(true) || config.dry_run {
        true => PlanFile::create(path),
        false => Err(CommandError(
            "--out requires --dry-run (or DRY_RUN=true): a tick that writes leaves nothing to plan".into(),
        )),
    }
}

/// Fails if a policy was rejected, even if another one would decide instead.
pub async fn strict(service: &Service) -> Result<(), CommandError> {
    service.prepare().await?;
    match service.rejected().await.into_iter().next() {
        None => Ok(()),
        Some(rejected) => Err(CommandError(format!("no tick was run: policy rejected: {rejected}"))),
    }
}

/// Runs a tick with a progress bar on stderr, if stderr is a terminal.
pub async fn with_progress(
    tick: impl AsyncFnOnce(&(dyn Fn(usize, usize) + Sync)) -> Result<Report, Error>,
) -> Result<Report, CommandError> {
    let bar = output::progress_bar("accounts");
    let report = tick(&|done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    })
    .await;
    bar.finish_and_clear();
    Ok(report?)
}
