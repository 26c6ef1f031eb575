//! Where policies and the journal are kept: a folder, or a prefix of an S3 bucket.
//!
//! A document is fetched only where it isn't the version that is known already, and replaced only where it's still
//! the version that was read. A tape has none of this: it's for any policy. `location` is the place of one document.

pub mod bucket;
mod folder;
pub mod location;

use std::path::PathBuf;
use std::sync::Arc;

use crate::aws::bucket_and_key;
use bucket::Objects;

/// A folder or a bucket's prefix.
#[derive(Clone)]
pub enum Store {
    /// A folder.
    Folder(PathBuf),
    /// What begins with `prefix` in a bucket.
    Bucket {
        /// The way to S3.
        objects: Arc<Objects>,
        /// The bucket's name.
        bucket: String,
        /// Empty, or ends in a slash.
        prefix: String,
    },
}

/// What a store has under a name.
#[derive(Debug)]
pub enum Fetched {
    /// The version that is known already.
    Same,
    /// This.
    Found {
        /// The content.
        bytes: Vec<u8>,
        /// What it's known by, in this store.
        version: String,
    },
    /// Nothing.
    Missing,
}

/// When something is put in a store.
#[derive(Debug, Clone)]
pub enum When {
    /// Where there's nothing of that name.
    Missing,
    /// Where it's still this version.
    Is(String),
    /// Whatever is there.
    Always,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It's there now.
    Done,
    /// The condition didn't hold.
    Changed,
}

/// Why a store couldn't be read or written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    /// What happened, and where.
    pub message: String,
    /// Whether it may go well next time.
    pub retryable: bool,
    /// Whether there was no answer at all.
    pub unreachable: bool,
    /// Whether the caller isn't allowed to. S3 answers this for a missing object as well, unless the caller may list the
    /// bucket.
    pub denied: bool,
}

impl StoreError {
    /// An error that may go away; says what happened, and where.
    pub fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), retryable: true, unreachable: false, denied: false }
    }
}

/// What is put in a store.
#[derive(Debug, Clone)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// What this file holds, which isn't read into memory.
    File(PathBuf),
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl Store {
    /// Reads the place of a store: a folder, or `s3://BUCKET/` and a prefix that ends in a slash, for which `objects` is
    /// needed.
    pub fn parse(text: &str, objects: Option<&Arc<Objects>>) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix("s3://") else { return Ok(Self::Folder(PathBuf::from(text))) };
        let (bucket, prefix) = bucket_and_key(rest);
        match objects {
            Some(objects) if is_prefix(text) => {
                Ok(Self::Bucket { objects: Arc::clone(objects), bucket: bucket.to_owned(), prefix: prefix.to_owned() })
            }
            _ => Err(format!("{text}: expected a folder, or a URI like s3://BUCKET/PREFIX/")),
        }
    }

    /// Fetches what has this name, if it isn't the version `known`; what is larger than `most` bytes is refused.
    pub async fn get(&self, name: &str, known: Option<&str>, most: u64) -> Result<Fetched, StoreError> {
        match self {
            Self::Folder(folder) => folder::read(&folder.join(name), known, most).await,
            Self::Bucket { objects, bucket, prefix } => {
                objects.get(bucket, &format!("{prefix}{name}"), known, most).await
            }
        }
    }

    /// Puts something under a name, in one step, where the condition holds.
    pub async fn put(&self, name: &str, bytes: Vec<u8>, when: When) -> Result<Put, StoreError> {
        Ok(if self.replace(name, bytes, when).await?.is_some() { Put::Done } else { Put::Changed })
    }

    /// The same, and what it's known by then. None: the condition didn't hold.
    pub async fn replace(
        &self,
        name: &str,
        content: impl Into<Content>,
        when: When,
    ) -> Result<Option<String>, StoreError> {
        let content = content.into();
        match self {
            Self::Folder(folder) => folder::write(&folder.join(name), content, when).await,
            Self::Bucket { objects, bucket, prefix } => {
                objects.put(bucket, &format!("{prefix}{name}"), &content, when).await
            }
        }
    }

    /// The names that begin with `prefix`, sorted. Folders of a store are part of names: `2026/02/one.json`.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        match self {
            Self::Folder(folder) => folder::list(folder, prefix).await,
            Self::Bucket { objects, bucket, prefix: own } => {
                let keys = objects.list(bucket, &format!("{own}{prefix}")).await?;
                Ok(keys.into_iter().filter_map(|key| Some(key.strip_prefix(own.as_str())?.to_owned())).collect())
            }
        }
    }

    /// How people name what has this name.
    pub fn title(&self, name: &str) -> String {
        match self {
            Self::Folder(folder) => folder.join(name).display().to_string(),
            Self::Bucket { bucket, prefix, .. } => format!("s3://{bucket}/{prefix}{name}"),
        }
    }
}

/// Whether a text is the `s3://` URI of a bucket or of a prefix in one, and ends in a slash.
pub fn is_prefix(text: &str) -> bool {
    let (bucket, prefix) = text.strip_prefix("s3://").map(bucket_and_key).unwrap_or_default();
    !bucket.is_empty() && text.ends_with('/') && (prefix.is_empty() || prefix.ends_with('/'))
}

/// Says that something is larger than it may be.
fn too_large(what: impl std::fmt::Display, most: u64) -> StoreError {
    let message = format!("{what}: is larger than {} MiB", most >> 20);
    StoreError { retryable: false, ..StoreError::passing(message) }
}
