//! `staging-sync policy promote`, `rollback` and `withdraw`: another policy of the manifest becomes active, or the shadow
//! goes.

use clap::Args;
use staging_sync::activation::Offer;
use staging_sync::activation::manifest::Manifest;
use staging_sync::activation::publish::{self, promoted, rolled_back};

use super::source;
use crate::{Exit, Unable};

#[derive(Args)]
pub struct Arguments {
    /// The manifest: a path or an `s3://` URI.
    manifest: String,
    /// The public key that hosts ask for, or its file.
    #[arg(long, env = "POLICY_PUBLIC_KEY", value_name = "KEY")]
    public_key: Option<String>,
}

#[derive(Args)]
pub struct Promote {
    #[command(flatten)]
    arguments: Arguments,
    /// Also where the active policy serves an operation that the shadow doesn't.
    #[arg(long)]
    replace: bool,
}

/// The shadow becomes active.
pub async fn promote(Promote { arguments, replace }: Promote) -> Result<Exit, Unable> {
    let (at, manifest) = change(&arguments, promoted, !replace).await?;
    say!("{at}: {} decides from the next tick on", source::title(&manifest.active));
    if let Some(previous) = &manifest.previous {
        say!("undo: staging-sync policy rollback {at} (back to {})", source::title(previous));
    }
    Ok(Exit::Well)
}

/// The shadow goes, whatever the active policy is like.
pub async fn withdraw(arguments: Arguments) -> Result<Exit, Unable> {
    let at = source::locate(&arguments.manifest).await?;
    let stored = publish::read(&at).await?.ok_or_else(|| Unable(format!("{at}: there's no such manifest")))?;
    let mut manifest = stored.manifest.clone();
    let shadow = manifest.shadow.take().ok_or_else(|| Unable(format!("{at}: has no shadow to withdraw")))?;
    publish::replace(&at, Some(&stored.version), &manifest).await?;
    println!("{}", manifest.text().trim_end());
    say!("{at}: {} decides in the shadow no more from the next tick on", source::title(&shadow));
    Ok(Exit::Well)
}

/// The previous policy becomes active again.
pub async fn rollback(arguments: Arguments) -> Result<Exit, Unable> {
    let before = read(&arguments).await?;
    let (at, manifest) = change(&arguments, rolled_back, false).await?; // the way back is never closed
    say!("{at}: {} decides again from the next tick on", source::title(&manifest.active));
    let component = source::locate(&arguments.manifest).await?.beside(&before.active.component).map_err(Unable)?;
    say!("undo: staging-sync policy publish {component} --to {at} (its settings and signature anew)");
    Ok(Exit::Well)
}

async fn read(arguments: &Arguments) -> Result<Manifest, Unable> {
    let at = source::locate(&arguments.manifest).await?;
    let stored = publish::read(&at).await?;
    Ok(stored.ok_or_else(|| Unable(format!("{at}: there's no such manifest")))?.manifest)
}

/// Changes a manifest, if hosts would take what becomes active; and, where it's asked for, if that serves as much as what
/// it replaces.
async fn change(
    arguments: &Arguments,
    edit: impl Fn(Manifest) -> Result<Manifest, String>,
    serves_as_much: bool,
) -> Result<(String, Manifest), Unable> {
    let at = source::locate(&arguments.manifest).await?;
    let stored = publish::read(&at).await?.ok_or_else(|| Unable(format!("{at}: there's no such manifest")))?;
    let manifest = edit(stored.manifest.clone()).map_err(|error| Unable(format!("{at}: {error}")))?;
    let gate = source::gate(arguments.public_key.as_deref())?;
    let title = source::title(&manifest.active);
    let release = gate.activate(&at, Offer::Listed(Box::new(manifest.active.clone())), &[]).await;
    let release = release
        .map_err(|rejected| Unable(format!("{at}: is as it was, for no host would take {title}: {rejected}")))?;
    if serves_as_much {
        let operations = &release.policy().info().operations;
        source::serves_as_much(&at, &stored.manifest.active, &title, operations, gate.limits).await?;
    }
    publish::replace(&at, Some(&stored.version), &manifest).await?;
    println!("{}", manifest.text().trim_end());
    Ok((at.to_string(), manifest))
}
