//! Secrets: nothing that the function prints or answers holds a key, a token or an external id.

use serde_json::json;
use staging_sync_lab::Lab;
use tokio::io::AsyncReadExt;

use crate::secret_fleet::{expect_secrets_used, fleet, holds_no_secret};
use crate::{Lambda, sync_event};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_lambda_prints_and_answers() {
    let lab = Lab::start(fleet()).await.expect("a lab");
    let journal = tempfile::tempdir().expect("a folder");
    let journal = journal.path().to_str().expect("UTF-8");
    let mut lambda = Lambda::start(&lab, &[("RUST_LOG", "trace"), ("JOURNAL", journal)]).await;
    let mut stdout = lambda.process.stdout.take().expect("piped");
    let printed = tokio::spawn(async move {
        let mut text = String::new();
        stdout.read_to_string(&mut text).await.expect("text");
        text
    });
    let summary = lambda.summary(sync_event()).await;
    assert_eq!((&summary["accountsUpdated"], &summary["accountsFailed"]), (&json!(1), &json!(3)), "{summary}");
    lambda.process.kill().await.expect("a running process");
    let printed = printed.await.expect("no panic");
    assert!(printed.contains("\"TRACE\""), "expected trace lines, found {printed}");
    expect_secrets_used(&lab);
    holds_no_secret(&lab, &(printed + &summary.to_string()));
}
