//! A candidate that decides a growing share of the accounts, and goes on by evidence alone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use staging_sync_lab::{Fault, Fleet, Lab};
use staging_sync_runtime::account::AccountId;
use staging_sync_runtime::activation::history;
use staging_sync_runtime::activation::manifest::Manifest;
use staging_sync_runtime::activation::rollouts;
use staging_sync_runtime::aws::Segment;
use staging_sync_runtime::rollout::{AbortOn, DecidedBy, Document, PolicyId, State, Terms, is_in, parse_steps};
use staging_sync_runtime::store::bucket::Objects;
use staging_sync_runtime::store::location::Location;
use staging_sync_runtime::tick::Report;
use staging_sync_runtime::{Event, Service, Tick};

use crate::guest::{ACCOUNT, ADDED, ENTRY, Guest, TEXT};
use crate::support::{config_and_live, endpoint, id, patience, stored_ids, targets};
use crate::{at, entry, folder, publish, service, version};

const SALT: &str = "a salt";

/// What a wrong candidate adds instead.
const WRONG: &str = "333333333333";

/// A policy that adds the wrong staging account for one of fifty accounts.
fn wrong() -> Guest {
    let sync = format!(
        "(if (i32.eqz (i32.rem_u (i32.sub (i32.load8_u offset=10 (i32.load (i32.const {ACCOUNT}))) (i32.const 0x30)) (i32.const 5)))
           (then
             (i64.store (i32.const {ENTRY}) (i64.load (i32.const {TEXT})))
             (i64.store (i32.const {role}) (i64.load (i32.const {role_text})))))",
        role = ENTRY + 16,
        role_text = TEXT + 8,
    );
    let texts = vec![WRONG.into(), format!("arn:aws:iam::{WRONG}:role/DRSOrchestrationRole")];
    Guest { sync, texts, ..version("2.0.0") }
}

/// Whether `wrong` is wrong for an account.
fn is_wrong(number: usize) -> bool {
    number % 50 == 1
}

fn terms(steps: &str, abort_on: &[AbortOn]) -> Terms {
    Terms {
        started_at: "2026-02-02T22:45:00Z".into(),
        salt: SALT.into(),
        steps: parse_steps(steps, 1).expect("steps"),
        abort_on: abort_on.iter().copied().collect(),
        never: BTreeSet::new(),
        always: BTreeSet::new(),
    }
}

const ANY: [AbortOn; 2] = [AbortOn::Failure, AbortOn::Difference];

/// Publishes a candidate beside an active policy, under rollout.
async fn roll_out(folder: &Path, candidate: &Guest, terms: Terms) -> PathBuf {
    roll_out_beside(folder, &version("1.0.0"), candidate, terms).await
}

async fn roll_out_beside(folder: &Path, active: &Guest, candidate: &Guest, terms: Terms) -> PathBuf {
    let path = publish(folder, active, None, Some(candidate));
    let (active, shadow) = (entry(folder, active), entry(folder, candidate));
    let document = Document::new(PolicyId::from(&active), PolicyId::from(&shadow), terms, "a test".into(), None);
    rollouts::put(&at(&path), None, &document).await.expect("a document");
    path
}

async fn document(path: &Path, candidate: &Guest) -> Document {
    let folder = path.parent().expect("a folder");
    let stored = rollouts::read(&at(path), &entry(folder, candidate).sha256).await.expect("readable");
    stored.expect("a document").document
}

async fn report(service: &Service) -> Report {
    service.tick(Tick::of(Event::of("sync_staging_accounts")), |_, _| ()).await.expect("a report")
}

/// The accounts that another than the active policy decided.
fn decided_by_candidate(report: &Report) -> BTreeSet<String> {
    report.decided_by.keys().cloned().collect()
}

fn cohort(accounts: usize, share: &str) -> BTreeSet<String> {
    let share = String::from(share).try_into().expect("a share");
    (0..accounts).map(id).filter(|account| is_in(SALT, account, share)).collect()
}

async fn lab(accounts: usize) -> Lab {
    Lab::start(targets((0..accounts).map(|_| (vec![], vec![])))).await.expect("a lab")
}

