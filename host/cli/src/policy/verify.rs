//! `staging-sync policy verify`: a check of the invariants in every small world, with other values in some.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use clap::Args;
use serde_json::{Map, Value};
use staging_sync_runtime::case::Case;
use staging_sync_runtime::outcome::Counts;
use staging_sync_runtime::policy::Policy;
use staging_sync_runtime::tape;
use staging_sync_runtime::text::{self, printable, printable_lines};
use staging_sync_workbench::constants::constants;
use staging_sync_workbench::invariants::{Invariant, OPERATION};
use staging_sync_workbench::varied::{Kind, Varied};
use staging_sync_workbench::verify::{Counterexample, Verification, Verified};
use staging_sync_workbench::waived::Waived;
use staging_sync_workbench::{find, small};

use crate::{CommandError, Exit, output, policy_arg, report};

/// The folder beside a policy that its cases are looked for in.
const CASES: &str = "cases";

#[derive(Args)]
#[command(after_help = "A small world is a target account with any stored list of up to three staging accounts, two \
                  regions with any answer, and any event that can affect its role, its item and its write. In each \
                  world, the policy decides two ticks. In some worlds, `verify` also varies names, authors of entries, \
                  account ids and settings. It uses common values, those of the cases, and the constants of the \
                  component.")]
pub struct Arguments {
    /// The policy.
    policy: PathBuf,
    /// The policy's settings, as a JSON object. Default: {}; the settings of the cases and of the schema are tried as
    /// well.
    #[arg(long, value_name = "JSON")]
    settings: Option<String>,
    /// The operation. Default: sync_staging_accounts, or the only operation that the policy serves.
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// Cases whose names, authors, account ids and settings are tried. Default: the directory `cases` beside the policy,
    /// if it exists.
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// A verify.json with the invariants that don't apply to the policy. Default: the verify.json that is embedded in
    /// the component.
    #[arg(long, value_name = "FILE")]
    invariants: Option<PathBuf>,
    /// The maximum number of staging accounts in all combinations, 1 to 3. A lower number takes less time.
    #[arg(long, value_name = "NUMBER", default_value_t = small::MOST,
          value_parser = clap::value_parser!(u8).range(1..=i64::from(small::MOST)))]
    staging_accounts: u8,
    /// The directory for cases in which an invariant breaks.
    #[arg(long, value_name = "DIR", default_value = report::DIR)]
    out: PathBuf,
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let settings: Map<String, Value> = tape::parse(arguments.settings.as_deref().unwrap_or("{}"))
        .and_then(tape::read)
        .map_err(|error| CommandError(format!("SettingsInvalid: --settings: {error}")))?;
    let bytes = super::read(&arguments.policy)?;
    let policy = policy_arg::load(&arguments.policy).await?;
    let operation = operation(&arguments, &policy)?;
    let waived = waived(&arguments, &bytes)?;
    let cases = cases(&arguments)?;
    let mut varied = Varied::of(&cases, &constants(&bytes));
    if arguments.settings.is_none() {
        varied = varied.with_settings(&policy, &settings, &cases).await;
    }
    let staging_accounts = arguments.staging_accounts;
    let verification = Verification { operation, settings, staging_accounts, varied, waived };

    let began = Instant::now();
    let found = verified(&verification, &policy).await?;
    for invariant in Invariant::ALL.into_iter().filter(|invariant| *invariant != Invariant::Others) {
        match verification.inapplicable(invariant) {
            Some(reason) => println!("n/a      {}: {}", invariant.text(), printable(&reason)),
            None => show(invariant, &found, &policy, &arguments).await?,
        }
    }
    println!("{}", said_of(&verification.varied, arguments.settings.is_some()));
    let (small, seconds) = (found.small, began.elapsed().as_secs_f64());
    println!(
        "checked {} of {} worlds in {seconds:.1} s, two ticks each; {small} of them are combinations of small worlds",
        found.judged, found.all
    );
    println!("accounts after the first tick:");
    println!("  {} in which AWS answers: {}", found.counts.total, counted(&found.counts));
    println!(
        "  {} in which AWS fails or the item is invalid, so that an account may fail: {}",
        found.troubled.total,
        counted(&found.troubled)
    );
    Ok(if found.broken.is_empty() { Exit::Success } else { Exit::Failed })
}

fn counted(counts: &Counts) -> String {
    let Counts { updated, unchanged, skipped, failed, .. } = counts;
    format!("{updated} updated, {unchanged} unchanged, {skipped} skipped, {failed} failed")
}

/// Judges the policy, and tells how far it is: with a bar on a terminal, and elsewhere with a line each tenth.
async fn verified(verification: &Verification, policy: &Policy) -> Result<Verified, CommandError> {
    let bar = output::progress_bar("worlds");
    let told = AtomicUsize::new(0);
    let found = verification
        .run(policy, |judged, all| {
            bar.set_length(all as u64);
            bar.set_position(judged as u64);
            let tenth = judged * 10 / all.max(1);
            if bar.is_hidden() && told.fetch_max(tenth, Ordering::Relaxed) < tenth {
                say!("{judged} of {all} worlds checked");
            }
        })
        .await;
    bar.finish_and_clear();
    found.map_err(|error| CommandError::from(error.of_settings("--settings")))
}

