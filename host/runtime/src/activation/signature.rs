//! Signatures of policies, in minisign's format.

use crate::text::{self, unmarked};
use minisign_verify::{PublicKey, Signature};

/// A key that policies must be signed with.
#[derive(Debug, Clone)]
pub struct Key(PublicKey);

impl Key {
    /// Reads a public key: its line of base64, or the file that has it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let line = unmarked(text).lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        PublicKey::from_base64(line).map(Self).map_err(|error| error.to_string())
    }

    /// The key that somebody names: itself, or the file that has it.
    pub fn named(text: &str) -> Result<Self, String> {
        let file = match Self::parse(text) {
            Ok(key) => return Ok(key),
            Err(error) => text::read(text.trim()).map_err(|unread| {
                format!("is neither a minisign public key ({error}) nor the path of its file ({unread})")
            }),
        };
        Self::parse(&file?).map_err(|error| format!("names a file without a minisign public key: {error}"))
    }

    /// Whether this is a signature of these bytes by this key.
    pub fn verify(&self, bytes: &[u8], signature: &str) -> Result<(), String> {
        let signature =
            Signature::decode(unmarked(signature)).map_err(|error| format!("isn't a minisign signature: {error}"))?;
        // Also in the format from before minisign 0.10, which signs the bytes instead of their digest.
        self.0.verify(bytes, &signature, true).map_err(|error| match error {
            minisign_verify::Error::UnexpectedKeyId => "is by another key than POLICY_PUBLIC_KEY".into(),
            _ => "doesn't match this policy with these settings and cases: something was changed".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by Debian's minisign 0.11 of the six bytes `policy`: with `-l`, and without.
    const KEY: &str = "RWTsz9vYNNThwk2Co3q8sLBwE8WIykVhxIvM481eGVLoRvQi0f/6fYvA";
    const LEGACY: &str = "untrusted comment: signature from minisign secret key
RWTsz9vYNNThws0vDJB8khHHhT1uaosSa9dcQOLL7e4rP8755QU3m9OaC+iqIAsO9lLUHkVnOaLnK1HuT+MeslkNlEqCSXs69wc=
trusted comment: timestamp:1795761102\tfile:p.wasm
aoGTnvsZm0Ln1sPSk1S6qI35ab/LUTrWXckJ66VzTvtn+74856T8idvmAnN7ahtMjbAXWvxFJAgdcfOI7DbzDg==
";
    const HASHED: &str = "untrusted comment: signature from minisign secret key
RUTsz9vYNNThws2UAf0t16pZgAAT+hy76nJL61zO9nN9PHB8pBRTRYNAaaiHrPTwR9yMdhCsvIwSv15+ZmIUDp4YCSvnQgFNHQg=
trusted comment: timestamp:1795761102\tfile:p.wasm\thashed
Tr9Aa6Ucodr+pezpuZkojxcWGCy+ZT//sC3GTInoHwtJP1ai2z/Q3RLBoePpfqgKebM0spRm6kqw7Ellv1bPBg==
";

    #[test]
    fn both_of_minisigns_formats_are_signatures() {
        let key = Key::parse(&format!("\u{feff}untrusted comment: minisign public key\r\n{KEY}\r\n")).expect("a key");
        for signature in [LEGACY, HASHED] {
            for text in [signature.to_owned(), format!("\u{feff}{}", signature.replace('\n', "\r\n"))] {
                key.verify(b"policy", &text).expect("a good signature");
                assert!(key.verify(b"policies", &text).is_err_and(|error| error.contains("something was changed")));
            }
        }
    }
}
