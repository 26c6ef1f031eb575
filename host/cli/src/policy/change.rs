//! `staging-sync policy promote`, `rollback` and `withdraw`: another policy of the manifest or of its history becomes
//! active, or the shadow goes.

use clap::Args;
use staging_sync_runtime::activation::Revision;
use staging_sync_runtime::activation::history::{self, Kind};
use staging_sync_runtime::activation::location::Location;
use staging_sync_runtime::activation::manifest::Manifest;
use staging_sync_runtime::activation::publish::{Stored, promoted, rolled_back};

use super::record::{Note, make};
use super::source;
use crate::{CommandError, Exit};

#[derive(Args)]
pub struct Arguments {
    /// The manifest: a path or an `s3://` URI.
    manifest: String,
    /// The public key that hosts ask for, or its file.
    #[arg(long, env = "POLICY_PUBLIC_KEY", value_name = "KEY")]
    public_key: Option<String>,
    #[command(flatten)]
    note: Note,
}

#[derive(Args)]
pub struct Promote {
    #[command(flatten)]
    arguments: Arguments,
    /// Also where the active policy serves an operation that the shadow doesn't.
    #[arg(long)]
    replace: bool,
}

#[derive(Args)]
pub struct Rollback {
    #[command(flatten)]
    arguments: Arguments,
    /// Go back, or forward again, to the policy with this SHA-256 (8 digits or more), with its settings, cases and
    /// signature as they were. By default: to the previous policy.
    #[arg(long, value_name = "DIGEST", conflicts_with = "to_change")]
    to: Option<String>,
    /// Restore the manifest as it was after this change, by its number in `policy log`, the shadow included.
    #[arg(long, value_name = "NUMBER")]
    to_change: Option<u64>,
}

/// The shadow becomes active.
pub async fn promote(Promote { arguments, replace }: Promote) -> Result<Exit, CommandError> {
    let (at, stored) = source::manifest(&arguments.manifest).await?;
    let manifest = promoted(stored.manifest.clone()).map_err(|error| CommandError(format!("{at}: {error}")))?;
    change(&arguments, &at, &stored, &manifest, Kind::Promote, !replace).await
}

/// The shadow goes, whatever the active policy is like.
pub async fn withdraw(arguments: Arguments) -> Result<Exit, CommandError> {
    let (at, stored) = source::manifest(&arguments.manifest).await?;
    let mut manifest = stored.manifest.clone();
    let shadow = manifest.shadow.take().ok_or_else(|| CommandError(format!("{at}: has no shadow to withdraw")))?;
    let said = format!("{} decides in the shadow no more from the next tick on", source::title(&shadow));
    let before = (Some(&stored.manifest), Some(stored.version.as_str()));
    make(&at, before, &manifest, Kind::Withdraw, &arguments.note, &said).await
}

/// An earlier policy becomes active again, or a later one.
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
        say!("{at}: {} decides already: nothing to do", source::title(&manifest.active));
        return Ok(Exit::Success);
    }
    change(&arguments, &at, &stored, &manifest, Kind::Rollback, false).await // the way back is never closed
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
    let release = release
        .map_err(|rejected| CommandError(format!("{at}: is as it was, for no host would take {title}: {rejected}")))?;
    if serves_as_much {
        let operations = &release.policy().info().operations;
        source::serves_as_much(at, &stored.manifest.active, &title, operations, admission.limits).await?;
    }
    let again = if kind == Kind::Rollback { "again " } else { "" };
    let said = format!("{title} decides {again}from the next tick on");
    let before = (Some(&stored.manifest), Some(stored.version.as_str()));
    make(at, before, manifest, kind, &arguments.note, &said).await
}
