//! The architecture, held by a test: which crate may use which, and in which direction modules of the runtime use each
//! other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The crates of `host/`, and which of them each may use; what tests use is another matter.
const CRATES: [(&str, &[&str]); 6] = [
    ("staging-sync", &["staging-sync-console", "staging-sync-lab", "staging-sync-runtime", "staging-sync-workbench"]),
    ("staging-sync-console", &["staging-sync-runtime", "staging-sync-workbench"]),
    ("staging-sync-lab", &[]),
    ("staging-sync-lambda", &["staging-sync-runtime"]),
    ("staging-sync-runtime", &[]),
    ("staging-sync-workbench", &["staging-sync-runtime"]),
];

/// The modules of the runtime: each may use those that come after it, never those before it.
const MODULES: [&str; 28] = [
    "service",
    "fanout",
    "activation",
    "case",
    "tick",
    "rollout",
    "plan",
    "event",
    "config",
    "policy",
    "capability",
    "removals",
    "journal",
    "tape",
    "store",
    "change",
    "target",
    "outcome",
    "aws",
    "summary",
    "metrics",
    "log",
    "digest",
    "bindings",
    "error",
    "account",
    "text",
    "threads",
];

/// What `lib.rs` exports of a module under a name of its own.
const EXPORTS: [(&str, &str); 7] = [
    ("Config", "config"),
    ("Error", "error"),
    ("ErrorKind", "error"),
    ("Event", "event"),
    ("Runtime", "tick"),
    ("Service", "service"),
    ("Tick", "tick"),
];

fn cargo(arguments: &[&str]) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    let ran = cargo.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("text")
}

#[test]
fn crates_use_only_those_that_they_may() {
    let metadata = cargo(&["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&metadata).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    for (name, may) in CRATES {
        let package = packages.iter().find(|package| package["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(package["features"], serde_json::json!({}), "{name}");
        let normal = package["dependencies"].as_array().expect("dependencies").iter();
        let own = normal.filter(|dependency| dependency["kind"].is_null() && dependency["path"].is_string());
        let own: BTreeSet<&str> = own.filter_map(|dependency| dependency["name"].as_str()).collect();
        assert_eq!(own, may.iter().copied().collect(), "{name}");
    }
    let in_host =
        packages.iter().filter(|package| package["manifest_path"].as_str().is_some_and(|path| path.contains("/host/")));
    assert_eq!(in_host.count(), CRATES.len());
}

/// The function has in it what a function needs.
#[test]
fn the_lambda_depends_on_nothing_of_the_command_line() {
    let tree =
        cargo(&["tree", "--offline", "--package", "staging-sync-lambda", "--edges", "normal", "--prefix", "none"]);
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains("wasmtime") && names.contains("aws-sdk-drs"), "{names:?}");
    for other in ["clap", "comfy-table", "minisign", "maud", "plotters", "staging-sync-lab", "staging-sync-workbench"] {
        assert!(!names.contains(other), "{other}");
    }
}

/// The modules that each module's files name, tests left out.
fn uses(source: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut folders = vec![source.to_owned()];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    for file in files.iter().filter(|file| !file.ends_with("tests.rs") && !file.ends_with("lib.rs")) {
        let module = file.strip_prefix(source).expect("below it").iter().next().expect("a name").to_string_lossy();
        let module = module.trim_end_matches(".rs").to_owned();
        let text = fs::read_to_string(file).expect("text");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default().lines();
        let code: String = code.filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        assert!(!code.contains("use crate::{"), "{}: one module in a line, for this test", file.display());
        for (place, _) in code.match_indices("crate::") {
            let rest = &code[place + "crate::".len()..];
            let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            let name = EXPORTS.iter().find(|(export, _)| *export == name).map_or(name, |(_, module)| module);
            uses.entry(module.clone()).or_default().insert(name.to_owned());
        }
    }
    uses
}

#[test]
fn modules_use_only_those_that_come_after_them() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let library = fs::read_to_string(source.join("lib.rs")).expect("lib.rs");
    let declared = library.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    assert_eq!(declared.collect::<BTreeSet<_>>(), MODULES.into_iter().collect());
    let place = |name: &str| MODULES.iter().position(|module| *module == name);
    let mut wrong = Vec::new();
    let uses = uses(&source);
    assert!(uses.len() > 15, "{uses:?}");
    for (module, used) in &uses {
        for other in used.iter().filter(|other| *other != module) {
            let Some(there) = place(other) else { continue }; // a function or a macro of the crate's root
            if place(module).is_none_or(|here| here >= there) {
                wrong.push(format!("{module} uses {other}, which comes before it"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// Folders whose files use each other in one direction, and how a file names its neighbours there.
const FOLDERS: [(&str, &str); 13] = [
    ("cli/src", "crate::"),
    ("cli/src/chart", "super::"),
    ("cli/src/policy", "super::"),
    ("console/src", "crate::"),
    ("console/src/pages", "super::"),
    ("lab/src", "crate::"),
    ("runtime/src/aws", "super::"),
    ("runtime/src/fanout", "super::"),
    ("runtime/src/journal", "super::"),
    ("runtime/src/policy", "super::"),
    ("runtime/src/tape", "super::"),
    ("runtime/src/tick", "super::"),
    ("workbench/src", "crate::"),
];

/// The neighbours that each file of a folder names, or each folder in it; tests left out.
fn neighbours(folder: &Path, prefix: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut files: Vec<(String, PathBuf)> = Vec::new();
    let mut left = vec![(None, folder.to_owned())];
    while let Some((module, folder)) = left.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let module: Option<String> = module.clone().or_else(|| Some(stem.clone()));
            match path.is_dir() {
                true => left.push((module, path)),
                false if stem != "tests" => files.extend(module.map(|module| (module, path))),
                false => {}
            }
        }
    }
    let names: BTreeSet<String> = files.iter().map(|(module, _)| module.clone()).collect();
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, file) in files.iter().filter(|(module, _)| !["mod", "lib", "main"].contains(&module.as_str())) {
        let text = fs::read_to_string(file).expect("text");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default().lines();
        let code: String = code.filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        let used = uses.entry(module.clone()).or_default();
        for (place, _) in code.match_indices(prefix) {
            let rest = &code[place + prefix.len()..];
            let list = rest.strip_prefix('{').map(|rest| rest.split(';').next().unwrap_or_default());
            let words = list.unwrap_or(rest).split(|c: char| !c.is_alphanumeric() && c != '_');
            let words = words.take(if list.is_some() { usize::MAX } else { 1 });
            used.extend(words.filter(|word| names.contains(*word) && *word != module).map(str::to_owned));
        }
    }
    uses
}

#[test]
fn files_of_a_folder_use_each_other_in_one_direction() {
    for (folder, prefix) in FOLDERS {
        let mut uses = neighbours(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder), prefix);
        assert!(!uses.is_empty(), "{folder}");
        // Whoever uses nobody any more is in no circle.
        while let Some(free) = uses.iter().find(|(_, used)| used.is_empty()).map(|(module, _)| module.clone()) {
            uses.remove(&free);
            for used in uses.values_mut() {
                used.remove(&free);
            }
        }
        assert!(uses.is_empty(), "in {folder} these use each other in a circle, or who does: {uses:?}");
    }
}
