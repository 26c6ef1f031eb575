//! `staging-sync serve` as those who run it see it: log lines, /healthz, /metrics, signals, the table.

mod console;
mod memory;
mod schedules;
mod service;

#[allow(dead_code, reason = "the sandbox's tests use all of it")]
#[path = "../../../runtime/tests/sandbox/guest.rs"]
mod guest;
#[path = "../../../lambda/tests/lambda/seed.rs"]
mod seed;

use serde_json::{Value, json};
use staging_sync_lab::{Fault, FaultError, Fleet, Lab, Service as AwsService};
use tokio::net::TcpListener;

use seed::seed;
use service::{Service, policy, staging_sync};

/// The summary's example with a target account whose role doesn't exist.
fn fleet_with_a_bad_account() -> Fleet {
    let mut fleet = seed();
    let bad = json!({"accountId": "210987654321", "roleArn": "arn:aws:iam::210987654321:role/DRSOrchestrationRole"});
    fleet.targets.extend(bad.as_object().cloned());
    fleet
}

pub fn fault(operation: &str) -> Fault {
    Fault { service: Some(AwsService::DynamoDb), operation: Some(operation.into()), ..Fault::default() }
}

/// The staging accounts that the table has for the account that the first tick updates.
pub fn stored(lab: &Lab) -> Value {
    lab.plain_items().expect("items")[0]["stagingAccounts"][0]["accountId"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_happens_by_itself_and_is_told() {
    let lab = Lab::start(fleet_with_a_bad_account()).await.expect("a lab");
    let mut service = Service::start(&lab, &["--every", "1h"], &[]).await;
    let completed = service.line("staging account sync completed").await;
    assert_eq!((&completed["accountsUpdated"], &completed["accountsFailed"]), (&json!(1), &json!(1)), "{completed}");
    assert_eq!(stored(&lab), "777788889999");

    let health = service.health_until(|status, health| status == 200 && health["status"] == "ok").await;
    assert_eq!((&health["lastTickSucceeded"], &health["error"]), (&json!(true), &Value::Null), "{health}");
    assert!(health["lastTickEndedAt"].as_str().is_some_and(|time| time.ends_with('Z')), "{health}");
    let digest = staging_sync_runtime::policy::sha256(&std::fs::read(policy()).expect("a policy"));
    assert_eq!((&health["policy"], &health["policyDigest"]), (&json!("staging-account-sync"), &json!(digest)));
    assert_eq!(health["policyRejected"], json!([]));

    let (status, metrics) = service.get("/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "# TYPE staging_sync_last_tick_accounts_failed gauge",
        "staging_sync_last_tick_total_accounts{operation=\"sync_staging_accounts\"} 3",
        "staging_sync_last_tick_accounts_failed{operation=\"sync_staging_accounts\"} 1",
        "staging_sync_accounts_updated_total{operation=\"sync_staging_accounts\"} 1",
        "staging_sync_ticks_total{operation=\"sync_staging_accounts\",result=\"succeeded\"} 1",
        "staging_sync_ticks_total{operation=\"sync_staging_accounts\",result=\"failed\"} 0",
        "staging_sync_aws_calls_total{operation=\"sync_staging_accounts\",service=\"dynamodb\"} 2",
        "staging_sync_aws_calls_total{operation=\"sync_staging_accounts\",service=\"drs\"} 4",
        "staging_sync_aws_calls_total{operation=\"sync_staging_accounts\",service=\"sts\"} 3",
        "staging_sync_aws_errors_total{operation=\"sync_staging_accounts\",service=\"sts\"} 1",
        "staging_sync_policies_rejected 0",
        "# TYPE staging_sync_last_tick_duration_seconds gauge",
        "# TYPE staging_sync_last_tick_policy_time_seconds gauge",
        &format!(
            "staging_sync_policy_info{{operation=\"sync_staging_accounts\",policy=\"staging-account-sync\",version=\"0.1.0\",digest=\"{digest}\"}} 1"
        ),
        "# EOF",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no line {line} in\n{metrics}");
    }

    assert_eq!(service.get("/nothing").await.0, 404);
    assert_eq!(service.request("POST", "/healthz").await.0, 405);
    assert_eq!(service.request("POST", "/").await.0, 405);
    assert_eq!(service.request("HEAD", "/healthz").await, (200, String::new()));

    service.signal("INT").await;
    service.line("stopped").await;
    assert_eq!(service.exit_code().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_that_fails_is_told_and_the_next_one_is_tried() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let mut service = Service::start(&lab, &["--every", "1s", "--timeout", "1m"], &[]).await;
    service.health_until(|status, health| status == 200 && health["status"] == "ok").await;

    let gone = FaultError { code: "ResourceNotFoundException".into(), ..FaultError::default() };
    lab.edit(|fleet| fleet.faults.push(Fault { error: Some(gone), ..fault("Scan") }));
    let health = service.health_until(|status, _| status == 503).await;
    assert_eq!((&health["status"], &health["lastTickSucceeded"]), (&json!("failing"), &json!(false)), "{health}");
    let error = health["error"].as_str().expect("an error");
    assert!(error.starts_with("TableUnavailable: AWS: ResourceNotFoundException"), "{error}");
    assert_eq!(service.line("tick failed").await["errorType"], "TableUnavailable");
    let (_, metrics) = service.get("/metrics").await;
    assert!(
        !metrics.contains("staging_sync_ticks_total{operation=\"sync_staging_accounts\",result=\"failed\"} 0"),
        "{metrics}"
    );

    lab.edit(|fleet| fleet.faults.clear());
    let health = service.health_until(|status, _| status == 200).await;
    assert_eq!(health["error"], Value::Null, "{health}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credentials_file_that_is_corrected_is_used_by_the_next_tick() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("credentials");
    let put = |id: &str| {
        let env = lab.env();
        let secret = env.iter().find(|(name, _)| *name == "AWS_SECRET_ACCESS_KEY").expect("a secret").1.clone();
        let profile = format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n");
        std::fs::write(&path, profile).expect("a file");
    };
    put("AKIAOFSOMEBODYELSE00");
    let none = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"].map(|name| (name, ""));
    let file = [("AWS_SHARED_CREDENTIALS_FILE", path.to_str().expect("UTF-8"))];
    let variables = [&none[..], &file].concat();
    let service = Service::start(&lab, &["--every", "1s", "--timeout", "1m"], &variables).await;
    let health = service.health_until(|status, _| status == 503).await;
    assert!(health["error"].as_str().is_some_and(|error| error.contains("UnrecognizedClient")), "{health}");
    let env = lab.env();
    put(&env.iter().find(|(name, _)| *name == "AWS_ACCESS_KEY_ID").expect("an id").1);
    service.health_until(|status, _| status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_rejected_is_told_while_the_last_good_one_goes_on() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policy.wasm");
    let put = |bytes: &[u8]| {
        let part = folder.path().join("part");
        std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, &path)).expect("a file");
    };
    let variables = [("POLICY", path.to_str().expect("UTF-8"))];
    let service = Service::start(&lab, &["--every", "1s", "--timeout", "1m"], &variables).await;
    let health = service.health_until(|status, _| status == 503).await;
    assert!(health["error"].as_str().is_some_and(|error| error.starts_with("PolicyUnavailable")), "{health}");
    assert_eq!(health["policy"], Value::Null);

    put(&std::fs::read(policy()).expect("a policy"));
    let health = service.health_until(|status, _| status == 200).await;
    assert_eq!((&health["policy"], &health["policyRejected"]), (&json!("staging-account-sync"), &json!([])));

    put(b"no policy at all");
    let health = service.health_until(|_, health| health["policyRejected"] != json!([])).await;
    assert_eq!((&health["status"], &health["policy"]), (&json!("ok"), &json!("staging-account-sync")), "{health}");
    let why = health["policyRejected"][0].as_str().expect("a text");
    assert!(why.ends_with("policy.wasm: compile: isn't WebAssembly"), "{why}");
    let (_, metrics) = service.get("/metrics").await;
    assert!(metrics.contains("staging_sync_policies_rejected 1\n"), "{metrics}");
    assert!(
        !metrics.contains("staging_sync_policy_rejections_total{operation=\"sync_staging_accounts\"} 0\n"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tick_in_hand_is_finished_before_it_stops() {
    let lab = Lab::start(seed()).await.expect("a lab");
    lab.edit(|fleet| fleet.faults.push(Fault { latency_ms: Some(3_000), ..fault("UpdateItem") }));
    let mut service = Service::start(&lab, &["--every", "1h"], &[]).await;
    lab.wait_for_calls(|calls| calls.iter().any(|call| call.operation == "UpdateItem")).await;
    let (status, health) = service.get("/healthz").await;
    assert_eq!(status, 200);
    assert!(health.contains(r#""status":"starting","lastTickEndedAt":null"#), "{health}");

    service.signal("TERM").await;
    service.line("stopping after the current tick; a second signal stops immediately").await;
    service.line("staging account sync completed").await;
    assert_eq!(service.exit_code().await, Some(0));
    assert_eq!(stored(&lab), "777788889999");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_stops_at_once() {
    let lab = Lab::start(seed()).await.expect("a lab");
    lab.edit(|fleet| fleet.faults.push(Fault { hang: true, ..fault("UpdateItem") }));
    let mut service = Service::start(&lab, &["--every", "1h"], &[]).await;
    lab.wait_for_calls(|calls| calls.iter().any(|call| call.operation == "UpdateItem")).await;
    service.signal("TERM").await;
    service.line("stopping after the current tick; a second signal stops immediately").await;
    service.signal("TERM").await;
    service.line("stopped in the middle of a tick; the next tick processes the remaining accounts").await;
    assert_eq!(service.exit_code().await, Some(1));
    assert_eq!(stored(&lab), "444455556666", "the write hadn't been carried out");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_no_policy_serves_ends_it_at_once() {
    let lab = Lab::start(Fleet::default()).await.expect("a lab");
    let event = r#"{"operation": "sync_staging_acounts"}"#;
    let arguments = ["serve", "--every", "5m", "--listen", "127.0.0.1:0", "--event", event];
    let output = staging_sync(&lab).args(arguments).output().await.expect("the program");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && stderr.contains("sync_staging_accounts"), "{stderr}");
}

#[tokio::test]
async fn a_port_that_is_taken_keeps_it_from_starting() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut command = staging_sync(&lab);
    let ran = command.args(["serve", "--every", "5m"]).env("LISTEN", &address).output().await.expect("the binary");
    let stderr = String::from_utf8(ran.stderr).expect("text");
    assert_eq!(ran.status.code(), Some(2), "{stderr}");
    assert!(stderr.starts_with(&format!("staging-sync: serve: can't listen on \"{address}\": Address already in use")));
    assert!(stderr.ends_with("select another address with --listen or LISTEN\n"), "{stderr}");
    assert!(ran.stdout.is_empty() && lab.calls().is_empty());
}
