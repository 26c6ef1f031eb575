//! The commands, as their users see them: exit code, stdout and stderr.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::recording::directory;

/// Runs a command in the project's directory, with nothing in its environment.
pub fn staging_sync(arguments: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let policy = root.join("target/policy.wasm");
    let mut command = Command::new(env!("CARGO_BIN_EXE_staging-sync"));
    command.current_dir(&root).env_clear().env("POLICY", policy).args(arguments);
    command.output().expect("the command runs")
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugin/cases").join(name)
}

/// A copy of a case that expects another summary.
fn differing(name: &str) -> String {
    let dir = directory(name);
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::copy(case("unchanged").join("tape.json"), dir.join("tape.json")).expect("a copy");
    std::fs::write(dir.join("summary.json"), "{}\n").expect("a file");
    dir.display().to_string()
}

#[test]
fn replay_prints_the_summary_and_needs_no_environment() {
    let output = staging_sync(&["replay", "plugin/cases/seed-scenario"]);
    let summary = std::fs::read_to_string(case("seed-scenario").join("summary.json")).expect("a summary");
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    assert_eq!((output.status.code(), value(&stdout(&output))), (Some(0), value(&summary)), "{}", stderr(&output));
    assert_eq!(stdout(&output), stdout(&staging_sync(&["replay", "plugin/cases/seed-scenario"])));
}

#[test]
fn test_says_by_its_exit_code_what_the_cases_came_to() {
    let same = staging_sync(&["test", "item-no-*", "unchanged"]);
    assert_eq!(same.status.code(), Some(0), "{}", stdout(&same));
    assert!(stdout(&same).ends_with("4 cases: 0 differ, 0 couldn't be checked, 0 blessed\n"), "{}", stdout(&same));

    let (dir, report) = (differing("differing"), directory("junit.xml").display().to_string());
    let other = staging_sync(&["test", &dir, "--junit", &report]);
    assert_eq!(other.status.code(), Some(1), "{}", stdout(&other));
    assert!(stdout(&other).contains("--- summary.json (expected)"), "{}", stdout(&other));
    let report = std::fs::read_to_string(report).expect("a report");
    assert!(report.contains("failures=\"1\" errors=\"0\"") && report.contains("+++ summary.json (found)"), "{report}");

    let broken = directory("broken");
    std::fs::create_dir_all(&broken).expect("a directory");
    std::fs::write(broken.join("tape.json"), "{\"version\": 1").expect("a file");
    let unknown = staging_sync(&["test", &broken.display().to_string()]);
    assert_eq!(unknown.status.code(), Some(2), "{}", stdout(&unknown));
    assert!(stdout(&unknown).contains("tape.json: ends too early"), "{}", stdout(&unknown));
    assert_eq!(staging_sync(&["test", "no-such-case"]).status.code(), Some(2));
}

#[test]
fn compare_finds_a_policy_equal_to_itself() {
    let output = staging_sync(&["compare", "target/policy.wasm", "target/policy.wasm", "--format", "markdown"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("0 accounts decided differently"), "{}", stdout(&output));
}
