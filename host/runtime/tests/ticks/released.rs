//! Policies of released versions of the WIT package, on the host as it is: what each case of the ticks comes to.

use crate::cases::{differences_with, paths};
use crate::policies;

#[tokio::test(flavor = "multi_thread")]
async fn they_come_to_the_same_in_every_case() {
    for released in policies::all().await {
        let running: Vec<_> =
            paths().into_iter().map(|path| tokio::spawn(differences_with(released.policy.clone(), path))).collect();
        let mut differing = Vec::new();
        for running in running {
            differing.extend(running.await.expect("no panic"));
        }
        assert!(differing.is_empty(), "{}:\n{}", released.name, differing.join("\n"));
    }
}
