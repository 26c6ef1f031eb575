//! Damaged components: the loader refuses them or loads them, and never panics.

use std::sync::LazyLock;

use proptest::prelude::*;
use staging_sync_runtime::ErrorKind;
use staging_sync_runtime::policy::{Limits, Policy};

use crate::guest::Guest;

/// Loads in a runtime of its own; a panic fails the test.
fn load(bytes: &[u8]) -> Result<(), ErrorKind> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    // What was damaged may compute: it shall not do so for long.
    let limits = Limits { fuel: 1_000_000, memory: 4 << 20, ..Limits::default() };
    let loaded = runtime.block_on(Policy::from_bytes(bytes, limits));
    loaded.map(|_| ()).map_err(|error| {
        assert!(matches!(error.kind, ErrorKind::PolicyRefused | ErrorKind::PolicyFailed), "{error}");
        error.kind
    })
}

/// A policy of a few KiB: it compiles in milliseconds, and has every section that a large one has.
static SMALL: LazyLock<Vec<u8>> = LazyLock::new(|| Guest::default().component());

/// The default policy.
static LARGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/policy.wasm");
    std::fs::read(path).expect("the default policy: run `make policy` first")
});

/// Overwrites bytes; a position is a share of the length.
fn damage(component: &[u8], changes: &[(u16, u8)]) -> Vec<u8> {
    let mut bytes = component.to_vec();
    for (position, byte) in changes {
        let at = bytes.len() * usize::from(*position) / (usize::from(u16::MAX) + 1);
        bytes[at] = *byte;
    }
    bytes
}

#[test]
fn the_undamaged_ones_load() {
    assert_eq!(load(&SMALL), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(load(&noise), Err(ErrorKind::PolicyRefused));
        let with_header = [&SMALL[..8], &noise[..]].concat();
        prop_assert!(load(&with_header).is_err());
    }

    #[test]
    fn changed_bytes(changes in proptest::collection::vec(any::<(u16, u8)>(), 1..4)) {
        let _ = load(&damage(&SMALL, &changes));
    }

    #[test]
    fn moved_parts(from in any::<u16>(), to in any::<u16>(), length in 1..64_usize) {
        let mut bytes = SMALL.clone();
        let at = |share: u16, length: usize| length * usize::from(share) / (usize::from(u16::MAX) + 1);
        let start = at(from, bytes.len());
        let part: Vec<u8> = bytes.drain(start..(start + length).min(SMALL.len())).collect();
        let to = at(to, bytes.len());
        bytes.splice(to..to, part);
        let _ = load(&bytes);
    }

    /// It's refused, or whole but for names at its end; it never begins to run and then fails.
    #[test]
    fn cut_off(share in any::<u16>()) {
        let end = SMALL.len() * usize::from(share) / (usize::from(u16::MAX) + 1);
        prop_assert_ne!(load(&SMALL[..end]), Err(ErrorKind::PolicyFailed));
    }
}

proptest! {
    // A change that makes no difference to the validator costs a compilation of 0.2 s.
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_default_policy_damaged(changes in proptest::collection::vec(any::<(u16, u8)>(), 8..32)) {
        let _ = load(&damage(&LARGE, &changes));
    }
}
