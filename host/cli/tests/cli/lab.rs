//! `staging-sync lab`: what it prints is the environment of the next command.

use std::fs;
use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use crate::{policy, staging_sync};

/// A lab by the program, and what it exports.
async fn lab(arguments: &[&str]) -> (Child, Vec<(String, String)>) {
    let mut lab = staging_sync();
    let lab = lab.args(["lab", "--port", "0"]).args(arguments).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut lab = lab.kill_on_drop(true).spawn().expect("a lab");
    let mut lines = BufReader::new(lab.stdout.take().expect("piped")).lines();
    let mut exports = Vec::new();
    while let Some(line) = lines.next_line().await.expect("text") {
        if let Some((name, value)) = line.strip_prefix("export ").and_then(|export| export.split_once('=')) {
            exports.push((name.to_owned(), value.to_owned()));
        }
        if line.starts_with("export DRS_REGIONS=") {
            break; // the last one
        }
    }
    (lab, exports)
}

/// A tick in the environment of the lab, without a variable and with others. Some accounts of the lab's fleet fail.
async fn tick(exports: &[(String, String)], without: &str, with: &[(&str, &str)]) -> Output {
    let exports = exports.iter().filter(|(name, _)| name != without).map(|(name, value)| (&**name, &**value));
    let mut command = staging_sync();
    command.arg("tick").env_remove(without).envs(exports).envs(with.iter().copied());
    command.output().await.expect("a tick")
}

#[tokio::test]
async fn its_exports_are_the_environment_of_a_tick() {
    let (_lab, exports) = lab(&[]).await;
    let ran = tick(&exports, "", &[]).await;
    let summary: Value = serde_json::from_slice(&ran.stdout).expect("a summary");
    assert_eq!(summary["details"][0]["status"], "updated", "{summary}");
}

/// A shell that has credentials, a session, an endpoint or a profile of its own uses none of them in the lab.
#[tokio::test]
async fn what_a_shell_had_of_aws_is_gone_once_it_sources_the_labs_environment() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("lab.env");
    let (_lab, _) = lab(&["--env-file", file.to_str().expect("UTF-8")]).await;
    let foreign = [
        ("AWS_SESSION_TOKEN", "of the shell"),
        ("AWS_PROFILE", "production"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1"),
    ];
    for shell in ["bash", "dash"] {
        let mut command = tokio::process::Command::new(shell);
        command
            .args(["-euc", ". \"$FILE\"; env"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("FILE", &file)
            .envs(foreign);
        let output = command.output().await.expect("a shell");
        assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
        let env = String::from_utf8_lossy(&output.stdout).into_owned();
        let names: Vec<&str> = env.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        assert!(names.contains(&"AWS_ENDPOINT_URL") && names.contains(&"TARGET_ACCOUNTS_TABLE"), "{shell}: {env}");
        assert!(foreign.iter().all(|(name, _)| !names.contains(name)), "{shell}: {env}");
        assert!(env.contains("AWS_CONFIG_FILE=/dev/null"), "{shell}: {env}");
    }
}

#[tokio::test]
async fn a_fault_that_can_never_strike_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("fleet.json");
    for (filter, expected) in [
        (r#""operation": "ListStagingAccount""#, "faults[0].operation: expected one of AssumeRole, "),
        (r#""service": "drs", "operation": "Scan""#, "expected one of ListStagingAccounts, DescribeSourceServers"),
        (r#""account": "1111""#, "faults[0].account: expected an account id of 12 digits"),
        (r#""region": "useast1""#, "faults[0].region: expected a region like eu-west-1"),
    ] {
        fs::write(&file, format!(r#"{{"faults": [{{{filter}, "hang": true}}]}}"#)).expect("a fleet");
        let arguments = ["lab", "--port", "0", "--fleet", file.to_str().expect("UTF-8")];
        let output = staging_sync().args(arguments).output().await.expect("a lab");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && stderr.contains(expected), "{filter}: {stderr}");
    }
}

/// All services over TLS, S3 with the policy included; whom to trust is told by the environment, or by the profile.
#[tokio::test]
async fn it_speaks_tls_to_who_trusts_its_authority() {
    let (_lab, exports) = lab(&["--tls"]).await;
    let get = |wanted: &str| exports.iter().find(|(name, _)| name == wanted).map(|(_, value)| &**value).expect("set");
    assert!(get("AWS_ENDPOINT_URL").starts_with("https://127.0.0.1:"), "{exports:?}");
    let bundle = get("AWS_CA_BUNDLE");

    let mut publish = staging_sync();
    let bucket = "s3://policies/policy.json";
    publish.args(["policy", "publish"]).arg(policy()).args(["--to", bucket]).envs(exports.iter().cloned());
    let published = publish.output().await.expect("a publish");
    assert!(published.status.success(), "{}", String::from_utf8_lossy(&published.stderr));
    let ran = tick(&exports, "", &[("POLICY", bucket)]).await;
    let summary: Value = serde_json::from_slice(&ran.stdout).expect("a summary");
    assert_eq!(summary["details"][0]["status"], "updated", "{summary}");

    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config");
    fs::write(&config, format!("[default]\nca_bundle = {bundle}\n")).expect("a profile");
    let ran = tick(&exports, "AWS_CA_BUNDLE", &[("AWS_CONFIG_FILE", &config.to_string_lossy())]).await;
    assert_eq!(ran.status.code(), Some(1), "{}", String::from_utf8_lossy(&ran.stderr));

    // Whoever doesn't trust it is told what to set.
    let ran = tick(&exports, "AWS_CA_BUNDLE", &[("AWS_CONFIG_FILE", "/nowhere")]).await;
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("invalid peer certificate") && stderr.contains("AWS_CA_BUNDLE"), "{stderr}");

    // A machine without certificates is told what to install, and needs none where there's no TLS.
    let none = [("SSL_CERT_FILE", "/nowhere"), ("SSL_CERT_DIR", "/nowhere")];
    let ran = tick(&exports, "AWS_CA_BUNDLE", &none).await;
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("ConfigurationInvalid") && stderr.contains("apt-get install ca-certificates"), "{stderr}");
    let (_plain, exports) = lab(&[]).await;
    let ran = tick(&exports, "AWS_CA_BUNDLE", &none).await;
    assert_eq!(ran.status.code(), Some(1), "{}", String::from_utf8_lossy(&ran.stderr));
}
