//! Files that are broken where a command overwrites them, and errors that name the right place.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use staging_sync_lab::{Fleet, Lab};

use crate::{policy, ran, staging_sync};

/// Exit code, stdout and stderr.
async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    ran(staging_sync().args(arguments).envs(variables.iter().copied())).await
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

/// The default policy under another digest.
fn another_policy(folder: &Path) -> String {
    let mut bytes = fs::read(policy()).expect("a policy");
    bytes.extend([0, 3, 1, b'x', b'y']); // a custom section
    let path = folder.join("another.wasm");
    fs::write(&path, bytes).expect("a file");
    text(&path)
}

#[tokio::test(flavor = "multi_thread")]
async fn publish_replaces_a_broken_manifest_when_told_to_and_loses_nothing_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = folder.path().join("policy.json");
    let (first, second, to) = (text(&policy()), another_policy(folder.path()), text(&manifest));
    for policy in [&first, &second] {
        let (code, _, stderr) = run(&["policy", "publish", policy, "--to", &to], &[]).await;
        assert_eq!(code, Some(0), "{stderr}");
    }
    // Somebody misspelt a member of the active entry; the one before it is whole.
    let mut broken: Value = serde_json::from_str(&fs::read_to_string(&manifest).expect("a manifest")).expect("JSON");
    let previous = broken["previous"].clone();
    broken["setings"] = json!({"removals": "none"});
    let broken = broken.to_string();
    fs::write(&manifest, &broken).expect("a file");

    let publish = ["policy", "publish", &second, "--to", &to];
    let (code, stdout, stderr) = run(&publish, &[]).await;
    assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
    assert!(stderr.contains("$.setings: unknown field") && stderr.contains("--repair"), "{stderr}");
    for key in ["settings", "signature", "cases", "previous", "shadow", "$schema"] {
        assert!(stderr.contains(&format!("`{key}`")), "{key}: {stderr}");
    }
    assert_eq!(fs::read_to_string(&manifest).expect("a manifest"), broken);
    let (code, _, stderr) = run(&["policy", "rollback", &to], &[]).await;
    assert!(code == Some(2) && stderr.contains("--repair"), "{stderr}");

    let (code, stdout, stderr) = run(&[&publish[..], &["--repair"]].concat(), &[]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let repaired: Value = serde_json::from_str(&stdout).expect("a manifest");
    assert_eq!(repaired["previous"], previous);
    assert!(stderr.contains("found no readable active policy"), "{stderr}");
    assert!(stderr.contains("kept its previous policy: staging-account-sync"), "{stderr}");
    let digest = staging_sync_runtime::policy::sha256(broken.as_bytes());
    let kept = folder.path().join(format!("policy.json.broken-{}", &digest[..12]));
    assert!(stderr.contains(&format!("the broken manifest is saved as {}", kept.display())), "{stderr}");
    assert_eq!(fs::read_to_string(&kept).expect("the broken file"), broken);
    let (code, ..) = run(&["policy", "rollback", &to], &[]).await;
    assert_eq!(code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn publish_repairs_what_is_broken_in_a_bucket() {
    let lab = Lab::start(Fleet::default()).await.expect("a lab");
    let run = async |arguments: &[&str]| {
        run(arguments, &lab.env().iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>()).await
    };
    let policy = text(&policy());
    let publish = ["policy", "publish", &policy, "--to", "s3://policies/live/policy.json", "--repair"];
    lab.put_object("live/policy.json", b"{\"name\": ".to_vec());
    let (code, _, stderr) = run(&publish).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("ends too early; is it truncated?"), "{stderr}");
    let digest = staging_sync_runtime::policy::sha256(b"{\"name\": ");
    let kept = lab.object(&format!("live/policy.json.broken-{}", &digest[..12]));
    assert_eq!(kept.expect("the broken file"), &b"{\"name\": "[..]);

    // An upload that broke off has left half of the component under its name.
    let component =
        format!("live/sha256-{}.wasm", staging_sync_runtime::policy::sha256(&fs::read(&policy).expect("a policy")));
    lab.put_object(&component, b"\0asm".to_vec());
    let (code, _, stderr) = run(&publish[..5]).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains(&format!("s3://policies/{component}: repaired, because its content")), "{stderr}");
    assert_eq!(lab.object(&component).expect("the component"), fs::read(&policy).expect("a policy"));
    let (code, _, stderr) = run(&publish[..5]).await;
    assert!(code == Some(0) && stderr.contains("nothing to do") && !stderr.contains("repaired"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bless_rewrites_a_summary_that_can_not_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let recorded = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../plugin/cases/seed-scenario");
    for file in fs::read_dir(&recorded).expect("a case") {
        let file = file.expect("a file");
        fs::copy(file.path(), folder.path().join(file.file_name())).expect("a copy");
    }
    let summary = folder.path().join("summary.json");
    fs::write(&summary, "{\"timestamp\"").expect("a file");
    let case = text(folder.path());
    let (code, stdout, _) = run(&["test", &case], &[]).await;
    assert!(code == Some(2) && stdout.contains("summary.json: ends too early"), "{stdout}");
    let (code, stdout, stderr) = run(&["test", &case, "--bless"], &[]).await;
    assert!(code == Some(0) && stdout.contains("1 blessed"), "{stdout}");
    assert!(
        stderr.contains("summary.json: ends too early") && stderr.contains("the actual result replaces it"),
        "{stderr}"
    );
    let expected = fs::read_to_string(recorded.join("summary.json")).expect("a summary");
    assert_eq!(fs::read_to_string(&summary).expect("a summary"), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_key_is_itself_or_its_file_here_and_in_a_host() {
    let folder = tempfile::tempdir().expect("a folder");
    let (keys, manifest) = (text(&folder.path().join("policy")), text(&folder.path().join("policy.json")));
    let (code, stdout, _) = run(&["policy", "keygen", "--out", &keys], &[]).await;
    assert_eq!(code, Some(0));
    let key = stdout.trim().strip_prefix("POLICY_PUBLIC_KEY=").expect("a key").to_owned();
    let (file, secret, policy) = (format!("{keys}.pub"), format!("{keys}.key"), text(&policy()));
    let publish = ["policy", "publish", &policy, "--to", &manifest, "--sign", &secret, "--public-key"];
    let lab = Lab::start(Fleet::default()).await.expect("a lab");
    for key in [&key, &file] {
        let (code, _, stderr) = run(&[&publish[..], &[key]].concat(), &[]).await;
        assert_eq!(code, Some(0), "{stderr}");
        let (code, stdout, _) = run(&["policy", "status", &manifest], &[("POLICY_PUBLIC_KEY", key)]).await;
        assert!(code == Some(0) && stdout.contains("signed, verified"), "{stdout}");
        let mut variables: Vec<(&str, &str)> = vec![("POLICY", &manifest), ("POLICY_PUBLIC_KEY", key)];
        let lab = lab.env();
        variables.extend(lab.iter().map(|(name, value)| (*name, value.as_str())));
        let (code, stdout, stderr) = run(&["tick", "--strict"], &variables).await;
        assert!(code == Some(0) && stdout.contains("\"totalAccounts\": 0"), "{stderr}");
    }
    for (arguments, variables, place) in [
        (&["--public-key", "nowhere.pub"][..], &[][..], "--public-key is neither a minisign public key"),
        (&[], &[("POLICY_PUBLIC_KEY", "nowhere.pub")], "POLICY_PUBLIC_KEY is neither a minisign public key"),
        (&["--public-key", &manifest], &[], "--public-key names a file without a minisign public key"),
    ] {
        let (code, _, stderr) = run(&[&["policy", "status", &manifest], arguments].concat(), variables).await;
        assert!(code == Some(2) && stderr.contains(place), "{stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_is_not_about_permissions() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let endpoint = format!("http://{nobody}"); // the listener is gone
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
        ("TARGET_ACCOUNTS_TABLE", "targets"),
    ];
    for arguments in [&["tick"][..], &["policy", "status", "s3://policies/policy.json"]] {
        let (code, _, stderr) = run(arguments, &variables).await;
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains("Connection refused") && stderr.contains("can't reach AWS"), "{stderr}");
        assert!(!stderr.contains("permissions") && stderr.contains("AWS_ENDPOINT_URL"), "{stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_a_case_or_an_option_are_not_the_environments() {
    let folder = tempfile::tempdir().expect("a folder");
    let recorded = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../plugin/cases/unchanged/tape.json");
    let recorded: Value = serde_json::from_str(&fs::read_to_string(recorded).expect("a tape")).expect("JSON");
    let (tape, case) = (folder.path().join("tape.json"), text(folder.path()));
    for (path, value, place) in [
        ("/config/maxRemovalsPercent", json!(200), "tape.json: $.config.maxRemovalsPercent: expected a number from 0"),
        ("/config/regions/0", json!("EU"), "tape.json: $.config.regions[0]: expected a region like"),
        ("/config/table", json!(""), "tape.json: $.config.table: expected"),
        ("/settings", json!({"removals": 5}), "tape.json: $.settings: settings: $.removals: expected"),
    ] {
        let mut changed = recorded.clone();
        *changed.pointer_mut(path).expect("a value") = value;
        fs::write(&tape, changed.to_string()).expect("a file");
        let (code, _, stderr) = run(&["replay", &case], &[]).await;
        assert!(code == Some(2) && stderr.contains(place) && !stderr.contains("environment"), "{stderr}");
    }
    let policy = text(&policy());
    let verify = ["policy", "verify", &policy, "--settings", "{\"removals\": 5}"];
    let (code, _, stderr) = run(&verify, &[]).await;
    assert!(code == Some(2) && stderr.contains("--settings: settings: $.removals: expected"), "{stderr}");
}
