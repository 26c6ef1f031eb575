//! Shared code of the commands that change a manifest: its location, the check of policies, and keys.

use std::path::PathBuf;
use std::sync::Arc;

use staging_sync_runtime::Config;
use staging_sync_runtime::activation::Admission;
use staging_sync_runtime::activation::manifest::Entry;
use staging_sync_runtime::activation::publish::{self, Stored, Unchanged};
use staging_sync_runtime::activation::signature::Key;
use staging_sync_runtime::bindings::types::Operation;
use staging_sync_runtime::policy::{COMPONENT, Cache, Candidate, Limits};
use staging_sync_runtime::store::Fetched;
use staging_sync_runtime::store::bucket::Objects;
use staging_sync_runtime::store::location::{self, Location};
use staging_sync_runtime::text;

use super::signing::SigningKey;
use crate::CommandError;

impl From<Unchanged> for CommandError {
    fn from(error: Unchanged) -> Self {
        Self(error.to_string())
    }
}

/// A path or an `s3://` URI, with the way there.
pub async fn locate(text: &str) -> Result<Location, CommandError> {
    let objects = if location::is_s3(text) { Some(Arc::new(Objects::from_env().await?)) } else { None };
    Location::parse(text, objects.as_ref()).map_err(CommandError)
}

/// A manifest that must be there, and its place.
pub async fn manifest(text: &str) -> Result<(Location, Stored), CommandError> {
    let at = locate(text).await?;
    let stored = publish::read(&at).await?.ok_or_else(|| CommandError(format!("{at}: the manifest doesn't exist")))?;
    Ok((at, stored))
}

/// What judges a policy here as the host would: with its limits, and with `POLICY_PUBLIC_KEY` where it's set.
pub fn admission(public_key: Option<&str>) -> Result<Admission, CommandError> {
    let key = public_key.filter(|key| !key.is_empty()).map(Key::named).transpose();
    let of_environment = std::env::var("POLICY_PUBLIC_KEY").ok().as_deref() == public_key;
    let name = if of_environment { "POLICY_PUBLIC_KEY" } else { "--public-key" };
    let config = host_config()?;
    Ok(Admission {
        limits: config.limits,
        key: key.map_err(|error| CommandError(format!("{name} {error}")))?,
        settings: config.settings,
        cache: Cache::own(),
    })
}

/// Refuses a policy that doesn't serve what the one that it replaces serves: hosts would be asked for it in vain.
pub async fn serves_as_much(
    at: &Location,
    replaced: &Entry,
    title: &str,
    operations: &[Operation],
    limits: Limits,
) -> Result<(), CommandError> {
    let component = at.beside(&replaced.component).map_err(CommandError)?;
    let served = match component.get(None, COMPONENT).await {
        Ok(Fetched::Found { bytes, .. }) => match Candidate::compile_once(&bytes, &Cache::own()) {
            Ok(candidate) => candidate.load(limits).await.ok().map(|policy| policy.info().operations.clone()),
            Err(_) => None,
        },
        _ => None,
    };
    // What is no policy serves nothing.
    let missing = served.unwrap_or_default().into_iter().map(|served| served.name);
    let missing: Vec<String> = missing.filter(|name| operations.iter().all(|served| served.name != *name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let (missing, replaced) = (missing.join(", "), self::title(replaced));
    Err(CommandError(format!(
        "{at}: not changed: {title} doesn't serve {missing}, which {replaced} serves now, so every tick of that operation \
         would fail; publish it in its own manifest and list both in POLICY, or use --replace"
    )))
}

/// The configuration of a host in this environment, as far as it judges policies: `POLICY_SETTINGS`, `POLICY_FUEL`,
/// `POLICY_MEMORY_MIB`. What a host needs besides, to run ticks, isn't asked for.
pub fn host_config() -> Result<Config, CommandError> {
    Ok(Config::read(&|name| match name {
        "TARGET_ACCOUNTS_TABLE" => Some("none".into()),
        "DRS_REGIONS" => Some("us-east-1".into()),
        name => std::env::var(name).ok(),
    })?)
}

/// Reads a secret key; its password, if it has one, is in `POLICY_KEY_PASSWORD`.
pub fn signing_key(path: &PathBuf) -> Result<SigningKey, CommandError> {
    let unable = |what: String| CommandError(format!("{}: {what}", path.display()));
    let text = text::read(path).map_err(|error| unable(error.to_string()))?;
    SigningKey::parse(&text, password()).map_err(unable)
}

/// The password of a secret key.
pub fn password() -> Option<String> {
    std::env::var("POLICY_KEY_PASSWORD").ok().filter(|password| !password.is_empty())
}

/// An entry in few words.
pub fn title(entry: &Entry) -> String {
    format!("{} {} (sha256 {})", entry.name, entry.version, entry.sha256.get(..12).unwrap_or_default())
}
