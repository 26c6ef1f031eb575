//! The place of a policy or of a manifest: a path, or an `s3://bucket/key` URI.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::bucket::Objects;
use super::{Fetched, Put, Store, StoreError, When};
use crate::aws::bucket_and_key;

/// A document in a store.
#[derive(Clone)]
pub struct Location {
    store: Store,
    name: String,
}

/// Whether a location is in S3, so that somebody has to go there.
pub fn is_s3(text: &str) -> bool {
    text.starts_with("s3://")
}

impl Location {
    /// Reads a location; `objects` is needed for one in S3.
    pub fn parse(text: &str, objects: Option<&Arc<Objects>>) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, key) = bucket_and_key(rest);
            let (prefix, name) = key.rsplit_once('/').map_or(("", key), |(prefix, name)| (prefix, name));
            let Some(objects) = objects.filter(|_| !bucket.is_empty() && !name.is_empty()) else {
                return Err(format!("{text}: expected a path, or s3://BUCKET/KEY"));
            };
            let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
            let store = Store::Bucket { objects: Arc::clone(objects), bucket: bucket.to_owned(), prefix };
            return Ok(Self { store, name: name.to_owned() });
        }
        let path = Path::new(text);
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|_| !path.is_dir()) else {
            return Err(format!("{text}: is a directory; expected a file"));
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(Self { store: Store::Folder(folder.to_owned()), name: name.to_owned() })
    }

    /// Whether it's a manifest: its name ends in `.json`.
    pub fn is_manifest(&self) -> bool {
        self.name.ends_with(".json")
    }

    /// Whether it's in a bucket.
    pub fn is_in_bucket(&self) -> bool {
        matches!(self.store, Store::Bucket { .. })
    }

    /// A document beside this one, by a reference like `sha256-….wasm`. It can't lead out of the folder.
    pub fn beside(&self, reference: &str) -> Result<Self, String> {
        let plain = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        if !reference.split('/').all(plain) {
            return Err(format!("{reference:?} isn't a reference like sha256-0a1b.wasm"));
        }
        Ok(Self { store: self.store.clone(), name: reference.to_owned() })
    }

    /// The document of the same name with this behind it.
    pub fn with_suffix(&self, suffix: &str) -> Self {
        Self { store: self.store.clone(), name: format!("{}{suffix}", self.name) }
    }

    /// The document beside it whose name ends otherwise.
    pub fn with_ending(&self, ending: &str, other: &str) -> Self {
        let stem = self.name.strip_suffix(ending).unwrap_or(&self.name);
        Self { store: self.store.clone(), name: format!("{stem}{other}") }
    }

    /// Fetches it, unless it's the version `known`.
    pub async fn get(&self, known: Option<&str>, most: u64) -> Result<Fetched, StoreError> {
        self.store.get(&self.name, known, most).await
    }

    /// Puts it there where the condition holds.
    pub async fn put(&self, bytes: Vec<u8>, when: When) -> Result<Put, StoreError> {
        self.store.put(&self.name, bytes, when).await
    }

    /// The same, and what it's known by then. None: the condition didn't hold.
    pub async fn replace(&self, bytes: Vec<u8>, when: When) -> Result<Option<String>, StoreError> {
        self.store.replace(&self.name, bytes, when).await
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.store.title(&self.name))
    }
}
