//! The sessions: each file is what somebody types in front of a lab, and what it prints.
//!
//! A line `$ VARIABLE=value staging-sync ...` is a command; `VARIABLE=` unsets one. What follows is its stdout,
//! then its stderr after `! `, then its exit code and the AWS calls that it made. Before the first command a `#`
//! begins a comment, and `fleet: demo` takes the demo's fleet instead of the summary's example.
//! `BLESS=1 cargo test --test cli` writes what the commands printed into the files, for you to read.
//!
//! What differs from run to run has a name instead: `TIME`, `PORT` (in commands the lab's), `POLICY.wasm` (the
//! default one), `BIN` (where the binary is), `COMMIT` (that it was built from), and `TICK` (what the journal knows a tick
//! by).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use futures_util::future::join_all;
use staging_sync_lab::{Fleet, Lab};

use crate::seed::seed;
use crate::{policy, staging_sync};

#[tokio::test(flavor = "multi_thread")]
async fn sessions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/cases");
    let mut differing = Vec::new();
    let mut files: Vec<_> =
        fs::read_dir(&folder).expect("the cases").map(|file| file.expect("a file").path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let replayed = files.into_iter().map(|file| async move {
        let expected = fs::read_to_string(&file).expect("text");
        let found = replay(&expected).await;
        (file, expected, found)
    });
    for (file, expected, found) in join_all(replayed).await {
        if found == expected {
            continue;
        }
        if std::env::var_os("BLESS").is_some() {
            fs::write(&file, found).expect("a file");
        } else {
            let diff = similar::TextDiff::from_lines(&expected, &found);
            differing.push(format!("{}\n{}", file.display(), diff.unified_diff().header("expected", "found")));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// The session with what its commands print now.
async fn replay(session: &str) -> String {
    let head: Vec<&str> = session.lines().take_while(|line| !line.starts_with("$ ")).collect();
    let fleet = if head.contains(&"fleet: demo") { Fleet::demo().expect("a fleet") } else { seed() };
    let lab = Lab::start(fleet).await.expect("a lab");
    let mut text = head.join("\n") + "\n";
    for command in session.lines().filter(|line| line.starts_with("$ ")) {
        text.push_str(command);
        text.push('\n');
        text.push_str(&run(&lab, &command[2..]).await);
    }
    lab.shutdown().await;
    text.trim_end().to_owned() + "\n"
}

async fn run(lab: &Lab, line: &str) -> String {
    lab.clear_calls();
    let port = lab.url().rsplit(':').next().unwrap_or_default().to_owned();
    let mut command = staging_sync();
    command.envs(lab.env());
    let mut words =
        words(&line.replace("PORT", &port).replace("POLICY.wasm", &policy().display().to_string())).into_iter();
    for word in words.by_ref() {
        match word.split_once('=') {
            Some((name, "")) => command.env_remove(name),
            Some((name, value)) => command.env(name, value),
            None => {
                assert_eq!(word, "staging-sync", "{line}");
                break;
            }
        };
    }
    let ran = command.args(words).output().await.expect("the staging-sync binary");
    let [stdout, stderr] = [ran.stdout, ran.stderr].map(|text| named(&String::from_utf8(text).expect("text")));
    let stderr: String = stderr.lines().map(|line| format!("! {line}\n")).collect();
    let mut counts = BTreeMap::<String, usize>::new();
    for call in lab.calls() {
        *counts.entry(call.operation).or_default() += 1;
    }
    let calls: Vec<String> = counts.iter().map(|(operation, count)| format!("{count} {operation}")).collect();
    let calls = if calls.is_empty() { "no AWS call".into() } else { calls.join(", ") };
    let code = ran.status.code().map_or("none".into(), |code| code.to_string());
    // Tables end in blanks, editors take them away.
    let stdout: String = stdout.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    format!("{stdout}{stderr}=> exit {code}, {calls}\n\n")
}

/// The words of a line; those in single quotes are kept whole.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match (c, words.last_mut()) {
            ('\'', _) => quoted = !quoted,
            (' ', _) if !quoted => words.push(String::new()),
            (c, Some(word)) => word.push(c),
            (_, None) => {}
        }
    }
    words
}

/// The text with names for what differs from run to run.
fn named(text: &str) -> String {
    let bin = Path::new(env!("CARGO_BIN_EXE_staging-sync")).parent().expect("a folder");
    let digest = staging_sync_runtime::policy::sha256(&std::fs::read(policy()).expect("run `make policy` first"));
    let text = text.replace(&policy().display().to_string(), "POLICY.wasm").replace(&bin.display().to_string(), "BIN");
    let text = without_tick_ids(&without_times(&text)).replace(&digest, "DIGEST").replace(&digest[..12], "DIGEST");
    let mut parts = text.split("127.0.0.1:");
    let mut named = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        named.push_str("127.0.0.1:PORT");
        named.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    let mut text = String::new();
    let mut rest = named.as_str();
    while let Some(c) = rest.chars().next() {
        let time = rest.get(..TIME.len()).filter(|found| is_time(found));
        text.push_str(if time.is_some() { "TIME" } else { &rest[..c.len_utf8()] });
        rest = &rest[time.map_or(c.len_utf8(), str::len)..];
    }
    without_commit(text)
}

/// The text with `COMMIT` for the one that the binary was built from.
fn without_commit(text: String) -> String {
    let found = text.split_once("(commit ").and_then(|(_, rest)| rest.split_once(','));
    let commit = found.map(|(commit, _)| format!("(commit {commit},"));
    commit.map_or(text.clone(), |commit| text.replace(&commit, "(commit COMMIT,"))
}

/// A time as ticks write it. Those in fleets have fractions of a second, and stay.
const TIME: &str = "0000-00-00T00:00:00Z";

fn is_time(text: &str) -> bool {
    let fits = |(found, expected): (u8, u8)| if expected == b'0' { found.is_ascii_digit() } else { found == expected };
    text.len() == TIME.len() && text.bytes().zip(TIME.bytes()).all(fits)
}

/// The text with `TICK` for what the journal knows ticks by, like 20260202T224500000Z-8f5d2a0c91be.
fn without_tick_ids(text: &str) -> String {
    const ID: &str = "00000000T000000000Z-xxxxxxxxxxxx";
    let fits = |(found, expected): (u8, u8)| match expected {
        b'0' => found.is_ascii_digit(),
        b'x' => found.is_ascii_hexdigit(),
        other => found == other,
    };
    let (mut named, mut rest) = (String::new(), text);
    while let Some(c) = rest.chars().next() {
        let is_id = rest.len() >= ID.len() && rest.bytes().zip(ID.bytes()).all(fits);
        named.push_str(if is_id { "TICK" } else { &rest[..c.len_utf8()] });
        rest = &rest[if is_id { ID.len() } else { c.len_utf8() }..];
    }
    named
}

/// The text with `MS` for how long accounts took.
fn without_times(text: &str) -> String {
    let mut parts = text.split("durationMs=");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + "durationMs=MS" + part.trim_start_matches(|digit: char| digit.is_ascii_digit())
    })
}
