//! The command lines of the documentation: understood as they stand, and run against a lab, page by page.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use staging_sync_lab::Lab;
use tokio::time::timeout;

use crate::examples::{fill, shell};
use crate::policy;
use crate::seed::seed;

/// Commands that aren't run here, only understood.
const NOT_RUN: [&str; 11] = [
    "serve ",                  // doesn't end
    "console ",                // the same; tests/console
    "lab --",                  // a process of its own, in lab.rs and first_hour.rs
    "demo ",                   // `make demo`
    "simulate ",               // minutes
    "bench ",                  // minutes
    "policy new ",             // plugin/examples/test.sh
    "policy build ",           // plugin/examples/test.sh
    "undo --tick",             // of a tick of its own, in journal.rs
    "policy verify",           // half a minute
    "policy publish --replay", // of recorded ticks, in replays.rs
];

/// How long a command has that never ends.
const BOUND: Duration = Duration::from_secs(60);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

/// The pages that people read: all but the generated ones, which have tests of their own.
fn pages() -> Vec<PathBuf> {
    let folders = [
        "",
        "cfn",
        "cfn/environments",
        "host",
        "host/cli",
        "host/console",
        "host/decisions",
        "plugin",
        "plugin/examples",
        "wit",
    ];
    let pages = folders.iter().flat_map(|folder| fs::read_dir(root().join(folder)).expect("a folder"));
    let pages = pages.map(|page| page.expect("a file").path());
    let mut pages: Vec<PathBuf> = pages.filter(|page| page.extension().is_some_and(|kind| kind == "md")).collect();
    pages.retain(|page| !page.ends_with("COMMANDS.md")); // its examples are run in examples.rs
    pages.sort();
    pages
}

/// The command lines of a page's blocks, and the commands that its sentences name.
fn commands(page: &str) -> (Vec<String>, Vec<String>) {
    let (mut lines, mut spans, mut in_block) = (Vec::new(), Vec::new(), false);
    for line in page.replace("\\\n", " ").lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            let line = line.strip_prefix("$ ").unwrap_or(line).split("  #").next().unwrap_or_default();
            let line = line.split(" # ").next().unwrap_or_default().trim();
            let command = line.split_once("staging-sync ");
            // Variables may come first; what comes after `&&` isn't the program's.
            if command.is_some_and(|(before, _)| before.is_empty() || before.ends_with(' ') && before.contains('=')) {
                lines.push(line.split(" && ").next().unwrap_or_default().to_owned());
            }
        } else {
            let named = line.split('`').skip(1).step_by(2).filter(|span| span.starts_with("staging-sync "));
            let named = named.filter(|span| *span != "staging-sync help");
            spans.extend(named.map(str::to_owned));
        }
    }
    (lines, spans)
}

/// A command line with the names that people fill in.
fn filled(line: &str) -> String {
    line.replace("s3://BUCKET/policies/", "s3://policies/")
        .replace("s3://<PolicyBucketName>/policies/", "s3://policies/")
        .replace("$MANIFEST", "s3://policies/live/policy.json")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_documentation_is_understood_and_does_not_fail() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let (mut count, mut failed) = ((0, 0), Vec::new());
    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        let (lines, spans) = commands(&text);
        let folder = tempfile::tempdir().expect("a folder");
        // Why a command didn't end as one that is understood and could be done.
        let run = async |line: &str| {
            let journal = folder.path().join("journal");
            let ran = timeout(BOUND, shell(&lab, folder.path(), line).env("JOURNAL", journal).output()).await;
            let Ok(ran) = ran else { return Some(format!("{}: {line}: doesn't end", page.display())) };
            let ran = ran.expect("a shell");
            let stderr = String::from_utf8_lossy(&ran.stderr).into_owned();
            (!matches!(ran.status.code(), Some(0 | 1))).then(|| format!("{}: {line}: {stderr}", page.display()))
        };
        for line in spans.iter().chain(&lines).filter(|line| !line.contains("...") && !line.contains('…')) {
            // Whatever comes before --help is understood first. What comes after these isn't the program's.
            let own = line.split(" > ").next().and_then(|line| line.split(" -- ").next()).unwrap_or_default();
            failed.extend(run(&format!("{} --help", filled(own).replace(['<', '>'], ""))).await);
            count.0 += 1;
        }
        let runs = |line: &&String| !NOT_RUN.iter().any(|command| line.contains(&format!("staging-sync {command}")));
        let lines: Vec<&String> = lines.iter().filter(runs).collect();
        if lines.is_empty() {
            continue;
        }
        fill(folder.path());
        fill(&folder.path().join("my-policy"));
        fill(&folder.path().join("target"));
        fs::create_dir(folder.path().join("target/examples")).expect("a folder");
        let (policy, report) = (policy(), root().join("target/drift-report.wasm"));
        fs::copy(policy, folder.path().join("target/examples/policy-javascript.wasm")).expect("a copy");
        fs::copy(report, folder.path().join("drift-report.wasm")).expect("run `make target/drift-report.wasm` first");
        for policy in ["policy", "another"] {
            failed.extend(
                run(&format!("staging-sync policy publish {policy}.wasm --to s3://policies/live/policy.json")).await,
            );
        }
        for line in lines {
            failed.extend(run(&filled(line)).await);
            count.1 += 1;
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(count.0 > 50 && count.1 > 20, "{count:?}");
}
