//! `staging-sync record`: one tick against AWS as configured in the environment, saved as a case.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::Args;
use regex_lite::Regex;
use staging_sync_runtime::{Config, Event, Service};
use staging_sync_workbench::{Anonymize, Recording, record, vacant};

use crate::{CommandError, Exit, fetch, table, tick};

#[derive(Args)]
pub struct Arguments {
    /// The directory of the case, new or empty.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A description of the situation, in one line.
    #[arg(long, value_name = "TEXT", default_value = "")]
    about: String,
    /// Record writes without making them. This is the default.
    #[arg(long, conflicts_with = "write")]
    dry_run: bool,
    /// Make the writes.
    #[arg(long)]
    write: bool,
    /// Replace account ids, names, messages and everything else that isn't known to be harmless, consistently across
    /// the case. Whatever is kept is listed on stderr.
    #[arg(long)]
    anonymize: bool,
    /// Keep the matching parts of account and host names, if the policy decides by them: `^(prod|test)-`.
    #[arg(long, value_name = "REGEX", requires = "anonymize")]
    keep_names: Option<Regex>,
    /// The event, as JSON, as the Lambda function receives it.
    #[arg(long, value_name = "JSON", default_value = r#"{"operation": "sync_staging_accounts"}"#)]
    event: String,
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    vacant(&arguments.out).map_err(CommandError)?;
    let event = tick::json_event(&arguments.event)?;
    let mut config = Config::from_env().await?;
    let service = Service::start(config.clone()).await?;
    let release = service.release(&Event::parse(&event)?.operation).await?;
    config.settings = release.settings().to_owned();
    let policy = release.policy();
    let keep_names = arguments.keep_names.map(fetch::keep);
    let recording = Recording {
        event,
        about: arguments.about,
        now: SystemTime::now(),
        writes: arguments.write,
        anonymize: arguments.anonymize.then_some(Anonymize { keep_names }),
    };
    let recorded = record(config, policy.clone(), service.aws_api(), recording, |_, _| ()).await?;
    recorded.write(&arguments.out).map_err(CommandError)?;
    println!("{}", table::json(&recorded.result));
    say!("recorded in {}", arguments.out.display());
    for left in &recorded.left {
        say!("not anonymized: {left}");
    }

    // A tape is useful only if its replay reproduces the tick.
    let again = recorded.case(&arguments.out).run(policy).await.map_err(CommandError)?;
    let mut problems = again.problems();
    if again.result() != recorded.result {
        problems.push("its replay returns a different summary; run `staging-sync test` to see it".into());
    }
    for problem in &problems {
        eprintln!("staging-sync: {}: {problem}", arguments.out.display());
    }
    let failed = match &recorded.report {
        Ok(report) => report.counts.failed > 0,
        Err(error) => {
            eprintln!("staging-sync: {}: {}", error.kind.error_type(), error.message);
            true
        }
    };
    Ok(if failed || !problems.is_empty() { Exit::Failed } else { Exit::Success })
}
