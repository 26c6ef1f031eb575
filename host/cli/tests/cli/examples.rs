//! The examples of the help, run as they stand: against a lab, in a folder with a policy and cases.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use staging_sync_lab::Lab;
use tokio::process::Command;

use crate::seed::seed;
use crate::{policy, staging_sync};

/// Examples that aren't run here: that they are understood is a test of their own, in `help`.
const NOT_RUN: [&str; 14] = [
    "policy rollout wait ",                 // an hour
    "serve ",                               // doesn't end
    "console --",                           // the same
    "demo --console",                       // the same
    "lab --env-file",                       // doesn't end
    "bench --accounts",                     // minutes
    "bench --short",                        // `make test` runs it
    "simulate --accounts 20000",            // a minute
    "policy verify policy.wasm --settings", // half a minute
    "policy build",                         // needs a toolchain
    "policy encode",                        // needs what a toolchain makes
    "undo --",                              // needs a change, in journal.rs
    "explain --",                           // the same
    "lab -- ",                              // a process of its own, in first_hour.rs
];

/// The commands below one, by its help.
pub async fn commands(path: &[String], found: &mut Vec<Vec<String>>) {
    found.push(path.to_vec());
    let help = help(path).await;
    let section = help.split_once("\nCommands:\n").map(|(_, rest)| rest).unwrap_or_default();
    let section = section.split("\n\n").next().unwrap_or_default();
    let names = section.lines().filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    let names = names.filter_map(|line| line.split_whitespace().next());
    for name in names.filter(|name| *name != "help") {
        Box::pin(commands(&[path, &[name.to_owned()]].concat(), found)).await;
    }
}

pub async fn help(path: &[String]) -> String {
    let ran = staging_sync().args(path).arg("--help").env_remove("POLICY").output().await.expect("the program");
    assert!(ran.status.success(), "{path:?}");
    String::from_utf8(ran.stdout).expect("text")
}

/// The lines of the help's examples, as they are where nothing wraps them.
async fn examples(path: &[String]) -> Vec<String> {
    let page = staging_sync().arg("man").args(path).output().await.expect("the program").stdout;
    let page = String::from_utf8(page).expect("text").replace("\\-", "-").replace("\\*(Aq", "'").replace("\\fR", "");
    let (_, section) = page.split_once(".SH EXAMPLES\n").unwrap_or_else(|| panic!("no examples of {path:?}"));
    section.lines().filter_map(|line| line.strip_prefix("\\fB")).map(str::to_owned).collect()
}

/// What examples name, in a folder.
pub fn fill(folder: &Path) {
    fs::create_dir_all(folder).expect("a folder");
    for name in ["policy.wasm", "old.wasm", "new.wasm"] {
        fs::copy(policy(), folder.join(name)).expect("a copy");
    }
    let mut another = fs::read(policy()).expect("a policy");
    another.extend([0, 3, 1, b'x', b'y']); // a custom section: another digest
    fs::write(folder.join("another.wasm"), another).expect("a file");
    fs::write(folder.join("settings.json"), "{}").expect("a file");
    fs::write(folder.join("verify.json"), r#"{"doesNotApply": {}}"#).expect("a file");
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugin/cases");
    for case in ["seed-scenario", "unchanged"] {
        fs::create_dir_all(folder.join("cases").join(case)).expect("a folder");
        for file in fs::read_dir(cases.join(case)).expect("a case") {
            let file = file.expect("a file");
            fs::copy(file.path(), folder.join("cases").join(case).join(file.file_name())).expect("a copy");
        }
    }
    fs::create_dir_all(folder.join("wit")).expect("a folder");
    for place in [".local/share/bash-completion/completions", ".zfunc", ".config/fish/completions", ".config/elvish"] {
        fs::create_dir_all(folder.join(place)).expect("a folder");
    }
}

/// A shell that runs a line in a folder, with the program, a lab and the default policy.
pub fn shell(lab: &Lab, folder: &Path, line: &str) -> Command {
    let bin = Path::new(env!("CARGO_BIN_EXE_staging-sync")).parent().expect("a folder");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", line]).current_dir(folder).env_clear().envs(lab.env()).stdin(Stdio::null());
    shell.env("HOME", folder).env("PROFILE", folder.join("profile.ps1"));
    shell.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).env("POLICY", policy()).kill_on_drop(true);
    shell
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_the_help_does_what_it_says() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path());
    let run = async |line: &str| {
        let ran = shell(&lab, folder.path(), line).output().await.expect("a shell");
        let stderr = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(matches!(ran.status.code(), Some(0)), "{line}: {:?} {stderr}", ran.status);
    };
    run("JOURNAL=journal staging-sync tick").await; // a tick that is recorded
    let mut all = Vec::new();
    commands(&[], &mut all).await;
    let mut count = 0;
    for path in &all {
        for line in examples(path).await {
            let help = help(path).await.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(
                help.contains(&line.split_whitespace().collect::<Vec<_>>().join(" ")),
                "{line} isn't in the help: {help}"
            );
            if NOT_RUN.iter().any(|command| line.starts_with(&format!("staging-sync {command}"))) {
                continue;
            }
            if ["promote", "withdraw", "rollback"].iter().any(|change| path.iter().any(|name| name == change)) {
                for (policy, more) in [("policy", ""), ("another", ""), ("policy", "--shadow")] {
                    run(&format!(
                        "staging-sync policy publish {policy}.wasm --to s3://policies/live/policy.json {more}"
                    ))
                    .await;
                }
            }
            if path.iter().any(|name| name == "rollout") {
                let publish = "staging-sync policy publish";
                run(&format!("{publish} policy.wasm --to s3://policies/live/policy.json --replace")).await;
                run(&format!("{publish} another.wasm --to s3://policies/live/policy.json --rollout 1%:3")).await;
            }
            if path.last().is_some_and(|name| name == "resume") {
                run("staging-sync policy rollout pause s3://policies/live/policy.json").await;
            }
            run(&line).await;
            count += 1;
        }
    }
    assert!(all.len() > 25 && count > 30, "{count} examples of {} commands", all.len());
    for made in
        [".zfunc/_staging-sync", ".local/share/man/man1/staging-sync-policy-publish.1", "policy.cwasm", "policy.key"]
    {
        assert!(folder.path().join(made).is_file(), "{made}");
    }
}
