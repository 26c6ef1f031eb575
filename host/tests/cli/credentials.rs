//! Credentials that take their time.

use std::fs;
use std::path::PathBuf;

use staging_sync_lab::{Fleet, Lab};

use crate::staging_sync;

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_process_that_takes_seven_seconds_works() {
    let fleet = r#"{"targets": [{"accountId": "111122223333", "accountName": "One"}]}"#;
    let lab = Lab::start(Fleet::from_json(fleet).expect("a fleet")).await.expect("a lab");
    let env = lab.env();
    let get = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()).unwrap_or_default();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("slow-credentials");
    fs::create_dir_all(&folder).expect("a folder");
    let script = folder.join("credentials.sh");
    let answer = format!(
        r#"{{"Version": 1, "AccessKeyId": "{}", "SecretAccessKey": "{}"}}"#,
        get("AWS_ACCESS_KEY_ID"),
        get("AWS_SECRET_ACCESS_KEY")
    );
    fs::write(&script, format!("sleep 7\necho '{answer}'\n")).expect("a script");
    let config = folder.join("config");
    fs::write(&config, format!("[default]\nregion = us-east-1\ncredential_process = sh {}\n", script.display()))
        .expect("a profile");
    let mut command = staging_sync();
    command.args(["tick", "--json"]).envs(lab.env()).env("AWS_CONFIG_FILE", &config).env("PATH", "/usr/bin:/bin");
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        command.env_remove(name);
    }
    let output = command.output().await.expect("the program");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}
