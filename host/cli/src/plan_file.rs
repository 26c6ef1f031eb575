//! The plan file: readable only by its owner, and written atomically.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::CommandError;

/// A file that will be there once it's written to its end.
pub struct PlanFile {
    path: PathBuf,
    /// What is written until then, beside it.
    part: PathBuf,
    file: File,
}

impl PlanFile {
    /// Finds out whether the file can be written, before there's anything to write.
    pub fn create(path: &Path) -> Result<Self, CommandError> {
        let unable = |error: &dyn std::fmt::Display| CommandError(format!("{}: {error}", path.display()));
        // The file is put there by a rename, which replaces whatever has the name: so only a file may have it. A link may
        // lead to what has no path, as /dev/stdout leads to a pipe, and would be replaced itself.
        let path = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(unable(&error)),
            Ok(found) if found.is_file() => path.to_owned(),
            Ok(_) => return Err(unable(&"isn't a file: --out expects the path of a file to write or replace")),
        };
        let mut part = path.clone().into_os_string();
        part.push(format!(".{}", std::process::id()));
        let part = PathBuf::from(part);
        // The plan holds the external ids of new entries.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part);
        Ok(Self { file: file.map_err(|error| unable(&error))?, path, part })
    }

    /// Puts the file there, with this text.
    pub fn finish(mut self, text: &str) -> Result<(), CommandError> {
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_all());
        let done = written.and_then(|()| fs::rename(&self.part, &self.path));
        done.map_err(|error| CommandError(format!("{}: {error}", self.path.display())))
    }
}

impl Drop for PlanFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.part); // once the plan is there, it isn't
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_a_file_is_replaced_by_a_plan() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "old").expect("a file");
        let (_reader, writer) = std::io::pipe().expect("a pipe");
        let pipe = PathBuf::from(format!("/proc/self/fd/{}", writer.as_raw_fd()));
        for (name, target) in
            [("to-pipe", pipe.as_path()), ("to-nothing", Path::new("nothing")), ("to-file", &at("file"))]
        {
            symlink(target, at(name)).expect("a link");
            assert!(PlanFile::create(&at(name)).is_err(), "{name}");
            assert!(fs::symlink_metadata(at(name)).expect("the link").is_symlink(), "{name} is as it was");
        }
        assert!(PlanFile::create(folder.path()).is_err());
        PlanFile::create(&at("file")).expect("a file").finish("new").expect("written");
        assert_eq!(fs::read_to_string(at("file")).expect("a file"), "new");
        drop(PlanFile::create(&at("never")).expect("a file"));
        assert!(!at("never").exists());
    }
}
