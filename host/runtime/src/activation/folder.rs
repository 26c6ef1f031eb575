//! A store of policies in a directory.

use std::fs::{File, Metadata};
use std::io::{ErrorKind as Io, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::store::{Fetched, Put, StoreError, When, too_large};

/// The version of a file. A replaced file is another inode; one written in place has another time or length.
fn version(metadata: &Metadata) -> String {
    let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
    format!("{}-{seconds}.{nanoseconds:09}-{}", metadata.ino(), metadata.len())
}

/// In one step on a thread of its own: read piece by piece, a file would wake a thread for each piece.
pub(super) async fn read(path: &Path, known: Option<&str>, most: u64) -> Result<Fetched, StoreError> {
    let (path, known) = (path.to_owned(), known.map(str::to_owned));
    let title = path.display().to_string();
    let read = tokio::task::spawn_blocking(move || read_now(&path, known.as_deref(), most)).await;
    read.unwrap_or_else(|error| {
        Err(StoreError {
            message: format!("{title}: host: {error}; please report it"),
            retryable: true,
            unreachable: false,
        })
    })
}

fn read_now(path: &Path, known: Option<&str>, most: u64) -> Result<Fetched, StoreError> {
    let failed = |error: std::io::Error| failure(path, &error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == Io::NotFound => return Ok(Fetched::Missing),
        Err(error) => return Err(failed(error)),
    };
    let metadata = file.metadata().map_err(failed)?;
    let version = version(&metadata);
    if known == Some(version.as_str()) {
        return Ok(Fetched::Same);
    }
    // Its length needn't be what it says.
    let mut bytes = Vec::with_capacity(metadata.len().min(most) as usize + 1);
    file.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(too_large(path.display(), most));
    }
    Ok(Fetched::Found { bytes, version })
}

/// Writes beside the file, then puts it in its place in one step: nobody ever sees half of it.
pub(super) fn write(path: &Path, bytes: &[u8], when: When<'_>) -> Result<Put, StoreError> {
    let failed = |error: std::io::Error| failure(path, &error);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    static PARTS: AtomicU64 = AtomicU64::new(0);
    let part = beside(path, &format!("{}-{}.part", std::process::id(), PARTS.fetch_add(1, Ordering::Relaxed)));
    std::fs::write(&part, bytes).map_err(failed)?;
    let put = match when {
        When::Missing => create(&part, path),
        When::Is(version) => replace(&part, path, version),
        When::Always => std::fs::rename(&part, path).map(|()| Put::Done),
    };
    let _ = std::fs::remove_file(&part); // it's in its place, or not wanted
    put.map_err(failed)
}

/// A link is made only where there's nothing.
fn create(part: &Path, path: &Path) -> std::io::Result<Put> {
    match std::fs::hard_link(part, path) {
        Ok(()) => Ok(Put::Done),
        Err(error) if error.kind() == Io::AlreadyExists => Ok(Put::Changed),
        Err(error) => Err(error),
    }
}

/// Looks and renames under a lock that other publishers take as well. Its file stays: who waits for it would
/// otherwise hold the lock of a file that is gone.
fn replace(part: &Path, path: &Path, known: &str) -> std::io::Result<Put> {
    let lock = File::create(beside(path, "lock"))?;
    lock.lock()?;
    match std::fs::metadata(path) {
        Ok(found) if version(&found) == known => std::fs::rename(part, path).map(|()| Put::Done),
        Ok(_) => Ok(Put::Changed),
        Err(error) if error.kind() == Io::NotFound => Ok(Put::Changed),
        Err(error) => Err(error),
    }
}

/// `policy.json` → `.policy.json.lock`, which nothing else is named like.
fn beside(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{what}"))
}

fn failure(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError { message: format!("{}: {error}", path.display()), retryable: true, unreachable: false }
}
