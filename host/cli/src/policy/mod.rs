//! `staging-sync policy`: commands for policy authors.

mod build;
mod change;
mod encode;
mod inspect;
mod keygen;
mod language;
mod log;
mod measure;
mod new;
mod package;
mod precompile;
mod publish;
mod record;
mod replay;
mod rollout;
mod rollout_status;
mod rollout_terms;
mod signing;
pub mod source;
mod status;
mod typescript;
mod verify;
mod wit;

use std::path::Path;

use clap::{Args, Subcommand};

use crate::{CommandError, Exit};

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Create a policy project, as a copy of the default policy.
    New(new::Arguments),
    /// Build a policy project into a component.
    Build(build::Arguments),
    /// Show what a policy is, what it imports (all that it may do), and whether this host can run it.
    Inspect(inspect::Arguments),
    /// Print the WIT package that policies are built with.
    Wit(package::Arguments),
    /// Check the invariants in every small world, and show the smallest world in which one breaks.
    Verify(verify::Arguments),
    /// Measure policies: size, compile time, time per account.
    Measure(measure::Arguments),
    /// Encode a core module that was built against the WIT package as a component.
    Encode(encode::Arguments),
    /// Compile a policy ahead of time, for a package.
    Precompile(precompile::Arguments),
    /// Publish a policy: hosts whose POLICY is this manifest use it from their next tick on.
    Publish(Box<publish::Arguments>),
    /// Show the policies of a manifest, and whether a host would accept them.
    Status(status::Arguments),
    /// Show every change of a manifest: when, by whom, and what.
    Log(log::Arguments),
    /// Make the shadow policy the active one.
    Promote(change::Promote),
    /// Remove the shadow policy from the manifest.
    Withdraw(change::Arguments),
    /// Make the previous policy active again, or any other policy in the manifest's history.
    Rollback(change::Rollback),
    /// Show and steer the rollout of a policy in steps.
    Rollout(rollout::Arguments),
    /// Generate a key pair to sign policies with.
    Keygen(keygen::Arguments),
}

impl Arguments {
    /// Whether the command is `verify`, whose ticks aren't logged.
    pub fn is_verify(&self) -> bool {
        matches!(self.command, Command::Verify(_))
    }
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    match arguments.command {
        Command::New(arguments) => new::run(&arguments),
        Command::Build(arguments) => build::run(&arguments),
        Command::Inspect(arguments) => inspect::run(arguments).await,
        Command::Wit(arguments) => package::run(&arguments),
        Command::Verify(arguments) => verify::run(arguments).await,
        Command::Measure(arguments) => measure::run(arguments).await,
        Command::Encode(arguments) => encode::run(&arguments),
        Command::Precompile(arguments) => precompile::run(&arguments).await,
        Command::Publish(arguments) => publish::run(*arguments).await,
        Command::Status(arguments) => status::run(arguments).await,
        Command::Log(arguments) => log::run(arguments).await,
        Command::Promote(arguments) => change::promote(arguments).await,
        Command::Withdraw(arguments) => change::withdraw(arguments).await,
        Command::Rollback(arguments) => change::rollback(arguments).await,
        Command::Rollout(arguments) => rollout::run(arguments).await,
        Command::Keygen(arguments) => keygen::run(&arguments),
    }
}

/// The bytes of a WebAssembly file.
fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    let unable = |what: String| CommandError(format!("{}: {what}", path.display()));
    if path.is_dir() {
        return Err(unable("is a directory; expected a .wasm file, such as `staging-sync policy build` writes".into()));
    }
    std::fs::read(path).map_err(|error| unable(error.to_string()))
}