/// Brings back accounts as they were before a tick changed them.
fn forget(lab: &Lab, accounts: usize) {
    for item in &targets((0..accounts).map(|_| (vec![], vec![]))).targets {
        lab.put_item(item).expect("an item");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_is_wrong_for_two_percent_stops_and_leaves_no_wrong_list() {
    const ACCOUNTS: usize = 300;
    let (lab, folder) = (lab(ACCOUNTS).await, folder());
    let path = roll_out(folder.path(), &wrong(), terms("10%:3,50%:3", &ANY)).await;
    let service = service(&lab, &path, &[]);
    let first = report(&service).await;
    assert_eq!(stored_ids(&lab), vec![[ADDED]; ACCOUNTS], "no account has a wrong list");
    assert!(decided_by_candidate(&first).is_subset(&cohort(ACCOUNTS, "10%")), "it cost the first step's share at most");
    let document = document(&path, &wrong()).await;
    assert_eq!((document.state, document.step), (State::Aborted, 1));
    let seen = &document.evidence[0];
    assert!(seen.differences > 0 && seen.failures == 0 && seen.not_measured == 0, "{seen:?}");
    assert_eq!(seen.differences, document.differences.len() as u64 + document.differences_left_out);
    for difference in &document.differences {
        let number = difference.account_id.parse::<usize>().expect("a number") - 100_000_000_000;
        assert!(is_wrong(number), "{difference:?}");
        assert_eq!(difference.decided_by, DecidedBy::Active, "its decision is the one that was written");
        let added = (&difference.active["added"], &difference.candidate["added"]);
        assert_eq!(added, (&json!([ADDED]), &json!([WRONG])));
        assert_eq!(difference.tick, document.ticks[0].id);
    }

    forget(&lab, ACCOUNTS);
    let second = report(&service).await;
    assert_eq!(decided_by_candidate(&second), BTreeSet::new(), "an aborted candidate decides nothing");
    assert_eq!(stored_ids(&lab), vec![[ADDED]; ACCOUNTS]);
}

/// Who accepts differences pays for them with the cohort at most.
#[tokio::test(flavor = "multi_thread")]
async fn accepted_differences_cost_the_cohort_at_most() {
    const ACCOUNTS: usize = 300;
    let (lab, folder) = (lab(ACCOUNTS).await, folder());
    let path = roll_out(folder.path(), &wrong(), terms("50%:3", &[AbortOn::Failure])).await;
    report(&service(&lab, &path, &[])).await;
    let cohort = cohort(ACCOUNTS, "50%");
    for (number, stored) in stored_ids(&lab).into_iter().enumerate() {
        let expected = if is_wrong(number) && cohort.contains(&id(number)) { WRONG } else { ADDED };
        assert_eq!(stored, [expected], "{number}");
    }
    let document = document(&path, &wrong()).await;
    assert_eq!((document.state, document.evidence[0].differences), (State::Running, 6));
    assert_eq!(document.evidence[0].clean_ticks, 1, "what is accepted is clean");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_candidate_fails_on_the_active_policy_decides_in_the_same_tick() {
    let trapping = Guest { sync: "unreachable".into(), ..version("2.0.0") };
    let (lab, folder) = (lab(100).await, folder());
    let terms = terms("100%:3", &[AbortOn::Failure]);
    let path = roll_out(folder.path(), &trapping, terms).await;
    let service = service(&lab, &path, &[("RESCUE_LIMIT", "1")]);
    let report = report(&service).await;
    assert_eq!(stored_ids(&lab), vec![[ADDED]; 100]);
    assert_eq!((report.counts.failed, report.demoted), (0, false), "the active policy isn't to blame");
    let document = document(&path, &trapping).await;
    assert_eq!(document.state, State::Aborted);
    assert!(document.evidence[0].failures > 0, "{:?}", document.evidence);
    let reason = document.reason.expect("a reason");
    assert!(reason.starts_with("the candidate failed on"), "{reason}");
    assert!(document.differences.iter().all(|difference| difference.failed), "{:?}", document.differences);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_candidate_passes_its_steps_and_becomes_active() {
    const ACCOUNTS: usize = 40;
    let (lab, folder) = (lab(ACCOUNTS).await, folder());
    let candidate = version("2.0.0");
    let mut terms = terms("10%:1,50%:2", &ANY);
    let (never, always) = (AccountId::parse(&id(0)).expect("an id"), AccountId::parse(&id(1)).expect("an id"));
    terms.never.insert(never.clone());
    terms.always.insert(always.clone());
    let path = roll_out(folder.path(), &candidate, terms).await;
    let service = service(&lab, &path, &[]);
    let mut decided = Vec::new();
    for share in ["10%", "50%", "50%"] {
        forget(&lab, ACCOUNTS);
        let by_candidate = decided_by_candidate(&report(&service).await);
        let mut expected = cohort(ACCOUNTS, share);
        expected.insert(always.to_string());
        expected.remove(never.as_str());
        assert_eq!(by_candidate, expected, "{share}");
        assert_eq!(stored_ids(&lab), vec![[ADDED]; ACCOUNTS]);
        decided.push(by_candidate);
    }
    assert!(decided[0].is_subset(&decided[1]) && decided[1] == decided[2], "a growing share keeps its members");
    let manifest = Manifest::parse(&std::fs::read_to_string(&path).expect("a manifest")).expect("a manifest");
    assert_eq!((manifest.active.version.as_str(), manifest.shadow), ("2.0.0", None));
    assert_eq!(manifest.previous.map(|previous| previous.version), Some("1.0.0".into()));
    let history = history::read(&at(&path)).await.expect("a history");
    let last = &history.records().last().expect("a record").change;
    assert_eq!((last.change, last.by.as_str()), (history::Kind::Promote, "staging-sync host"));
    let document = document(&path, &candidate).await;
    assert_eq!((document.state, document.step), (State::Promoted, 2));
    let clean: Vec<u64> = document.evidence.iter().map(|seen| seen.clean_ticks).collect();
    assert_eq!(clean, [1, 2]);
    let active = service.release("sync_staging_accounts").await.expect("a release");
    assert_eq!(active.policy().info().version, "2.0.0");
    forget(&lab, ACCOUNTS);
    assert_eq!(decided_by_candidate(&report(&service).await), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_change_to_judge_a_step_is_inconclusive_for_ever() {
    let (folder, candidate) = (folder(), unchanging("2.0.0"));
    let lab = Lab::start(targets((0..20).map(|_| (vec![ADDED.into()], vec![])))).await.expect("a lab");
    let path = roll_out_beside(folder.path(), &unchanging("1.0.0"), &candidate, terms("50%:2", &ANY)).await;
    let service = service(&lab, &path, &[]);
    for _ in 0..12 {
        report(&service).await;
    }
    let document = document(&path, &candidate).await;
    assert_eq!((document.state, document.step), (State::Running, 1));
    let seen = &document.evidence[0];
    assert_eq!((seen.clean_ticks, seen.changes, seen.compared), (12, 0, 240));
    assert_eq!(document.missing(), (0, 1), "and it says that a change is missing");
}

/// A policy that says of every account that nothing is to be changed.
fn unchanging(version: &'static str) -> Guest {
    let sync = "(i32.store8 (i32.const 672) (i32.const 1)) (return (i32.const 672))";
    Guest { version, sync: sync.into(), everywhere: true, ..Guest::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_read_the_state_runs_the_active_policy_for_everybody() {
    let (folder, candidate) = (folder(), version("2.0.0"));
    let path = roll_out(folder.path(), &candidate, terms("100%:3", &ANY)).await;
    let place = rollouts::place(&at(&path), &entry(folder.path(), &candidate).sha256).to_string();
    let good = std::fs::read_to_string(&place).expect("a document");
    for (bad, decides) in [
        (good.clone(), true),
        (good.replace("\"format\": 1", "\"format\": 2"), false),
        (good.replace("\"running\"", "\"strolling\""), false),
        ("no JSON".into(), false),
        (good.replace("\"100%\"", "\"0%\""), false),
    ] {
        let lab = lab(3).await;
        std::fs::write(&place, &bad).expect("a document");
        let report = report(&service(&lab, &path, &[])).await;
        assert_eq!(decided_by_candidate(&report).len(), if decides { 3 } else { 0 }, "{bad}");
        assert_eq!(stored_ids(&lab), vec![[ADDED]; 3]);
        assert!(report.policy_rejected.is_none());
    }
    // The rollout of another pair of policies is none of this one.
    std::fs::write(&place, &good).expect("a document");
    let lab = lab(3).await;
    publish(folder.path(), &version("3.0.0"), Some(&version("1.0.0")), Some(&candidate));
    assert_eq!(decided_by_candidate(&report(&service(&lab, &path, &[])).await), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_a_rollout_stays_and_a_dry_run_is_no_evidence() {
    let (lab, folder, candidate) = (lab(30).await, folder(), version("2.0.0"));
    let path = roll_out(folder.path(), &candidate, terms("50%:1,100%:1", &ANY)).await;
    let service = service(&lab, &path, &[]);
    let sha256 = entry(folder.path(), &candidate).sha256;
    let change = async |state| {
        let set = |document: &mut Document| {
            document.change(state, "2026-02-02T22:45:00Z", "a test", None);
            Ok(true)
        };
        rollouts::update(&at(&path), &sha256, set).await.expect("a change");
    };
    let event = Event { dry_run: Some(true), ..Event::of("sync_staging_accounts") };
    let dry = service.tick(Tick::of(event), |_, _| ()).await.expect("a report");
    assert_eq!(decided_by_candidate(&dry), cohort(30, "50%"), "a dry run shows who would decide");
    assert!(document(&path, &candidate).await.ticks.is_empty());
    change(State::Paused).await;
    for _ in 0..2 {
        forget(&lab, 30);
        assert_eq!(decided_by_candidate(&report(&service).await), cohort(30, "50%"));
        assert_eq!(document(&path, &candidate).await.step, 1);
    }
    change(State::Running).await;
    forget(&lab, 30);
    report(&service).await;
    assert_eq!(document(&path, &candidate).await.step, 2);
    // A tick of named accounts is no clean tick.
    forget(&lab, 30);
    let account_ids = Some([AccountId::parse(&id(1)).expect("an id")].into());
    let event = Event { account_ids, ..Event::of("sync_staging_accounts") };
    service.tick(Tick::of(event), |_, _| ()).await.expect("a report");
    let seen = document(&path, &candidate).await.evidence[1].clone();
    assert_eq!((seen.clean_ticks, seen.other_ticks, seen.changes), (0, 1, 1));
}

const MANIFEST: &str = "s3://policies/live/policy.json";

/// A manifest in the lab's bucket, with its rollout.
async fn in_bucket(lab: &Lab, candidate: &Guest, terms: Terms) -> Location {
    in_bucket_beside(lab, &version("1.0.0"), candidate, terms).await
}

async fn in_bucket_beside(lab: &Lab, active: &Guest, candidate: &Guest, terms: Terms) -> Location {
    let objects = Arc::new(Objects::at(endpoint(lab), patience()));
    let local = folder();
    roll_out_beside(local.path(), active, candidate, terms).await;
    for file in std::fs::read_dir(local.path()).expect("files") {
        let file = file.expect("a file").path();
        let name = file.file_name().expect("a name").to_str().expect("UTF-8");
        let place = Location::parse(&format!("s3://policies/live/{name}"), Some(&objects)).expect("a location");
        let bytes = std::fs::read(&file).expect("bytes");
        place.put(bytes, staging_sync_runtime::store::When::Always).await.expect("an object");
    }
    Location::parse(MANIFEST, Some(&objects)).expect("a location")
}

fn service_in_bucket(lab: &Lab) -> Service {
    let variables =
        [("POLICY", MANIFEST), ("OUTCOMES_PREFIX", "s3://policies/fan-out/"), ("MAX_REMOVALS_PERCENT", "100")];
    let (config, live) = config_and_live(lab, &variables, patience()).expect("a configuration");
    Service::with(config, Arc::new(live), Some(Arc::new(Objects::at(endpoint(lab), patience())))).expect("a service")
}

fn digest(candidate: &Guest) -> String {
    staging_sync_runtime::policy::sha256(&candidate.component())
}

async fn read_in_bucket(at: &Location, candidate: &Guest) -> Document {
    rollouts::read(at, &digest(candidate)).await.expect("readable").expect("a document").document
}

/// How often the rollout's document was read and written.
fn calls(lab: &Lab, operation: &str) -> usize {
    let calls = lab.calls();
    let is_state = |object: &String| object.ends_with(".rollout.json");
    calls.iter().filter(|call| call.operation == operation && call.object.as_ref().is_some_and(is_state)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_reads_and_writes_the_state_once() {
    let (lab, candidate) = (lab(20).await, version("2.0.0"));
    let at = in_bucket(&lab, &candidate, terms("10%:9", &ANY)).await;
    let service = service_in_bucket(&lab);
    for tick in 1..=3 {
        forget(&lab, 20);
        lab.clear_calls();
        report(&service).await;
        assert_eq!((calls(&lab, "GetObject"), calls(&lab, "PutObject")), (1, 1), "tick {tick}");
        assert_eq!(read_in_bucket(&at, &candidate).await.evidence[0].clean_ticks, tick);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_lost_counts_once() {
    let (lab, candidate) = (lab(20).await, version("2.0.0"));
    let at = in_bucket(&lab, &candidate, terms("10%:9", &ANY)).await;
    let lost = Fault { operation: Some("PutObject".into()), times: Some(1), ..Fault::lose_answer() };
    lab.edit(|fleet: &mut Fleet| fleet.faults = vec![lost]);
    report(&service_in_bucket(&lab)).await;
    let document = read_in_bucket(&at, &candidate).await;
    assert_eq!((document.ticks.len(), document.evidence[0].clean_ticks), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_hosts_lose_no_evidence() {
    let (lab, candidate) = (lab(20).await, unchanging("2.0.0"));
    let at = in_bucket_beside(&lab, &unchanging("1.0.0"), &candidate, terms("10%:99", &ANY)).await;
    let services: Vec<Service> = (0..6).map(|_| service_in_bucket(&lab)).collect();
    futures_util::future::join_all(services.iter().map(report)).await;
    let document = read_in_bucket(&at, &candidate).await;
    assert_eq!((document.ticks.len(), document.evidence[0].compared), (6, 120));
}

/// Runs a fan-out of 8 segments, all at once, each on a host of its own. Returns who decided what in another than the active
/// policy's name.
async fn fan_out(lab: &Lab, name: &str) -> BTreeSet<String> {
    forget(lab, lab.items().expect("items").len());
    let services: Vec<Service> = (0..8).map(|_| service_in_bucket(lab)).collect();
    let segments = services.iter().zip(0..8).map(|(service, segment)| {
        let outcomes_to = Some(format!("s3://policies/fan-out/{name}/{segment}.json"));
        let segment = Some(Segment { segment, total: 8 });
        service.segment(Tick::of(Event { segment, outcomes_to, ..Event::of("sync_staging_accounts") }))
    });
    for answer in futures_util::future::join_all(segments).await {
        answer.expect("an answer");
    }
    let mut decided = BTreeSet::new();
    for segment in 0..8 {
        let object = lab.object(&format!("fan-out/{name}/{segment}.json")).expect("outcomes");
        let outcomes: Value = serde_json::from_slice(&object).expect("JSON");
        decided.extend(outcomes["decidedBy"].as_object().expect("an object").keys().cloned());
    }
    decided
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_segments_agree_on_cohorts_and_are_one_clean_tick() {
    const ACCOUNTS: usize = 80;
    let (lab, candidate) = (lab(ACCOUNTS).await, version("2.0.0"));
    let at = in_bucket(&lab, &candidate, terms("20%:2,50%:9", &ANY)).await;
    assert_eq!(fan_out(&lab, "first").await, cohort(ACCOUNTS, "20%"));
    let document = read_in_bucket(&at, &candidate).await;
    assert_eq!((document.evidence[0].clean_ticks, document.evidence[0].other_ticks), (1, 7));
    assert_eq!(document.evidence[0].compared, ACCOUNTS as u64);
    assert_eq!(fan_out(&lab, "second").await, cohort(ACCOUNTS, "20%"));
    assert_eq!(read_in_bucket(&at, &candidate).await.step, 2);
    assert_eq!(fan_out(&lab, "third").await, cohort(ACCOUNTS, "50%"));
    assert_eq!(stored_ids(&lab), vec![[ADDED]; ACCOUNTS]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_that_one_segment_finds_is_one_of_all() {
    const ACCOUNTS: usize = 80;
    // It's wrong for accounts 1 and 51 alone.
    let (lab, candidate) = (lab(ACCOUNTS).await, wrong());
    let at = in_bucket(&lab, &candidate, terms("100%:9", &ANY)).await;
    fan_out(&lab, "first").await;
    assert_eq!(stored_ids(&lab), vec![[ADDED]; ACCOUNTS]);
    let document = read_in_bucket(&at, &candidate).await;
    assert_eq!(document.state, State::Aborted);
    assert_eq!(fan_out(&lab, "second").await, BTreeSet::new());
    assert_eq!(read_in_bucket(&at, &candidate).await.ticks.len(), document.ticks.len(), "nothing is added to it");
}

/// What an older host reads of a rollout is a manifest as it always was: with its candidate in the shadow.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_host_runs_the_active_policy() {
    let (lab, folder, candidate) = (lab(10).await, folder(), version("2.0.0"));
    let path = roll_out(folder.path(), &candidate, terms("100%:3", &ANY)).await;
    let manifest: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect("text")).expect("JSON");
    // The members that hosts knew before there were rollouts; they refuse a manifest with any other.
    let known =
        ["$schema", "name", "version", "component", "sha256", "settings", "signature", "cases", "previous", "shadow"];
    for entry in [&manifest, &manifest["shadow"]] {
        let members = entry.as_object().expect("an object").keys();
        assert_eq!(members.filter(|name| !known.contains(&name.as_str())).count(), 0, "{entry}");
    }
    // An older host reads no state.
    let place = rollouts::place(&at(&path), &entry(folder.path(), &candidate).sha256).to_string();
    std::fs::remove_file(place).expect("a document");
    let report = report(&service(&lab, &path, &[])).await;
    assert_eq!(decided_by_candidate(&report), BTreeSet::new());
    assert_eq!((report.shadow.compared, report.shadow.different), (10, 0));
}

/// What a host couldn't record may be an abort: until it's recorded, the active policy decides every account.
#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_write_the_state_runs_the_active_policy_until_it_can() {
    let (lab, candidate) = (lab(20).await, version("2.0.0"));
    let at = in_bucket(&lab, &candidate, terms("50%:9", &ANY)).await;
    let refused = Fault { operation: Some("PutObject".into()), ..Fault::error("AccessDenied") };
    lab.edit(|fleet: &mut Fleet| fleet.faults = vec![refused]);
    let service = service_in_bucket(&lab);
    let by_candidate = async || {
        forget(&lab, 20);
        decided_by_candidate(&report(&service).await)
    };
    assert_eq!(by_candidate().await, cohort(20, "50%"));
    assert_eq!(by_candidate().await, BTreeSet::new());
    assert_eq!(by_candidate().await, BTreeSet::new());
    assert_eq!(stored_ids(&lab), vec![[ADDED]; 20]);
    lab.edit(|fleet: &mut Fleet| fleet.faults.clear());
    assert_eq!(by_candidate().await, cohort(20, "50%"));
    let document = read_in_bucket(&at, &candidate).await;
    assert_eq!((document.ticks.len(), document.evidence[0].clean_ticks), (2, 2), "nothing that was seen is lost");
}

/// In the shadow a policy makes no AWS calls, so one that reads more can't be measured there; in its cohort it can.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_cannot_measure_is_neither_a_difference_nor_clean() {
    const ACCOUNTS: usize = 40;
    let candidate = Guest { by_source_servers: true, ..version("2.0.0") };
    let (lab, folder) = (lab(ACCOUNTS).await, folder());
    let path = roll_out(folder.path(), &candidate, terms("10%:1", &ANY)).await;
    report(&service(&lab, &path, &[])).await;
    let document = document(&path, &candidate).await;
    let (seen, members) = (&document.evidence[0], cohort(ACCOUNTS, "10%").len() as u64);
    assert!(members > 0 && document.state == State::Running);
    assert_eq!((seen.compared, seen.by_candidate, seen.not_measured), (members, members, ACCOUNTS as u64 - members));
    assert_eq!((seen.differences, seen.failures, seen.clean_ticks), (0, 0, 0));
}
