//! `staging-sync policy`: what policy authors need.

mod build;
mod change;
mod encode;
mod inspect;
mod keygen;
mod language;
mod log;
mod measure;
mod new;
mod precompile;
mod publish;
mod record;
mod signing;
mod source;
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
    /// Starts a policy project of your own, from the default policy.
    New(new::Arguments),
    /// Builds a policy project as a component.
    Build(build::Arguments),
    /// Shows what a policy is, what it imports (all that it may do), and whether this host can run it.
    Inspect(inspect::Arguments),
    /// Judges a policy in every small world by the invariants, and shows the smallest in which one breaks.
    Verify(verify::Arguments),
    /// Measures policies: size, compile time, time an account.
    Measure(measure::Arguments),
    /// Makes a component of a core module that was built against the WIT package.
    Encode(encode::Arguments),
    /// Compiles a policy ahead, for a package.
    Precompile(precompile::Arguments),
    /// Publishes a policy: hosts whose POLICY is this manifest take it on their next tick.
    Publish(publish::Arguments),
    /// Shows what a manifest names, and what a host would do with it.
    Status(status::Arguments),
    /// Shows every change of a manifest: when, by whom, what.
    Log(log::Arguments),
    /// Makes the policy in the shadow the active one.
    Promote(change::Promote),
    /// Takes the policy in the shadow out of the manifest.
    Withdraw(change::Arguments),
    /// Makes the previous policy the active one again, or any other of the manifest's history.
    Rollback(change::Rollback),
    /// Makes a pair of keys to sign policies with.
    Keygen(keygen::Arguments),
}

impl Arguments {
    /// Whether it's about `verify`, whose ticks are nobody's news.
    pub fn is_verify(&self) -> bool {
        matches!(self.command, Command::Verify(_))
    }
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    match arguments.command {
        Command::New(arguments) => new::run(&arguments),
        Command::Build(arguments) => build::run(&arguments),
        Command::Inspect(arguments) => inspect::run(arguments).await,
        Command::Verify(arguments) => verify::run(arguments).await,
        Command::Measure(arguments) => measure::run(arguments).await,
        Command::Encode(arguments) => encode::run(&arguments),
        Command::Precompile(arguments) => precompile::run(&arguments),
        Command::Publish(arguments) => publish::run(arguments).await,
        Command::Status(arguments) => status::run(arguments).await,
        Command::Log(arguments) => log::run(arguments).await,
        Command::Promote(arguments) => change::promote(arguments).await,
        Command::Withdraw(arguments) => change::withdraw(arguments).await,
        Command::Rollback(arguments) => change::rollback(arguments).await,
        Command::Keygen(arguments) => keygen::run(&arguments),
    }
}

/// The bytes of a WebAssembly file.
fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    let unable = |what: String| CommandError(format!("{}: {what}", path.display()));
    if path.is_dir() {
        return Err(unable(
            "is a folder: expected a .wasm file, like the one that `staging-sync policy build` makes".into(),
        ));
    }
    std::fs::read(path).map_err(|error| unable(error.to_string()))
}
