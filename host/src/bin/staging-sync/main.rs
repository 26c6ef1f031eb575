//! The command line, for operators and policy authors. stdout is data, stderr is talk.

mod bench;
mod broken;
mod choice;
mod compare;
mod demo;
mod lab;
mod policy;
mod record;
mod replay;
mod show;
mod simulate;
mod swap;
mod test;
mod tick;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use staging_sync::log;

/// As in the Lambda.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a command came to, and so the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: all is well.
    Well,
    /// 1: it ran, and something in it failed.
    Failed,
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
#[command(version, after_help = "Exit code: 0 done, 1 done but some account failed, 2 could not be done.")]
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
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // These show all there is to say themselves. What libraries warn of ends in our own errors.
    let quiet = match &arguments.command {
        Command::Demo(_) | Command::Record(_) | Command::Replay(_) | Command::Simulate(_) => true,
        Command::Test(_) | Command::Compare(_) => true,
        Command::Policy(arguments) => arguments.is_verify(),
        Command::Tick(_) | Command::Lab(_) | Command::Bench(_) => false,
    };
    let level = if quiet { "off" } else { "error,staging_sync=warn" };
    log::init(log::Style::Plain, level);
    let done = match arguments.command {
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Tick(arguments) => tick::run(arguments).await,
        Command::Lab(arguments) => lab::run(arguments).await,
        Command::Bench(arguments) => bench::run(arguments).await,
        Command::Simulate(arguments) => simulate::run(arguments).await,
        Command::Record(arguments) => record::run(arguments).await,
        Command::Replay(arguments) => replay::run(arguments).await,
        Command::Test(arguments) => test::run(arguments).await,
        Command::Compare(arguments) => compare::run(arguments).await,
        Command::Policy(arguments) => policy::run(arguments).await,
    };
    match done {
        Ok(Exit::Well) => ExitCode::SUCCESS,
        Ok(Exit::Failed) => ExitCode::from(1),
        Err(Unable(reason)) => {
            eprintln!("staging-sync: {reason}");
            ExitCode::from(2)
        }
    }
}
