//! The history of a manifest: who changed what, back to anything in it, and forward again.

use std::path::Path;

use serde_json::{Value, json};
use staging_sync_lab::{Fault, Fleet, Lab};

use crate::policy;

async fn lab() -> Lab {
    Lab::start(Fleet::default()).await.expect("a lab")
}

/// What a command came to: exit code, stdout, stderr.
async fn run(lab: &Lab, arguments: &[&str]) -> (Option<i32>, String, String) {
    crate::run(lab, arguments, &[("USER", "operator")]).await
}

async fn done(lab: &Lab, arguments: &[&str]) -> (String, String) {
    let (code, stdout, stderr) = run(lab, arguments).await;
    assert_eq!(code, Some(0), "{arguments:?}: {stderr}");
    (stdout, stderr)
}

async fn log(lab: &Lab, manifest: &str) -> Vec<Value> {
    let (stdout, _) = done(lab, &["policy", "log", manifest, "--json"]).await;
    serde_json::from_str(&stdout).expect("a list of changes")
}

/// Published with settings, cases and a signature, rolled back, and forward again by the command that the rollback
/// prints: all is as it was. In a bucket and in a folder.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_goes_back_and_forward_with_settings_cases_and_signature_as_they_were() {
    let lab = lab().await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (policy, key, own) = (policy(), path("publisher"), path("policy.json"));
    let policy = policy.to_str().expect("UTF-8");
    done(&lab, &["policy", "keygen", "--out", &key]).await;
    let key = format!("{key}.key");
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugin/cases/unchanged");
    let cases = cases.to_str().expect("UTF-8");
    for (manifest, author) in [("s3://policies/live/policy.json", "arn:aws:"), (own.as_str(), "operator")] {
        let publish = ["policy", "publish", policy, "--to", manifest];
        done(&lab, &publish).await;
        let second = ["--settings", "removals-none.json", "--cases", cases, "--sign", &key, "--comment", "quiet week"];
        let (published, stderr) = done(&lab, &[&publish[..], &second[..]].concat()).await;
        let undo = format!("undo: staging-sync policy rollback {manifest} --to-change 1 ");
        assert!(stderr.contains(&undo), "{stderr}");
        let (first, stderr) = done(&lab, &["policy", "rollback", manifest]).await;
        assert!(!first.contains("signature"), "{first}");
        let undo = stderr.lines().find_map(|line| line.strip_prefix("undo: staging-sync ")).expect("a way back");
        let undo = undo.split(" (").next().unwrap_or_default();
        let (again, _) = done(&lab, &undo.split(' ').collect::<Vec<_>>()).await;
        assert_eq!(again, published, "{manifest}");

        let changes = log(&lab, manifest).await;
        let of = |name: &str| changes.iter().map(|change| change[name].clone()).collect::<Vec<_>>();
        assert_eq!(of("number"), [4, 3, 2, 1].map(|number| json!(number)));
        assert_eq!(of("change"), ["rollback", "rollback", "publish", "publish"].map(|change| json!(change)));
        assert!(of("by").iter().all(|by| by.as_str().is_some_and(|by| by.starts_with(author))), "{changes:?}");
        assert_eq!(changes[2]["comment"], "quiet week");
        assert_eq!(changes[2]["proof"], "passed its cases");
        assert_eq!(changes[2]["manifest"], serde_json::from_str::<Value>(&published).expect("a manifest"));
        let (shown, _) = done(&lab, &["policy", "log", manifest]).await;
        for text in ["   2  20", "publish by ", r#"settings {"removals":"none"}"#, ", signed", "comment   quiet week"] {
            assert!(shown.contains(text), "{text}: {shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_that_was_active_with_two_settings_must_be_told_apart() {
    const MANIFEST: &str = "s3://policies/live/policy.json";
    let (lab, policy) = (lab().await, policy());
    let policy = policy.to_str().expect("UTF-8");
    let (published, _) = done(&lab, &["policy", "publish", policy, "--to", MANIFEST]).await;
    let published: Value = serde_json::from_str(&published).expect("a manifest");
    let digest = published["sha256"].as_str().expect("a digest");
    let back = ["policy", "rollback", MANIFEST, "--to", &digest[..12]];
    let (_, stderr) = done(&lab, &back).await;
    assert!(stderr.contains("nothing to do"), "{stderr}");
    done(&lab, &["policy", "publish", policy, "--to", MANIFEST, "--settings", "removals-none.json"]).await;
    let (code, _, stderr) = run(&lab, &back).await;
    assert!(code == Some(2) && stderr.contains("--to-change 2 or --to-change 1"), "{stderr}");
    for (to, says) in [("12", "isn't a digest"), ("0123456789", "has no active policy"), ("", "isn't a digest")] {
        let (code, _, stderr) = run(&lab, &["policy", "rollback", MANIFEST, "--to", to]).await;
        assert!(code == Some(2) && stderr.contains(says), "{stderr}");
    }
    let (code, _, stderr) = run(&lab, &["policy", "rollback", MANIFEST, "--to-change", "9"]).await;
    assert!(code == Some(2) && stderr.contains("has no change 9"), "{stderr}");
}

/// Each command that changes a manifest says in a dry run what it would do, and does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_changes_no_manifest() {
    const MANIFEST: &str = "s3://policies/live/policy.json";
    let (lab, policy) = (lab().await, policy());
    let policy = policy.to_str().expect("UTF-8");
    let publish = ["policy", "publish", policy, "--to", MANIFEST];
    let (_, stderr) = done(&lab, &[&publish[..], &["--dry-run"]].concat()).await;
    assert!(stderr.contains("dry run, nothing was changed"), "{stderr}");
    assert!(lab.calls().iter().all(|call| call.operation != "PutObject"));
    done(&lab, &publish).await;
    done(&lab, &[&publish[..], &["--settings", "removals-none.json"]].concat()).await;
    done(&lab, &[&publish[..], &["--shadow"]].concat()).await;
    let before = lab.object("live/policy.json");
    lab.clear_calls();
    for command in [
        &["policy", "promote", MANIFEST][..],
        &["policy", "withdraw", MANIFEST],
        &["policy", "rollback", MANIFEST],
        &["policy", "rollback", MANIFEST, "--to-change", "1"],
    ] {
        let (stdout, _) = done(&lab, &[command, &["--dry-run"]].concat()).await;
        assert!(serde_json::from_str::<Value>(&stdout).is_ok(), "{stdout}");
    }
    assert_eq!(lab.object("live/policy.json"), before);
    assert!(lab.calls().iter().all(|call| call.operation != "PutObject"));
}

/// A shadow that was withdrawn or promoted comes back with the manifest as it was.
#[tokio::test(flavor = "multi_thread")]
async fn the_undo_of_a_change_of_the_shadow_restores_the_manifest() {
    const MANIFEST: &str = "s3://policies/live/policy.json";
    let (lab, policy) = (lab().await, policy());
    let policy = policy.to_str().expect("UTF-8");
    done(&lab, &["policy", "publish", policy, "--to", MANIFEST]).await;
    let shadow = ["policy", "publish", policy, "--to", MANIFEST, "--settings", "removals-none.json", "--shadow"];
    let (with_shadow, _) = done(&lab, &shadow).await;
    for command in ["withdraw", "promote"] {
        let (changed, stderr) = done(&lab, &["policy", command, MANIFEST]).await;
        assert_ne!(changed, with_shadow);
        let undo = stderr.lines().find_map(|line| line.strip_prefix("undo: staging-sync ")).expect("a way back");
        let undo = undo.split(" (").next().unwrap_or_default();
        assert!(undo.contains(" --to-change "), "{undo}");
        let (again, _) = done(&lab, &undo.split(' ').collect::<Vec<_>>()).await;
        assert_eq!(again, with_shadow);
    }
}

/// A manifest that somebody changed by hand is in the history before it's replaced, and one whose record can't be written
/// is changed nevertheless, and that is said.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_without_a_record_is_recorded_by_the_next_change() {
    let (lab, folder, policy) = (lab().await, tempfile::tempdir().expect("a folder"), policy());
    let manifest = folder.path().join("policy.json");
    let at = manifest.to_str().expect("UTF-8");
    let policy = policy.to_str().expect("UTF-8");
    let publish = ["policy", "publish", policy, "--to", at];
    done(&lab, &publish).await;
    let edited = std::fs::read_to_string(&manifest).expect("a manifest");
    let edited = edited.replacen('{', r#"{"settings": {"removals": "own"},"#, 1);
    std::fs::write(&manifest, &edited).expect("an edit");
    let (_, stderr) = done(&lab, &["policy", "log", at]).await;
    assert!(stderr.contains("was changed later without a record"), "{stderr}");
    done(&lab, &[&publish[..], &["--settings", "removals-none.json"]].concat()).await;
    let changes = log(&lab, at).await;
    assert_eq!((&changes[1]["change"], &changes[1]["by"]), (&json!("unrecorded"), &json!("unknown")));
    assert_eq!(changes[1]["manifest"]["settings"], json!({"removals": "own"}));

    let history = folder.path().join("policy.history.json");
    std::fs::write(&history, "{").expect("a broken history");
    let (code, stdout, stderr) = run(&lab, &["policy", "rollback", at]).await;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stdout.contains("own") && stderr.contains("isn't recorded in its history"), "{stdout} {stderr}");
    assert_eq!(std::fs::read_to_string(&history).expect("a file"), "{", "what is there isn't overwritten");
    let (code, _, stderr) = run(&lab, &["policy", "log", at]).await;
    assert!(code == Some(2) && stderr.contains("policy.history.json: isn't a readable history"), "{stderr}");
    let (code, _, stderr) = run(&lab, &["policy", "log", "s3://policies/none/policy.json"]).await;
    assert!(code == Some(2) && stderr.contains("the manifest doesn't exist"), "{stderr}");
}

/// A record whose answer is lost is there once.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_whose_answer_is_lost_is_written_once() {
    const MANIFEST: &str = "s3://policies/live/policy.json";
    let (lab, policy) = (lab().await, policy());
    let policy = policy.to_str().expect("UTF-8");
    lab.edit(|fleet| {
        let lost = Fault { operation: Some("PutObject".into()), ..Fault::lose_answer() };
        // The third write of a first publish, after the component's and the manifest's.
        fleet.faults = vec![Fault { after: 2, times: Some(1), ..lost }];
    });
    done(&lab, &["policy", "publish", policy, "--to", MANIFEST]).await;
    assert_eq!(log(&lab, MANIFEST).await.len(), 1);
}
