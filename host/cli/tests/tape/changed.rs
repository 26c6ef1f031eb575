//! What is told when a policy decides otherwise, or a file isn't what it should be.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use staging_sync_runtime::case::Case;
use staging_sync_workbench::compare::Comparison;
use staging_sync_workbench::{Verdict, check};

use crate::cases::named;
use crate::recording::directory;
use crate::support::policy;

/// A copy of a case, to be changed.
fn copy(of: &str, name: &str) -> PathBuf {
    let (from, to) = (named(of).dir, directory(name));
    fs::create_dir_all(&to).expect("a directory");
    for file in ["event.json", "tape.json", "summary.json"] {
        fs::copy(from.join(file), to.join(file)).expect("a copy");
    }
    to
}

fn change(file: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_str(&fs::read_to_string(file).expect("a file")).expect("JSON");
    change(&mut value);
    fs::write(file, serde_json::to_string_pretty(&value).expect("JSON")).expect("a file");
}

async fn verdict(dir: &Path, bless: bool) -> Verdict {
    let case = Case::read(dir).expect("a case");
    let run = case.run(&policy().await).await.expect("a run");
    check(&case, &run, bless).expect("a verdict")
}

#[tokio::test(flavor = "multi_thread")]
async fn another_decision_is_shown_and_can_be_blessed() {
    let dir = copy("seed-scenario", "blessed");
    fs::write(dir.join("settings.json"), r#"{"stagingRoleName": "Other", "removals": "none"}"#).expect("settings");
    let Verdict::Differs(how) = verdict(&dir, false).await else { panic!("the same with other settings") };
    assert!(how.contains("\"removed\": []"), "{how}");
    assert!(how.contains("requested writes (found)") && how.contains("role/Other"), "{how}");
    assert!(matches!(verdict(&dir, true).await, Verdict::Blessed));
    assert!(matches!(verdict(&dir, false).await, Verdict::Same));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_is_not_on_the_tape_is_told_with_the_nearest() {
    let dir = copy("seed-scenario", "unknown-read");
    let account = "111122223333";
    change(&dir.join("tape.json"), |tape| {
        let list = tape["targets"][account].as_array_mut().expect("exchanges");
        let listing = list.iter_mut().find(|it| it["operation"] == "ListStagingAccounts").expect("a listing");
        listing["request"]["maxResults"] = json!(49);
    });
    let Verdict::Differs(how) = verdict(&dir, true).await else { panic!("an unknown read passed") };
    let asked = format!("{account}: asked for drs:ListStagingAccounts in ");
    assert!(how.contains(&asked) && how.contains("which isn't on the tape; the nearest is"), "{how}");
    assert!(how.contains("request.maxResults: 49 on the tape, 50 asked for"), "{how}");
    assert!(how.contains("is on the tape, but nothing asked for it"), "{how}");
    assert!(how.contains("not blessed"), "{how}");
}

#[test]
fn bad_files_are_named_with_what_is_wrong() {
    let dir = copy("seed-scenario", "bad");
    let error = || Case::read(&dir).expect_err("a bad case");
    let tape = dir.join("tape.json");
    let whole = fs::read_to_string(&tape).expect("a tape");

    fs::write(&tape, &whole[..whole.len() / 2]).expect("a file");
    assert!(error().contains("tape.json: ends too early; is it truncated?"), "{}", error());
    fs::write(&tape, whole.replacen("\"version\": 1", "\"version\": 0", 1)).expect("a file");
    assert!(error().contains("tape.json: $.version: expected 1, found 0"), "{}", error());
    fs::write(&tape, whole.replacen("\"us-east-1\"", "\"US\"", 1)).expect("a file");
    assert!(error().contains("tape.json: $.config.regions[1]: expected a region like"), "{}", error());
    fs::remove_file(&tape).expect("removed");
    assert!(error().contains("tape.json: the file doesn't exist"), "{}", error());
    fs::write(&tape, whole).expect("a file");
    fs::write(dir.join("settings.json"), "[]").expect("a file");
    assert!(error().contains("settings.json: $: invalid type"), "{}", error());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_names_accounts_entries_and_requests() {
    let old = named("seed-scenario");
    let compared = async |settings: Value| {
        let mut new = old.clone();
        new.settings = settings.as_object().cloned().expect("settings");
        let (one, other) = (old.run(&policy().await).await, new.run(&policy().await).await);
        let mut comparison = Comparison::default();
        comparison.add(&old, &one.expect("a run"), &other.expect("a run"));
        comparison
    };
    let same = compared(json!({})).await;
    assert!(same.differing.is_empty() && same.text().contains("0 accounts decided differently"));
    let entries = compared(json!({"stagingRoleName": "Other"})).await;
    assert!(entries.text().contains("writes other entries"), "{}", entries.text());
    let regions = compared(json!({"regions": ["us-east-1"]})).await;
    assert!(regions.text().contains("only OLD asks for drs:ListStagingAccounts in eu-west-1"), "{}", regions.text());
    assert!(regions.markdown().starts_with("**1 case, 2 accounts"), "{}", regions.markdown());
}
