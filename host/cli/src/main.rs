//! The command line, for operators and policy authors. Results go to stdout, messages to stderr.

// The futures of a tick are nested more deeply than the compiler looks by default.
#![recursion_limit = "256"]

#[macro_use]
mod output;

mod accounts;
mod allocations;
mod apply;
mod bench;
mod chart;
mod compare;
mod completions;
mod console;
mod demo;
mod doctor;
mod duration;
mod explain;
mod fetch;
mod freeze;
mod help;
mod history;
mod hot_swap;
mod journal;
mod journal_demo;
mod lab;
mod man;
mod plan_file;
mod policy;
mod policy_arg;
mod record;
mod recorded;
mod replay;
mod report;
mod schema;
mod serve;
mod simulate;
mod table;
mod test;
mod tick;
mod undo;

use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};
use help::log_filter;
use staging_sync_runtime::{log, policy::contract, threads};

/// As in the Lambda.
#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

/// This program's version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from, as far as the build was told.
const COMMIT: &str = match option_env!("STAGING_SYNC_COMMIT") {
    Some(commit) if !commit.is_empty() => commit,
    _ => "unknown",
};

static LONG_VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{VERSION} (commit {COMMIT}, WIT {})", contract::PACKAGE));

/// The outcome of a command, which determines the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: success.
    Success,
    /// 1: the command ran, but something in it failed.
    Failed,
    /// The exit code of a command that was run for the user.
    Of(u8),
}

/// The reason that a command couldn't run: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CommandError(pub String);

impl From<staging_sync_runtime::Error> for CommandError {
    fn from(error: staging_sync_runtime::Error) -> Self {
        Self(format!("{}: {}", error.kind.error_type(), error.message))
    }
}

/// Keep the stored staging accounts of AWS DRS target accounts up to date.
#[derive(Parser)]
#[command(version, long_version = LONG_VERSION.as_str())]
struct Arguments {
    /// Print only errors: no other log lines, no progress, no status messages. RUST_LOG overrides this option.
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Global options")]
    quiet: bool,
    /// Print more log lines to stderr: -v what happens, -vv every AWS call. RUST_LOG overrides this option.
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run two ticks over a fleet on this machine. You don't need an AWS account.
    Demo(demo::Arguments),
    /// Run one tick against AWS as configured in your environment.
    Tick(tick::Arguments),
    /// Apply the changes that a dry run planned, if they still fit.
    Apply(apply::Arguments),
    /// List the changes that ticks and operators made, newest first.
    History(history::Arguments),
    /// Explain the list of an account: what DRS reported, who decided, what was held and written.
    Explain(explain::Arguments),
    /// Undo changes, if nobody edited the accounts since.
    Undo(undo::Arguments),
    /// Get recorded ticks out of a journal.
    Journal(fetch::Arguments),
    /// Freeze accounts, so that no tick changes them until a given time.
    Freeze(freeze::Arguments),
    /// End freezes and vetoes of accounts.
    Unfreeze(freeze::Unfreeze),
    /// Check whether ticks can run in your environment, and what to do if they can't. Changes nothing.
    Doctor(doctor::Arguments),
    /// Run a tick immediately and then at each interval, until SIGTERM or SIGINT.
    Serve(serve::Arguments),
    /// Show what ticks did as a web page on this machine, from the journal, until interrupted. Changes nothing.
    Console(console::Arguments),
    /// Serve a fleet on loopback as DynamoDB, S3, STS and DRS, until interrupted.
    Lab(lab::Arguments),
    /// Measure ticks over a fleet on this machine, and compare them with the least time that their AWS calls can take.
    Bench(bench::Arguments),
    /// Run one tick like `tick`, by default without writing, and save it as a case.
    Record(record::Arguments),
    /// Run ticks of any size in simulated time: how long they take, what they cost, which limit they reach first.
    Simulate(simulate::Arguments),
    /// Run a policy on a recorded case, without AWS, and print the summary.
    Replay(replay::Arguments),
    /// Check whether a policy decides cases as expected, or keeps the invariants under faults.
    Test(test::Arguments),
    /// Show what two policies decide differently on the same cases.
    Compare(compare::Arguments),
    /// Build, inspect, publish and roll back policies.
    Policy(policy::Arguments),
    /// Print a JSON schema, for editors.
    Schema(schema::Arguments),
    /// Generate shell completions.
    Completions(completions::Arguments),
    /// Show a page of the manual, or write all of them.
    Man(man::Arguments),
}

