//! The texts of the WIT package: the current one, and each version as it was released.

/// The version of the package that this host implements.
pub const VERSION: &str = "0.1.0";

/// The package as this host implements it.
pub const CURRENT: &str = include_str!("../../../../wit/policy.wit");

/// Each released version and its text, oldest first. What is here never changes.
pub const RELEASED: [(&str, &str); 1] = [("0.1.0", include_str!("../../../../wit/released/0.1.0/policy.wit"))];

/// The text of a version, if this host knows it. The current one may have better comments than when it was released.
pub fn text(version: &str) -> Option<&'static str> {
    if version == VERSION {
        return Some(CURRENT);
    }
    RELEASED.iter().find(|(released, _)| *released == version).map(|(_, text)| *text)
}

/// The versions that this host knows, oldest first.
pub fn versions() -> Vec<&'static str> {
    let mut versions: Vec<&str> = RELEASED.iter().map(|(version, _)| *version).collect();
    if !versions.contains(&VERSION) {
        versions.push(VERSION);
    }
    versions
}
