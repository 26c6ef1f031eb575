//! `staging-sync replay`: the decisions of a policy on a tape.

use std::path::PathBuf;

use clap::Args;
use staging_sync_runtime::case::Case;

use crate::{CommandError, Exit, policy_arg, table};

#[derive(Args)]
pub struct Arguments {
    /// The case: a directory with a tape.json.
    case: PathBuf,
    #[command(flatten)]
    policy: policy_arg::Choice,
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let case = Case::read(&arguments.case).map_err(CommandError)?;
    let run = case.run(&arguments.policy.load().await?).await.map_err(CommandError)?;
    let problems = run.problems();
    for problem in &problems {
        eprintln!("staging-sync: {}: {problem}", case.name);
    }
    let summary = run.report.map_err(|error| error.of_settings(&case.place_of_settings()))?.summary;
    println!("{}", table::json(&summary));
    Ok(if problems.is_empty() { Exit::Success } else { Exit::Failed })
}
