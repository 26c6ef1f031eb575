//! The journal of ticks: nothing is removed without a durable record, and what comes back is what was there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

use flate2::read::GzDecoder;
use serde_json::{Value, json};
use staging_sync_lab::{Fault, Fleet, Lab, Region};
use staging_sync_runtime::account::AccountId;
use staging_sync_runtime::aws::AwsApi;
use staging_sync_runtime::aws::sdk_api::SdkApi;
use staging_sync_runtime::fanout::Merge;
use staging_sync_runtime::journal::names::TickId;
use staging_sync_runtime::journal::{Journal, Latest};
use staging_sync_runtime::store::bucket::Objects;
use staging_sync_runtime::target::Target;
use staging_sync_runtime::{Event, Runtime, Service, Tick};

use crate::support::{config_and_live, endpoint, id, journal, patience, policy, runtime, targets};

pub const ON_S3: [(&str, &str); 2] = [("JOURNAL", "s3://policies/journal/"), ("MAX_REMOVALS_PERCENT", "100")];

pub fn staging(number: usize) -> String {
    format!("{:012}", 200_000_000_000 + number)
}

/// Each of two target accounts loses 1 and 2, keeps 3 and gains 4.
pub fn fleet() -> Fleet {
    let account = || ([1, 2, 3].map(staging).to_vec(), [3, 4].map(staging).to_vec());
    let mut fleet = targets([account(), account()]);
    for (number, item) in fleet.targets.iter_mut().enumerate() {
        for (place, entry) in item["stagingAccounts"].as_array_mut().expect("a list").iter_mut().enumerate() {
            entry["externalId"] = json!(format!("an-old-secret-{number}-{place}"));
        }
    }
    fleet
}

pub async fn tick(runtime: &Arc<Runtime>) -> Value {
    let tick = Tick::of(Event::of("sync_staging_accounts"));
    runtime.tick(tick, |_, _| ()).await.expect("a summary").summary
}

/// The stored items by their keys, in DynamoDB JSON.
pub fn items(lab: &Lab) -> BTreeMap<String, Target> {
    let items = lab.items().expect("items").into_iter();
    let read = |item: Value| Target::read(item.as_object().expect("an item")).expect("a target");
    items.map(read).map(|target| (target.id.to_string(), target)).collect()
}

/// The lab's journal, read by somebody else.
pub fn reader(lab: &Lab, variables: &[(&str, &str)]) -> Arc<Journal> {
    let (config, live): (_, SdkApi) = config_and_live(lab, variables, patience()).expect("a configuration");
    journal(lab, &config, Arc::new(live) as Arc<dyn AwsApi>).expect("a journal")
}

/// That every entry that is gone from the table has a record with its bytes, by which the list comes back to the byte.
async fn expect_recorded(lab: &Lab, variables: &[(&str, &str)], before: &BTreeMap<String, Target>, what: &str) {
    let reader = reader(lab, variables);
    for (key, stored) in items(lab) {
        let ids: BTreeSet<&AccountId> = stored.staging_accounts.iter().map(|entry| &entry.id).collect();
        let was = &before[&key];
        if was.staging_accounts.iter().all(|entry| ids.contains(&entry.id)) {
            continue;
        }
        let mut undone = None;
        for name in reader.changes(&stored.id).await.expect("a list") {
            let change = reader.change(&name).await.expect("a record").content;
            undone = undone.or_else(|| change.undone(&stored).ok());
        }
        assert_eq!(undone, Some(was.stored_list.as_deref().cloned()), "{what}: {key}");
    }
}

