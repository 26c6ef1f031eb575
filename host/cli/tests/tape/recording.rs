//! What `record` keeps, and what it must not keep.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use staging_sync_lab::{Fleet, Lab};
use staging_sync_runtime::Config;
use staging_sync_runtime::aws::sdk_api::{Endpoint, SdkApi};
use staging_sync_runtime::case::Case;
use staging_sync_workbench::{Anonymize, Recorded, Recording, Verdict, check, record};

use crate::support::{patience, policy};

/// 2026-02-02T22:45:00Z.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_770_072_300)
}

/// A tick to record that writes nothing.
fn recording() -> Recording {
    Recording {
        event: json!({"operation": "sync_staging_accounts"}),
        about: "About it".into(),
        now: now(),
        writes: false,
        anonymize: None,
    }
}

/// Records a tick in front of a lab.
async fn recorded(lab: &Lab, recording: Recording) -> Recorded {
    let env = lab.env();
    let get = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
    let text = |name: &str| get(name).unwrap_or_default();
    let (id, secret) = (text("AWS_ACCESS_KEY_ID"), text("AWS_SECRET_ACCESS_KEY"));
    let credentials = aws_credential_types::Credentials::new(id, secret, None, None, "lab");
    let endpoint = Endpoint { url: lab.url(), region: text("AWS_REGION"), credentials };
    let config = Config::read(&get).expect("a configuration");
    let live = Arc::new(SdkApi::at(endpoint, config.max_concurrency, patience()));
    record(config, policy().await, live, recording, |_, _| ()).await.expect("a recording")
}

/// A directory of its own below `target/tmp`, empty.
pub fn directory(name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

fn base() -> Fleet {
    Fleet::from_json(include_str!("../../../runtime/tests/ticks/base.json")).expect("a fleet")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_tape_has_no_secrets_and_replays_to_the_same() {
    let lab = Lab::start(base()).await.expect("a lab");
    let before = lab.plain_items().expect("items");
    let recorded = recorded(&lab, recording()).await;
    assert_eq!(lab.plain_items().expect("items"), before, "a recording writes nothing unless told");

    let dir = directory("recorded");
    recorded.write(&dir).expect("a writable directory");
    let text = std::fs::read_to_string(dir.join("tape.json")).expect("a tape");
    let env = lab.env();
    let credentials = env.iter().filter(|(name, _)| name.contains("KEY") || name.contains("TOKEN"));
    for (name, value) in credentials {
        assert!(!text.contains(value.as_str()), "{name} is on the tape");
    }
    let stored = ["drs-orchestration-111122223333", "drs-orchestration-444455556666"];
    let credentials = ["SecretAccessKey", "SessionToken", "AccessKeyId", "Signature", "Authorization", "X-Amz"];
    for secret in stored.iter().chain(&credentials) {
        assert!(!text.contains(secret), "{secret} is on the tape");
    }
    assert!(!text.contains("somebody else's attribute"), "others' attributes aren't recorded");
    assert!(text.contains("777788889999"), "the requested write is on the tape");
    let case = Case::read(&dir).expect("a case");
    let run = case.run(&policy().await).await.expect("a run");
    assert!(matches!(check(&case, &run, false), Ok(Verdict::Same)), "{:?}", check(&case, &run, false));
    assert!(recorded.write(&dir).expect_err("a case is there").contains("isn't empty"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anonymous_tape_replays_to_the_anonymous_summary() {
    let lab = Lab::start(base()).await.expect("a lab");
    let plain = recorded(&lab, recording()).await;
    let anonymous = recorded(&lab, Recording { anonymize: Some(Anonymize::default()), ..recording() }).await;
    let text = anonymous.tape.text() + &anonymous.result.to_string();
    for name in ["DEMO_TARGET", "Production", "111122223333", "444455556666", "operator@example.com", "alice"] {
        assert!(!text.contains(name), "{name} in {text}");
    }
    let run = anonymous.case(&directory("anonymous")).run(&policy().await).await.expect("a run");
    assert_eq!((run.result(), run.problems()), (anonymous.result.clone(), Vec::new()));
    let statuses = |result: &Value| -> Vec<String> {
        result["details"].as_array().into_iter().flatten().map(|it| it["status"].to_string()).collect()
    };
    assert_eq!(statuses(&anonymous.result), statuses(&plain.result));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_told_to_write_writes() {
    let lab = Lab::start(base()).await.expect("a lab");
    let before = lab.plain_items().expect("items");
    recorded(&lab, Recording { writes: true, ..recording() }).await;
    assert_ne!(lab.plain_items().expect("items"), before);
}
