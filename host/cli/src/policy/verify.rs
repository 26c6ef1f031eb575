//! `staging-sync policy verify`: whether the invariants hold in every small world.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value};
use staging_sync_runtime::policy::Policy;
use staging_sync_runtime::tape;
use staging_sync_workbench::invariants::{Invariant, OPERATION};
use staging_sync_workbench::small;
use staging_sync_workbench::verify::{Counterexample, Verification, Verified};

use crate::{Exit, Unable, broken, choice, output};

#[derive(Args)]
#[command(after_help = "A small world is a target account with any stored list of up to three staging accounts, two \
                  regions that each give any answer, and whatever may happen to its role, its item and its write. \
                  In each the policy decides two ticks.")]
pub struct Arguments {
    /// The policy.
    policy: PathBuf,
    /// The policy's settings, a JSON object.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    settings: String,
    /// The operation; by default sync_staging_accounts, or the only one that the policy serves.
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// How many staging accounts there are at most, 1 to 3. With fewer a slow policy takes less time.
    #[arg(long, value_name = "NUMBER", default_value_t = small::MOST,
          value_parser = clap::value_parser!(u8).range(1..=i64::from(small::MOST)))]
    staging_accounts: u8,
    /// Where cases of broken invariants are written.
    #[arg(long, value_name = "DIR", default_value = broken::DIR)]
    out: PathBuf,
}

pub async fn run(arguments: Arguments) -> Result<Exit, Unable> {
    let settings: Map<String, Value> = tape::parse(&arguments.settings)
        .and_then(tape::read)
        .map_err(|error| Unable(format!("SettingsInvalid: --settings: {error}")))?;
    super::read(&arguments.policy)?;
    let policy = choice::load(&arguments.policy).await?;
    let operation = operation(&arguments, &policy)?;
    let verification = Verification { operation, settings, staging_accounts: arguments.staging_accounts };

    let bar = ProgressBar::with_draw_target(None, output::progress());
    if let Ok(style) = ProgressStyle::with_template("{elapsed:>4} {bar:30} {pos}/{len} worlds") {
        bar.set_style(style);
    }
    let began = Instant::now();
    let found = verification
        .run(&policy, |judged, all| {
            bar.set_length(all as u64);
            bar.set_position(judged as u64);
        })
        .await;
    bar.finish_and_clear();
    let found = found.map_err(|error| error.of_settings("--settings"))?;
    for invariant in Invariant::ALL.into_iter().filter(|invariant| *invariant != Invariant::Others) {
        show(invariant, &found, &policy, &arguments).await?;
    }
    let (counts, seconds) = (found.counts, began.elapsed().as_secs_f64());
    println!(
        "{} of {} small worlds in {seconds:.1} s, two ticks each; after the first: {} updated, {} unchanged, {} skipped, \
         {} failed",
        found.judged, found.all, counts.updated, counts.unchanged, counts.skipped, counts.failed
    );
    Ok(if found.broken.is_empty() { Exit::Well } else { Exit::Failed })
}

/// The operation that is verified.
fn operation(arguments: &Arguments, policy: &Policy) -> Result<String, Unable> {
    let served: Vec<&str> = policy.info().operations.iter().map(|served| served.name.as_str()).collect();
    match (&arguments.operation, served.as_slice()) {
        (Some(operation), _) => Ok(operation.clone()),
        (None, [only]) => Ok((*only).to_owned()),
        (None, served) if served.contains(&OPERATION) => Ok(OPERATION.to_owned()),
        (None, served) => {
            let served = if served.is_empty() { "none".to_owned() } else { served.join(", ") };
            Err(Unable(format!("the policy serves {served}: say which operation with --operation")))
        }
    }
}

/// An invariant's lines: that it holds, or the smallest world in which it doesn't.
async fn show(invariant: Invariant, found: &Verified, policy: &Policy, arguments: &Arguments) -> Result<(), Unable> {
    let Some(Counterexample { violation, worlds, world, decided, case }) = found.broken.get(&invariant) else {
        let holds = if found.broken.is_empty() { "holds" } else { "so far" };
        println!("{holds:8} {}", invariant.text());
        return Ok(());
    };
    println!("BROKEN   {}", invariant.text());
    let mut lines = match world {
        Some(world) => world.lines(),
        None => vec![("in", format!("a tick over {worlds} accounts, and in none of them alone"))],
    };
    if !decided.contains(&violation.what) {
        lines.push(("decided", decided.clone()));
    }
    lines.push(("broken", violation.what.clone()));
    if *worlds > 1 && world.is_some() {
        lines.push(("", format!("and in {} more of the {} worlds judged", worlds - 1, found.judged)));
    }
    let dir = arguments.out.join(invariant.name());
    let about = format!("In a small world: {}", violation.what);
    broken::write(case, policy, about, &dir).await.map_err(Unable)?;
    lines.push(("written", dir.display().to_string()));
    for (name, text) in lines {
        println!("         {name:<10} {text}");
    }
    std::io::stdout().flush().map_err(|error| Unable(error.to_string()))
}
