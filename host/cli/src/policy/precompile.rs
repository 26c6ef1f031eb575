//! `staging-sync policy precompile`: the compiled form of a policy, for a package.

use std::path::PathBuf;

use clap::Args;
use staging_sync_runtime::activation::proof;
use staging_sync_runtime::policy::cache;

use super::{read, source};
use crate::{CommandError, Exit};

#[derive(Args)]
pub struct Arguments {
    /// The policy, as a component or a core module.
    policy: PathBuf,
    /// The file to write the compiled policy to. In a package, it's policy.cwasm beside policy.wasm.
    #[arg(long, short, value_name = "FILE", default_value = "policy.cwasm")]
    out: PathBuf,
    /// The architecture to compile for.
    #[arg(long, default_value = std::env::consts::ARCH, value_parser = ["x86_64", "aarch64"])]
    target: String,
}

pub async fn run(arguments: &Arguments) -> Result<Exit, CommandError> {
    let unable = |what: String| CommandError(format!("{}: {what}", arguments.policy.display()));
    let policy = read(&arguments.policy)?;
    let admission = source::admission(None)?;
    let settings = admission.settings.clone();
    let proof = proof::id(&settings);
    let judged = admission.judge(policy.clone(), (settings, "POLICY_SETTINGS"), None, None).await;
    judged.map_err(|rejected| unable(format!("no host would start with it: {rejected}")))?;
    let compiled = cache::precompile(&policy, &arguments.target, Some(&proof)).map_err(unable)?;
    std::fs::write(&arguments.out, &compiled)
        .map_err(|error| CommandError(format!("{}: {error}", arguments.out.display())))?;
    say!("{}: compiled for {}, {} KiB", arguments.out.display(), arguments.target, compiled.len().div_ceil(1024));
    Ok(Exit::Success)
}
