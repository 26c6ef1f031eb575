//! Publishing through a network that loses answers.

use std::path::Path;

use serde_json::{Value, json};
use staging_sync_lab::{Fault, Fleet, Lab};

use crate::{policy, staging_sync};

/// A write that is done, though its answer is lost and a second try finds it in its way.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_manifest_whose_answer_is_lost_is_recognised_as_done() {
    const MANIFEST: &str = "s3://policies/live/policy.json";
    let policy = policy();
    let policy = policy.to_str().expect("UTF-8");
    let steps: [&[&str]; 4] = [
        &["policy", "publish", policy, "--to", MANIFEST],
        &["policy", "publish", policy, "--to", MANIFEST, "--settings", "removals-none.json"],
        &["policy", "rollback", MANIFEST],
        &["policy", "publish", policy, "--to", MANIFEST, "--settings", "removals-none.json", "--shadow"],
    ];
    let lab = Lab::start(Fleet::default()).await.expect("a lab");
    for (number, step) in steps.into_iter().enumerate() {
        lab.edit(|fleet| {
            // The last write of a step is that of the manifest; before it are the component's, where there's one.
            let lost = Fault { operation: Some("PutObject".into()), ..Fault::lose_answer() };
            fleet.faults = vec![Fault { times: Some(1), ..lost.clone() }, Fault { after: 2, times: Some(1), ..lost }];
        });
        let output = staging_sync().args(step).envs(lab.env()).output().await.expect("the program");
        assert_eq!(output.status.code(), Some(0), "step {number}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let manifest = lab.object("live/policy.json").expect("a manifest");
    assert!(String::from_utf8_lossy(&manifest).contains("\"shadow\""));
}

/// `status` and `publish` judge as a host in the same environment does: its settings and its limits.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_judged_with_the_environment_that_a_host_would_have() {
    const MANIFEST: &str = "s3://policies/live/policy.json";
    let policy = policy();
    let policy = policy.to_str().expect("UTF-8");
    let lab = Lab::start(Fleet::default()).await.expect("a lab");
    let run = async |arguments: &[&str], variable: (&str, &str)| {
        let mut command = staging_sync();
        let output = command.args(arguments).envs(lab.env()).env(variable.0, variable.1).output().await;
        let output = output.expect("the program");
        let shown = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&shown).into_owned())
    };
    let bad = [(("POLICY_SETTINGS", r#"{"removals": 5}"#), "settings: "), (("POLICY_MEMORY_MIB", "1"), "memory")];
    for (variable, says) in bad {
        let (code, shown) = run(&["policy", "publish", policy, "--to", MANIFEST], variable).await;
        assert!(code == Some(2) && shown.contains(says), "{variable:?}: {code:?} {shown}");
    }
    let (code, shown) = run(&["policy", "publish", policy, "--to", MANIFEST], ("DRY_RUN", "false")).await;
    assert_eq!(code, Some(0), "{shown}");
    for (variable, says) in bad {
        let (code, shown) = run(&["policy", "status", MANIFEST], variable).await;
        assert!(code == Some(1) && shown.contains("REJECTS") && shown.contains(says), "{variable:?}: {code:?} {shown}");
    }
}

/// A bucket in another region than the program's is asked where it is; S3 tells.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_in_another_region_is_found() {
    const MANIFEST: &str = "s3://policies/live/policy.json";
    let policy = policy();
    let policy = policy.to_str().expect("UTF-8");
    let lab = Lab::start(Fleet::default()).await.expect("a lab");
    for step in [&["policy", "publish", policy, "--to", MANIFEST][..], &["policy", "status", MANIFEST]] {
        let mut command = staging_sync();
        let output = command.args(step).envs(lab.env()).env("AWS_REGION", "eu-central-1").output().await;
        let output = output.expect("the program");
        assert_eq!(output.status.code(), Some(0), "{step:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(lab.object("live/policy.json").is_some());
}

/// Files as editors on Windows, and PowerShell, write them: with a byte order mark, in UTF-16, with CR LF.
#[tokio::test(flavor = "multi_thread")]
async fn files_with_byte_order_marks_are_read() {
    let fleet = r#"{"targets": [{"accountId": "111122223333", "accountName": "One"}]}"#;
    let lab = Lab::start(Fleet::from_json(fleet).expect("a fleet")).await.expect("a lab");
    let folder = tempfile::tempdir().expect("a folder");
    let utf_16 = |text: &str| -> Vec<u8> {
        [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    };
    let utf_8 = |text: &str| format!("\u{feff}{text}").into_bytes();
    let manifest = folder.path().join("policy.json");
    let manifest = manifest.to_str().expect("UTF-8");
    let policy = policy();
    let policy = policy.to_str().expect("UTF-8");
    for (number, encode) in [utf_16 as fn(&str) -> Vec<u8>, utf_8].into_iter().enumerate() {
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, encode(&text.replace('\n', "\r\n"))).expect("a file");
            path.to_str().expect("UTF-8").to_owned()
        };
        let settings = file("settings.json", "{\n  \"removals\": \"none\"\n}\n");
        let run = async |arguments: &[&str]| {
            let mut command = staging_sync();
            let output = command.args(arguments).envs(lab.env()).env("POLICY", manifest).output().await;
            let output = output.expect("the program");
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(0), "{number}, {arguments:?}: {stderr}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        run(&["policy", "publish", policy, "--to", manifest, "--settings", &settings]).await;
        // Somebody has looked at the manifest with an editor, and saved it.
        file("policy.json", &std::fs::read_to_string(manifest).expect("a manifest"));
        assert!(run(&["policy", "status", manifest]).await.contains("none"));
        let event = "\u{feff}{\r\n  \"operation\": \"sync_staging_accounts\"\r\n}\r\n"; // by `"$(cat event.json)"`
        let summary = run(&["tick", "--event", event]).await;
        assert!(summary.contains("\"totalAccounts\": 1"), "{summary}");
        std::fs::remove_file(manifest).expect("a manifest");
    }
}

/// A new version goes on with the settings and the cases of the one before it, and says so; who wants others says that.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_keeps_settings_and_cases_unless_told_otherwise() {
    let lab = Lab::start(Fleet::default()).await.expect("a lab");
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (first, second, manifest) = (policy(), path("second.wasm"), path("policy.json"));
    // Another component that decides the same: it has a custom section more.
    let component = std::fs::read(&first).expect("a policy");
    std::fs::write(&second, [&component[..], &[0, 5, 4, b'n', b'o', b't', b'e']].concat()).expect("a policy");
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugin/cases/unchanged");
    let publish = async |policy: &str, more: &[&str]| {
        let arguments = [&["policy", "publish", policy, "--to", &manifest], more].concat();
        crate::run(&lab, &arguments, &[]).await
    };
    let (first, cases) = (first.to_str().expect("UTF-8"), cases.to_str().expect("UTF-8"));
    let (code, _, stderr) = publish(first, &["--settings", "removals-none.json", "--cases", cases]).await;
    assert_eq!(code, Some(0), "{stderr}");

    let (code, stdout, stderr) = publish(&second, &[]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let kept: Value = serde_json::from_str(&stdout).expect("a manifest");
    assert_eq!(kept["settings"], json!({"removals": "none"}), "{stdout}");
    assert_eq!(kept["cases"], kept["previous"]["cases"], "{stdout}");
    assert!(kept["cases"].is_object() && kept["sha256"] != kept["previous"]["sha256"], "{stdout}");
    for said in [r#"{"removals":"none"}; to change them"#, "--no-settings", "cases: kept from", "--no-cases"] {
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
    // So does one in the shadow.
    let (_, stdout, stderr) = publish(first, &["--shadow"]).await;
    let shadow: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("a manifest: {stderr}"));
    assert_eq!(shadow["shadow"]["settings"], json!({"removals": "none"}), "{stdout}");

    let (code, stdout, stderr) = publish(&second, &["--no-settings", "--no-cases"]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let without: Value = serde_json::from_str(&stdout).expect("a manifest");
    assert!(without.get("settings").is_none() && without.get("cases").is_none(), "{stdout}");
}
