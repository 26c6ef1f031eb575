//! The command line as people and scripts see it: exit code, stdout and stderr together.

mod commands;
mod credentials;
mod doctor;
mod documented;
mod environment;
mod examples;
mod first_hour;
mod history;
mod journal;
mod lab;
mod output;
mod pages;
mod plan;
mod plots;
mod publish;
mod repair;
mod replays;
mod rollout;
mod schemas;
mod secrets;
mod sessions;
mod simulated;
mod talk;

#[path = "../../../lambda/tests/lambda/seed.rs"]
mod seed;

#[path = "../../../lambda/tests/lambda/secret_fleet.rs"]
mod secret_fleet;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use staging_sync_lab::Lab;
use tokio::process::Command;

/// The default policy.
fn policy() -> PathBuf {
    let policy = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/policy.wasm");
    assert!(policy.exists(), "{} isn't there: run `make policy` first", policy.display());
    policy
}

/// The binary, in an environment that has the default policy and nothing else: no home, no AWS.
fn staging_sync() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_staging-sync"));
    command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli"))
        .env_clear()
        .env("POLICY", policy())
        .env("HOME", env!("CARGO_TARGET_TMPDIR"))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs a command against a lab: its exit code, stdout and stderr.
async fn run(lab: &Lab, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    ran(staging_sync().args(arguments).envs(lab.env()).envs(variables.iter().copied())).await
}

/// What a command came to: its exit code, stdout and stderr.
async fn ran(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().await.expect("the program");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}
