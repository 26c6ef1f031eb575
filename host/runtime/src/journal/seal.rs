//! The seal of the journal's records: the version of their format, and a digest that shows whether one was changed.
//!
//! A record's digest is also in the record that refers to it, so a record and its digest can't be changed together
//! without a trace.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::change;
use crate::tape;

/// The version of the formats of all records. A record that can't be read as before gets the next number.
pub const FORMAT: u64 = 1;

/// A record that was read, and the digest that others know it by.
#[derive(Debug, Clone)]
pub struct Sealed<T> {
    /// What it says.
    pub content: T,
    /// The SHA-256 of what it says.
    pub digest: String,
}

/// Why a record can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsealed {
    /// It's in another format than this program's.
    #[error("has format {0}, and this program knows {FORMAT}: use the staging-sync that wrote it, or a newer one")]
    UnknownFormat(String),
    /// Its digest isn't that of what it says.
    #[error("was changed after it was written: its digest doesn't match what it says; somebody tampered with it")]
    Tampered,
    /// It isn't a record.
    #[error("isn't a record of the journal: {0}")]
    Malformed(String),
}

/// A record with its format and its digest, and that digest.
pub(super) fn seal(content: &impl Serialize) -> (Map<String, Value>, String) {
    let content = match serde_json::to_value(content) {
        Ok(Value::Object(content)) => content,
        _ => Map::new(), // every record is a struct of texts, numbers and lists of them
    };
    let mut sealed = Map::from_iter([("format".to_owned(), Value::from(FORMAT))]);
    sealed.extend(content);
    let digest = digest(&sealed);
    sealed.insert("digest".into(), digest.clone().into());
    (sealed, digest)
}

/// Reads a sealed record.
pub(super) fn open<T: DeserializeOwned>(bytes: &[u8]) -> Result<Sealed<T>, Unsealed> {
    let malformed = |error: String| Unsealed::Malformed(error);
    let text = std::str::from_utf8(bytes).map_err(|error| malformed(error.to_string()))?;
    let mut sealed: Map<String, Value> = tape::parse(text).map_err(malformed)?;
    match sealed.get("format") {
        Some(format) if *format == FORMAT => {}
        Some(other) => return Err(Unsealed::UnknownFormat(other.to_string())),
        None => return Err(malformed("$.format: expected a number, found nothing".into())),
    }
    let told = sealed.remove("digest");
    let digest = digest(&sealed);
    if told.as_ref().and_then(Value::as_str) != Some(digest.as_str()) {
        return Err(Unsealed::Tampered);
    }
    sealed.remove("format");
    let content = tape::read(Value::Object(sealed)).map_err(malformed)?;
    Ok(Sealed { content, digest })
}

fn digest(record: &Map<String, Value>) -> String {
    change::digest(Some(&Value::Object(record.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_record_is_read_as_it_was_written_and_not_otherwise() {
        let (sealed, digest) = seal(&json!({"account": "111122223333", "list": [1, 2]}));
        let text = serde_json::to_string_pretty(&sealed).expect("JSON");
        let read: Sealed<Value> = open(text.as_bytes()).expect("a record");
        assert_eq!((&read.content["list"], &read.digest), (&json!([1, 2]), &digest));

        let open = |text: String| open::<Value>(text.as_bytes()).expect_err("no good record");
        assert_eq!(open(text.replace("111122223333", "111122223334")), Unsealed::Tampered);
        assert_eq!(open(text.replace("\"digest\"", "\"digests\"")), Unsealed::Tampered);
        let newer = open(text.replace("\"format\": 1", "\"format\": 2")).to_string();
        assert!(newer.starts_with("has format 2, and this program knows 1"), "{newer}");
        for cut in 0..text.len() {
            assert!(matches!(open(text[..cut].to_owned()), Unsealed::Malformed(_)), "{cut}");
        }
        assert!(open("{}".into()).to_string().contains("$.format"));
    }
}
