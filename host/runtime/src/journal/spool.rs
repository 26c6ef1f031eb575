//! The tape of a tick as it's written: compressed line by line, in memory while it's small and in a file beyond that.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use tempfile::NamedTempFile;

use crate::digest::Hasher;
use crate::store::Content;

/// How much is kept in memory, in compressed bytes: the tape of some hundred accounts.
const MEMORY: usize = 1 << 20;

/// Lines of JSON, gzip.
pub(super) struct Spool(GzEncoder<Sink>);

/// A spool that is complete.
pub(super) struct Spooled {
    /// What is in it.
    pub content: Content,
    /// The SHA-256 of that.
    pub sha256: String,
    /// The file that has it, if one does; it's deleted with this value.
    _file: Option<NamedTempFile>,
}

#[derive(Default)]
struct Sink {
    memory: Vec<u8>,
    file: Option<NamedTempFile>,
    hasher: Hasher,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.file.is_none() && self.memory.len() + bytes.len() > MEMORY {
            let mut file = tempfile::Builder::new().prefix("staging-sync-tape-").tempfile()?;
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        match &mut self.file {
            Some(file) => file.write_all(bytes)?,
            None => self.memory.extend_from_slice(bytes),
        }
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), NamedTempFile::flush)
    }
}

impl Spool {
    /// An empty one.
    pub fn new() -> Self {
        Self(GzEncoder::new(Sink::default(), Compression::fast()))
    }

    /// Adds a line.
    pub fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.0.write_all(&line)
    }

    /// All lines.
    pub fn finish(self) -> io::Result<Spooled> {
        let Sink { memory, mut file, hasher } = self.0.finish()?;
        let content = match &mut file {
            Some(file) => {
                file.flush()?;
                Content::File(file.path().to_owned())
            }
            None => Content::Bytes(memory),
        };
        Ok(Spooled { content, sha256: hasher.finish(), _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256;
    use flate2::read::GzDecoder;
    use std::io::Read;

    #[test]
    fn what_is_spooled_comes_back_from_memory_and_from_a_file() {
        for lines in [3, 200_000] {
            let mut spool = Spool::new();
            let line = |number: usize| sha256(&number.to_le_bytes()); // hardly compressible
            (0..lines).for_each(|number| spool.line(&line(number)).expect("a line"));
            let spooled = spool.finish().expect("a spool");
            let bytes = match &spooled.content {
                Content::Bytes(bytes) => bytes.clone(),
                Content::File(path) => std::fs::read(path).expect("a file"),
            };
            assert_eq!(matches!(spooled.content, Content::File(_)), lines > 3);
            assert_eq!(sha256(&bytes), spooled.sha256);
            let mut text = String::new();
            GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).expect("gzip");
            assert!(text.lines().enumerate().all(|(number, found)| found == format!("{:?}", line(number))));
            assert_eq!(text.lines().count(), lines);
        }
    }
}
