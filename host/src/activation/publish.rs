//! Changes of a manifest: a policy published, a shadow promoted, the previous one back. Each is made whole or not at
//! all, and never over somebody else's change.

use minisign::{PublicKey, SecretKey, SecretKeyBox};

use super::Rejected;
use super::location::Location;
use super::manifest::{self, Entry, Manifest};
use super::store::{Fetched, Put, StoreError, When};

/// Why a manifest wasn't changed.
#[derive(Debug, thiserror::Error)]
pub enum Unchanged {
    /// The store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// What is there isn't what this change is of.
    #[error("{0}")]
    Refused(String),
    /// Somebody else was faster.
    #[error(
        "{0}: was changed by somebody else meanwhile, and is as they left it: see `staging-sync policy status`, then \
         try again"
    )]
    Conflict(String),
}

impl From<String> for Unchanged {
    fn from(reason: String) -> Self {
        Self::Refused(reason)
    }
}

/// A manifest in a store, and the version that it has there.
pub struct Stored {
    /// What it says.
    pub manifest: Manifest,
    version: String,
}

/// Reads a manifest; none if there's none yet.
pub async fn read(at: &Location) -> Result<Option<Stored>, Unchanged> {
    if !at.is_manifest() {
        return Err(format!("{at}: isn't a manifest: expected a name that ends in .json").into());
    }
    match at.get(None, manifest::MAX_BYTES).await? {
        Fetched::Found { bytes, version } => {
            let text = String::from_utf8_lossy(&bytes);
            let manifest = Manifest::parse(&text).map_err(|error| format!("{at}: {error}"))?;
            Ok(Some(Stored { manifest, version }))
        }
        Fetched::Missing | Fetched::Same => Ok(None),
    }
}

/// Puts a manifest in the place of the one that was read.
pub async fn replace(at: &Location, read: Option<&Stored>, manifest: &Manifest) -> Result<(), Unchanged> {
    let when = read.map_or(When::Missing, |read| When::Is(&read.version));
    match at.put(manifest.text().into_bytes(), when).await? {
        Put::Done => Ok(()),
        Put::Changed => Err(Unchanged::Conflict(at.to_string())),
    }
}

/// Puts a file beside a manifest, under a name that says what it is: it's there already, or never changes.
pub async fn keep(at: &Location, name: &str, bytes: Vec<u8>) -> Result<(), Unchanged> {
    at.beside(name)?.put(bytes, When::Missing).await?;
    Ok(())
}

/// What a manifest becomes where an entry is published as the active policy, or in the shadow.
pub fn published(before: Option<Manifest>, entry: Entry, shadow: bool) -> Result<Manifest, String> {
    match before {
        None if shadow => Err("there's no active policy yet that it could be a shadow of".into()),
        None => Ok(Manifest { active: entry, previous: None, shadow: None }),
        Some(before) if shadow => Ok(Manifest { shadow: Some(entry), ..before }),
        Some(before) => Ok(Manifest { active: entry, previous: Some(before.active), shadow: before.shadow }),
    }
}

/// What it becomes where the shadow becomes active.
pub fn promoted(before: Manifest) -> Result<Manifest, String> {
    let Some(shadow) = before.shadow else { return Err("has no shadow to promote".into()) };
    Ok(Manifest { active: shadow, previous: Some(before.active), shadow: None })
}

/// What it becomes where the previous policy becomes active again. The one that it replaces isn't kept as the
/// previous one: it was rolled back for a reason, and the previous one stands in when the active one fails.
pub fn rolled_back(before: Manifest) -> Result<Manifest, String> {
    let Some(previous) = before.previous else { return Err("has no previous policy to go back to".into()) };
    Ok(Manifest { active: previous, previous: None, shadow: before.shadow })
}

/// A key to sign policies with.
pub struct SigningKey(SecretKey);

impl SigningKey {
    /// Reads a secret key as minisign writes it; `password` is for one that has one.
    pub fn parse(text: &str, password: Option<String>) -> Result<Self, String> {
        let failed = |error| format!("isn't a minisign secret key that can be used: {error}");
        let key = SecretKeyBox::from_string(text).map_err(failed)?;
        let key = match password {
            Some(password) => key.into_secret_key(Some(password)),
            None => key.into_unencrypted_secret_key(),
        };
        key.map(Self).map_err(failed)
    }

    /// Signs an entry, and returns the public key that verifies it.
    pub fn sign(&self, entry: &mut Entry) -> Result<String, String> {
        let comment = format!("{} {}", entry.name, entry.version);
        let statement = entry.statement();
        let signature = minisign::sign(None, &self.0, statement.as_bytes(), Some(&comment), None);
        entry.signature = Some(signature.map_err(|error| format!("can't sign: {error}"))?.to_string());
        let public = PublicKey::from_secret_key(&self.0).map_err(|error| error.to_string())?;
        Ok(public.to_base64())
    }
}

/// A new pair of keys as minisign writes them: the secret one, and the public one.
pub fn keys(password: Option<String>) -> Result<(String, String), String> {
    let failed = |error| format!("no keys could be made: {error}");
    let pair = match password {
        Some(password) => minisign::KeyPair::generate_encrypted_keypair(Some(password)),
        None => minisign::KeyPair::generate_unencrypted_keypair(),
    };
    let pair = pair.map_err(failed)?;
    let comment = Some("staging-sync policy key");
    Ok((pair.sk.to_box(comment).map_err(failed)?.to_string(), pair.pk.to_box().map_err(failed)?.to_string()))
}

impl From<Rejected> for Unchanged {
    fn from(rejected: Rejected) -> Self {
        Self::Refused(format!("isn't published, for no host would take it: {rejected}"))
    }
}
