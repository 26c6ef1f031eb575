//! Recorded ticks as tests, through the program: of a policy, of two, of one that is to be published, and as cases.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use staging_sync_lab::Lab;

use crate::journal::{run, value};
use crate::policy;
use crate::seed::seed;

/// A lab after three ticks with a journal, and a folder with it and a published policy: the first tick changes
/// 111122223333, the second removes an entry of 123456789012, and the third brings it back as it was.
async fn recorded() -> (Lab, tempfile::TempDir) {
    let lab = Lab::start(seed()).await.expect("a lab");
    let folder = tempfile::tempdir().expect("a folder");
    let publish = "staging-sync policy publish \"$POLICY\" --to live/policy.json";
    value(&lab, folder.path(), publish).await;
    for named in [&["222233334444", "222233335555"] as &[&str], &["222233334444"], &["222233334444", "222233335555"]] {
        names(&lab, named);
        value(&lab, folder.path(), "staging-sync tick").await;
    }
    (lab, folder)
}

/// DRS names these staging accounts of 123456789012.
fn names(lab: &Lab, named: &[&str]) {
    lab.edit(|fleet| {
        let account = fleet.accounts.get_mut("123456789012").expect("the account");
        let region = serde_json::from_value(json!({"stagingAccounts": named})).expect("a region");
        account.regions.insert("us-east-1".into(), region);
    });
}

