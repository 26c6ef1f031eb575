//! `staging-sync lab`: what it prints is the environment of the next command.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::staging_sync;

#[tokio::test]
async fn its_exports_are_the_environment_of_a_tick() {
    let mut lab = staging_sync();
    let mut lab = lab.args(["lab", "--port", "0"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a lab");
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
    let ran = staging_sync().arg("tick").envs(exports).output().await.expect("a tick");
    let summary: Value = serde_json::from_slice(&ran.stdout).expect("a summary");
    assert_eq!(summary["details"][0]["status"], "updated", "{summary}");
    lab.kill().await.expect("a running lab");
}
