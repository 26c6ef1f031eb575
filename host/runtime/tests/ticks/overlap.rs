//! Ticks that overlap: two execution environments over the same table.

use staging_sync_lab::Lab;
use staging_sync_runtime::{Event, Tick};

use crate::support::{patience, policy, runtime, stored_ids, targets};

#[tokio::test(flavor = "multi_thread")]
async fn two_ticks_at_once_end_in_the_right_state() {
    let id = |number: usize| format!("{:012}", 200_000_000_000 + number);
    for seed in 0..12 {
        // Every target loses 1, keeps 2 and gains 3 and 4.
        let account = || (vec![id(2), id(1)], vec![id(2), id(3), id(4)]);
        let mut fleet = targets((0..6).map(|_| account()));
        (fleet.jitter_ms, fleet.seed) = (8, seed);
        let lab = Lab::start(fleet).await.expect("a lab");
        let variables = [("MAX_REMOVALS_PERCENT", "100")];
        let runtime = async || runtime(&lab, &variables, policy().await, patience()).await.expect("a runtime");
        let (one, other) = (runtime().await, runtime().await);
        let tick = || Tick::of(Event::of("sync_staging_accounts"));
        let (first, second) = tokio::join!(one.tick(tick(), |_, _| ()), other.tick(tick(), |_, _| ()));
        for summary in [first.expect("a summary").summary, second.expect("a summary").summary] {
            assert_eq!(summary["accountsFailed"], 0, "{summary:#}");
        }
        assert_eq!(stored_ids(&lab), vec![vec![id(2), id(3), id(4)]; 6]);
        assert!(lab.plain_items().expect("items").iter().all(|item| item["stagingAccounts"][0]["note"] == "kept"));
        let third = one.tick(tick(), |_, _| ()).await.expect("a summary").summary;
        assert_eq!(third["accountsUpdated"], 0);
    }
}
