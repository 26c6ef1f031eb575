//! The project's own cases, decided by the policy as a component.

use std::path::PathBuf;

use staging_sync::case::{Case, Verdict, check, find};

use crate::support::policy;

/// The cases of `plugin/cases`.
pub fn all() -> Vec<Case> {
    let home = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../plugin/cases");
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
    let text = |run: Result<staging_sync::case::Run, String>| run.expect("a run").result().to_string();
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
