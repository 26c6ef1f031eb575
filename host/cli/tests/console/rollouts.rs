//! A rollout as the console shows it: its steps and its differences, as they are now.

use std::path::PathBuf;

use serde_json::json;
use staging_sync_lab::{Fleet, Lab};

use crate::server::{Console, policy, run, staging_sync};

#[tokio::test(flavor = "multi_thread")]
async fn the_steps_and_differences_of_a_rollout_are_on_the_page_of_policies() {
    let fleet = Fleet::from_json(include_str!("../../../lab/fleets/demo.json")).expect("a fleet");
    let lab = Lab::start(Fleet { faults: Vec::new(), ..fleet }).await.expect("a lab");
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (manifest, settings, component) = (file("policy.json"), file("settings.json"), policy());
    let component = component.to_str().expect("UTF-8");
    std::fs::write(&settings, r#"{"removals": "none"}"#).expect("a file");
    let journal = PathBuf::from(file("journal"));
    run(&lab, &journal, &["policy", "publish", component, "--to", &manifest]).await;
    let rollout = ["--rollout", "10%:3,50%:3", "--abort-on", "failure", "--always", "111122223333"];
    let publish = ["policy", "publish", component, "--to", &manifest, "--settings", &settings];
    run(&lab, &journal, &[&publish[..], &rollout[..]].concat()).await;

    let mut command = staging_sync(&journal);
    command.args(["console", "--listen", "127.0.0.1:0", "--policy", &manifest]);
    let console = Console::of(command).await;
    let before = console.json("/api/v1/policies").await;
    assert_eq!(before["sources"][0]["rollout"]["steps"][0]["cleanTicks"], 0, "{before:#}");

    // The manifest stays as it is, and the rollout goes on.
    let mut tick = staging_sync(&journal);
    let ran = tick.envs(lab.env()).env("POLICY", &manifest).arg("tick").output().await.expect("the program");
    assert!(ran.status.code().is_some_and(|code| code < 2), "{}", String::from_utf8_lossy(&ran.stderr));
    let told = console.json("/api/v1/policies").await;
    let rollout = &told["sources"][0]["rollout"];
    assert_eq!((&rollout["state"], &rollout["step"]), (&json!("running"), &json!(1)), "{told:#}");
    assert_ne!(rollout["steps"][0]["compared"], 0, "{told:#}");
    let page = console.get("/policies").await.body;
    for shown in ["Steps of the rollout", "inconclusive", "updated +777788889999 -444455556666"] {
        assert!(page.contains(shown), "{shown} in {page}");
    }
}
