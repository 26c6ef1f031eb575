//! `staging-sync compare`: what two policies decide differently on the same cases.

use staging_sync_runtime::text::printable_lines;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use staging_sync_runtime::case::Case;
use staging_sync_workbench::{compare, find};

use crate::{CommandError, Exit, policy_arg, table};

#[derive(Args)]
pub struct Arguments {
    /// The first policy.
    old: PathBuf,
    /// The second policy.
    new: PathBuf,
    /// Cases, directories of cases, or names in plugin/cases, as for `staging-sync test`.
    #[arg(value_name = "CASES")]
    cases: Vec<String>,
    /// The output format. `markdown` is for pull requests.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Markdown,
    Json,
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let (old, new) = (policy_arg::load(&arguments.old).await?, policy_arg::load(&arguments.new).await?);
    let mut comparison = compare::Comparison::default();
    for dir in find::find(&arguments.cases).map_err(CommandError)? {
        let case = Case::read(&dir).map_err(CommandError)?;
        let (old, new) = (case.run(&old).await.map_err(CommandError)?, case.run(&new).await.map_err(CommandError)?);
        comparison.add(&case, &old, &new);
    }
    match arguments.format {
        Format::Text => print!("{}", printable_lines(&comparison.text())),
        Format::Markdown => print!("{}", printable_lines(&comparison.markdown())),
        Format::Json => println!("{}", table::json(&serde_json::to_value(&comparison).unwrap_or_default())),
    }
    Ok(if comparison.differing.is_empty() { Exit::Success } else { Exit::Failed })
}
