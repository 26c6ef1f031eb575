//! The checks of the policy, and of what is on S3.

use serde_json::json;
use staging_sync_lab::{Fault, Service};

use super::{doctor, lab};
use crate::policy;

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_judged_as_a_host_would_and_from_where_it_is() {
    let lab = lab(json!({})).await;
    let found = doctor(&lab, &[], &[("POLICY", "/nowhere/policy.wasm")]).await;
    found.only("failed", &["policy"], &[]);
    assert!(found.found("policy").contains("/nowhere/policy.wasm"), "{}", found.text);
    let found = doctor(&lab, &[], &[("POLICY_SETTINGS", r#"{"removals": "some"}"#)]).await;
    found.only("failed", &["policy"], &[]);
    assert!(found.found("policy").contains("removals"), "{}", found.text);
    // A policy that is a file is judged without AWS.
    let found = doctor(&lab, &[], &[("AWS_SECRET_ACCESS_KEY", "another")]).await;
    assert_eq!(found.status("policy"), "ok", "{}", found.text);

    let on_s3 = ("POLICY", "s3://policies/policy.wasm");
    let found = doctor(&lab, &[], &[on_s3]).await;
    found.only("failed", &["policy", "bucket"], &[]);
    assert!(found.found("bucket").contains("the object doesn't exist"), "{}", found.text);
    lab.put_object("policy.wasm", std::fs::read(policy()).expect("a policy"));
    let found = doctor(&lab, &[], &[on_s3, ("OUTCOMES_PREFIX", "s3://policies/fan-out/")]).await;
    found.only("failed", &[], &[]);
    assert!(found.found("bucket").contains("s3://policies/policy.wasm, s3://policies/fan-out/"), "{}", found.text);
    let found = doctor(&lab, &[], &[("OUTCOMES_PREFIX", "s3://nowhere/fan-out/")]).await;
    found.only("failed", &["bucket"], &[]);
    lab.edit(|fleet| fleet.faults = vec![Fault { service: Some(Service::S3), ..Fault::error("AccessDenied") }]);
    let found = doctor(&lab, &[], &[("OUTCOMES_PREFIX", "s3://policies/fan-out/")]).await;
    found.only("warning", &["bucket"], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_cannot_be_read_is_told_before_a_tick_meets_it() {
    let lab = lab(json!({})).await;
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().to_str().expect("UTF-8");
    let found = doctor(&lab, &[], &[("JOURNAL", place)]).await;
    found.only("failed", &[], &[]);
    assert!(found.found("journal").contains("no tick has been recorded yet, 0 freezes"), "{}", found.text);
    std::fs::write(folder.path().join("freezes.json"), "{").expect("a file");
    for journal in [place, "s3://nowhere/journal/"] {
        let found = doctor(&lab, &[], &[("JOURNAL", journal)]).await;
        found.only("failed", &["journal"], &[]);
    }
}
