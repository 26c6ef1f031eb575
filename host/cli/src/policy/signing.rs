//! Minisign keys, and signatures of policies.

use minisign::{PublicKey, SecretKey, SecretKeyBox};
use staging_sync_runtime::activation::manifest::Entry;

/// A key to sign policies with.
pub struct SigningKey(SecretKey);

impl SigningKey {
    /// Reads a secret key as minisign writes it; `password` is for one that has one.
    pub fn parse(text: &str, password: Option<String>) -> Result<Self, String> {
        let failed = |error| format!("isn't a usable minisign secret key: {error}");
        let key = SecretKeyBox::from_string(text).map_err(failed)?;
        let key = match password {
            Some(password) => key.into_secret_key(Some(password)),
            None => key.into_unencrypted_secret_key(),
        };
        key.map(Self).map_err(failed)
    }

    /// Signs an entry, and returns the public key that verifies it.
    pub fn sign(&self, entry: &mut Entry) -> Result<String, String> {
        let comment = format!("{} {}", entry.name, entry.version);
        let statement = entry.statement();
        let signature = minisign::sign(None, &self.0, statement.as_bytes(), Some(&comment), None);
        entry.signature = Some(signature.map_err(|error| format!("can't sign: {error}"))?.to_string());
        let public = PublicKey::from_secret_key(&self.0).map_err(|error| error.to_string())?;
        Ok(public.to_base64())
    }
}

/// A new pair of keys as minisign writes them: the secret one, and the public one.
pub fn keys(password: Option<String>) -> Result<(String, String), String> {
    let failed = |error| format!("can't generate keys: {error}");
    let pair = match password {
        Some(password) => minisign::KeyPair::generate_encrypted_keypair(Some(password)),
        None => minisign::KeyPair::generate_unencrypted_keypair(),
    };
    let pair = pair.map_err(failed)?;
    let comment = Some("staging-sync policy key");
    Ok((pair.sk.to_box(comment).map_err(failed)?.to_string(), pair.pk.to_box().map_err(failed)?.to_string()))
}
