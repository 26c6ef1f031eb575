//! Several policies in one host: the event's operation picks the one that serves it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use staging_sync_lab::Lab;
use staging_sync_runtime::{ErrorKind, Event, Service, Tick};

use crate::guest::Guest;
use crate::support::{self, patience, stored_ids, targets};
use crate::{folder, version};

fn drift_report() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/drift-report.wasm");
    assert!(path.exists(), "{}: run `make target/drift-report.wasm` first", path.display());
    path
}

fn service(lab: &Lab, policies: &[&Path]) -> Service {
    let list: Vec<&str> = policies.iter().map(|path| path.to_str().expect("UTF-8")).collect();
    let (config, live) = support::config_and_live(lab, &[("POLICY", &list.join(","))], patience()).expect("settings");
    Service::with(config, Arc::new(live), None).expect("a service")
}

async fn tick(service: &Service, operation: &str) -> Result<Value, staging_sync_runtime::Error> {
    service.tick(Tick::of(Event::of(operation)), |_, _| ()).await.map(|report| report.summary)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operation_picks_the_policy() {
    let lab = Lab::start(targets([(vec!["333333333333".into()], vec!["444444444444".into()])])).await.expect("a lab");
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/policy.wasm");
    let service = service(&lab, &[&default, &drift_report()]);
    let report = tick(&service, "staging_drift_report").await.expect("a report");
    assert_eq!(report["accountsDrifted"], 1);
    assert_eq!(report["details"][0]["wouldAdd"]["444444444444"], "named by us-east-1");
    assert_eq!(stored_ids(&lab), [["333333333333"]], "a report changes nothing");
    let summary = tick(&service, "sync_staging_accounts").await.expect("a summary");
    assert_eq!(summary["accountsUpdated"], 1);
    assert_eq!(tick(&service, "staging_drift_report").await.expect("a report")["accountsInSync"], 1);
    let error = tick(&service, "another").await.expect_err("nobody serves it");
    assert_eq!(error.kind, ErrorKind::UnknownOperation);
    assert!(error.message.ends_with("this host serves sync_staging_accounts, staging_drift_report"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_serve_the_same_are_refused_and_the_first_goes_on() {
    let lab = Lab::start(targets([(vec![], vec![])])).await.expect("a lab");
    let folder = folder();
    let path = |name: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, version(if name == "one" { "1.0.0" } else { "2.0.0" }).component()).expect("a component");
        path
    };
    let service = service(&lab, &[&path("one"), &path("other")]);
    let refused = service.prepare().await.expect_err("a refusal");
    assert!(refused.message.contains("serves sync_staging_accounts, which hostile 1.0.0"), "{refused}");
    assert!(tick(&service, "sync_staging_accounts").await.is_ok());
}

/// The packaged policy stands in only for what no source serves, wherever in the list the broken one is.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_policy_that_is_listed_first_does_not_take_over_what_another_serves() {
    let lab = Lab::start(targets([(vec![], vec![])])).await.expect("a lab");
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let write = |name: &str, bytes: &[u8]| std::fs::write(path(name), bytes).expect("a file");
    let report = Guest { operation: Some("a_report"), ..version("3.0.0") };
    write("packaged.wasm", &version("9.0.0").component());
    write("report.wasm", b"half a component");
    write("sync.wasm", &version("1.0.0").component());
    let list = format!("{},{}", path("report.wasm").display(), path("sync.wasm").display());
    let (config, live) = support::config_and_live(&lab, &[("POLICY", &list)], patience()).expect("settings");
    let service = Service::with_packaged(config, Arc::new(live), None, &path("packaged.wasm")).expect("a service");
    let serves = async |operation: &str| {
        service.release(operation).await.map(|release| release.policy().info().version.clone()).unwrap_or_default()
    };
    assert_eq!(serves("sync_staging_accounts").await, "1.0.0");

    // It's mended, and serves what it's for.
    write("report.wasm", &report.component());
    assert_eq!((serves("sync_staging_accounts").await.as_str(), serves("a_report").await.as_str()), ("1.0.0", "3.0.0"));
}

/// What stands in gives way as soon as a source serves the operation itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_packaged_policy_gives_way_to_a_source_that_comes_later() {
    let lab = Lab::start(targets([(vec![], vec![])])).await.expect("a lab");
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let write = |name: &str, bytes: &[u8]| std::fs::write(path(name), bytes).expect("a file");
    write("packaged.wasm", &version("9.0.0").component());
    for name in ["report.wasm", "sync.wasm"] {
        write(name, b"half a component");
    }
    let list = format!("{},{}", path("report.wasm").display(), path("sync.wasm").display());
    let (config, live) = support::config_and_live(&lab, &[("POLICY", &list)], patience()).expect("settings");
    let service = Service::with_packaged(config, Arc::new(live), None, &path("packaged.wasm")).expect("a service");
    let sync = async || {
        let release = service.release("sync_staging_accounts").await.expect("a release");
        release.policy().info().version.clone()
    };
    assert_eq!(sync().await, "9.0.0", "nobody else serves it");
    write("sync.wasm", &version("1.0.0").component());
    assert_eq!(sync().await, "1.0.0");
}

/// A refusal that depends on another source is judged again when that one changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_was_refused_for_anothers_operation_is_taken_when_the_other_changes() {
    let lab = Lab::start(targets([(vec![], vec![])])).await.expect("a lab");
    let folder = folder();
    let write = |name: &str, guest: Guest| {
        std::fs::write(folder.path().join(name), guest.component()).expect("a component");
        folder.path().join(name)
    };
    let (one, other) = (write("one", version("1.0.0")), write("other", version("2.0.0")));
    let service = service(&lab, &[&one, &other]);
    service.prepare().await.expect_err("a refusal");
    write("one", Guest { operation: Some("a_report"), ..version("3.0.0") });
    let release =
        async |operation: &str| service.release(operation).await.expect("a release").policy().info().version.clone();
    assert_eq!(release("a_report").await, "3.0.0");
    assert_eq!(release("sync_staging_accounts").await, "2.0.0");
}