/// The invariants that don't apply.
fn waived(arguments: &Arguments, bytes: &[u8]) -> Result<Waived, CommandError> {
    let unable = |path: &Path, what: String| CommandError(format!("{}: {what}", path.display()));
    match &arguments.invariants {
        Some(path) => {
            let text = text::read(path).map_err(|error| unable(path, error.to_string()))?;
            Waived::parse(&text).map_err(|error| unable(path, error))
        }
        None => Waived::of_component(bytes).map_err(|error| unable(&arguments.policy, error)),
    }
}

/// The cases whose values are tried.
fn cases(arguments: &Arguments) -> Result<Vec<Case>, CommandError> {
    let beside = || arguments.policy.parent().map(|folder| folder.join(CASES)).filter(|folder| folder.is_dir());
    let Some(folder) = arguments.cases.clone().or_else(beside) else { return Ok(Vec::new()) };
    let read = |folder: &Path| {
        let found = find::find(&[folder.display().to_string()])?;
        found.iter().map(|dir| Case::read_undecided(dir)).collect::<Result<Vec<_>, _>>()
    };
    match read(&folder) {
        Ok(cases) => Ok(cases),
        Err(error) if arguments.cases.is_some() => Err(CommandError(error)),
        Err(error) => {
            say!("{error}: the values of these cases aren't tried");
            Ok(Vec::new())
        }
    }
}

/// What is varied, and what isn't.
fn said_of(varied: &Varied, settings_given: bool) -> String {
    let kind = |name: &str, kind: &Kind| {
        let Kind { values, usual, of_cases, constants, .. } = kind;
        format!("{} {name} ({usual} usual, {of_cases} of cases, {constants} constants of the policy)", values.len())
    };
    let mut not = vec!["role names, partitions, times, other attributes, other regions".to_owned()];
    let left_out = varied.texts.left_out + varied.accounts.left_out;
    if left_out > 0 {
        not.insert(0, format!("{left_out} more constants"));
    }
    let settings = match (settings_given, varied.settings.len()) {
        (true, _) => {
            not.push("settings (--settings gives them)".into());
            String::new()
        }
        (false, 0) => {
            not.push("settings (neither cases nor schema list any others)".into());
            String::new()
        }
        (false, many) => format!(", {many} other settings (of cases and of the schema)"),
    };
    format!(
        "varied: {}, {}, the current account{settings}; not varied: {}",
        kind("names and authors of entries", &varied.texts),
        kind("account ids", &varied.accounts),
        not.join(", ")
    )
}

/// The operation that is verified.
fn operation(arguments: &Arguments, policy: &Policy) -> Result<String, CommandError> {
    let served: Vec<&str> = policy.info().operations.iter().map(|served| served.name.as_str()).collect();
    match (&arguments.operation, served.as_slice()) {
        (Some(operation), _) => Ok(operation.clone()),
        (None, [only]) => Ok((*only).to_owned()),
        (None, served) if served.contains(&OPERATION) => Ok(OPERATION.to_owned()),
        (None, served) => {
            let served = if served.is_empty() { "none".to_owned() } else { served.join(", ") };
            Err(CommandError(format!("the policy serves {served}: select an operation with --operation")))
        }
    }
}

/// An invariant's lines: that it holds, or the smallest world in which it doesn't.
async fn show(
    invariant: Invariant,
    found: &Verified,
    policy: &Policy,
    arguments: &Arguments,
) -> Result<(), CommandError> {
    let Some(Counterexample { violation, worlds, world, settings, decided, case }) = found.broken.get(&invariant)
    else {
        let holds = if found.broken.is_empty() { "holds" } else { "so far" };
        println!("{holds:8} {}", invariant.text());
        return Ok(());
    };
    println!("BROKEN   {}", invariant.text());
    let mut lines = match world {
        Some(world) => world.lines(),
        None => vec![("in", format!("a tick over {worlds} accounts, but in none of them alone"))],
    };
    lines.extend(settings.iter().map(|settings| ("settings", Value::Object(settings.clone()).to_string())));
    if !decided.contains(&violation.what) {
        lines.push(("decided", decided.clone()));
    }
    lines.push(("broken", violation.what.clone()));
    if *worlds > 1 && world.is_some() {
        lines.push(("", format!("and in {} more of the {} checked worlds", worlds - 1, found.judged)));
    }
    let dir = arguments.out.join(invariant.name());
    let about = format!("In a small world: {}", violation.what);
    report::write(case, policy, about, &dir).await.map_err(CommandError)?;
    lines.push(("written", dir.display().to_string()));
    for (name, text) in lines {
        let text = printable_lines(&text).replace('\n', "\n                    ");
        println!("         {name:<10} {text}");
    }
    std::io::stdout().flush().map_err(|error| CommandError(error.to_string()))
}
