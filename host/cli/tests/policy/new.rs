//! `policy new` and `policy build`: a project in every language begins with the sources that are tested here.
//!
//! That what is made can be built, and decides as the default policy does, is for `make examples` to show.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::{folder, repository, staging_sync};

/// The text files of a project's folder, by their path in it, without what builds leave.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let (mut found, mut left) = (BTreeMap::new(), vec![folder.to_path_buf()]);
    while let Some(at) = left.pop() {
        for entry in fs::read_dir(at).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let of_a_build =
                ["target", "node_modules", "__pycache__", ".gitignore", "README.md"].contains(&name.as_str());
            if of_a_build || path == folder.join("examples") || name.ends_with(".wasm") {
                continue;
            }
            if path.is_dir() {
                left.push(path);
            } else {
                let place = path.strip_prefix(folder).expect("inside").to_string_lossy().into_owned();
                found.insert(place, fs::read_to_string(&path).expect("text"));
            }
        }
    }
    found
}

#[test]
fn a_project_is_the_default_policy_under_its_own_name() {
    let folder = folder("new");
    for (language, source, named) in [
        ("rust", "plugin", vec!["Cargo.toml", "src/lib.rs"]),
        ("javascript", "plugin/examples/javascript", vec!["package-lock.json", "package.json", "src/policy.js"]),
        ("python", "plugin/examples/python", vec!["src/policy.py"]),
    ] {
        let name = format!("my-{language}");
        let (code, stdout, stderr) = staging_sync(&folder, &["policy", "new", &name, "--lang", language]);
        assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
        assert!(stderr.contains(&format!("staging-sync policy build {name}")), "{stderr}");

        let (mut source, mut made) = (files(&repository(source)), files(&folder.join(&name)));
        // The default policy has many more cases, and its WIT package has a history.
        source.retain(|path, _| !path.starts_with("cases/") && !path.starts_with("wit/released/"));
        let (cases, rest) = made.into_iter().partition(|(path, _)| path.starts_with("cases/"));
        made = rest;
        let cases: BTreeMap<String, String> = cases;
        assert!(cases.keys().any(|path| path.ends_with("/tape.json")), "{language}: {cases:?}");
        if language == "rust" {
            source.remove("build.sh"); // `policy build` has it built in
            source.remove("cohorts.json"); // rollouts are the host's
        }
        let (of_source, of_made): (Vec<_>, Vec<_>) = (source.keys().collect(), made.keys().collect());
        assert_eq!(of_made, of_source, "{language}: every file");
        let differing: Vec<&String> = source.keys().filter(|path| !same(&source[*path], &made[*path])).collect();
        assert_eq!(differing, named, "{language}: what differs beside `The default policy`");
        for path in named {
            assert!(made[path].contains(&name), "{path} of {language}: {}", made[path]);
        }
        assert!(!made.values().any(|text| text.contains(".workspace = true")), "{language}");

        let (code, _, stderr) = staging_sync(&folder, &["policy", "new", &name, "--lang", language]);
        assert_eq!(code, 2);
        assert!(stderr.contains("isn't empty: name a new or an empty directory"), "{stderr}");
    }
}

fn same(source: &str, made: &str) -> bool {
    source.replace("The default policy", "A policy") == made
}

#[test]
fn a_folder_whose_name_no_tool_takes_is_refused() {
    let folder = folder("names");
    for name in ["My Policy", "9lives", "a.b", "..", "ünï", "-x/.."] {
        let (code, stdout, stderr) = staging_sync(&folder, &["policy", "new", "--", name]);
        assert_eq!((code, stdout.as_str()), (2, ""), "{name}: {stderr}");
        assert!(stderr.contains("the directory's name becomes the policy's"), "{name}: {stderr}");
    }
    assert_eq!(files(&folder).len(), 0);
}

#[test]
fn what_cannot_be_built_is_said() {
    let folder = folder("build");
    fs::create_dir(folder.join("empty")).expect("a folder");
    fs::create_dir(folder.join("half")).expect("a folder");
    fs::write(folder.join("half/package.json"), "{}").expect("a file");
    fs::create_dir(folder.join("broken")).expect("a folder");
    fs::write(folder.join("broken/requirements.txt"), "").expect("a file");
    fs::write(folder.join("broken/build.sh"), "echo 'no such tool' >&2; exit 1").expect("a file");
    for (project, says) in [
        ("nowhere", "staging-sync: nowhere: the directory doesn't exist"),
        (
            "empty",
            "expected one of Cargo.toml, package.json, requirements.txt; to create a project, run `staging-sync policy new`",
        ),
        ("half", "has no build.sh"),
        ("broken", "no such tool\nstaging-sync: broken: the build failed; see the messages above"),
    ] {
        let (code, stdout, stderr) = staging_sync(&folder, &["policy", "build", project]);
        assert_eq!((code, stdout.as_str()), (2, ""), "{project}: {stderr}");
        assert!(stderr.contains(says), "{project}: {stderr}");
    }
}

