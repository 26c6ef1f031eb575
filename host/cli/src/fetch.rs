//! `staging-sync journal fetch`: recorded ticks as cases in a directory.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use regex_lite::Regex;
use staging_sync_runtime::journal::names::TickId;
use staging_sync_runtime::tape::anonymize::Keep;
use staging_sync_runtime::text::{counted, printable_lines};
use staging_sync_workbench::{Anonymize, vacant};

use crate::accounts::Accounts;
use crate::journal::{self, Moment, moment, span};
use crate::recorded::{self, Unused};
use crate::{CommandError, Exit, policy_arg};

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write recorded ticks as cases, for `staging-sync test`.
    Fetch(Fetch),
}

#[derive(Args)]
#[command(
    after_long_help = "Accounts that were frozen, that there was no time for, or that another than the active policy decided \
                             are left out. A case may remove from all of its accounts: MAX_REMOVALS_PERCENT is of the whole table."
)]
struct Fetch {
    /// The directory of the cases, new or empty. Each tick is a directory in it.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Only this tick, by its id in `staging-sync history`. May be repeated.
    #[arg(long, value_name = "ID", conflicts_with_all = ["since", "until"])]
    tick: Vec<String>,
    /// The ticks since then: so long ago, like 7d or 4h, or a time like 2026-02-02T22:45:00Z.
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = moment)]
    since: Moment,
    /// The ticks until then, like --since. Default: now.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Moment>,
    #[command(flatten)]
    accounts: Accounts,
    /// Replace account ids, names, messages and everything else that isn't known to be harmless, consistently in each
    /// case. Whatever is kept is listed on stderr.
    #[arg(long)]
    anonymize: bool,
    /// Keep the matching parts of account and host names, if the policy decides by them: `^(prod|test)-`.
    #[arg(long, value_name = "REGEX", requires = "anonymize")]
    keep_names: Option<Regex>,
    #[command(flatten)]
    policy: policy_arg::Choice,
    #[command(flatten)]
    place: journal::Place,
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let Command::Fetch(fetch) = arguments.command;
    fetch.run().await
}

impl Fetch {
    async fn run(self) -> Result<Exit, CommandError> {
        vacant(&self.out).map_err(CommandError)?;
        let (policy, journal) = (self.policy.load().await?, self.place.open().await?);
        let ids = match self.tick.is_empty() {
            true => recorded::ticks(&journal, span(self.since, self.until)?).await?,
            false => self.tick.iter().map(|id| tick_id(id)).collect::<Result<_, _>>()?,
        };
        let how = Anonymize { keep_names: self.keep_names.map(keep) };
        let named = self.accounts.named();
        let wanted = |id: &str| named.as_ref().is_none_or(|named| named.iter().any(|one| one.as_str() == id));
        let (mut unused, mut written, mut otherwise) = (Unused::default(), BTreeMap::<String, usize>::new(), 0);
        for id in ids {
            let Some(tick) = unused.filter(recorded::find(&journal, &id).await?) else { continue };
            let tick = tick.of_accounts(wanted).of_policy();
            if tick.accounts() == 0 {
                continue;
            }
            // A request's id isn't part of the name: a case may be shown to others.
            let count = written.entry(id.stamp().to_owned()).or_default();
            *count += 1;
            let name = if *count == 1 { id.stamp().to_owned() } else { format!("{}-{count}", id.stamp()) };
            let dir = self.out.join(&name);
            let failed = |error: String| CommandError(format!("{id}: {error}"));
            let (mut recorded, compared) = tick.decided(&policy).await.map_err(failed)?;
            if let Some(text) = compared.text() {
                otherwise += 1;
                eprintln!("staging-sync: {name}: decided otherwise than recorded:\n{}", printable_lines(&text));
            }
            if self.anonymize {
                recorded = recorded.anonymized(&policy, &how).await.map_err(failed)?;
            }
            for left in &recorded.left {
                say!("{name}: not anonymized: {left}");
            }
            std::fs::create_dir_all(&self.out)
                .map_err(|error| CommandError(format!("{}: {error}", self.out.display())))?;
            recorded.write(&dir).map_err(CommandError)?;
            println!("{}", dir.display());
        }
        if let Some(text) = unused.text() {
            say!("{text}");
        }
        let cases: usize = written.values().sum();
        if cases == 0 {
            return Err(CommandError(
                "no tick of these accounts is recorded in this time, so nothing was written".into(),
            ));
        }
        say!("wrote {}; check a policy with `staging-sync test {}`", counted(cases, "case"), self.out.display());
        Ok(if otherwise == 0 && unused.unreadable == 0 { Exit::Success } else { Exit::Failed })
    }
}

fn tick_id(text: &str) -> Result<TickId, CommandError> {
    TickId::parse(text).ok_or_else(|| {
        CommandError(format!("--tick {text:?}: expected an id as in the column TICK of `staging-sync history`"))
    })
}

/// The parts of names that a pattern keeps.
pub fn keep(regex: Regex) -> Keep {
    Arc::new(move |name| regex.find_iter(name).map(|found| found.range()).filter(|found| !found.is_empty()).collect())
}