fn main() -> ExitCode {
    staging_sync_runtime::aws::transport::raise_file_limit();
    let matches = help::documented(Arguments::command()).get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    output::be_quiet(arguments.quiet);
    let runtime = match threads::tokio_runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("staging-sync: {error}");
            return ExitCode::from(2);
        }
    };
    let code = runtime.block_on(run(arguments));
    runtime.shutdown_background(); // a policy that is being compiled isn't waited for
    if let Some(error) = output::finish() {
        eprintln!("staging-sync: can't write to stdout: {error}; the command ran to its end, so its changes are made");
        return ExitCode::from(2);
    }
    code
}

async fn run(arguments: Arguments) -> ExitCode {
    // These print everything themselves. What libraries warn of ends in our own errors.
    let quiet = match &arguments.command {
        Command::Demo(_) | Command::Record(_) | Command::Replay(_) | Command::Simulate(_) => true,
        Command::Test(_) | Command::Compare(_) | Command::Doctor(_) | Command::Journal(_) => true,
        Command::Policy(arguments) => arguments.is_verify(),
        _ => false,
    };
    let (style, default) = match &arguments.command {
        Command::Serve(arguments) => (arguments.style(), log_filter::SERVICE),
        _ if quiet => (log::Style::Plain, log_filter::NONE),
        _ => (log::Style::Plain, log_filter::COMMAND),
    };
    let filter = match (arguments.quiet, arguments.verbose) {
        (true, _) if default == log_filter::NONE => default,
        (true, _) => log_filter::QUIET,
        (_, 0) => default,
        (_, 1) => log_filter::VERBOSE,
        _ => log_filter::DEBUG,
    };
    log::init(style, filter);
    let done = match arguments.command {
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Tick(arguments) => tick::run(arguments).await,
        Command::Apply(arguments) => apply::run(arguments).await,
        Command::History(arguments) => history::run(arguments).await,
        Command::Explain(arguments) => explain::run(arguments).await,
        Command::Undo(arguments) => undo::run(arguments).await,
        Command::Journal(arguments) => fetch::run(arguments).await,
        Command::Freeze(arguments) => freeze::run(arguments).await,
        Command::Unfreeze(arguments) => freeze::unfreeze(arguments).await,
        Command::Doctor(arguments) => doctor::run(arguments).await,
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Console(arguments) => console::run(arguments).await,
        Command::Lab(arguments) => lab::run(arguments).await,
        Command::Bench(arguments) => bench::run(arguments).await,
        Command::Simulate(arguments) => simulate::run(arguments).await,
        Command::Record(arguments) => record::run(arguments).await,
        Command::Replay(arguments) => replay::run(arguments).await,
        Command::Test(arguments) => test::run(arguments).await,
        Command::Compare(arguments) => compare::run(arguments).await,
        Command::Policy(arguments) => policy::run(arguments).await,
        Command::Schema(arguments) => Ok(schema::run(&arguments)),
        Command::Completions(arguments) => Ok(completions::run(&arguments)),
        Command::Man(arguments) => man::run(&arguments),
    };
    match done {
        Ok(Exit::Success) => ExitCode::SUCCESS,
        Ok(Exit::Failed) => ExitCode::from(1),
        Ok(Exit::Of(code)) => ExitCode::from(code),
        Err(CommandError(reason)) => {
            eprintln!("staging-sync: {reason}");
            ExitCode::from(2)
        }
    }
}
