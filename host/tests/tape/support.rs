//! What the tests share: the default policy, compiled once, and little patience.

use std::path::PathBuf;
use std::time::Duration;

use staging_sync::aws::live::Patience;
use staging_sync::policy::{Limits, Policy};
use tokio::sync::OnceCell;

/// The default policy.
pub async fn policy() -> Policy {
    static POLICY: OnceCell<Policy> = OnceCell::const_new();
    let load = || async {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/policy.wasm");
        Policy::load(&path, Limits::default()).await.expect("the default policy: run `make policy` first")
    };
    POLICY.get_or_init(load).await.clone()
}

/// Three tries with hardly a wait between them: the lab doesn't get better by waiting.
pub fn patience() -> Patience {
    let (first_backoff, longest_backoff) = (Duration::from_millis(1), Duration::from_millis(5));
    Patience { attempts: 3, first_backoff, longest_backoff, ..Patience::default() }
}
