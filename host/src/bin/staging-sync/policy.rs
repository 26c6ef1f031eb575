//! `staging-sync policy`: what policy authors need.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use wit_component::ComponentEncoder;

use crate::{Exit, Unable};

#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes a component of a core module that was built against the WIT package.
    Encode {
        /// The core module, for instance from `plugin/build.sh`.
        module: PathBuf,
        /// Where the component goes.
        #[arg(long, short, default_value = "policy.wasm")]
        out: PathBuf,
    },
}

pub fn run(arguments: Arguments) -> Result<Exit, Unable> {
    let Command::Encode { module, out } = arguments.command;
    let unable = |error: String| Unable(format!("{}: {error}", module.display()));
    let bytes = std::fs::read(&module).map_err(|error| unable(error.to_string()))?;
    let component = ComponentEncoder::default()
        .module(&bytes)
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(|error| unable(format!("can't be made a component: {error:#}")))?;
    // Beside it first, then in one step: nobody ever sees half a component.
    let part = out.with_extension("part");
    std::fs::write(&part, &component)
        .and_then(|()| std::fs::rename(&part, &out))
        .map_err(|error| Unable(format!("{}: {error}", out.display())))?;
    eprintln!("{}: a component of {} KiB", out.display(), component.len().div_ceil(1024));
    Ok(Exit::Well)
}
