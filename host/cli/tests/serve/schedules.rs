//! Several schedules in one service: side by side, each in /metrics and /healthz.

use serde_json::{Value, json};
use staging_sync_lab::{Fault, Fleet, Lab};

use crate::guest::Guest;
use crate::seed::seed;
use crate::service::{Service, policy, staging_sync};
use crate::{fault, stored};

/// The default policy and the drift report, as `POLICY` lists them.
fn policies() -> String {
    let report = policy().with_file_name("drift-report.wasm");
    assert!(report.exists(), "{}: run `make target/drift-report.wasm` first", report.display());
    format!("{},{}", policy().display(), report.display())
}

/// What /healthz says of an operation.
fn of<'a>(health: &'a Value, operation: &str) -> &'a Value {
    let all = health["operations"].as_array().expect("operations");
    all.iter().find(|one| one["operation"] == operation).unwrap_or_else(|| panic!("{operation} in {health}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_has_its_schedule_its_policy_and_its_numbers() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let policies = policies();
    let schedules = ["--schedule", "sync_staging_accounts=1h", "--schedule", "staging_drift_report=2h"];
    let mut service = Service::start(&lab, &schedules, &[("POLICY", policies.as_str())]).await;
    let scheduled = [service.line("scheduled").await, service.line("scheduled").await];
    let told =
        scheduled.map(|line| (line["operation"].clone(), line["everySeconds"].clone(), line["timeoutSeconds"].clone()));
    assert_eq!(
        told,
        [("sync_staging_accounts", 3600), ("staging_drift_report", 7200)].map(|(operation, seconds)| (
            json!(operation),
            json!(seconds),
            json!(seconds)
        ))
    );
    let succeeded = |health: &Value, operation| of(health, operation)["status"] == "ok";
    let health = service
        .health_until(|_, health| {
            succeeded(health, "sync_staging_accounts") && succeeded(health, "staging_drift_report")
        })
        .await;
    assert_eq!((&health["status"], &health["operation"]), (&json!("ok"), &json!("sync_staging_accounts")), "{health}");
    assert_eq!(of(&health, "sync_staging_accounts")["policy"], "staging-account-sync");
    assert_eq!(of(&health, "staging_drift_report")["policy"], "staging-drift-report");
    assert_eq!(stored(&lab), "777788889999");

    let (_, metrics) = service.get("/metrics").await;
    for line in [
        "staging_sync_ticks_total{operation=\"sync_staging_accounts\",result=\"succeeded\"} 1",
        "staging_sync_ticks_total{operation=\"staging_drift_report\",result=\"succeeded\"} 1",
        "staging_sync_accounts_updated_total{operation=\"sync_staging_accounts\"} 1",
        "staging_sync_accounts_updated_total{operation=\"staging_drift_report\"} 0",
        "staging_sync_last_tick_total_accounts{operation=\"sync_staging_accounts\"} 2",
        "staging_sync_last_tick_total_accounts{operation=\"staging_drift_report\"} 2",
        "# EOF",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no line {line} in\n{metrics}");
    }
    // A metric is described once, whoever has it.
    let mut described: Vec<&str> = metrics.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    let count = described.len();
    described.sort_unstable();
    described.dedup();
    assert_eq!(described.len(), count, "{metrics}");

    service.signal("TERM").await;
    service.line("stopped").await;
    assert_eq!(service.exit_code().await, Some(0));
}

/// The sync hangs in its write, in a service with a journal; the report, of a second, goes on and on.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_delays_no_other() {
    let lab = Lab::start(seed()).await.expect("a lab");
    lab.edit(|fleet| fleet.faults.push(Fault { hang: true, ..fault("UpdateItem") }));
    let (policies, folder) = (policies(), tempfile::tempdir().expect("a folder"));
    let journal = folder.path().to_str().expect("UTF-8");
    let schedules = ["--every", "1h", "--schedule", "staging_drift_report=1s", "--timeout", "1h"];
    let mut service = Service::start(&lab, &schedules, &[("POLICY", &policies), ("JOURNAL", journal)]).await;
    lab.wait_for_calls(|calls| calls.iter().any(|call| call.operation == "UpdateItem")).await;
    for _ in 0..3 {
        let completed = service.line("staging drift report completed").await;
        assert_eq!(completed["totalAccounts"], 2, "{completed}");
    }
    let health = service.health_until(|_, health| of(health, "staging_drift_report")["status"] == "ok").await;
    assert_eq!(of(&health, "sync_staging_accounts")["status"], "starting", "{health}");
    service.signal("TERM").await;
    service.line("stopping after the current tick; a second signal stops immediately").await;
    service.signal("TERM").await;
    assert_eq!(service.exit_code().await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_is_told_and_the_other_goes_on() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let folder = tempfile::tempdir().expect("a folder");
    let traps = || "(unreachable)".to_owned();
    let operation = Some("another_operation");
    let guest = Guest { operation, sync: traps(), everywhere: true, summarize: traps(), ..Guest::default() };
    let path = folder.path().join("policy.wasm");
    std::fs::write(&path, guest.component()).expect("a policy");
    let policies = format!("{},{}", policy().display(), path.display());
    let schedules = ["--every", "1h", "--schedule", "another_operation=2h"];
    let service = Service::start(&lab, &schedules, &[("POLICY", &policies)]).await;
    let health = service
        .health_until(|status, health| status == 503 && of(health, "sync_staging_accounts")["status"] == "ok")
        .await;
    assert_eq!((&health["operation"], &health["status"]), (&json!("another_operation"), &json!("failing")), "{health}");
    assert!(health["error"].as_str().is_some_and(|error| error.starts_with("PolicyRefused: ")), "{health}");
    assert_eq!(stored(&lab), "777788889999");
    let (_, metrics) = service.get("/metrics").await;
    for line in [
        "staging_sync_ticks_total{operation=\"sync_staging_accounts\",result=\"failed\"} 0",
        "staging_sync_ticks_total{operation=\"another_operation\",result=\"failed\"} 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no line {line} in\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_that_cannot_be_are_refused_with_what_to_do() {
    let lab = Lab::start(Fleet::default()).await.expect("a lab");
    for (arguments, says) in [
        (&["--schedule", "5m"][..], "expected OPERATION=DURATION, such as sync_staging_accounts=5m"),
        (&["--schedule", "=5m"], "\"\" can't be an operation: expected OPERATION=DURATION"),
        (&["--schedule", "sync_staging_accounts=0s"], "expected 1s to 24h"),
        (&["--schedule", "sync_staging_accounts=5"], "5 has no unit: expected a duration like 30s, 5m or 1h30m"),
        (
            &["--schedule", "sync_staging_accounts=5m", "--schedule", "sync_staging_accounts=1h"],
            "serve: sync_staging_accounts has two schedules: keep one",
        ),
        (
            &["--every", "5m", "--schedule", "sync_staging_accounts=5m"],
            "serve: sync_staging_accounts has two schedules: keep one (--every is a schedule of the operation in --event)",
        ),
        (&["--every", "5m", "--schedule", "staging_drift_reprot=1h"], "staging_drift_reprot"),
        (&["--schedule", "sync_staging_accounts=5m", "--event", "{}"], "--every"),
        (&[], "--every"),
    ] {
        let all = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        let output = staging_sync(&lab).args(all).output().await.expect("the program");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && stderr.contains(says), "{arguments:?}: {stderr}");
    }
    // What the policies serve is named.
    let all = ["serve", "--listen", "127.0.0.1:0", "--schedule", "staging_drift_report=1h"];
    let output = staging_sync(&lab).args(all).output().await.expect("the program");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && stderr.contains("sync_staging_accounts"), "{stderr}");
}
