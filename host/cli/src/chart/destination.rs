//! The file of a chart: opened before anything is measured, written when everything is.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::CommandError;

/// A file that can be written, with what was in it until then.
#[derive(Debug)]
pub struct Destination {
    path: PathBuf,
    file: File,
    /// Whether it's to be removed unless it's written.
    empty: bool,
}

/// The value of `--plot`: a name that ends in `.svg`.
pub fn file_name(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg")) {
        return Ok(path);
    }
    Err("charts are SVG files; choose a name that ends in .svg".into())
}

impl Destination {
    /// Opens a file for writing, or creates it. What is in it stays until something is written.
    pub fn open(path: &Path) -> Result<Self, CommandError> {
        let created = OpenOptions::new().write(true).create_new(true).open(path);
        let (file, empty) = match created {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                (OpenOptions::new().write(true).open(path), false)
            }
            created => (created, true),
        };
        let file = file.map_err(|error| unwritable(path, &error))?;
        Ok(Self { path: path.to_owned(), file, empty })
    }

    /// Writes the file's content.
    pub fn write(mut self, content: &str) -> Result<(), CommandError> {
        let written = self.file.set_len(0).and_then(|()| self.file.write_all(content.as_bytes()));
        written.map_err(|error| unwritable(&self.path, &error))?;
        self.empty = false;
        Ok(())
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        if self.empty {
            let _ = fs::remove_file(&self.path); // an empty file does no harm
        }
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError(format!(
        "{}: the chart can't be written: {error}; choose a file in a folder that exists and that you may write to",
        path.display()
    ))
}
