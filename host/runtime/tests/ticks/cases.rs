//! The cases: each file is a fleet, what goes wrong in it, and what every tick must come to.
//!
//! `fleet` is a JSON merge patch (RFC 7396) of `base.json`. A tick's expectation is its `summary` or `error`, how
//! often each operation was `called`, and the items that it `changed`. `BLESS=1 cargo test --test ticks` writes
//! what the ticks came to into the files, for you to read, and into the table of faults in `host/README.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use staging_sync_lab::{Fleet, Lab};
use staging_sync_runtime::aws::sdk_api::Patience;
use staging_sync_runtime::policy::Policy;
use staging_sync_runtime::{Event, Tick};

use crate::support::{patience, policy, runtime};

/// What the ticks of the cases take for now: 2026-02-02T22:45:00Z.
const NOW: u64 = 1_770_072_300;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Case {
    /// One line, for people.
    about: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    env: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    read_timeout_ms: Option<u64>,
    #[serde(default = "empty", skip_serializing_if = "is_empty")]
    fleet: Value,
    ticks: Vec<Expected>,
}

fn empty() -> Value {
    json!({})
}

fn is_empty(value: &Value) -> bool {
    *value == empty()
}

/// What a tick must come to.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    summary: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Calls as they arrived, each try of a retried one.
    #[serde(default)]
    called: BTreeMap<String, usize>,
    /// Items as they are after the tick, in plain JSON; `null` for one that's gone.
    #[serde(default)]
    changed: BTreeMap<String, Value>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ticks")
}

/// The files of the cases, in order.
pub fn paths() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder().join("cases")).expect("cases").map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    paths
}

/// What is different from a case's file with another policy, if anything is.
pub async fn differences_with(policy: Policy, path: PathBuf) -> Option<String> {
    run_file(policy, path, false).await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_comes_out_as_its_file_says() {
    let (bless, policy) = (std::env::var_os("BLESS").is_some(), policy().await);
    let tasks: Vec<_> = paths().into_iter().map(|path| tokio::spawn(run_file(policy.clone(), path, bless))).collect();
    let (mut differing, mut rows) = (Vec::new(), Vec::new());
    for task in tasks {
        let (row, difference) = task.await.expect("no panic");
        rows.push(row);
        differing.extend(difference);
    }
    assert!(differing.is_empty(), "{}\n{} cases differ", differing.join("\n"), differing.len());
    readme_has(&rows.concat(), bless);
}

/// Runs a case; its row in the table of faults, and what is different from the file, if anything is.
async fn run_file(policy: Policy, path: PathBuf, bless: bool) -> (String, Option<String>) {
    let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
    let text = fs::read_to_string(&path).expect("a readable file");
    let mut case: Case = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    case.ticks = run(&name, &case, policy).await;
    let row = row(&case);
    let found = serde_json::to_string_pretty(&case).expect("JSON") + "\n";
    if bless {
        fs::write(&path, &found).expect("a writable file");
    }
    let difference = (!bless && found != text).then(|| {
        let diff = similar::TextDiff::from_lines(&text, &found);
        format!("{name}: {}\n{}", case.about, diff.unified_diff().header("expected", "found"))
    });
    (row, difference)
}

async fn run(name: &str, case: &Case, policy: Policy) -> Vec<Expected> {
    let base = fs::read_to_string(folder().join("base.json")).expect("the base fleet");
    let mut fleet: Value = serde_json::from_str(&base).expect("JSON");
    json_patch::merge(&mut fleet, &case.fleet);
    let fleet = Fleet::from_json(&fleet.to_string()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let lab = Lab::start(fleet).await.expect("a lab");
    let read = case.read_timeout_ms.map_or(patience().read, Duration::from_millis);
    let variables: Vec<_> = case.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let runtime = runtime(&lab, &variables, policy, Patience { read, ..patience() }).await.expect("a runtime");
    let event = case.event.clone().unwrap_or_else(|| json!({"operation": "sync_staging_accounts"}));
    let event = Event::parse(&event).expect("an event");

    let mut found = Vec::new();
    for turn in 0..case.ticks.len() {
        let before = items(&lab);
        lab.clear_calls();
        let tick = Tick {
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(NOW + 300 * turn as u64),
            deadline: case.deadline_seconds.map(|seconds| tokio::time::Instant::now() + Duration::from_secs(seconds)),
            ..Tick::of(event.clone())
        };
        let (summary, error) = match runtime.tick(tick, |_, _| ()).await {
            Ok(report) => (Some(report.summary), None),
            Err(error) => (None, Some(format!("{}: {}", error.kind.error_type(), error.message))),
        };
        let mut called = BTreeMap::new();
        for call in lab.calls() {
            *called.entry(format!("{}:{}", call.service, call.operation)).or_default() += 1;
        }
        let after = items(&lab);
        let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        let changed = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
        let changed = changed.map(|key| (key.clone(), after.get(key).cloned().unwrap_or_default())).collect();
        found.push(Expected { summary, error, called, changed });
    }
    found
}

fn items(lab: &Lab) -> BTreeMap<String, Value> {
    let items = lab.plain_items().expect("items");
    items.into_iter().map(|item| (item["accountId"].as_str().expect("a key").to_owned(), item)).collect()
}

/// What a case shows, as a row of a table: what happens, and what becomes of the account that it happens to (the
/// one that failed, or the first), tick by tick.
fn row(case: &Case) -> String {
    let outcomes: Vec<String> = case.ticks.iter().map(outcome).collect();
    format!("| {} | {} |\n", case.about, outcomes.join("; next tick: "))
}

fn outcome(tick: &Expected) -> String {
    if let Some(error) = &tick.error {
        return format!("the tick fails: `{error}`");
    }
    let details = tick.summary.as_ref().and_then(|summary| summary["details"].as_array()).expect("details");
    let failed = details.iter().find(|detail| detail["status"] == "failed");
    let Some(detail) = failed.or(details.first()) else { return "not read (`accountsNotRead`)".into() };
    let status = detail["status"].as_str().unwrap_or("?");
    let ids = |name: &str, words: &str| {
        let count = detail[name].as_array().map_or(0, Vec::len);
        (count > 0).then(|| format!("{count} {words}"))
    };
    let code = |region: &Value| format!("{} in {}", text(&region["code"]), text(&region["region"]));
    let regions: Vec<String> = detail["incompleteRegions"].as_array().into_iter().flatten().map(code).collect();
    let parts = [
        ids("added", "added"),
        ids("removed", "removed"),
        ids("heldRemovals", "held"),
        (!regions.is_empty() && detail["error"].is_null()).then(|| regions.join(", ")),
        detail["reason"].as_str().map(str::to_owned),
        detail["error"].as_str().map(|error| format!("`{error}`")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { format!("**{status}**") } else { format!("**{status}**: {}", parts.join(", ")) }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The table of faults in `host/README.md` is what the cases show.
fn readme_has(rows: &str, bless: bool) {
    const BEGIN: &str = "<!-- faults: written by `BLESS=1 cargo test --test ticks` -->\n";
    const END: &str = "<!-- /faults -->\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(&path).expect("the README");
    let (before, rest) = readme.split_once(BEGIN).expect("the table of faults in `host/README.md` begins");
    let (table, after) = rest.split_once(END).expect("the table of faults in `host/README.md` ends");
    let expected = format!("| What happens | What becomes of the account |\n|---|---|\n{rows}");
    if bless {
        fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).expect("a writable README");
    } else {
        assert_eq!(table, expected, "the table of faults in `host/README.md`");
    }
}
