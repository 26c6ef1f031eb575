//! `staging-sync policy promote`, `rollback` and `withdraw`: changes of a manifest that need no new policy.

use clap::Args;
use staging_sync_runtime::activation::Revision;
use staging_sync_runtime::activation::history::{self, Kind};
use staging_sync_runtime::activation::manifest::Manifest;
use staging_sync_runtime::activation::publish::{Stored, promoted, rolled_back};
use staging_sync_runtime::store::location::Location;

use super::record::{Note, make};
use super::source;
use crate::{CommandError, Exit};

#[derive(Args)]
pub struct Arguments {
    /// The manifest, as a path or an `s3://` URI.
    manifest: String,
    /// The public key that hosts verify policies with, or its file.
    #[arg(long, env = "POLICY_PUBLIC_KEY", value_name = "KEY")]
    public_key: Option<String>,
    #[command(flatten)]
    note: Note,
}

#[derive(Args)]
pub struct Promote {
    #[command(flatten)]
    arguments: Arguments,
    /// Promote even if the active policy serves an operation that the shadow policy doesn't.
    #[arg(long)]
    replace: bool,
}

#[derive(Args)]
pub struct Rollback {
    #[command(flatten)]
    arguments: Arguments,
    /// Return to the policy with this SHA-256 (8 digits or more), with its settings, cases and signature as they were.
    /// Default: the previous policy.
    #[arg(long, value_name = "DIGEST", conflicts_with = "to_change")]
    to: Option<String>,
    /// Restore the manifest as it was after this change, including the shadow policy. `policy log` lists the numbers.
    #[arg(long, value_name = "NUMBER")]
    to_change: Option<u64>,
}

impl Promote {
    /// The manifest, as it was named.
    pub fn manifest(&self) -> &str {
        &self.arguments.manifest
    }
}

/// Makes the shadow policy active.
pub async fn promote(Promote { arguments, replace }: Promote) -> Result<Exit, CommandError> {
    let (at, stored) = source::manifest(&arguments.manifest).await?;
    let manifest = promoted(stored.manifest.clone()).map_err(|error| CommandError(format!("{at}: {error}")))?;
    change(&arguments, &at, &stored, &manifest, Kind::Promote, !replace).await
}

/// Removes the shadow policy, whatever the state of the active policy.
pub async fn withdraw(arguments: Arguments) -> Result<Exit, CommandError> {
    let (at, stored) = source::manifest(&arguments.manifest).await?;
    let mut manifest = stored.manifest.clone();
    let shadow =
        manifest.shadow.take().ok_or_else(|| CommandError(format!("{at}: has no shadow policy to withdraw")))?;
    let said = format!("from the next tick on, {} no longer runs as shadow policy", source::title(&shadow));
    let before = (Some(&stored.manifest), Some(stored.version.as_str()));
    make(&at, before, &manifest, Kind::Withdraw, &arguments.note, &said).await
}

/// Makes an earlier or later policy of the history active.
pub async fn rollback(Rollback { arguments, to, to_change }: Rollback) -> Result<Exit, CommandError> {
    let (at, stored) = source::manifest(&arguments.manifest).await?;
    let unable = |error: String| CommandError(format!("{at}: {error}"));
    let now = stored.manifest.clone();
    let manifest = match (to, to_change) {
        (None, None) => rolled_back(now).map_err(unable)?,
        (Some(digest), _) => {
            let history = history::read(&at).await?;
            let then = history.with_active(&digest).map_err(|error| unable(error.to_string()))?;
            Manifest { shadow: now.shadow, ..then.manifest.clone() }
        }
        (None, Some(number)) => {
            let history = history::read(&at).await?;
            history.at(number).map_err(|error| unable(error.to_string()))?.manifest.clone()
        }
    };
    if manifest == stored.manifest {
        say!("{at}: nothing to do: {} is already active", source::title(&manifest.active));
        return Ok(Exit::Success);
    }
    change(&arguments, &at, &stored, &manifest, Kind::Rollback, false).await // a rollback is always possible
}

/// Changes a manifest, if hosts would take what becomes active; and, where it's asked for, if that serves as much as what
/// it replaces.
async fn change(
    arguments: &Arguments,
    at: &Location,
    stored: &Stored,
    manifest: &Manifest,
    kind: Kind,
    serves_as_much: bool,
) -> Result<Exit, CommandError> {
    let admission = source::admission(arguments.public_key.as_deref())?;
    let title = source::title(&manifest.active);
    let release = admission.activate(at, Revision::Listed(Box::new(manifest.active.clone())), &[]).await;
    let release = release.map_err(|rejected| {
        CommandError(format!("{at}: not changed, because hosts would reject {title}: {rejected}"))
    })?;
    if serves_as_much {
        let operations = &release.policy().info().operations;
        source::serves_as_much(at, &stored.manifest.active, &title, operations, admission.limits).await?;
    }
    let said = match kind {
        Kind::Rollback => format!("{title} is active again from the next tick on"),
        _ => format!("{title} is active from the next tick on"),
    };
    let before = (Some(&stored.manifest), Some(stored.version.as_str()));
    make(at, before, manifest, kind, &arguments.note, &said).await
}
