//! Secrets: nothing that a tick prints holds a key, a token or an external id, however much is asked for.

use staging_sync_lab::Lab;

use crate::secret_fleet::{expect_secrets_used, fleet, holds_no_secret};
use crate::staging_sync;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_command_line_prints() {
    let lab = Lab::start(fleet()).await.expect("a lab");
    let ran = staging_sync()
        .args(["tick", "--json"])
        .env("RUST_LOG", "trace,aws_smithy_runtime::client::orchestrator=trace")
        .envs(lab.env())
        .output()
        .await
        .expect("the program");
    let [stdout, stderr] = [ran.stdout, ran.stderr].map(|text| String::from_utf8(text).expect("text"));
    assert_eq!(ran.status.code(), Some(1), "{stdout}{stderr}");
    assert!(stderr.contains("TRACE"), "expected trace lines, found {stderr}");
    expect_secrets_used(&lab);
    holds_no_secret(&lab, &(stdout + &stderr));
}
