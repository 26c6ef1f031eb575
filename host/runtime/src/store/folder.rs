//! A store in a folder.

use std::fs::{File, Metadata};
use std::io::{ErrorKind as Io, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Content, Fetched, StoreError, When, too_large};

/// The version of a file. A replaced file is another inode; one written in place has another time or length.
fn version(metadata: &Metadata) -> String {
    let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
    format!("{}-{seconds}.{nanoseconds:09}-{}", metadata.ino(), metadata.len())
}

/// In one step on a thread of its own: read piece by piece, a file would wake a thread for each piece.
pub(super) async fn read(path: &Path, known: Option<&str>, most: u64) -> Result<Fetched, StoreError> {
    let (path, known) = (path.to_owned(), known.map(str::to_owned));
    on_a_thread(path, move |path| read_now(path, known.as_deref(), most)).await
}

/// Does what may take its time on a thread of its own.
async fn on_a_thread<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce(&Path) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let title = path.display().to_string();
    let done = tokio::task::spawn_blocking(move || work(&path)).await;
    done.unwrap_or_else(|error| Err(StoreError::passing(format!("{title}: host: {error}; please report it"))))
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

/// The names of the files below a folder that begin with `prefix`, sorted; those that begin with a dot are no content.
pub(super) async fn list(folder: &Path, prefix: &str) -> Result<Vec<String>, StoreError> {
    let prefix = prefix.to_owned();
    on_a_thread(folder.to_owned(), move |folder| {
        // Only what is below the prefix's last folder is looked at.
        let within = prefix.rfind('/').map_or("", |slash| &prefix[..=slash]);
        let (mut folders, mut names) = (vec![within.to_owned()], Vec::new());
        while let Some(within) = folders.pop() {
            let path = folder.join(&within);
            let entries = match std::fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(error) if error.kind() == Io::NotFound => continue,
                Err(error) => return Err(failure(&path, &error)),
            };
            for entry in entries {
                let entry = entry.map_err(|error| failure(&path, &error))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if name.starts_with('.') {
                    continue;
                }
                let name = format!("{within}{name}");
                match is_folder {
                    true => folders.push(format!("{name}/")),
                    false if name.starts_with(&prefix) => names.push(name),
                    false => {}
                }
            }
        }
        names.sort();
        Ok(names)
    })
    .await
}

/// Writes beside the file, then puts it in its place in one step: nobody ever sees half of it, and what is there is on
/// the disk. Returns its version; none where the condition doesn't hold.
pub(super) async fn write(path: &Path, content: Content, when: When) -> Result<Option<String>, StoreError> {
    on_a_thread(path.to_owned(), move |path| write_now(path, &content, &when).map_err(|error| failure(path, &error)))
        .await
}

fn write_now(path: &Path, content: &Content, when: &When) -> std::io::Result<Option<String>> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    static PARTS: AtomicU64 = AtomicU64::new(0);
    let part = beside(path, &format!("{}-{}.part", std::process::id(), PARTS.fetch_add(1, Ordering::Relaxed)));
    let put = fill(&part, content).and_then(|version| {
        let done = match when {
            When::Missing => create(&part, path)?,
            When::Is(known) => replace(&part, path, known)?,
            When::Always => std::fs::rename(&part, path).map(|()| true)?,
        };
        Ok(done.then_some(version))
    });
    let _ = std::fs::remove_file(&part); // it's in its place, or not wanted
    if let (Ok(Some(_)), Some(folder)) = (&put, path.parent()) {
        // The name is on the disk as well. Some file systems don't know that of a folder.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    put
}

/// Writes a file to the disk, and returns its version.
fn fill(part: &Path, content: &Content) -> std::io::Result<String> {
    let mut file = File::create(part)?;
    match content {
        Content::Bytes(bytes) => file.write_all(bytes)?,
        Content::File(from) => drop(std::io::copy(&mut File::open(from)?, &mut file)?),
    }
    file.sync_all()?;
    Ok(version(&file.metadata()?))
}

/// A link is made only where there's nothing.
fn create(part: &Path, path: &Path) -> std::io::Result<bool> {
    match std::fs::hard_link(part, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == Io::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Looks and renames under a lock that other publishers take as well. Its file stays: who waits for it would
/// otherwise hold the lock of a file that is gone.
fn replace(part: &Path, path: &Path, known: &str) -> std::io::Result<bool> {
    let lock = File::create(beside(path, "lock"))?;
    lock.lock()?;
    match std::fs::metadata(path) {
        Ok(found) if version(&found) == known => std::fs::rename(part, path).map(|()| true),
        Ok(_) => Ok(false),
        Err(error) if error.kind() == Io::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// `policy.json` → `.policy.json.lock`, which nothing else is named like.
fn beside(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{what}"))
}

fn failure(path: &Path, error: &std::io::Error) -> StoreError {
    let denied = error.kind() == Io::PermissionDenied;
    StoreError { denied, ..StoreError::passing(format!("{}: {error}", path.display())) }
}
