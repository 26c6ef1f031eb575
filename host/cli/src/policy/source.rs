//! Shared code of the commands that change a manifest: its location, the check of policies, and keys.

use std::path::PathBuf;
use std::sync::Arc;

use staging_sync_runtime::Config;
use staging_sync_runtime::activation::Admission;
use staging_sync_runtime::activation::manifest::Entry;
use staging_sync_runtime::activation::publish::{self, Stored, Unchanged};
use staging_sync_runtime::activation::signature::Key;
use staging_sync_runtime::bindings::types::Operation;
use staging_sync_runtime::policy::{COMPONENT, Cache, Candidate, Limits, Policy, sha256};
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
    let served = load(at, replaced, limits).await.ok().map(|policy| policy.info().operations.clone());
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

/// The policy that an entry of a manifest names.
pub async fn component(at: &Location, entry: &Entry) -> Result<Policy, CommandError> {
    let policy = load(at, entry, host_config()?.limits).await;
    policy.map_err(|error| CommandError(format!("{at}: {}: {error}", title(entry))))
}

async fn load(at: &Location, entry: &Entry, limits: Limits) -> Result<Policy, String> {
    let component = at.beside(&entry.component)?;
    let bytes = match component.get(None, COMPONENT).await.map_err(|error| error.message)? {
        Fetched::Found { bytes, .. } => bytes,
        _ => return Err(format!("{component} doesn't exist")),
    };
    if sha256(&bytes) != entry.sha256 {
        return Err(format!("{component} doesn't match the digest in the manifest: somebody changed it"));
    }
    let candidate = Candidate::compile_once(&bytes, &Cache::own()).map_err(|error| error.to_string())?;
    candidate.load(limits).await.map_err(|error| error.to_string())
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
