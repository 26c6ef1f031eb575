//! The memory of all instances together: bounded for the process, and never a reason to fail or to wait for ever.

use proptest::prelude::*;
use serde_json::Value;
use staging_sync_lab::Lab;
use staging_sync_runtime::policy::memory::Budget;
use staging_sync_runtime::policy::{Limits, Policy};
use staging_sync_runtime::{Event, Tick};

use crate::guest::{ADDED, Guest};
use crate::support::{id, patience, runtime, stored_ids, targets};

/// The budget of a process that may have so many MiB.
fn budget(mebibytes: usize) -> &'static Budget {
    Box::leak(Box::new(Budget::of(mebibytes << 20)))
}

fn limits(budget: &'static Budget) -> Limits {
    Limits { budget, ..Limits::default() }
}

async fn summary(lab: &Lab, policy: Policy, variables: &[(&str, &str)]) -> Value {
    let runtime = runtime(lab, variables, policy, patience()).await.expect("a runtime");
    runtime.tick(Tick::of(Event::of("sync_staging_accounts")), |_, _| ()).await.expect("a summary").summary
}

/// Touches 40 MiB, in steps.
const GREEDY: &str = "(global.set $tries (i32.const 20)) (loop $more
    (memory.fill (i32.mul (memory.grow (i32.const 32)) (i32.const 65536)) (i32.const 7) (i32.const 2097152))
    (global.set $tries (i32.sub (global.get $tries) (i32.const 1)))
    (br_if $more (global.get $tries)))";

#[tokio::test(flavor = "multi_thread")]
async fn greedy_instances_wait_for_each_other_s_memory() {
    let lab = Lab::start(targets((0..60).map(|_| (vec![], vec![])))).await.expect("a lab");
    let items = "(global $tries (mut i32) (i32.const 0))".into();
    let guest = Guest { sync: GREEDY.into(), items, everywhere: true, ..Guest::default() };
    let budget = budget(192);
    let policy = Policy::from_bytes(&guest.component(), limits(budget)).await.expect("a policy");
    let used = policy.clone();
    let before = budget.free();
    summary(&lab, policy, &[]).await;
    assert_eq!(stored_ids(&lab), vec![[ADDED]; 60]);
    assert!(used.most_memory() > 40 << 20, "{}", used.most_memory());
    assert_eq!((before, budget.free()), (budget.total(), budget.total()), "all of it is given back");
    assert!(budget.most_taken() <= budget.total() && budget.most_taken() > 40 << 20, "{}", budget.most_taken());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_wants_more_than_the_process_has_is_told_so() {
    let lab = Lab::start(targets((0..2).map(|_| (vec![], vec![])))).await.expect("a lab");
    let items = "(global $tries (mut i32) (i32.const 0))".into();
    let guest = Guest { sync: GREEDY.into(), items, ..Guest::default() };
    let policy = Policy::from_bytes(&guest.component(), limits(budget(32))).await.expect("a policy");
    let summary = summary(&lab, policy, &[]).await;
    let error = summary[id(1)].as_str().expect("an error");
    assert!(error.contains("MiB of memory (all that this process has for policies: raise"), "{error}");
    assert_eq!(stored_ids(&lab), [vec![ADDED], vec![]]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Accounts wait for those before them to know whether they may lose entries, and for memory: never in a circle, and
    /// the outcome is the one that there is with memory enough.
    #[test]
    fn little_memory_changes_no_outcome(
        accounts in prop::collection::vec((0..3_usize, 0..3_usize), 1..40),
        megabytes in 4_usize..12,
        percent in 1..100_u8,
    ) {
        let ids = |from: usize, count: usize| (from..from + count).map(|n| id(900 + n)).collect::<Vec<_>>();
        let fleet = || targets(accounts.iter().map(|(stored, named)| (ids(0, *stored), ids(1, *named))));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let percent = percent.to_string();
        let run = async |limits: Limits| {
            let lab = Lab::start(fleet()).await.expect("a lab");
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/policy.wasm");
            let policy = Policy::load(path.as_ref(), limits).await.expect("the default policy: `make policy`");
            let mut summary = summary(&lab, policy, &[("MAX_REMOVALS_PERCENT", &percent)]).await;
            summary["timestamp"] = Value::Null;
            (summary, stored_ids(&lab))
        };
        let plenty = runtime.block_on(run(limits(budget(4096))));
        let little = runtime.block_on(run(limits(budget(megabytes))));
        prop_assert_eq!(plenty, little);
    }
}
