//! Policies of released versions of the WIT package, on the host as it is: cases, faults and small worlds.

use serde_json::json;
use staging_sync_workbench::faults::faults;
use staging_sync_workbench::waived::Waived;
use staging_sync_workbench::{Verdict, check};

use crate::cases::all;
use crate::invariants::verified;
use crate::policies;

#[tokio::test(flavor = "multi_thread")]
async fn they_decide_every_case_as_it_expects() {
    let mut differing = String::new();
    for released in policies::all().await {
        for case in all() {
            let run = case.run(&released.policy).await.expect("a run");
            match check(&case, &run, false).expect("a verdict") {
                Verdict::Same => {}
                other => differing += &format!("{}: {}: {other:?}\n", released.name, case.name),
            }
        }
    }
    assert!(differing.is_empty(), "{differing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn they_keep_the_invariants_in_every_case_under_every_fault() {
    for released in policies::all().await {
        let running = all().into_iter().map(|case| {
            let policy = released.policy.clone();
            tokio::spawn(async move { (faults(&case, &policy, &Waived::default()).await, case.name) })
        });
        let mut variants = 0;
        for running in running.collect::<Vec<_>>() {
            let (found, name) = running.await.expect("no panic");
            let found = found.expect("a verdict");
            assert!(found.broken.is_empty(), "{}: {name}: {:#?}", released.name, found.broken);
            variants += found.variants;
        }
        assert!(variants > 1_000, "{}: {variants} variants", released.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_keep_the_invariants_in_every_small_world() {
    for released in policies::all().await {
        for settings in [json!({}), json!({"removals": "own"}), json!({"removals": "none"})] {
            let found = verified(&released.policy, 1, settings.clone()).await;
            assert!(found.broken.is_empty(), "{}: {settings}: {:#?}", released.name, found.broken);
            assert!(found.judged == found.all && found.all > 100, "{}: {} worlds", released.name, found.all);
        }
    }
}