/// Faults at every call of the journal, one time and for good.
fn grid() -> impl Iterator<Item = Fault> {
    let effects = [
        json!({"error": {"code": "AccessDenied"}}),
        json!({"error": {"code": "InternalError"}}),
        json!({"error": {"code": "NoSuchBucket"}}),
        json!({"reset": true}),
        json!({"loseAnswer": true}),
        json!({"body": "<html>"}),
    ];
    effects.into_iter().flat_map(|effect| {
        (0..12).flat_map(move |after| {
            let effect = effect.clone();
            [Some(1), None].map(move |times| {
                let mut fault = json!({"service": "s3", "after": after, "times": times});
                fault.as_object_mut().expect("an object").extend(effect.as_object().cloned().unwrap_or_default());
                serde_json::from_value(fault).expect("a fault")
            })
        })
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_removed_without_a_record_whatever_fails() {
    let mut held = 0;
    for fault in grid() {
        let what = format!("{fault:?}");
        let lab = Lab::start(Fleet { faults: vec![fault], ..fleet() }).await.expect("a lab");
        let before = items(&lab);
        let runtime = runtime(&lab, &ON_S3, policy().await, patience()).await.expect("a runtime");
        let summary = tick(&runtime).await;
        assert_eq!(summary["accountsFailed"], json!(0), "{what}");
        if summary["accountsUpdated"] == json!(0) {
            // It isn't known which accounts are frozen, so nothing is written.
            assert_eq!((&summary["accountsFrozen"], summary["journalFailed"] != json!(0)), (&json!(2), true), "{what}");
            let lists =
                |items: BTreeMap<String, Target>| items.into_values().map(|item| item.stored_list).collect::<Vec<_>>();
            lab.edit(|fleet| fleet.faults.clear());
            assert_eq!(lists(items(&lab)), lists(before), "{what}");
            continue;
        }
        assert_eq!(summary["accountsUpdated"], json!(2), "{what}");
        for detail in summary["details"].as_array().expect("details") {
            assert_eq!(detail["added"], json!([staging(4)]), "{what}");
            if detail["removed"] == json!([]) {
                held += 1;
                assert_eq!(detail["heldRemovals"], json!([staging(1), staging(2)]), "{what}");
                assert!(summary["journalFailed"].as_u64() > Some(0), "{what}: {summary:#}");
            }
        }
        lab.edit(|fleet| fleet.faults.clear());
        expect_recorded(&lab, &ON_S3, &before, &what).await;
    }
    assert!(held > 20, "{held}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_a_journal_too_and_one_that_is_a_file_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let (good, bad) = (folder.path().join("journal"), folder.path().join("file"));
    std::fs::write(&bad, "").expect("a file");
    for (place, removed) in [(good, 2), (bad, 0)] {
        let frozen = removed == 0;
        let lab = Lab::start(fleet()).await.expect("a lab");
        let before = items(&lab);
        let variables = [("JOURNAL", place.to_str().expect("UTF-8")), ("MAX_REMOVALS_PERCENT", "100")];
        let runtime = runtime(&lab, &variables, policy().await, patience()).await.expect("a runtime");
        let summary = tick(&runtime).await;
        assert_eq!(summary["details"][0]["removed"].as_array().map_or(0, Vec::len), removed, "{summary:#}");
        assert_eq!((summary.get("journalFailed").is_some(), summary.get("accountsFrozen").is_some()), (frozen, frozen));
        if removed > 0 {
            expect_recorded(&lab, &variables, &before, "a folder").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_comes_and_goes_ten_times_keeps_its_entry_to_the_byte() {
    let lab = Lab::start(fleet()).await.expect("a lab");
    let entry = |lab: &Lab| {
        let stored = items(lab).remove(&id(0)).expect("an item").staging_accounts.into_iter();
        stored.filter(|entry| entry.id.as_str() == staging(1)).map(|entry| entry.stored().clone()).next()
    };
    let was = entry(&lab);
    assert!(was.is_some());
    for turn in 0..10 {
        // Another process each time: what comes back is what was there, whoever removed it.
        let runtime = runtime(&lab, &ON_S3, policy().await, patience()).await.expect("a runtime");
        tick(&runtime).await;
        assert_eq!(entry(&lab), None, "{turn}");
        let name = |ids: &[usize]| {
            let region = Region::extended(ids.iter().copied().map(staging).collect::<Vec<_>>());
            lab.edit(|fleet| {
                fleet.accounts.get_mut(&id(0)).expect("an account").regions = [("us-east-1".to_owned(), region)].into()
            });
        };
        name(&[1, 3, 4]);
        tick(&runtime).await;
        assert_eq!(entry(&lab), was, "{turn}");
        name(&[3, 4]);
    }
}

/// Every object of the lab's bucket, as text.
fn objects(lab: &Lab) -> BTreeMap<String, String> {
    let text = |key: &String| {
        let bytes = lab.object(key).expect("an object");
        let mut text = String::new();
        match key.ends_with(".gz") {
            true => drop(GzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("gzip")),
            false => text = String::from_utf8(bytes.to_vec()).expect("text"),
        }
        text
    };
    lab.object_keys().into_iter().map(|key| (key.clone(), text(&key))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn external_ids_are_in_the_records_of_removals_and_nowhere_else() {
    let lab = Lab::start(fleet()).await.expect("a lab");
    let runtime = runtime(&lab, &ON_S3, policy().await, patience()).await.expect("a runtime");
    let mut said = tick(&runtime).await.to_string();
    let back = Region::extended([1, 3, 4].map(staging));
    lab.edit(|fleet| {
        fleet.accounts.get_mut(&id(0)).expect("an account").regions = [("us-east-1".to_owned(), back)].into();
    });
    said += &tick(&runtime).await.to_string();
    let objects = objects(&lab);
    let of = |kind: &str| objects.keys().filter(|key| key.starts_with(&format!("journal/{kind}"))).count();
    assert_eq!((of("ticks/"), of("tapes/"), of("latest.json"), of("changes/"), of("removed/")), (2, 2, 1, 3, 4));
    for (key, text) in &objects {
        let secret = ["changes/", "removed/"].iter().any(|kind| key.starts_with(&format!("journal/{kind}")));
        assert!(secret || !text.contains("an-old-secret"), "{key}: {text}");
        assert!(secret || !text.contains("drs-orchestration-2"), "{key}: {text}");
    }
    assert!(objects.values().any(|text| text.contains("an-old-secret")));
    assert!(!said.contains("an-old-secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_tells_the_state_and_records_tell_the_tick() {
    let lab = Lab::start(fleet()).await.expect("a lab");
    let runtime = runtime(&lab, &ON_S3, policy().await, patience()).await.expect("a runtime");
    let latest =
        || -> Latest { serde_json::from_slice(&lab.object("journal/latest.json").expect("an object")).expect("JSON") };
    tick(&runtime).await;
    let first = latest();
    assert_eq!((first.counts.accounts_updated, first.journal_failed), (2, 0));
    let account = &first.accounts[&id(0)];
    assert_eq!(
        (account.status.as_str(), account.staging_accounts.as_deref()),
        ("updated", Some(&[3, 4].map(staging)[..]))
    );
    let change = account.last_change.clone().expect("a change");
    assert_eq!(change.tick, first.tick);

    let reader = reader(&lab, &ON_S3);
    let tick_id = TickId::parse(&change.tick).expect("an id");
    let record = reader.tick(&tick_id).await.expect("a record");
    assert_eq!(first.last_record.as_ref().map(|last| &last.digest), Some(&record.digest));
    let record = record.content;
    assert_eq!(record.accounts[0].removed, [1, 2].map(staging));
    let taped = reader.tape(&record).await.expect("a tape").expect("one that was kept");
    assert_eq!((taped.outcomes.len(), taped.tape.host.len(), taped.tape.targets.len()), (2, 1, 2));

    // Another process: the last change is that of the tick before, and nothing but `latest.json` is written.
    lab.clear_calls();
    let before = objects(&lab).len();
    let other = crate::support::runtime(&lab, &ON_S3, policy().await, patience()).await.expect("a runtime");
    tick(&other).await;
    let second = latest();
    assert_eq!((second.counts.accounts_updated, &second.accounts[&id(0)].last_change), (0, &Some(change)));
    assert_eq!((objects(&lab).len(), second.last_record), (before, first.last_record));
    // From then on two calls: whether freezes changed, and `latest.json`.
    lab.clear_calls();
    tick(&other).await;
    let calls: Vec<String> =
        lab.calls().into_iter().filter(|call| call.service == "s3").map(|call| call.operation).collect();
    assert_eq!(calls, ["GetObject", "PutObject"]);
    // The first host notices that somebody else wrote it.
    tick(&runtime).await;
    assert_eq!(latest().accounts[&id(0)].last_change, second.accounts[&id(0)].last_change);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_over_named_accounts_leaves_the_others_in_latest_as_they_were() {
    let lab = Lab::start(fleet()).await.expect("a lab");
    let runtime = runtime(&lab, &ON_S3, policy().await, patience()).await.expect("a runtime");
    tick(&runtime).await;
    let event = Event::parse(&json!({"operation": "sync_staging_accounts", "accountIds": [id(1)]})).expect("an event");
    runtime.tick(Tick::of(event), |_, _| ()).await.expect("a summary");
    let latest: Latest = serde_json::from_slice(&lab.object("journal/latest.json").expect("an object")).expect("JSON");
    let status = |number| latest.accounts[&id(number)].status.as_str();
    assert_eq!((status(0), status(1), latest.counts.total_accounts), ("updated", "unchanged", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_write_into_one_journal_and_their_merge_tells_the_state() {
    let lab = Lab::start(fleet()).await.expect("a lab");
    let before = items(&lab);
    let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/policy.wasm");
    let prefix = "s3://policies/fan-out/";
    let variables = [&ON_S3[..], &[("POLICY", policy), ("OUTCOMES_PREFIX", prefix)]].concat();
    let (config, live) = config_and_live(&lab, &variables, patience()).expect("a configuration");
    let objects = Arc::new(Objects::at(endpoint(&lab), patience()));
    let service = Service::with(config, Arc::new(live), Some(objects)).expect("a service");
    let uri = |segment: u32| format!("{prefix}one/{segment}.json");
    for segment in [0, 1] {
        let event = json!({
            "operation": "sync_staging_accounts", "segment": segment, "totalSegments": 2, "outcomesTo": uri(segment),
        });
        service.segment(Tick::of(Event::parse(&event).expect("an event"))).await.expect("an answer");
    }
    expect_recorded(&lab, &ON_S3, &before, "segments").await;
    assert!(lab.object("journal/latest.json").is_none(), "a segment doesn't know all accounts");

    let merge = json!({"segments": [{"outcomes": uri(0)}, {"outcomes": uri(1)}]});
    let summary = service.merge(Merge::parse(&merge).expect("an event"), None).await.expect("a summary");
    assert_eq!((&summary["accountsUpdated"], summary.get("journalFailed")), (&json!(2), None));
    let latest: Latest = serde_json::from_slice(&lab.object("journal/latest.json").expect("an object")).expect("JSON");
    let reader = reader(&lab, &ON_S3);
    for number in [0, 1] {
        let change = latest.accounts[&id(number)].last_change.clone().expect("a change");
        let record = reader.tick(&TickId::parse(&change.tick).expect("an id")).await.expect("a record").content;
        assert!(record.segment.is_some() && record.accounts.iter().any(|account| account.account_id == id(number)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_changed_or_is_of_another_format_is_not_used() {
    let lab = Lab::start(fleet()).await.expect("a lab");
    let runtime = runtime(&lab, &ON_S3, policy().await, patience()).await.expect("a runtime");
    tick(&runtime).await;
    let name = format!("journal/removed/{}/{}.json", id(0), staging(1));
    let text = String::from_utf8(lab.object(&name).expect("an object").to_vec()).expect("text");
    let back = Region::extended([1, 3, 4].map(staging));
    lab.edit(|fleet| {
        fleet.accounts.get_mut(&id(0)).expect("an account").regions = [("us-east-1".to_owned(), back)].into();
    });
    // What comes back is then new, and the summary says that something is wrong with the journal.
    lab.put_object(&name, text.replace("an-old-secret", "another-secret"));
    let summary = tick(&runtime).await;
    assert_eq!((&summary["details"][0]["added"], &summary["journalFailed"]), (&json!([staging(1)]), &json!(1)));
    let stored = items(&lab).remove(&id(0)).expect("an item").staging_accounts.pop().expect("an entry");
    assert_eq!(stored.text("externalId"), Some(format!("drs-orchestration-{}", staging(1))));
}
