//! Publishing through a network that loses answers.

use staging_sync_lab::{Fault, Fleet, Lab};

use crate::{policy, staging_sync};

/// A write that is done, though its answer is lost and a second try finds it in its way.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_manifest_whose_answer_is_lost_is_recognised_as_done() {
    const MANIFEST: &str = "s3://policies/live/policy.json";
    let policy = policy();
    let policy = policy.to_str().expect("UTF-8");
    let steps: [&[&str]; 4] = [
        &["policy", "publish", policy, "--to", MANIFEST],
        &["policy", "publish", policy, "--to", MANIFEST, "--settings", "removals-none.json"],
        &["policy", "rollback", MANIFEST],
        &["policy", "publish", policy, "--to", MANIFEST, "--settings", "removals-none.json", "--shadow"],
    ];
    let lab = Lab::start(Fleet::default()).await.expect("a lab");
    for (number, step) in steps.into_iter().enumerate() {
        lab.edit(|fleet| {
            // The last write of a step is that of the manifest; before it are the component's, where there's one.
            let lost = Fault { operation: Some("PutObject".into()), ..Fault::lose_answer() };
            fleet.faults = vec![Fault { times: Some(1), ..lost.clone() }, Fault { after: 2, times: Some(1), ..lost }];
        });
        let output = staging_sync().args(step).envs(lab.env()).output().await.expect("the program");
        assert_eq!(output.status.code(), Some(0), "step {number}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let manifest = lab.object("live/policy.json").expect("a manifest");
    assert!(String::from_utf8_lossy(&manifest).contains("\"shadow\""));
}

/// `status` and `publish` judge as a host in the same environment does: its settings and its limits.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_judged_with_the_environment_that_a_host_would_have() {
    const MANIFEST: &str = "s3://policies/live/policy.json";
    let policy = policy();
    let policy = policy.to_str().expect("UTF-8");
    let lab = Lab::start(Fleet::default()).await.expect("a lab");
    let run = async |arguments: &[&str], variable: (&str, &str)| {
        let mut command = staging_sync();
        let output = command.args(arguments).envs(lab.env()).env(variable.0, variable.1).output().await;
        let output = output.expect("the program");
        let shown = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&shown).into_owned())
    };
    let bad = [(("POLICY_SETTINGS", r#"{"removals": 5}"#), "settings: "), (("POLICY_MEMORY_MIB", "1"), "memory")];
    for (variable, says) in bad {
        let (code, shown) = run(&["policy", "publish", policy, "--to", MANIFEST], variable).await;
        assert!(code == Some(2) && shown.contains(says), "{variable:?}: {code:?} {shown}");
    }
    let (code, shown) = run(&["policy", "publish", policy, "--to", MANIFEST], ("DRY_RUN", "false")).await;
    assert_eq!(code, Some(0), "{shown}");
    for (variable, says) in bad {
        let (code, shown) = run(&["policy", "status", MANIFEST], variable).await;
        assert!(code == Some(1) && shown.contains("REJECTS") && shown.contains(says), "{variable:?}: {code:?} {shown}");
    }
}
