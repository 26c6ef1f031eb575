//! Values of variables that can't be sent: said before anything is asked, and never a panic.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use serde_json::json;
use staging_sync_lab::{Fleet, Lab};

use crate::staging_sync;

fn policy() -> String {
    crate::policy().to_string_lossy().into_owned()
}

/// The exit code and stderr of a tick in an environment of these variables alone.
fn tick(variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let base = [
        ("TARGET_ACCOUNTS_TABLE", "targets"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "a-secret"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
    ];
    let output = Command::new(env!("CARGO_BIN_EXE_staging-sync"))
        .arg("tick")
        .env_clear()
        .envs(base)
        .envs(variables.iter().copied())
        .output()
        .expect("the program");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_value_that_cannot_be_sent_is_named_by_its_variable_and_a_secret_is_not_repeated() {
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        for value in ["s3cret\r", "s3\ncret", " s3cret", "s3cr\u{e9}t", "s3\u{7}cret"] {
            let (code, stderr) = tick(&[(name, value)]);
            assert_eq!(code, Some(2), "{name}={value:?}: {stderr}");
            assert!(stderr.contains("ConfigurationInvalid") && stderr.contains(name), "{name}={value:?}: {stderr}");
            assert!(!stderr.contains("s3c"), "{stderr}");
        }
    }
    for (name, value) in [
        ("AWS_REGION", "us-east-1\r"),
        ("AWS_REGION", "us east"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1\r"),
        ("AWS_ENDPOINT_URL_STS", "http://ex\u{e4}mple:1"),
    ] {
        let (code, stderr) = tick(&[(name, value)]);
        assert_eq!(code, Some(2), "{name}={value:?}: {stderr}");
        assert!(stderr.contains("ConfigurationInvalid") && stderr.contains(name), "{name}={value:?}: {stderr}");
    }
}

#[test]
fn a_bundle_of_certificates_that_cannot_be_used_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.to_string_lossy().into_owned()
    };
    let cut = "-----BEGIN CERTIFICATE-----\nMIIB\n";
    for bundle in ["/nowhere/ca.pem".to_owned(), path("empty", ""), path("text", "no PEM"), path("cut", cut)] {
        let (code, stderr) = tick(&[("AWS_CA_BUNDLE", &bundle)]);
        assert_eq!(code, Some(2), "{bundle}: {stderr}");
        assert!(stderr.contains("ConfigurationInvalid") && stderr.contains("AWS_CA_BUNDLE"), "{bundle}: {stderr}");
    }
}

/// What arrives at a proxy of a tick in this environment: the first line of the first request, if there's one.
fn at_proxy(variable: &str, more: &[(&str, &str)]) -> Option<String> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let proxy = format!("http://{}", listener.local_addr().expect("an address"));
    let (seen, lines) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // It hangs up then, which the program takes for a broken connection.
            let _ = seen.send(BufReader::new(stream).lines().next().and_then(Result::ok).unwrap_or_default());
        }
    });
    let mut variables = vec![(variable, proxy.as_str()), ("AWS_ENDPOINT_URL", "http://aws.invalid")];
    variables.extend(more);
    let (code, stderr) = tick(&variables);
    assert_eq!(code, Some(2), "{stderr}");
    lines.try_recv().ok()
}

#[test]
fn calls_go_by_the_proxy_that_the_environment_names() {
    for variable in ["http_proxy", "HTTP_PROXY", "all_proxy"] {
        let line = at_proxy(variable, &[("POLICY", &policy())]).expect(variable);
        assert!(line.starts_with("POST http://aws.invalid/"), "{variable}: {line}");
    }
    assert_eq!(at_proxy("http_proxy", &[("POLICY", &policy()), ("NO_PROXY", "aws.invalid")]), None);
}

#[test]
fn a_partition_without_drs_is_said() {
    for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        let (code, stderr) = tick(&[("AWS_REGION", ""), (name, "cn-north-1")]);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains("cn-north-1") && stderr.contains("DRS_REGIONS"), "{stderr}");
    }
}

/// Each of these settings is right, and together they ask for an endpoint that doesn't exist.
#[test]
fn settings_that_exclude_each_other_are_named() {
    for (variable, what) in [("AWS_USE_FIPS_ENDPOINT", "FIPS"), ("AWS_USE_DUALSTACK_ENDPOINT", "dual-stack")] {
        for endpoint in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_STS"] {
            let none = if endpoint == "AWS_ENDPOINT_URL" { endpoint } else { "AWS_ENDPOINT_URL_S3" };
            let (code, stderr) = tick(&[(none, ""), (endpoint, "http://127.0.0.1:1"), (variable, "true")]);
            assert_eq!(code, Some(2), "{stderr}");
            for said in ["ConfigurationInvalid", what, variable, "AWS_ENDPOINT_URL"] {
                assert!(stderr.contains(said), "{said}: {stderr}");
            }
        }
    }
    // Where a service has no such endpoint it isn't the table's fault.
    let none = [("AWS_ENDPOINT_URL", ""), ("AWS_REGION", "us-iso-east-1"), ("DRS_REGIONS", "us-iso-east-1")];
    let (policy, dual_stack) = (policy(), ("AWS_USE_DUALSTACK_ENDPOINT", "true"));
    let (code, stderr) = tick(&[&none[..], &[dual_stack, ("POLICY", &policy)]].concat());
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("ConfigurationInvalid") && !stderr.contains("TableUnavailable"), "{stderr}");
}

/// What the organization or an account makes impossible is told once, with what to set, however many calls it fails.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_of_the_organization_denies_is_told_once() {
    let ids = ["111122223333", "123456789012", "210987654321"];
    let target = |id| json!({"accountId": id, "roleArn": format!("arn:aws:iam::{id}:role/Sync")});
    let account = json!({"roles": {"Sync": {}}, "regions": {"us-east-1": {}, "eu-west-1": {}}});
    let denied = "User: x is not authorized to perform: drs:ListStagingAccounts with an explicit deny in a service control \
                  policy";
    let disabled = "STS is not activated in this region for account:210987654321";
    let fleet = json!({
        "regions": ["us-east-1", "eu-west-1"],
        "targets": ids.map(target),
        "accounts": ids.map(|id| (id, account.clone())).into_iter().collect::<BTreeMap<_, _>>(),
        "faults": [
            {"service": "drs", "region": "eu-west-1", "error": {"code": "AccessDeniedException", "message": denied}},
            {"service": "sts", "account": ids[2], "error": {"code": "RegionDisabledException", "message": disabled}},
        ],
    });
    let lab = Lab::start(Fleet::from_json(&fleet.to_string()).expect("a fleet")).await.expect("a lab");
    let output = staging_sync().arg("tick").envs(lab.env()).output().await.expect("the program");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let told = |what: &str| stderr.lines().filter(|line| line.contains(what)).count();
    assert_eq!(told("a policy of the organization denies it"), 1, "{stderr}");
    assert_eq!(told("the region isn't active for STS in some target accounts"), 1, "{stderr}");
    assert!(stderr.contains("calls=2") && stderr.contains("eu-west-1"), "{stderr}");
}
