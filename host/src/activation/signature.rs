//! Signatures of policies, in minisign's format.

use crate::text::unmarked;
use minisign_verify::{PublicKey, Signature};

/// A key that policies must be signed with.
#[derive(Debug, Clone)]
pub struct Key(PublicKey);

impl Key {
    /// Reads a public key: its line of base64, or the file that has it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let line = unmarked(text).lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        PublicKey::from_base64(line).map(Self).map_err(|error| format!("isn't a minisign public key: {error}"))
    }

    /// Whether this is a signature of these bytes by this key.
    pub fn verify(&self, bytes: &[u8], signature: &str) -> Result<(), String> {
        let signature =
            Signature::decode(unmarked(signature)).map_err(|error| format!("isn't a minisign signature: {error}"))?;
        // Also in the format from before minisign 0.10, which signs the bytes instead of their digest.
        self.0.verify(bytes, &signature, true).map_err(|error| match error {
            minisign_verify::Error::UnexpectedKeyId => "is by another key than POLICY_PUBLIC_KEY".into(),
            _ => "isn't of this policy with these settings and cases: something was changed".into(),
        })
    }
}