/// A function that the examples don't call, as their WIT package and the default policy's have it.
const LEFT_OUT: (&str, &str) = ("\n  // discover-source-servers:", "\n  discover-source-servers:");

#[test]
fn what_an_example_does_not_call_is_commented_out_of_its_contract() {
    let read = |path: &str| fs::read_to_string(repository(path)).expect("a WIT package");
    let (whole, narrow) = (read("wit/policy.wit"), read("plugin/examples/wit/policy.wit"));
    let (mut commented, rest): (Vec<&str>, Vec<&str>) =
        narrow.lines().filter(|line| !line.is_empty()).partition(|line| line.starts_with("  // "));
    commented.iter_mut().for_each(|line| *line = line.trim_start_matches("  // "));
    let kept: Vec<&str> =
        whole.lines().filter(|line| !line.is_empty() && !commented.contains(&line.trim_start())).collect();
    assert_eq!(rest, kept, "the rest is as in wit/policy.wit");
    commented.retain(|line| whole.lines().any(|of| of.trim_start() == *line));
    commented.retain(|line| !line.starts_with("///"));
    assert!(matches!(commented[..], [one] if one.starts_with("discover-source-servers: ")), "{commented:?}");
}

/// The types of a JavaScript project follow its WIT package; what is imported and not called is told.
#[test]
fn types_and_hints_go_by_what_is_in_wit() {
    let folder = folder("types");
    for language in ["javascript", "python"] {
        let new = staging_sync(&folder, &["policy", "new", language, "--lang", language]);
        assert_eq!(new.0, 0, "{}", new.2);
        // What the toolchain does is for `make examples`.
        fs::write(folder.join(language).join("build.sh"), "exit 0").expect("a script");
    }
    let build = |project: &str| {
        let (code, _, stderr) = staging_sync(&folder, &["policy", "build", project]);
        assert_eq!(code, 0, "{stderr}");
        stderr
    };
    let types = folder.join("javascript/types/policy.d.ts");
    let kept = fs::read_to_string(&types).expect("types");
    fs::write(&types, "old").expect("a file");
    assert_eq!(build("javascript"), "javascript: updated types/, because wit/ has changed\n");
    assert_eq!(fs::read_to_string(&types).expect("types"), kept, "types/policy.d.ts is what `policy build` makes");
    assert!(!kept.contains("discoverSourceServers") && kept.contains("discover(regions: string[]): RegionView[];"));
    assert_eq!((build("javascript"), build("python")), (String::new(), String::new()));

    for language in ["javascript", "python"] {
        let wit = folder.join(language).join("wit/policy.wit");
        let text = fs::read_to_string(&wit).expect("a WIT package");
        assert!(text.contains(LEFT_OUT.0));
        fs::write(&wit, text.replace(LEFT_OUT.0, LEFT_OUT.1)).expect("a file");
        let says = build(language);
        let hint = "imports discover-source-servers, but no file in src/ uses it: comment it out in wit/, or the policy \
                    needs drs:DescribeSourceServers (see `policy inspect --iam`)\n";
        assert!(says.ends_with(hint) && says.matches("imports ").count() == 1, "{says}");
    }
    let made = fs::read_to_string(&types).expect("types");
    let function = "discoverSourceServers(regions: string[]): RegionSourceServers[];";
    assert!(made.contains(function) && made.contains("@throws an error whose `payload` is AwsError"), "{made}");
    for (path, call) in
        [("javascript/src/more.js", "discoverSourceServers"), ("python/src/more.py", "discover_source_servers")]
    {
        fs::write(folder.join(path), format!("account.{call}([])\n")).expect("a source");
    }
    assert_eq!((build("javascript"), build("python")), (String::new(), String::new()));

    fs::remove_file(&types).expect("deleted");
    assert_eq!(build("javascript"), "");
    assert!(!types.exists(), "who deletes them doesn't want them");
}
