//! `staging-sync policy wit`: the WIT package that policies are built with.

use clap::Args;
use staging_sync_runtime::policy::released;

use crate::{CommandError, Exit};

#[derive(Args)]
#[command(
    after_help = "A policy runs on every host of its version or a later one of the same track, such as 0.1.x. To run it \
    on older hosts as well, build it with the version that they have."
)]
pub struct Arguments {
    /// The version of the package, such as 0.1.0. Default: the version that this program's host has.
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
}

pub fn run(arguments: &Arguments) -> Result<Exit, CommandError> {
    let version = arguments.version.as_deref().unwrap_or(released::VERSION);
    let Some(text) = released::text(version) else {
        let known = released::versions().join(", ");
        return Err(CommandError(format!(
            "there is no version {version:?} of the WIT package in this program: expected one of {known}. For a later \
             version, upgrade staging-sync"
        )));
    };
    print!("{text}");
    Ok(Exit::Success)
}
