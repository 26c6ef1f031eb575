//! The project's own cases, decided by the policy as a component.

use std::path::PathBuf;

use staging_sync_runtime::case::Case;
use staging_sync_runtime::policy::{Limits, Policy};
use staging_sync_workbench::{Verdict, check, find};

use crate::support::policy;

/// The cases of `plugin/cases`.
pub fn all() -> Vec<Case> {
    let home = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../plugin/cases");
    let dirs = find::find(&[home.display().to_string()]).expect("cases");
    dirs.iter().map(|dir| Case::read(dir).expect("a case")).collect()
}

/// One of them.
pub fn named(name: &str) -> Case {
    all().into_iter().find(|case| case.name == name).expect("a case of this name")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_comes_out_as_it_expects() {
    let cases = all();
    assert!(cases.len() >= 20, "{} cases", cases.len());
    let mut differing = String::new();
    for case in cases {
        assert!(!case.tape.about.is_empty() && !case.tape.about.contains('\n'), "{}: about", case.name);
        let run = case.run(&policy().await).await.expect("a run");
        match check(&case, &run, false).expect("a verdict") {
            Verdict::Same => {}
            other => differing += &format!("{}: {other:?}\n", case.name),
        }
    }
    assert!(differing.is_empty(), "{differing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_the_same_to_the_byte() {
    let case = named("seed-scenario");
    let (one, other) = (case.run(&policy().await).await, case.run(&policy().await).await);
    let text = |run: Result<staging_sync_runtime::case::Run, String>| run.expect("a run").result().to_string();
    assert_eq!(text(one), text(other));
}

/// Every status of the summary, and every code that the design names, is in some case.
#[test]
fn the_cases_cover_statuses_and_codes() {
    let texts: Vec<String> =
        all().iter().map(|case| format!("{}{}", case.tape.text(), case.expected.clone().unwrap_or_default())).collect();
    for what in [
        "\"updated\"",
        "\"unchanged\"",
        "Current account - no staging accounts",
        "No role ARN configured",
        "\"failed\"",
        "heldRemovals",
        "incompleteRegions",
        "MAX_REMOVALS_PERCENT",
        "\"kept\"",
        "\"dryRun\":true",
        "\"accountName\":\"Unknown\"",
        "nextToken",
        "UninitializedAccountException",
        "UnrecognizedClientException",
        "AccessDenied\"",
        "AccessDeniedException",
        "ThrottlingException",
        "ExpiredTokenException",
        "ConditionalCheckFailedException",
        "MalformedResponse",
        "NetworkError",
        "TimeoutError",
        "InvalidRole",
        "account id of 12 digits",
        "TableUnavailable",
    ] {
        assert!(texts.iter().any(|text| text.contains(what)), "no case has {what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_drift_report_decides_its_cases_as_they_say() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let policy = root.join("target/drift-report.wasm");
    assert!(policy.exists(), "{}: run `make target/drift-report.wasm` first", policy.display());
    let policy = Policy::load(&policy, Limits::default()).await.expect("a policy");
    let cases = root.join("plugin/examples/drift-report/cases");
    for dir in find::find(&[cases.to_string_lossy().into_owned()]).expect("cases") {
        let case = Case::read(&dir).expect("a case");
        let run = case.run(&policy).await.expect("a run");
        let verdict = check(&case, &run, false);
        assert!(matches!(verdict, Ok(Verdict::Same)), "{}: {verdict:?}", case.name);
    }
}
