//! `staging-sync tick`: one tick against the AWS that the environment points to.

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
    /// Decides, and writes nothing.
    #[arg(long)]
    dry_run: bool,
    /// Prints the summary as JSON, as the Lambda returns it. The default where stdout isn't a terminal.
    #[arg(long)]
    json: bool,
    /// Prints the summary as a table. The default on a terminal.
    #[arg(long, conflicts_with = "json")]
    table: bool,
    #[command(flatten)]
    accounts: Accounts,
    /// Writes what a dry run would change to a file, to be reviewed and then applied by `staging-sync apply`. The file has
    /// the external ids of new entries, and mode 0600.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// An event in JSON, as the Lambda gets it; the other options add to it.
    #[arg(long, value_name = "JSON", default_value = r#"{"operation": "sync_staging_accounts"}"#)]
    event: String,
    /// Refuses to run where a configured policy isn't followed, because it was rejected.
    #[arg(long)]
    strict: bool,
    /// Stops in time to report after so many seconds, as the Lambda does before its time-out.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

/// The value of `--event`.
pub fn json_event(text: &str) -> Result<Value, CommandError> {
    serde_json::from_str(text::unmarked(text))
        .map_err(|error| CommandError(format!("EventInvalid: --event isn't JSON: {error}")))
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
        say!("{}: a plan that changes {changed}; `staging-sync apply` makes the changes", path.display());
    }
    let table = arguments.table || (!arguments.json && std::io::stdout().is_terminal());
    if table {
        println!("{}", table::tick(&report));
    } else {
        println!("{}", table::json(&report.summary));
    }
    Ok(if report.counts.failed > 0 || report.policy_rejected.is_some() { Exit::Failed } else { Exit::Success })
}

/// The file of a plan, if the tick makes one.
fn plan_file(path: &Path, event: &Event, config: &Config) -> Result<PlanFile, CommandError> {
    match event.dry_run == Some(true) || config.dry_run {
        true => PlanFile::create(path),
        false => Err(CommandError(
            "--out needs --dry-run (or DRY_RUN=true): a tick that writes leaves nothing to plan".into(),
        )),
    }
}

/// Fails where a policy was rejected, whoever would decide instead.
pub async fn strict(service: &Service) -> Result<(), CommandError> {
    service.prepare().await?;
    match service.rejected().await.into_iter().next() {
        None => Ok(()),
        Some(rejected) => Err(CommandError(format!("no tick is run: policy rejected: {rejected}"))),
    }
}

/// Runs a tick with a line on stderr that says how far it is, where stderr is a terminal.
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
