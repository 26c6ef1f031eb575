//! Values of variables that can't be sent: said before anything is asked, and never a panic.

use std::process::Command;

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
fn a_partition_without_drs_is_said() {
    for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        let (code, stderr) = tick(&[("AWS_REGION", ""), (name, "cn-north-1")]);
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains("cn-north-1") && stderr.contains("DRS_REGIONS"), "{stderr}");
    }
}
