//! The invariants that don't apply to a policy: `verify.json`, in its component or beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::commands::{staging_sync, stderr, stdout};
use crate::recording::directory;
use crate::values::{project, skips_after};

const DRIFT_REPORT: &str = "target/drift-report.wasm";

fn verify(policy: &str, more: &[&str]) -> Output {
    let out = directory("waived-broken").display().to_string();
    staging_sync(&[&["policy", "verify", policy, "--staging-accounts", "1", "--out", &out], more].concat())
}

fn file(name: &str, text: &str) -> String {
    let path = directory(name);
    fs::write(&path, text).expect("a file");
    path.display().to_string()
}

#[test]
fn the_drift_report_says_what_doesnt_apply_to_it_and_why() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    assert!(root.join(DRIFT_REPORT).exists(), "run `make {DRIFT_REPORT}` first");
    let ran = verify(DRIFT_REPORT, &[]);
    assert_eq!(ran.status.code(), Some(0), "{}{}", stdout(&ran), stderr(&ran));
    let text = stdout(&ran);
    assert_eq!((text.matches("holds ").count(), text.matches("n/a ").count()), (6, 2), "{text}");
    assert!(
        text.contains("n/a      an account isn't called unchanged where something couldn't be read: Nothing is synced"),
        "{text}"
    );
    assert!(text.contains("n/a      the summary counts every account once"), "{text}");

    // What is said on the command line outweighs what the component says.
    let all = file("nothing-waived.json", r#"{"doesNotApply": {}}"#);
    let ran = verify(DRIFT_REPORT, &["--invariants", &all]);
    assert_eq!(ran.status.code(), Some(1), "{}", stdout(&ran));
    assert!(stdout(&ran).contains("BROKEN   an account isn't called unchanged"), "{}", stdout(&ran));

    // The same under faults.
    let cases = "plugin/examples/drift-report/cases";
    let ran = staging_sync(&["test", "--faults", cases, "--policy", DRIFT_REPORT]);
    assert_eq!(ran.status.code(), Some(0), "{}", stdout(&ran));
}

#[test]
fn what_keeps_stored_data_safe_always_applies() {
    let policy = project(&skips_after("", &[]), "waives");
    for (name, text, says) in [
        (
            "removals.json",
            r#"{"doesNotApply": {"removals": "we know better"}}"#,
            "$.doesNotApply.removals: always applies",
        ),
        ("decides.json", r#"{"doesNotApply": {"decides": "it traps"}}"#, "$.doesNotApply.decides: always applies"),
        ("reason.json", r#"{"doesNotApply": {"settled": ""}}"#, "$.doesNotApply.settled: expected the reason"),
        ("shape.json", r#"{"doesNotApply": ["settled"]}"#, "$.doesNotApply: invalid type"),
    ] {
        let path = file(name, text);
        let ran = verify(&policy, &["--invariants", &path]);
        assert_eq!((ran.status.code(), stdout(&ran)), (Some(2), String::new()), "{text}");
        assert!(stderr(&ran).contains(&format!("{path}: {says}")), "{}", stderr(&ran));

        // Nor in a component that says so, however the section came into it.
        let mut component = fs::read(&policy).expect("a policy");
        let section = [&[19_u8][..], b"staging-sync:verify", text.as_bytes()].concat();
        component.extend([0, u8::try_from(section.len()).expect("short")]);
        component.extend(section);
        let with = directory("waives-too.wasm");
        fs::write(&with, component).expect("a file");
        let ran = verify(&with.display().to_string(), &[]);
        assert_eq!((ran.status.code(), stdout(&ran)), (Some(2), String::new()), "{text}");
        assert!(stderr(&ran).contains(says), "{}", stderr(&ran));
    }
}

/// A project whose build copies a policy that is there.
fn built(name: &str, from: &str, verify: &str) -> (PathBuf, Output) {
    let folder = directory(name);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("package.json"), "{}").expect("a file");
    fs::write(folder.join("build.sh"), format!("cp '{from}' \"$1\"\n")).expect("a file");
    fs::write(folder.join("verify.json"), verify).expect("a file");
    let ran = staging_sync(&["policy", "build", &folder.display().to_string()]);
    (folder.join("policy.wasm"), ran)
}

#[test]
fn a_build_puts_the_projects_file_into_the_component() {
    let from = project(&skips_after("", &[]), "to-be-built");
    let (policy, ran) = built("a-project", &from, r#"{"doesNotApply": {"settled": "It goes on, one step a tick"}}"#);
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    let ran = verify(&policy.display().to_string(), &[]);
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    let line = "n/a      a second tick decides nothing new: It goes on, one step a tick\n";
    assert!(stdout(&ran).contains(line), "{}", stdout(&ran));
    let inspected = staging_sync(&["policy", "inspect", &policy.display().to_string()]);
    assert_eq!(inspected.status.code(), Some(0), "a host runs it as before: {}", stderr(&inspected));

    let (_, ran) = built("a-bad-project", &from, r#"{"doesNotApply": {"entries": "no"}}"#);
    assert_eq!(ran.status.code(), Some(2));
    assert!(stderr(&ran).contains("verify.json: $.doesNotApply.entries: always applies"), "{}", stderr(&ran));
}
