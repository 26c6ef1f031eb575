//! The policy of a command that doesn't use the policy of the environment.

use std::path::{Path, PathBuf};

use clap::Args;
use staging_sync_runtime::config;
use staging_sync_runtime::policy::{Limits, Policy};

use crate::CommandError;

#[derive(Args)]
pub struct Choice {
    /// The policy. Default: `policy.wasm` beside this program.
    #[arg(long, env = "POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
}

impl Choice {
    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.policy.clone().unwrap_or_else(config::default_policy)
    }

    /// Loads it.
    pub async fn load(&self) -> Result<Policy, CommandError> {
        load(&self.path()).await
    }
}

/// Loads a policy with the default limits, because limits can change the result of a case.
pub async fn load(path: &Path) -> Result<Policy, CommandError> {
    Ok(Policy::load(path, Limits::default()).await?)
}
