//! A tick in segments: what they leave, and that their merge is the summary of one tick.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use serde_json::{Value, json};
use staging_sync_lab::{Fault, Fleet, Lab};
use staging_sync_runtime::aws::Segment;
use staging_sync_runtime::fanout::Merge;
use staging_sync_runtime::store::bucket::Objects;
use staging_sync_runtime::tick::FailedSegment;
use staging_sync_runtime::{ErrorKind, Event, Service, Tick};

use crate::support::{config_and_live, endpoint, id, patience, stored_ids, targets};

const PREFIX: &str = "s3://policies/fan-out/";

/// A service in front of a lab that may use objects below `prefix`, and remove what it likes.
fn service(lab: &Lab, prefix: &str) -> Service {
    service_removing(lab, prefix, "100")
}

fn service_removing(lab: &Lab, prefix: &str, percent: &str) -> Service {
    let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/policy.wasm");
    let variables = [("POLICY", policy), ("OUTCOMES_PREFIX", prefix), ("MAX_REMOVALS_PERCENT", percent)];
    let (config, live) = config_and_live(lab, &variables, patience()).expect("a configuration");
    let objects = (!prefix.is_empty()).then(|| Arc::new(Objects::at(endpoint(lab), patience())));
    Service::with(config, Arc::new(live), objects).expect("a service")
}

/// A dry run, some seconds after the first.
fn tick(segment: Option<Segment>, seconds: u64) -> Tick {
    let event = Event {
        dry_run: Some(true),
        segment,
        outcomes_to: segment.map(|segment| uri(segment.segment)),
        ..Event::of("sync_staging_accounts")
    };
    Tick { now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_770_072_300 + seconds), ..Tick::of(event) }
}

fn uri(segment: u32) -> String {
    format!("{PREFIX}an-execution/{segment}.json")
}

fn merge(segments: impl IntoIterator<Item = u32>) -> Merge {
    let outcomes = segments.into_iter().map(uri).collect();
    Merge { outcomes, failed_segments: Vec::new(), summary_to: Some(format!("{PREFIX}an-execution/summary.json")) }
}

/// What a target account is to the sync: of each status some.
#[derive(Debug, Clone)]
enum Kind {
    Fine,
    NoRole,
    Denied,
    Incomplete,
}

fn fleet(accounts: &[(Kind, Vec<usize>, Vec<usize>)]) -> Fleet {
    let ids = |numbers: &[usize]| numbers.iter().map(|number| format!("{:012}", 200_000_000_000 + number)).collect();
    let mut fleet = targets(accounts.iter().map(|(_, stored, named)| (ids(stored), ids(named))));
    for (number, (kind, ..)) in accounts.iter().enumerate() {
        let account = id(number);
        match kind {
            Kind::Fine => {}
            Kind::NoRole => {
                fleet.targets[number].remove("roleArn");
            }
            Kind::Denied => fleet.accounts.get_mut(&account).expect("the account").roles.clear(),
            Kind::Incomplete => {
                fleet.faults.push(Fault { account: Some(account), ..Fault::error("AccessDeniedException") });
            }
        }
    }
    fleet
}

async fn merged_equals_one_tick(
    accounts: Vec<(Kind, Vec<usize>, Vec<usize>)>,
    total: u32,
) -> Result<(), TestCaseError> {
    let lab = Lab::start(fleet(&accounts)).await.expect("a lab");
    let service = service(&lab, PREFIX);
    let whole = service.tick(tick(None, 0), |_, _| ()).await.expect("a summary").summary;
    let mut accounts_of_segments = 0;
    // In another order than they have, each a second later than the one before.
    for (seconds, number) in (0..total).rev().enumerate() {
        let segment = Segment { segment: number, total };
        let answer = service.segment(tick(Some(segment), seconds as u64)).await.expect("an answer");
        prop_assert!(answer.get("details").is_none() && answer["outcomes"] == uri(number), "{}", answer);
        accounts_of_segments += answer["totalAccounts"].as_u64().unwrap_or_default();
    }
    prop_assert_eq!(accounts_of_segments, accounts.len() as u64);
    let merged = service.merge(merge(0..total), None).await.expect("a summary");
    prop_assert_eq!(&merged, &whole);
    let kept = lab.object("fan-out/an-execution/summary.json").expect("an object");
    prop_assert_eq!(serde_json::from_slice::<Value>(&kept).expect("JSON"), whole);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_merged_summary_is_that_of_one_tick(
        accounts in prop::collection::vec(
            (
                prop_oneof![
                    4 => Just(Kind::Fine), 1 => Just(Kind::NoRole), 1 => Just(Kind::Denied), 1 => Just(Kind::Incomplete),
                ],
                prop::collection::vec(0..6_usize, 0..4),
                prop::collection::vec(0..6_usize, 0..4),
            ),
            0..25,
        ),
        total in 1..7_u32,
    ) {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        tokio.expect("a runtime").block_on(merged_equals_one_tick(accounts, total))?;
    }
}

