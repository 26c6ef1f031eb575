//! `staging-sync compare`: what two policies decide differently on the same cases.

use std::path::PathBuf;
use std::pin::pin;

use clap::{Args, ValueEnum};
use futures_util::stream::StreamExt;
use staging_sync_runtime::case::{Case, Run};
use staging_sync_runtime::policy::Policy;
use staging_sync_runtime::text::printable_lines;
use staging_sync_workbench::recorded::RecordedTick;
use staging_sync_workbench::{compare, find};

use crate::recorded::{self, Recorded, Unused};
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
    #[command(flatten)]
    recorded: Recorded,
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
    let mut unused = Unused::default();
    match arguments.recorded.ticks().await? {
        None => {
            for dir in find::find(&arguments.cases).map_err(CommandError)? {
                let case = Case::read(&dir).map_err(CommandError)?;
                let (old, new) = both(&case, &old, &new).await?;
                comparison.add(&case, &old, &new);
            }
        }
        Some((journal, ids)) => {
            let decide = move |tick: RecordedTick| {
                let (old, new) = (old.clone(), new.clone());
                async move { both(&tick.case, &old, &new).await.map(|(old, new)| (tick.case, old, new)) }
            };
            let mut ticks = pin!(recorded::each(journal, ids, decide));
            while let Some(used) = ticks.next().await {
                let Some(decided) = unused.filter(used?) else { continue };
                let (case, old, new) = decided?;
                comparison.add(&case, &old, &new);
            }
        }
    }
    match arguments.format {
        Format::Text => print!("{}", printable_lines(&comparison.text())),
        Format::Markdown => print!("{}", printable_lines(&comparison.markdown())),
        Format::Json => println!("{}", table::json(&serde_json::to_value(&comparison).unwrap_or_default())),
    }
    if let Some(text) = unused.text() {
        say!("{text}");
    }
    if comparison.cases == 0 {
        return Err(CommandError("no tick with a tape is recorded in this time, so nothing was compared".into()));
    }
    Ok(if comparison.differing.is_empty() && unused.unreadable == 0 { Exit::Success } else { Exit::Failed })
}

/// What both policies decide.
async fn both(case: &Case, old: &Policy, new: &Policy) -> Result<(Run, Run), CommandError> {
    Ok((case.run(old).await.map_err(CommandError)?, case.run(new).await.map_err(CommandError)?))
}
