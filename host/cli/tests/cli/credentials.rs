//! Credentials of profiles: slow ones, and such as this program can't get.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use staging_sync_lab::{Fleet, Lab};

use crate::staging_sync;

const FLEET: &str = r#"{"targets": [{"accountId": "111122223333", "accountName": "One"}]}"#;

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// A tick with a profile's credentials and nobody else's.
async fn tick(lab: &Lab, profile: &str, folder: &Path, variables: &[(&str, &str)]) -> Output {
    let config = folder.join("config");
    fs::write(&config, profile).expect("a profile");
    let mut command = staging_sync();
    command.args(["tick", "--json"]).envs(lab.env()).env("AWS_CONFIG_FILE", &config).env("PATH", "/usr/bin:/bin");
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied()).output().await.expect("the program")
}

/// Also where S3 has the policy: the clients of all services share what one run gave.
#[tokio::test(flavor = "multi_thread")]
async fn a_credential_process_that_takes_seven_seconds_works_and_runs_once() {
    let lab = Lab::start(Fleet::from_json(FLEET).expect("a fleet")).await.expect("a lab");
    let env = lab.env();
    let get = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()).unwrap_or_default();
    let folder = folder("slow-credentials");
    let (script, runs) = (folder.join("credentials.sh"), folder.join("runs"));
    let _ = fs::remove_file(&runs); // of an earlier run of this test
    let answer = format!(
        r#"{{"Version": 1, "AccessKeyId": "{}", "SecretAccessKey": "{}"}}"#,
        get("AWS_ACCESS_KEY_ID"),
        get("AWS_SECRET_ACCESS_KEY")
    );
    fs::write(&script, format!("echo run >> {}\nsleep 7\necho '{answer}'\n", runs.display())).expect("a script");
    let profile = format!("[default]\nregion = us-east-1\ncredential_process = sh {}\n", script.display());
    let policy = crate::policy();
    let bytes = fs::read(&policy).expect("a policy");
    lab.put_object("policy.wasm", bytes);
    let output = tick(&lab, &profile, &folder, &[("POLICY", "s3://policies/policy.wasm")]).await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_to_string(&runs).expect("its runs"), "run\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_of_aws_login_is_named_with_what_to_do_and_without_advice_about_crates() {
    let lab = Lab::start(Fleet::from_json(FLEET).expect("a fleet")).await.expect("a lab");
    let profile = "[default]\nregion = us-east-1\nlogin_session = arn:aws:iam::111122223333:user/admin\n";
    let output = tick(&lab, profile, &folder("login"), &[]).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("signs in by `aws login`"), "{stderr}");
    assert!(stderr.contains("aws configure export-credentials --profile default --format env"), "{stderr}");
    assert!(!stderr.contains("feature"), "{stderr}");
}
