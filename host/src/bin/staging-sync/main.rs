//! The command line, for operators and policy authors. stdout is data, stderr is talk.

#[macro_use]
mod output;

mod accounts;
mod apply;
mod bench;
mod broken;
mod choice;
mod compare;
mod completions;
mod demo;
mod doctor;
mod lab;
mod man;
mod plan_file;
mod policy;
mod record;
mod replay;
mod serve;
mod show;
mod simulate;
mod swap;
mod test;
mod tick;

use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{Parser, Subcommand};
use staging_sync::{config, log, policy::contract};

/// As in the Lambda.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// This program's version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from, as far as the build was told.
const COMMIT: &str = match option_env!("STAGING_SYNC_COMMIT") {
    Some(commit) if !commit.is_empty() => commit,
    _ => "unknown",
};

const EXIT_CODES: &str = "Exit code: 0 done, 1 done but some account failed or a configured policy was rejected, 2 could not \
                          be done.";

/// The variables of a tick, for people.
static ENVIRONMENT: LazyLock<String> = LazyLock::new(|| {
    let variables = config::VARIABLES.iter().map(|(name, text)| format!("  {name}\n          {text}\n"));
    let log = "Which log lines are written. Default: info and above of our own in the Lambda and in `serve`, warnings of our \
               own and errors of the libraries elsewhere.";
    format!("{EXIT_CODES}\n\nEnvironment:\n{}  RUST_LOG\n          {log}", variables.collect::<String>())
});

static LONG_VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{VERSION} (commit {COMMIT}, WIT {})", contract::PACKAGE));

/// What a command came to, and so the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: all is well.
    Well,
    /// 1: it ran, and something in it failed.
    Failed,
    /// That of a command that was run for the user.
    Of(u8),
}

/// Why a command could not do its work: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unable(pub String);

impl From<staging_sync::Error> for Unable {
    fn from(error: staging_sync::Error) -> Self {
        Self(format!("{}: {}", error.kind.error_type(), error.message))
    }
}

/// Keeps the stored staging accounts of AWS DRS target accounts true.
#[derive(Parser)]
#[command(version, long_version = LONG_VERSION.as_str())]
#[command(after_help = EXIT_CODES, after_long_help = ENVIRONMENT.as_str())]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows two ticks over a fleet on this machine: no AWS account is needed.
    Demo(demo::Arguments),
    /// Runs one tick against the AWS that the environment points to.
    Tick(tick::Arguments),
    /// Makes the changes that a dry run planned, where they still fit.
    Apply(apply::Arguments),
    /// Checks whether ticks can run here, and says what to do where they can't. Changes nothing.
    Doctor(doctor::Arguments),
    /// Runs a tick at once and then every so often, until SIGTERM or SIGINT.
    Serve(serve::Arguments),
    /// Serves a fleet on loopback as DynamoDB, S3, STS and DRS, until it's interrupted.
    Lab(lab::Arguments),
    /// Measures ticks over a fleet on this machine, against the least time that their AWS calls can take.
    Bench(bench::Arguments),
    /// Runs one tick like `tick`, by default without writing, and keeps it as a case.
    Record(record::Arguments),
    /// Runs ticks of any size in simulated time: how long they take, what they cost, which limit they meet first.
    Simulate(simulate::Arguments),
    /// Lets a policy decide a case, without AWS, and prints the summary.
    Replay(replay::Arguments),
    /// Tells whether a policy decides the cases as they expect, or keeps the invariants under faults.
    Test(test::Arguments),
    /// Tells what two policies decide differently on the same cases.
    Compare(compare::Arguments),
    /// Works on policies.
    Policy(policy::Arguments),
    /// Prints what makes a shell complete commands and options.
    Completions(completions::Arguments),
    /// Prints the manual, or writes it as a page for each command.
    Man(man::Arguments),
}

fn main() -> ExitCode {
    staging_sync::aws::transport::raise_file_limit();
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("staging-sync: {error}");
            return ExitCode::from(2);
        }
    };
    let code = runtime.block_on(run(arguments));
    runtime.shutdown_background(); // a policy that is being compiled isn't waited for
    if let Some(error) = output::finish() {
        eprintln!("staging-sync: stdout can't be written, and what is missing there is lost: {error}");
        return ExitCode::from(2);
    }
    code
}

async fn run(arguments: Arguments) -> ExitCode {
    // These show all there is to say themselves. What libraries warn of ends in our own errors.
    let quiet = match &arguments.command {
        Command::Demo(_) | Command::Record(_) | Command::Replay(_) | Command::Simulate(_) => true,
        Command::Test(_) | Command::Compare(_) | Command::Doctor(_) => true,
        Command::Policy(arguments) => arguments.is_verify(),
        _ => false,
    };
    match &arguments.command {
        Command::Serve(arguments) => log::init(arguments.style(), "warn,staging_sync=info"),
        _ if quiet => log::init(log::Style::Plain, "off"),
        _ => log::init(log::Style::Plain, "error,staging_sync=warn"),
    }
    let done = match arguments.command {
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Tick(arguments) => tick::run(arguments).await,
        Command::Apply(arguments) => apply::run(arguments).await,
        Command::Doctor(arguments) => doctor::run(arguments).await,
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Lab(arguments) => lab::run(arguments).await,
        Command::Bench(arguments) => bench::run(arguments).await,
        Command::Simulate(arguments) => simulate::run(arguments).await,
        Command::Record(arguments) => record::run(arguments).await,
        Command::Replay(arguments) => replay::run(arguments).await,
        Command::Test(arguments) => test::run(arguments).await,
        Command::Compare(arguments) => compare::run(arguments).await,
        Command::Policy(arguments) => policy::run(arguments).await,
        Command::Completions(arguments) => Ok(completions::run(&arguments)),
        Command::Man(arguments) => man::run(&arguments),
    };
    match done {
        Ok(Exit::Well) => ExitCode::SUCCESS,
        Ok(Exit::Failed) => ExitCode::from(1),
        Ok(Exit::Of(code)) => ExitCode::from(code),
        Err(Unable(reason)) => {
            eprintln!("staging-sync: {reason}");
            ExitCode::from(2)
        }
    }
}