fn manifest(folder: &Path) -> Value {
    let text = fs::read_to_string(folder.join("live/policy.json")).expect("a manifest");
    serde_json::from_str(&text).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_ticks_are_decided_again_as_they_were_and_become_cases() {
    let (lab, folder) = recorded().await;
    let folder = folder.path();
    // A frozen account is no policy's decision.
    let (code, _, stderr) =
        run(&lab, folder, "staging-sync freeze --account 111122223333 --until 1h --comment fail-over").await;
    assert_eq!(code, 0, "{stderr}");
    names(&lab, &["222233334444"]);
    value(&lab, folder, "staging-sync tick").await;

    let (code, stdout, stderr) = run(&lab, folder, "staging-sync test --since 1h --junit report.xml").await;
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(stdout.starts_with("4 recorded ticks, 7 decisions: "), "{stdout}");
    assert!(stdout.contains("0 decisions decided otherwise than recorded") && stdout.contains("1 frozen"), "{stdout}");
    assert_eq!(fs::read_to_string(folder.join("report.xml")).expect("a report").matches("<testcase").count(), 4);

    let line = format!("staging-sync compare \"$POLICY\" {} --journal journal --format json", policy().display());
    assert_eq!(value(&lab, folder, &line).await["cases"], 4);

    let (code, _, stderr) = run(&lab, folder, "staging-sync journal fetch --anonymize --out cases").await;
    assert_eq!(code, 0, "{stderr}");
    let (code, stdout, stderr) = run(&lab, folder, "staging-sync test cases").await;
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(stdout.contains("4 cases: 0 differ"), "{stdout}");
    let (code, ..) = run(&lab, folder, "grep -rE 'DEMO_TARGET|111122223333' cases").await;
    assert_eq!(code, 1, "names and ids are gone");

    let (code, _, stderr) = run(&lab, folder, "staging-sync journal fetch --account 999999999999 --out none").await;
    assert_eq!((code, folder.join("none").exists()), (2, false), "{stderr}");
    let one = "staging-sync journal fetch --account 111122223333 --out one && staging-sync test one";
    let (code, stdout, stderr) = run(&lab, folder, one).await;
    assert_eq!((code, stdout.contains("3 cases: 0 differ")), (0, true), "{stdout}{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_published_if_recorded_ticks_are_decided_as_before_or_the_difference_is_accepted() {
    let (lab, folder) = recorded().await;
    let folder = folder.path();
    let before = manifest(folder);
    fs::write(folder.join("none.json"), r#"{"removals": "none"}"#).expect("a file");
    let publish = "staging-sync policy publish \"$POLICY\" --to live/policy.json --settings none.json --replay 1h";

    let (code, _, stderr) = run(&lab, folder, publish).await;
    assert_eq!((code, manifest(folder)), (2, before.clone()), "{stderr}");
    for part in [
        "replayed 3 recorded ticks",
        "removed<0: 2 decisions of 2 accounts",
        "keeps ids that the active policy removes",
        "OLD updated +777788889999 -444455556666",
        "--accept 'removed<0'",
    ] {
        assert!(stderr.contains(part), "{part} in {stderr}");
    }

    let (code, _, stderr) = run(&lab, folder, &format!("{publish} --accept 'removed>1'")).await;
    assert!(code == 2 && stderr.contains("is no class of differences: expected one of added>0"), "{stderr}");

    let accept = stderr_options(&run(&lab, folder, publish).await.2);
    let (code, _, stderr) = run(&lab, folder, &format!("{publish} {accept} --dry-run")).await;
    assert_eq!((code, manifest(folder)), (0, before), "{stderr}");
    let (code, _, stderr) = run(&lab, folder, &format!("{publish} {accept}")).await;
    assert_eq!(code, 0, "{stderr}");
    let replay = &manifest(folder)["replay"];
    assert_eq!((&replay["by"], &replay["ticks"]), (&json!("tester"), &json!(3)), "{replay:#}");
    assert!(replay["accepted"].as_array().is_some_and(|it| it.contains(&json!("removed<0"))), "{replay:#}");
    let (_, log, _) = run(&lab, folder, "staging-sync policy log live/policy.json").await;
    assert!(log.contains("replayed 3 recorded ticks"), "{log}");
    // A host takes it.
    let summary = run(&lab, folder, "POLICY=live/policy.json staging-sync tick --strict").await;
    assert_eq!(summary.0, 0, "{}", summary.2);
}

/// The options that a refused replay advises.
fn stderr_options(stderr: &str) -> String {
    let (_, options) = stderr.rsplit_once("accept it with ").expect("advice");
    options.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_says_nothing_is_inconclusive_and_publishes_nothing() {
    let (lab, folder) = recorded().await;
    let folder = folder.path();
    let before = manifest(folder);
    let publish = "staging-sync policy publish \"$POLICY\" --to live/policy.json --no-settings --replay";
    let refused = async |line: &str, part: &str| {
        let (code, _, stderr) = run(&lab, folder, line).await;
        assert_eq!((code, stderr.contains(part)), (2, true), "{line}: {part} in {stderr}");
        assert_eq!(manifest(folder), before, "{line}");
    };
    refused(&format!("JOURNAL= {publish} 1h"), "there's no journal").await;
    refused(&format!("{publish} 1h --journal empty"), "inconclusive: no decision of the active policy").await;
    refused(&format!("{publish} 2026-01-01T00:00:00"), "expected a duration").await;
    refused("staging-sync policy publish \"$POLICY\" --to new/policy.json --replay 1h", "there is none yet").await;
    refused("staging-sync test --journal empty", "no decision of a policy is recorded").await;

    // What is recorded isn't what the policy decides: a record that another program wrote, or a decision that depends on
    // something that isn't observed.
    let tapes = "find journal/tapes -name '*.gz' | sort | head -1";
    let forge = format!(
        "t=$({tapes}) && zcat $t | sed 's/\"status\":\"unchanged\"/\"status\":\"skipped\"/' | gzip -n > t && mv t $t"
    );
    let (code, _, stderr) = run(&lab, folder, &forge).await;
    assert_eq!(code, 0, "{stderr}");
    refused(&format!("{publish} 1h"), "inconclusive: 1 record can't be read").await;
    let (code, stdout, stderr) = run(&lab, folder, "staging-sync test --journal journal").await;
    assert_eq!((code, stdout.contains("2 recorded ticks,")), (1, true), "{stdout}{stderr}");
}
