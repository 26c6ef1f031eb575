//! The file of a plan: for its owner alone, and there as a whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::Unable;

/// A file that will be there once it's written to its end.
pub struct PlanFile {
    path: PathBuf,
    /// What is written until then, beside it.
    part: PathBuf,
    file: File,
}

impl PlanFile {
    /// Finds out whether the file can be written, before there's anything to write.
    pub fn create(path: &Path) -> Result<Self, Unable> {
        let unable = |error: &dyn std::fmt::Display| Unable(format!("{}: {error}", path.display()));
        // A link is written through, a device or a pipe isn't replaced.
        let path = match fs::canonicalize(path) {
            Ok(found) if found.is_file() => found,
            Ok(_) => return Err(unable(&"isn't a file: --out takes the path of a file to write or to replace")),
            Err(_) => path.to_owned(),
        };
        let mut part = path.clone().into_os_string();
        part.push(format!(".{}", std::process::id()));
        let part = PathBuf::from(part);
        // The plan holds the external ids of new entries.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part);
        Ok(Self { file: file.map_err(|error| unable(&error))?, path, part })
    }

    /// Puts the file there, with this text.
    pub fn finish(mut self, text: &str) -> Result<(), Unable> {
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_all());
        let done = written.and_then(|()| fs::rename(&self.part, &self.path));
        done.map_err(|error| Unable(format!("{}: {error}", self.path.display())))
    }
}

impl Drop for PlanFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.part); // once the plan is there, it isn't
    }
}
