//! The store of policies: a directory, or a prefix of an S3 bucket.
//!
//! A document is fetched only where it isn't the version that is known already, and replaced only where it's still
//! the version that was read. A tape has none of this: it's for any policy.

use std::path::PathBuf;
use std::sync::Arc;

use super::bucket::Objects;
use super::folder;

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

/// The content of a store under a name.
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
#[derive(Debug, Clone, Copy)]
pub enum When<'a> {
    /// Where there's nothing of that name.
    Missing,
    /// Where it's still this version.
    Is(&'a str),
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
    /// The message: what happened, and where.
    pub message: String,
    /// Whether it may go well next time.
    pub retryable: bool,
    /// Whether there was no answer at all.
    pub unreachable: bool,
}

impl Store {
    /// Fetches the object with this name, unless it's the version `known`. An object of more than `most` bytes is
    /// refused.
    pub async fn get(&self, name: &str, known: Option<&str>, most: u64) -> Result<Fetched, StoreError> {
        match self {
            Self::Folder(folder) => folder::read(&folder.join(name), known, most).await,
            Self::Bucket { objects, bucket, prefix } => {
                objects.get(bucket, &format!("{prefix}{name}"), known, most).await
            }
        }
    }

    /// Stores an object atomically, if the condition holds.
    pub async fn put(&self, name: &str, bytes: Vec<u8>, when: When<'_>) -> Result<Put, StoreError> {
        match self {
            Self::Folder(folder) => folder::write(&folder.join(name), &bytes, when),
            Self::Bucket { objects, bucket, prefix } => {
                objects.put(bucket, &format!("{prefix}{name}"), bytes, when).await
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

/// Says that something is larger than it may be.
pub(super) fn too_large(what: impl std::fmt::Display, most: u64) -> StoreError {
    let message = format!("{what}: is larger than {} MiB", most >> 20);
    StoreError { message, retryable: false, unreachable: false }
}
