//! `staging-sync policy promote` and `rollback`: another policy of the manifest becomes active.

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
    /// The public key that hosts ask for.
    #[arg(long, env = "POLICY_PUBLIC_KEY", value_name = "KEY")]
    public_key: Option<String>,
}

/// The shadow becomes active.
pub async fn promote(arguments: Arguments) -> Result<Exit, Unable> {
    let (at, manifest) = change(&arguments, promoted).await?;
    eprintln!("{at}: {} decides from the next tick on", source::title(&manifest.active));
    if let Some(previous) = &manifest.previous {
        eprintln!("undo: staging-sync policy rollback {at} (back to {})", source::title(previous));
    }
    Ok(Exit::Well)
}

/// The previous policy becomes active again.
pub async fn rollback(arguments: Arguments) -> Result<Exit, Unable> {
    let before = read(&arguments).await?;
    let (at, manifest) = change(&arguments, rolled_back).await?;
    eprintln!("{at}: {} decides again from the next tick on", source::title(&manifest.active));
    let component = source::locate(&arguments.manifest).await?.beside(&before.active.component).map_err(Unable)?;
    eprintln!("undo: staging-sync policy publish {component} --to {at} (its settings and signature anew)");
    Ok(Exit::Well)
}

async fn read(arguments: &Arguments) -> Result<Manifest, Unable> {
    let at = source::locate(&arguments.manifest).await?;
    let stored = publish::read(&at).await?;
    Ok(stored.ok_or_else(|| Unable(format!("{at}: there's no such manifest")))?.manifest)
}

/// Changes a manifest, if hosts would take what becomes active.
async fn change(
    arguments: &Arguments,
    edit: impl Fn(Manifest) -> Result<Manifest, String>,
) -> Result<(String, Manifest), Unable> {
    let at = source::locate(&arguments.manifest).await?;
    let stored = publish::read(&at).await?.ok_or_else(|| Unable(format!("{at}: there's no such manifest")))?;
    let manifest = edit(stored.manifest.clone()).map_err(|error| Unable(format!("{at}: {error}")))?;
    let gate = source::gate(arguments.public_key.as_deref())?;
    gate.activate(&at, Offer::Listed(Box::new(manifest.active.clone())), &[]).await.map_err(|rejected| {
        let title = source::title(&manifest.active);
        Unable(format!("{at}: is as it was, for no host would take {title}: {rejected}"))
    })?;
    publish::replace(&at, Some(&stored), &manifest).await?;
    println!("{}", manifest.text().trim_end());
    Ok((at.to_string(), manifest))
}
