//! How much the program says: `-q`, `-v`, `RUST_LOG`, and what is below a tick's table.

use std::fs;

use staging_sync_lab::Lab;

use crate::seed::seed;
use crate::{policy, run};

#[tokio::test(flavor = "multi_thread")]
async fn quiet_and_verbose_and_the_filter_that_outweighs_them() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let tick = async |more: &[&str], variables: &[(&str, &str)]| {
        let (code, _, stderr) = run(&lab, &[&["tick", "--dry-run", "--json"], more].concat(), variables).await;
        assert_eq!(code, Some(0), "{stderr}");
        (stderr.contains("staging account sync completed"), stderr.contains("AWS call"), stderr.is_empty())
    };
    assert_eq!(tick(&[], &[]).await, (false, false, true));
    assert_eq!(tick(&["-v"], &[]).await, (true, false, false));
    assert_eq!(tick(&["-vv"], &[]).await, (true, true, false));
    for more in [&["-v"][..], &["-q"]] {
        assert_eq!(tick(more, &[("RUST_LOG", "off")]).await, (false, false, true));
        assert_eq!(tick(more, &[("RUST_LOG", "staging_sync=info")]).await, (true, false, false));
    }
    // An empty one is none; one that can't be read is said.
    assert_eq!(tick(&["-v"], &[("RUST_LOG", "")]).await, (true, false, false));
    let (_, _, stderr) = run(&lab, &["tick"], &[("RUST_LOG", "staging_sync=loud")]).await;
    assert!(stderr.contains("environment: RUST_LOG is invalid"), "{stderr}");
    let (code, _, stderr) = run(&lab, &["tick", "-q", "-v"], &[]).await;
    assert!(code == Some(2) && stderr.contains("cannot be used with"), "{stderr}");

    // What was done isn't said with -q, and what went wrong is.
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("policy.json").to_str().expect("UTF-8").to_owned();
    let (code, stdout, stderr) =
        run(&lab, &["policy", "publish", policy().to_str().expect("UTF-8"), "--to", &to, "-q"], &[]).await;
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(stdout.contains("\"sha256\""), "{stdout}");
    let (code, _, stderr) = run(&lab, &["-q", "policy", "status", "nowhere.json"], &[]).await;
    assert!(code == Some(2) && stderr.contains("the manifest doesn't exist"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_that_differs_is_below_the_table() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let folder = tempfile::tempdir().expect("a folder");
    let to = folder.path().join("policy.json").to_str().expect("UTF-8").to_owned();
    let policy = policy().to_str().expect("UTF-8").to_owned();
    let settings = folder.path().join("settings.json");
    fs::write(&settings, r#"{"removals": "none"}"#).expect("a file");
    let publish = ["policy", "publish", &policy, "--to", &to];
    let (code, _, stderr) = run(&lab, &publish, &[]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let tick = async |style: &str| run(&lab, &["tick", "--dry-run", style], &[("POLICY", &to)]).await.1;
    assert!(!tick("--table").await.contains("shadow"), "there's none");
    let shadow = [&publish[..], &["--shadow", "--settings", settings.to_str().expect("UTF-8")]].concat();
    let (code, _, stderr) = run(&lab, &shadow, &[]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let table = tick("--table").await;
    let last = table.lines().last().unwrap_or_default();
    assert!(last.starts_with("shadow: staging-account-sync 0.1.0 (sha256 "), "{table}");
    assert!(
        last.contains("different decisions for 1 of ") && last.ends_with(": 111122223333 (-v shows them)"),
        "{table}"
    );
    assert!(!tick("--json").await.contains("shadow"), "the summary is a contract");
    // One that decides the same says so.
    let (code, ..) = run(&lab, &[&publish[..], &["--shadow"]].concat(), &[]).await;
    assert_eq!(code, Some(0));
    let table = tick("--table").await;
    assert!(table.lines().last().is_some_and(|last| last.contains("same decisions as the active policy")), "{table}");
}
