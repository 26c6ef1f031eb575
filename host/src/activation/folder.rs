//! A store in a folder.

use std::fs::{File, Metadata};
use std::io::ErrorKind as Io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tokio::io::AsyncReadExt;

use super::store::{Fetched, Put, StoreError, When, too_large};

/// The version of a file. A replaced file is another inode; one written in place has another time or length.
fn version(metadata: &Metadata) -> String {
    let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
    format!("{}-{seconds}.{nanoseconds:09}-{}", metadata.ino(), metadata.len())
}

pub(super) async fn read(path: &Path, known: Option<&str>, most: u64) -> Result<Fetched, StoreError> {
    let failed = |error: std::io::Error| failure(path, &error);
    let mut file = match tokio::fs::File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == Io::NotFound => return Ok(Fetched::Missing),
        Err(error) => return Err(failed(error)),
    };
    let version = version(&file.metadata().await.map_err(failed)?);
    if known == Some(version.as_str()) {
        return Ok(Fetched::Same);
    }
    // Its length needn't be what it says.
    let mut bytes = Vec::new();
    (&mut file).take(most + 1).read_to_end(&mut bytes).await.map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(too_large(path.display(), most));
    }
    Ok(Fetched::Found { bytes, version })
}

/// Writes beside the file, then renames, under a lock that other publishers take as well.
pub(super) fn write(path: &Path, bytes: &[u8], when: When<'_>) -> Result<Put, StoreError> {
    let failed = |error: std::io::Error| failure(path, &error);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let lock = File::create(beside(path, "lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let found = match std::fs::metadata(path) {
        Ok(metadata) => Some(version(&metadata)),
        Err(error) if error.kind() == Io::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    let holds = match when {
        When::Missing => found.is_none(),
        When::Is(version) => found.as_deref() == Some(version),
    };
    if holds {
        let part = beside(path, "part");
        std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, path)).map_err(failed)?;
    }
    // The lock's file stays: who waits for it would otherwise hold the lock of a file that is gone.
    Ok(if holds { Put::Done } else { Put::Changed })
}

/// `policy.json` → `.policy.json.lock`, which nothing else is named like.
fn beside(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{what}"))
}

fn failure(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError { message: format!("{}: {error}", path.display()), retryable: true }
}
