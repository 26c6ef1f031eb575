//! `staging-sync policy encode`: makes a component of a core module.

use std::path::{Path, PathBuf};

use clap::Args;
use staging_sync_runtime::policy::encode;

use super::read;
use crate::{Exit, Unable};

#[derive(Args)]
pub struct Arguments {
    /// The core module, for instance from `plugin/build.sh`.
    module: PathBuf,
    /// Where the component goes.
    #[arg(long, short, value_name = "FILE", default_value = "policy.wasm")]
    out: PathBuf,
}

pub fn run(arguments: &Arguments) -> Result<Exit, Unable> {
    encode(&arguments.module, &arguments.out)
}

/// Makes a component of the core module in a file, in another file.
pub fn encode(module: &Path, out: &Path) -> Result<Exit, Unable> {
    let component =
        encode::component(&read(module)?).map_err(|error| Unable(format!("{}: {error}", module.display())))?;
    // Beside it first, then in one step: nobody ever sees half a component.
    let part = out.with_extension("part");
    std::fs::write(&part, &component)
        .and_then(|()| std::fs::rename(&part, out))
        .map_err(|error| Unable(format!("{}: {error}", out.display())))?;
    say!("{}: a component of {} KiB", out.display(), component.len().div_ceil(1024));
    Ok(Exit::Well)
}
