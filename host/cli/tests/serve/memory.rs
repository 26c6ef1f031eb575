//! What a process takes, as the system sees it.

use serde_json::json;
use staging_sync_lab::Lab;

use crate::guest::Guest;
use crate::seed::seed;
use crate::service::Service;

/// Touches 40 MiB for an account.
const GREEDY: &str = "(memory.fill (i32.mul (memory.grow (i32.const 640)) (i32.const 65536)) (i32.const 7)
    (i32.const 41943040))";

#[tokio::test(flavor = "multi_thread")]
async fn greedy_policies_stay_within_the_memory_of_the_process() {
    let mut fleet = seed();
    for number in 0..80 {
        let id = format!("{:012}", 300_000_000_000_u64 + number);
        let role = format!("arn:aws:iam::{id}:role/DRSOrchestrationRole");
        fleet.targets.extend(json!({"accountId": id, "roleArn": role}).as_object().cloned());
    }
    let lab = Lab::start(fleet).await.expect("a lab");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policy.wasm");
    let greedy = Guest { sync: GREEDY.into(), everywhere: true, ..Guest::default() };
    std::fs::write(&path, greedy.component()).expect("a policy");
    let variables = [("POLICY", path.to_str().expect("UTF-8")), ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")];
    let mut service = Service::start(&lab, &["--every", "1h"], &variables).await;
    service.line("staging account sync completed").await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.pid())).expect("a process");
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse().ok());
    let peak: u64 = peak.expect("a peak");
    assert!((40_000..512_000).contains(&peak), "{peak} kB");
}
