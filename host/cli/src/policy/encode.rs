//! `staging-sync policy encode`: a component from a core module.

use std::path::{Path, PathBuf};

use clap::Args;
use staging_sync_runtime::policy::encode;
use staging_sync_runtime::text;
use staging_sync_workbench::waived;

use super::read;
use crate::{CommandError, Exit};

#[derive(Args)]
pub struct Arguments {
    /// The core module, for example from `plugin/build.sh`.
    module: PathBuf,
    /// The file to write the component to.
    #[arg(long, short, value_name = "FILE", default_value = "policy.wasm")]
    out: PathBuf,
    /// A verify.json with the invariants that don't apply to the policy. It's embedded in the component, for `policy verify`.
    #[arg(long, value_name = "FILE")]
    invariants: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<Exit, CommandError> {
    encode(&arguments.module, &arguments.out, arguments.invariants.as_deref())
}

/// Encodes the core module in a file as a component in another file, with an embedded `verify.json`.
pub fn encode(module: &Path, out: &Path, invariants: Option<&Path>) -> Result<Exit, CommandError> {
    let component =
        encode::component(&read(module)?).map_err(|error| CommandError(format!("{}: {error}", module.display())))?;
    let component = match invariants {
        Some(file) => with_invariants(&component, file)?,
        None => component,
    };
    write(&component, out)
}

/// Puts a `verify.json` into the component in a file.
pub fn embed(component: &Path, invariants: &Path) -> Result<Exit, CommandError> {
    write(&with_invariants(&read(component)?, invariants)?, component)
}

fn with_invariants(component: &[u8], file: &Path) -> Result<Vec<u8>, CommandError> {
    let unable = |what: String| CommandError(format!("{}: {what}", file.display()));
    let text = text::read(file).map_err(|error| unable(error.to_string()))?;
    waived::embed(component, &text).map_err(unable)
}

fn write(component: &[u8], out: &Path) -> Result<Exit, CommandError> {
    text::write_whole(out, component).map_err(|error| CommandError(format!("{}: {error}", out.display())))?;
    say!("{}: wrote a component of {} KiB", out.display(), component.len().div_ceil(1024));
    Ok(Exit::Success)
}
