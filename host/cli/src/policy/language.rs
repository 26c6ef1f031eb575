//! The languages that a policy can be written in, and the initial files of a project in each.
//!
//! They are the default policy's own files, so nothing is written twice, and what is tested here is what a
//! new project gets.

use std::path::Path;

use clap::ValueEnum;

/// A language with a component toolchain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    Rust,
    #[value(alias = "js")]
    Javascript,
    Python,
}

/// A file's place in a project, and its text.
pub type File = (&'static str, &'static str);

/// Files of a folder of this repository, by their paths in it.
macro_rules! files {
    ($folder:literal: $($path:literal)*) => {
        &[$(($path, include_str!(concat!("../../../../plugin/", $folder, $path)))),*]
    };
}

const RUST: &[File] = files!["": "Cargo.toml" "wit/policy.wit"
    "src/lib.rs" "src/decide.rs" "src/decide/tests.rs" "src/diff.rs" "src/fixture.rs" "src/settings.rs"
    "src/settings/tests.rs" "src/settings.schema.json" "src/skip.rs" "src/summary.rs"];

const JAVASCRIPT: &[File] = files!["examples/javascript/": "package.json" "package-lock.json" "build.sh"
    "jsconfig.json" "types/policy.d.ts" "wit/policy.wit" "src/decide.js" "src/diff.js" "src/json.js" "src/policy.js" "src/settings.js"
    "src/settings.schema.json" "src/skip.js" "src/summary.js" "test/decide.test.js" "test/diff.test.js"
    "test/fixture.js" "test/settings.test.js" "test/summary.test.js"];

const PYTHON: &[File] = files!["examples/python/": "requirements.txt" "requirements-dev.txt"
    "pyproject.toml" "build.sh" "wit/policy.wit" "src/decide.py" "src/diff.py" "src/jsontext.py" "src/policy.py" "src/settings.py"
    "src/settings.schema.json" "src/skip.py" "src/summary.py" "test/fixture.py" "test/test_decide.py"
    "test/test_diff.py" "test/test_settings.py" "test/test_summary.py"];

/// Cases that a project of any language begins with.
const CASES: &[File] = files!["":
    "cases/seed-scenario/event.json" "cases/seed-scenario/tape.json" "cases/seed-scenario/summary.json"
    "cases/unchanged/event.json" "cases/unchanged/tape.json" "cases/unchanged/summary.json"
    "cases/drs-throttled-something-found/event.json" "cases/drs-throttled-something-found/tape.json"
    "cases/drs-throttled-something-found/summary.json"];

/// This workspace's manifest, which names the versions that the Rust policy inherits.
const WORKSPACE: &str = include_str!("../../../../Cargo.toml");

/// A policy is small rather than fast, and has no host to give a panic to.
const PROFILE: &str = "
[profile.release]
opt-level = \"s\"
lto = \"fat\"
codegen-units = 1
panic = \"abort\"
strip = true

# A project of its own, wherever its folder is.
[workspace]
";

impl Language {
    /// The language of the project in a folder, by the file that only a project in it has.
    pub fn of(folder: &Path) -> Option<Self> {
        [Self::Rust, Self::Javascript, Self::Python].into_iter().find(|language| folder.join(language.mark()).is_file())
    }

    /// The file that only a project in it has.
    pub fn mark(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::Javascript => "package.json",
            Self::Python => "requirements.txt",
        }
    }

    /// The command that runs a project's unit tests.
    pub fn test_command(self) -> &'static str {
        match self {
            Self::Rust => "cargo test",
            Self::Javascript => "npm test",
            Self::Python => "PYTHONPATH=target/bindings target/bin/python -m unittest discover -s test",
        }
    }

    /// The commands that check a project's types, once it's built; none where building it does.
    pub fn check_commands(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &[],
            Self::Javascript => &["npm run check"],
            Self::Python => &["target/bin/pip install -r requirements-dev.txt", "target/bin/mypy"],
        }
    }

    /// The files of a new project of this name.
    pub fn project(self, name: &str) -> Vec<(&'static str, String)> {
        let (files, old) = match self {
            Self::Rust => (RUST, "staging-sync-policy"),
            Self::Javascript => (JAVASCRIPT, "staging-sync-policy-javascript"),
            Self::Python => (PYTHON, "staging-sync-policy-python"),
        };
        let named = |(path, text): &File| {
            let text = match *path {
                "Cargo.toml" => manifest(&text.replace(old, name)),
                "package.json" | "package-lock.json" => text.replace(old, name),
                "src/lib.rs" | "src/policy.js" => {
                    text.replace(r#"name: "staging-account-sync""#, &format!("name: {name:?}"))
                }
                "src/policy.py" => text.replace(r#"name="staging-account-sync""#, &format!("name={name:?}")),
                _ => text.to_string(),
            };
            (*path, text.replace("The default policy", "A policy"))
        };
        files.iter().map(named).chain(CASES.iter().map(|(path, text)| (*path, text.to_string()))).collect()
    }
}

/// The manifest with what it inherits from this workspace written out.
fn manifest(text: &str) -> String {
    let written_out = |line: &str| {
        let Some(key) = line.strip_suffix(".workspace = true") else { return Some(line.to_owned()) };
        if ["license", "repository"].contains(&key) {
            return None; // the author's own business
        }
        let begin = format!("{key} = ");
        Some(WORKSPACE.lines().find(|line| line.starts_with(&begin)).unwrap_or(line).to_owned())
    };
    text.lines().filter_map(written_out).map(|line| line + "\n").collect::<String>() + PROFILE
}
