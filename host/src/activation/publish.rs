//! Changes of a manifest: a policy published, a shadow promoted, the previous one back. Each is made whole or not at
//! all, and never over somebody else's change.

use minisign::{PublicKey, SecretKey, SecretKeyBox};

use super::Rejected;
use super::location::Location;
use super::manifest::{self, Entry, Manifest};
use super::store::{Fetched, Put, StoreError, When};
use crate::text;

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
            let manifest = text::decode(&bytes).map_err(str::to_owned).and_then(|text| Manifest::parse(&text));
            let manifest = manifest.map_err(|error| format!("{at}: {error}"))?;
            Ok(Some(Stored { manifest, version }))
        }
        Fetched::Missing | Fetched::Same => Ok(None),
    }
}

/// Puts a manifest in the place of the one that was read.
pub async fn replace(at: &Location, read: Option<&Stored>, manifest: &Manifest) -> Result<(), Unchanged> {
    let when = read.map_or(When::Missing, |read| When::Is(&read.version));
    let bytes = manifest.text().into_bytes();
    match at.put(bytes.clone(), when).await {
        Ok(Put::Done) => Ok(()),
        _ if is_there(at, &bytes).await => Ok(()),
        Ok(Put::Changed) => Err(Unchanged::Conflict(at.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// Puts a file beside a manifest, under a name that says what it is: it's there already, or never changes.
pub async fn keep(at: &Location, name: &str, bytes: Vec<u8>) -> Result<(), Unchanged> {
    let at = at.beside(name)?;
    match at.put(bytes.clone(), When::Missing).await {
        Err(error) if !is_there(&at, &bytes).await => Err(error.into()),
        _ => Ok(()),
    }
}

/// Whether a place has these bytes. A write whose answer was lost, and which a second try then found in its way, is done.
async fn is_there(at: &Location, bytes: &[u8]) -> bool {
    matches!(at.get(None, bytes.len() as u64).await, Ok(Fetched::Found { bytes: found, .. }) if found == bytes)
}

/// What a manifest becomes where an entry is published as the active policy, or in the shadow.
pub fn published(before: Option<Manifest>, entry: Entry, shadow: bool) -> Result<Manifest, String> {
    match before {
        None if shadow => Err("there's no active policy yet that it could be a shadow of".into()),
        None => Ok(Manifest { active: entry, previous: None, shadow: None }),
        Some(before) if shadow => Ok(Manifest { shadow: Some(entry), ..before }),
        Some(before) => Ok(activated(entry, before.active, before.previous, before.shadow)),
    }
}

/// What it becomes where the shadow becomes active.
pub fn promoted(before: Manifest) -> Result<Manifest, String> {
    let Some(shadow) = before.shadow else { return Err("has no shadow to promote".into()) };
    Ok(activated(shadow, before.active, before.previous, None))
}

/// What it becomes where the previous policy becomes active again. The one that it replaces isn't kept as the
/// previous one: it was rolled back for a reason, and the previous one stands in when the active one fails.
pub fn rolled_back(before: Manifest) -> Result<Manifest, String> {
    match before.previous {
        None => Err("has no previous policy to go back to".into()),
        Some(previous) if previous.is_same(&before.active) => {
            Err("has no other policy to go back to: the previous one is the active one".into())
        }
        Some(previous) => Ok(Manifest { active: previous, previous: None, shadow: before.shadow }),
    }
}

/// A manifest with another active entry. The previous policy is the last one that is different: publishing the same one
/// again, to sign it or to add cases, mustn't take away what one can go back to.
fn activated(entry: Entry, active: Entry, previous: Option<Entry>, shadow: Option<Entry>) -> Manifest {
    let previous = [Some(active), previous].into_iter().flatten().find(|before| !before.is_same(&entry));
    Manifest { active: entry, previous, shadow }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sha256: &str, signature: Option<&str>) -> Entry {
        let text = |text: &str| text.to_owned();
        Entry {
            name: text("p"),
            version: text("1"),
            component: format!("sha256-{sha256}.wasm"),
            sha256: text(sha256),
            settings: None,
            signature: signature.map(text),
            cases: None,
        }
    }

    #[test]
    fn publishing_the_same_policy_again_keeps_what_one_can_go_back_to() {
        let first = published(None, entry("a", None), false).expect("a manifest");
        let second = published(Some(first), entry("b", None), false).expect("a manifest");
        let signed = published(Some(second.clone()), entry("b", Some("s")), false).expect("a manifest");
        assert_eq!(signed.active.signature.as_deref(), Some("s"));
        assert_eq!(signed.previous.as_ref().map(|entry| entry.sha256.as_str()), Some("a"));
        let shadowed = published(Some(second), entry("b", Some("s")), true).expect("a manifest");
        assert_eq!(promoted(shadowed).expect("a manifest").previous, signed.previous);
        assert_eq!(rolled_back(signed).expect("a manifest").active.sha256, "a");
    }

    #[test]
    fn one_cannot_go_back_to_the_active_policy_itself() {
        let manifest = Manifest { active: entry("a", Some("s")), previous: Some(entry("a", None)), shadow: None };
        assert!(rolled_back(manifest).is_err());
    }
}
