//! Ticks run back to back while policies are published, good and bad ones mixed: no tick fails, and each is decided by
//! one policy, the one that was good at its start.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use staging_sync_lab::Lab;
use staging_sync_runtime::activation::manifest::Manifest;

use crate::guest::Guest;
use crate::support::targets;
use crate::{entry, folder, put, service, tick, version};

const PUBLISHES: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_publishes_cost_no_tick() {
    let lab = Lab::start(targets((0..4).map(|_| (vec![], vec![])))).await.expect("a lab");
    let folder = folder();
    let good = ["1.0.0", "2.0.0", "3.0.0"].map(|name| entry(folder.path(), &version(name)));
    let bad = Guest { info: "unreachable".into(), ..version("9.0.0") };
    let bad = entry(folder.path(), &bad);
    let manifest = |number: usize| match number % 4 {
        3 if number % 8 == 3 => "{ cut".to_owned(),
        3 => Manifest { active: bad.clone(), previous: Some(good[2].clone()), shadow: None }.text(),
        place => Manifest { active: good[place].clone(), previous: None, shadow: None }.text(),
    };
    // Without writes, every tick finds the same to do.
    let service = Arc::new(service(&lab, &put(folder.path(), &manifest(0)), &[("DRY_RUN", "true")]));
    let done = Arc::new(AtomicBool::new(false));
    let ticks = tokio::spawn({
        let (service, done) = (Arc::clone(&service), Arc::clone(&done));
        async move {
            let mut ticks = 0;
            while !done.load(Ordering::Relaxed) || ticks == 0 {
                let summary = tick(&service).await;
                // The guests' summary has a member for each account: 0, or what failed.
                let mut accounts = summary.as_object().expect("an object").clone();
                accounts.remove("policyRejected"); // as long as a bad one is there
                assert!(accounts.len() == 4 && accounts.values().all(|error| *error == 0), "{summary}");
                ticks += 1;
            }
            ticks
        }
    });
    for number in 1..=PUBLISHES {
        put(folder.path(), &manifest(number));
        // As long as it takes to look at a policy, so that ticks see most of them.
        let release = service.release("sync_staging_accounts").await.expect("a release");
        assert_ne!(release.policy().info().version, "9.0.0", "a bad policy never goes live");
        if number % 4 != 3 {
            assert_eq!(release.policy().info().version, good[number % 4].version);
        }
    }
    done.store(true, Ordering::Relaxed);
    assert!(ticks.await.expect("every tick came to a summary") > 0);
}
