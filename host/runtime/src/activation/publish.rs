//! Changes of a manifest: publish, promote, roll back. Each one is atomic, and never overwrites somebody else's change.

use super::Rejected;
use super::manifest::{self, Entry, Manifest, Remains};
use crate::policy;
use crate::store::location::Location;
use crate::store::{Fetched, Put, StoreError, When};
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
        "{0}: not changed, because somebody else has changed it meanwhile: check `staging-sync policy status`, then try again"
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
    /// The version that was read.
    pub version: String,
}

/// A file in the place of a manifest that can't be read as one.
pub struct Broken {
    /// What is wrong with it, and where.
    pub error: String,
    /// What can still be read.
    pub remains: Remains,
    /// The version that was read.
    pub version: String,
    bytes: Vec<u8>,
}

/// What is stored at the location of a manifest.
pub enum Found {
    /// Nothing yet.
    Nothing,
    /// A manifest.
    Manifest(Box<Stored>),
    /// Something that isn't one, or no longer.
    Broken(Box<Broken>),
}

impl Found {
    /// The version that was read, if there's anything.
    pub fn version(&self) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::Manifest(stored) => Some(&stored.version),
            Self::Broken(broken) => Some(&broken.version),
        }
    }
}

impl Broken {
    /// The error of whoever needs a manifest that can be read.
    pub fn unreadable(&self, at: &Location) -> Unchanged {
        let error = &self.error;
        let advice = "repair it, or replace it with `staging-sync policy publish --repair`, which saves the broken file beside it";
        Unchanged::Refused(format!("{at}: the manifest can't be read: {error}: {advice}"))
    }

    /// Keeps the file beside its place, under a name with its digest. Returns where.
    pub async fn keep(&self, at: &Location) -> Result<Location, Unchanged> {
        let digest = policy::sha256(&self.bytes);
        let place = at.with_suffix(&format!(".broken-{}", digest.get(..12).unwrap_or_default()));
        match place.put(self.bytes.clone(), When::Missing).await {
            _ if is_there(&place, &self.bytes).await => Ok(place),
            Err(error) => Err(error.into()),
            Ok(_) => Err(format!("{place}: already exists with different content: move it away").into()),
        }
    }
}

/// Reads what is stored at the location of a manifest.
pub async fn find(at: &Location) -> Result<Found, Unchanged> {
    if !at.is_manifest() {
        return Err(format!("{at}: isn't a manifest: expected a name that ends in .json").into());
    }
    let Fetched::Found { bytes, version } = at.get(None, manifest::MAX_BYTES).await? else {
        return Ok(Found::Nothing);
    };
    let text = text::decode(&bytes).map_err(str::to_owned);
    let remains = |text: &Result<String, String>| text.as_ref().map(|text| Manifest::remains(text)).unwrap_or_default();
    match text.as_ref().map_err(Clone::clone).and_then(|text| Manifest::parse(text)) {
        Ok(manifest) => Ok(Found::Manifest(Box::new(Stored { manifest, version }))),
        Err(error) => Ok(Found::Broken(Box::new(Broken { error, remains: remains(&text), version, bytes }))),
    }
}

/// Reads a manifest; none if there's none yet.
pub async fn read(at: &Location) -> Result<Option<Stored>, Unchanged> {
    match find(at).await? {
        Found::Nothing => Ok(None),
        Found::Manifest(stored) => Ok(Some(*stored)),
        Found::Broken(broken) => Err(broken.unreadable(at)),
    }
}

/// Replaces the version of a manifest that was read, or creates a new one.
pub async fn replace(at: &Location, version: Option<&str>, manifest: &Manifest) -> Result<(), Unchanged> {
    let when = version.map(str::to_owned).map_or(When::Missing, When::Is);
    let bytes = manifest.text().into_bytes();
    match at.put(bytes.clone(), when).await {
        Ok(Put::Done) => Ok(()),
        _ if is_there(at, &bytes).await => Ok(()),
        Ok(Put::Changed) => Err(Unchanged::Conflict(at.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// Puts a file beside a manifest, under a name that has its digest. What is there already under that name is the same, or
/// damaged, like an upload that broke off: then it's replaced. Returns where that was so.
pub async fn keep(at: &Location, name: &str, bytes: Vec<u8>) -> Result<Option<Location>, Unchanged> {
    let at = at.beside(name)?;
    let put = at.put(bytes.clone(), When::Missing).await;
    if matches!(put, Ok(Put::Done)) || is_there(&at, &bytes).await {
        return Ok(None);
    }
    put?;
    at.put(bytes, When::Always).await?;
    Ok(Some(at))
}

/// Whether a place has these bytes. A write whose answer was lost, and which a second try then found in its way, is done.
async fn is_there(at: &Location, bytes: &[u8]) -> bool {
    matches!(at.get(None, bytes.len() as u64).await, Ok(Fetched::Found { bytes: found, .. }) if found == bytes)
}

/// The manifest after an entry is published as the active or the shadow policy.
pub fn published(before: Option<Manifest>, entry: Entry, shadow: bool) -> Result<Manifest, String> {
    match before {
        None if shadow => Err("there's no active policy yet to compare a shadow policy with".into()),
        None => Ok(Manifest { active: entry, previous: None, shadow: None }),
        Some(before) if shadow => Ok(Manifest { shadow: Some(entry), ..before }),
        Some(before) => Ok(activated(entry, before.active, before.previous, before.shadow)),
    }
}

/// The manifest after an entry is published over a broken manifest with these readable parts.
pub fn repaired(remains: Remains, entry: Entry, shadow: bool) -> Result<Manifest, String> {
    let Remains { active, previous, shadow: in_the_shadow } = remains;
    match active {
        Some(active) => published(Some(Manifest { active, previous, shadow: in_the_shadow }), entry, shadow),
        None if shadow => Err("its active policy can't be read: publish one without --shadow first".into()),
        None => {
            let previous = previous.filter(|before| !before.is_same(&entry));
            Ok(Manifest { active: entry, previous, shadow: in_the_shadow })
        }
    }
}

/// The manifest after the shadow policy becomes active.
pub fn promoted(before: Manifest) -> Result<Manifest, String> {
    let Some(shadow) = before.shadow else { return Err("has no shadow policy to promote".into()) };
    Ok(activated(shadow, before.active, before.previous, None))
}

/// The manifest after the previous policy becomes active again. The replaced policy isn't kept as the previous one,
/// because it was rolled back for a reason, and the previous policy takes over when the active one fails.
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

impl From<Rejected> for Unchanged {
    fn from(rejected: Rejected) -> Self {
        Self::Refused(format!("not published, because hosts would reject it: {rejected}"))
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
            replay: None,
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