fn some() -> Fleet {
    fleet(&vec![(Kind::Fine, vec![1], vec![2]); 12])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_segment_is_named_and_the_others_are_summed_up() {
    let lab = Lab::start(some()).await.expect("a lab");
    let service = service(&lab, PREFIX);
    let mut accounts = 0;
    for number in [0, 2] {
        let answer = service.segment(tick(Some(Segment { segment: number, total: 3 }), 0)).await.expect("an answer");
        accounts += answer["totalAccounts"].as_u64().expect("a number");
    }
    // Without a word about segment 1 the summary would pass for one of all accounts.
    let error = service.merge(merge([0, 2]), None).await.expect_err("a missing segment");
    assert_eq!(error.kind, ErrorKind::EventInvalid, "{error}");
    let failed_segments = vec![FailedSegment { segment: 1, error: "TableUnavailable".into() }];
    let summary = service.merge(Merge { failed_segments, ..merge([0, 2]) }, None).await.expect("a summary");
    assert_eq!(summary["totalAccounts"], json!(accounts));
    assert_eq!(summary["failedSegments"], json!([{"segment": 1, "error": "TableUnavailable"}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_runs_again_replaces_what_it_left() {
    let lab = Lab::start(some()).await.expect("a lab");
    let service = service(&lab, PREFIX);
    let only = Segment { segment: 0, total: 1 };
    service.segment(tick(Some(only), 0)).await.expect("an answer");
    let fault = Fault { operation: Some("ListStagingAccounts".into()), ..Fault::error("AccessDeniedException") };
    lab.edit(|fleet| fleet.faults.push(fault));
    service.segment(tick(Some(only), 1)).await.expect("an answer");
    let summary = service.merge(merge([0]), None).await.expect("a summary");
    assert_eq!((&summary["accountsFailed"], &summary["accountsUpdated"]), (&json!(12), &json!(0)));
}

/// Outcomes that can't be left make the state machine try a segment again: all its tries together are one tick.
#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_is_tried_again_removes_no_more_than_one_tick_may() {
    let lab = Lab::start(fleet(&vec![(Kind::Fine, vec![1, 2], vec![2]); 40])).await.expect("a lab");
    let fault = Fault { operation: Some("PutObject".into()), after: 1, times: Some(3), ..Fault::error("AccessDenied") };
    lab.edit(|fleet| fleet.faults.push(fault));
    let service = service_removing(&lab, PREFIX, "20");
    let run = |seconds| {
        let tick = tick(Some(Segment { segment: 0, total: 1 }), seconds);
        service.segment(Tick { event: Event { dry_run: None, ..tick.event.clone() }, ..tick })
    };
    let lost = || stored_ids(&lab).iter().filter(|list| list.len() < 2).count();
    run(0).await.expect_err("the outcomes can't be left");
    assert_eq!(lost(), 8, "a fifth of 40");
    for seconds in 1..3 {
        let _ = run(seconds).await; // some of these can't be left either
        assert_eq!(lost(), 8, "no more in try {seconds}");
    }
    // The next tick is another execution, which leaves its outcomes elsewhere.
    let next = tick(Some(Segment { segment: 0, total: 1 }), 300);
    let outcomes_to = Some(uri(0).replace("an-execution", "the-next"));
    let event = Event { dry_run: None, outcomes_to, ..next.event.clone() };
    service.segment(Tick { event, ..next }).await.expect("an answer");
    assert_eq!(lost(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_go_below_the_prefix_and_nowhere_else() {
    let lab = Lab::start(some()).await.expect("a lab");
    let segment = Segment { segment: 0, total: 1 };
    let to = |uri: &str| {
        let tick = tick(Some(segment), 0);
        Tick { event: Event { outcomes_to: Some(uri.into()), ..tick.event.clone() }, ..tick }
    };
    let with = service(&lab, PREFIX);
    for uri in [
        "s3://policies/live/policy.json",
        "s3://another/fan-out/an-execution/0.json",
        "s3://policies/fan-out/../live/policy.json",
        "s3://policies/fan-out/",
        "/tmp/0.json",
    ] {
        let error = with.segment(to(uri)).await.expect_err(uri);
        assert_eq!(error.kind, ErrorKind::EventInvalid, "{error}");
        let asked = Merge { outcomes: vec![uri.into()], ..merge([]) };
        let error = with.merge(asked, None).await.expect_err(uri);
        assert!(error.message.starts_with("event at $.segments: "), "{error}");
        let asked = Merge { summary_to: Some(uri.into()), ..merge([0]) };
        let error = with.merge(asked, None).await.expect_err(uri);
        assert!(error.message.starts_with("event at $.summaryTo: "), "{error}");
    }
    let error = service(&lab, "").segment(to(&uri(0))).await.expect_err("no prefix");
    assert_eq!(error.kind, ErrorKind::ConfigurationInvalid);
    assert!(error.message.contains("OUTCOMES_PREFIX isn't set"), "{error}");
    assert!(lab.object_keys().is_empty() && lab.calls().is_empty(), "nothing was asked of AWS");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_left_or_read_fails_the_invocation() {
    let lab = Lab::start(some()).await.expect("a lab");
    let service = service(&lab, PREFIX);
    let error = service.merge(merge([0]), None).await.expect_err("no such object");
    assert_eq!(error.kind, ErrorKind::OutcomesUnavailable);
    assert!(error.message.starts_with(&uri(0)), "{error}");

    lab.put_object("fan-out/an-execution/0.json", r#"{"tick": 5}"#);
    let error = service.merge(merge([0]), None).await.expect_err("not outcomes");
    assert_eq!(error.kind, ErrorKind::OutcomesUnavailable);
    assert!(error.message.contains(&uri(0)) && error.message.contains("tick"), "{error}");

    let fault = Fault { operation: Some("PutObject".into()), ..Fault::error("AccessDenied") };
    lab.edit(|fleet| fleet.faults.push(fault));
    let error = service.segment(tick(Some(Segment { segment: 0, total: 1 }), 0)).await.expect_err("no right to write");
    assert_eq!(error.kind, ErrorKind::OutcomesUnavailable);
    assert!(error.message.contains(&uri(0)) && error.message.contains("AccessDenied"), "{error}");
}
