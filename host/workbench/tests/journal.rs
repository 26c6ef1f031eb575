//! A journal in every small world: nothing is removed without a record that brings it back to the byte.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use staging_sync_runtime::aws::AwsApi;
use staging_sync_runtime::aws::discovery::Listing;
use staging_sync_runtime::case::Case;
use staging_sync_runtime::journal::Journal;
use staging_sync_runtime::policy::{Limits, Policy};
use staging_sync_runtime::tape::{InMemoryApi, ObservedTick};
use staging_sync_runtime::target::Target;
use staging_sync_runtime::{Event, Runtime, Tick};
use staging_sync_workbench::small;

/// How many worlds are in a tick.
const AT_ONCE: usize = 500;

/// Runs a tick over each of all small worlds with two staging accounts, with a journal in a folder that `prepare` made.
async fn every_world(prepare: impl Fn(&std::path::Path), check: impl AsyncFn(&Arc<Journal>, ObservedTick)) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/policy.wasm");
    let policy = Policy::load(&path, Limits::default()).await.expect("the default policy: run `make policy` first");
    for worlds in small::all(2).chunks(AT_ONCE) {
        let tape = small::tape(worlds, "sync_staging_accounts", &Map::new(), &[Listing::StagingAccounts]);
        let folder = tempfile::tempdir().expect("a folder");
        prepare(folder.path());
        let case = Case {
            dir: PathBuf::new(),
            name: String::new(),
            event: tape.event.clone(),
            settings: Map::new(),
            pins_settings: false,
            expected: None,
            tape,
        };
        let api = Arc::new(InMemoryApi::of(&case.tape));
        let journal = Journal::open(&folder.path().to_string_lossy(), None, Arc::clone(&api) as Arc<dyn AwsApi>);
        let journal = journal.expect("a journal");
        let config = case.config().expect("a configuration");
        let runtime = Runtime::with(config, policy.clone(), journal.aws_api()).await.expect("a runtime");
        let runtime = Arc::new(runtime.journaled(Some(Arc::clone(&journal))));
        let event = Event::parse(&case.event).expect("an event");
        let tick = Tick { now: case.tape.now.time(), ..Tick::of(event) };
        runtime.tick(tick, |_, _| ()).await.expect("a summary");
        check(&journal, api.observed_tick()).await;
    }
}

fn ids(list: Option<&Value>) -> Vec<&str> {
    let entries = list.and_then(|list| list["L"].as_array()).into_iter().flatten();
    entries.filter_map(|entry| entry["M"]["accountId"]["S"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_tick_removes_in_a_small_world_comes_back_to_the_byte() {
    let removals = std::sync::atomic::AtomicUsize::new(0);
    every_world(
        |_| (),
        async |journal, observed| {
            for (account, calls) in &observed.accounts {
                let Some(written) = calls.writes.iter().rfind(|write| write.done) else { continue };
                if written.read == Some(written.list.clone()) {
                    continue;
                }
                let mut item = json!({"accountId": {"S": account}, "stagingAccounts": written.list});
                let target = Target::read(item.as_object_mut().expect("an item")).expect("a target");
                let mut undone = None;
                for name in journal.changes(&target.id).await.expect("a list") {
                    let change = journal.verified(&name).await.expect("a record that is whole").content;
                    undone = undone.or_else(|| change.undone(&target).ok());
                }
                assert_eq!(undone.as_ref(), Some(&written.read), "{account}: {written:?}");
                let kept = ids(Some(&written.list));
                if ids(written.read.as_ref()).iter().any(|id| !kept.contains(id)) {
                    removals.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            }
        },
    )
    .await;
    let removals = removals.into_inner();
    assert!(removals > 100, "entries are removed in many worlds, not in {removals}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_removed_in_any_small_world_where_it_cannot_be_recorded() {
    for refused in ["changes", "removed"] {
        let additions = std::sync::atomic::AtomicUsize::new(0);
        let block = |folder: &std::path::Path| std::fs::write(folder.join(refused), "in the way").expect("a file");
        every_world(block, async |_, observed| {
            for (account, calls) in &observed.accounts {
                for write in calls.writes.iter().filter(|write| write.done) {
                    let (before, after) = (ids(write.read.as_ref()), ids(Some(&write.list)));
                    let gone: Vec<&&str> = before.iter().filter(|id| !after.contains(id)).collect();
                    assert!(gone.is_empty(), "{refused}: {account} lost {gone:?} without a record");
                    additions.fetch_add(after.len() - before.len(), std::sync::atomic::Ordering::Relaxed);
                }
            }
        })
        .await;
        assert!(additions.into_inner() > 500, "additions go on");
    }
}
