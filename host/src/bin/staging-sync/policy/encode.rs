//! `staging-sync policy encode`: makes a component of a core module.

use std::path::{Path, PathBuf};

use clap::Args;
use wit_component::ComponentEncoder;

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
    let component = component(&read(module)?).map_err(|error| Unable(format!("{}: {error}", module.display())))?;
    // Beside it first, then in one step: nobody ever sees half a component.
    let part = out.with_extension("part");
    std::fs::write(&part, &component)
        .and_then(|()| std::fs::rename(&part, out))
        .map_err(|error| Unable(format!("{}: {error}", out.display())))?;
    eprintln!("{}: a component of {} KiB", out.display(), component.len().div_ceil(1024));
    Ok(Exit::Well)
}

/// Makes a component of a core module, or says why that can't be done.
pub fn component(module: &[u8]) -> Result<Vec<u8>, String> {
    // The encoder takes valid modules: it panics at a custom section that is cut off.
    wasmtime::Module::validate(&wasmtime::Engine::default(), module)
        .map_err(|error| format!("isn't a core module that can be made a component: {error:#}"))?;
    ComponentEncoder::default()
        .module(module)
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(|error| format!("can't be made a component: {error:#}"))
}
