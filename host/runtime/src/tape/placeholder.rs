//! Placeholders for secrets on a tape.

/// The attribute whose values are shared secrets.
pub(super) const EXTERNAL_ID: &str = "externalId";

/// What stands for an external id on a tape, with a number behind it.
pub(super) const PLACEHOLDER: &str = "external-id-";

/// What stands for a token of a next page.
pub(super) const TOKEN: &str = "next-token-";

/// Whether a text stands for an external id.
pub(super) fn is_placeholder(text: &str) -> bool {
    text.strip_prefix(PLACEHOLDER).is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a text stands for a token of a next page.
pub(super) fn is_token(text: &str) -> bool {
    text.strip_prefix(TOKEN).is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}
