//! The WIT package and its released versions: what `policy wit` prints, and that the current version keeps the promise.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use staging_sync_runtime::policy::released::{CURRENT, RELEASED, VERSION};
use wit_component::{WitPrinter, semver_check};
use wit_parser::{PackageId, Resolve};

use crate::support::{folder, staging_sync};

/// A text of the package, parsed in a room of its own or beside another.
fn parsed(resolve: &mut Resolve, text: &str) -> PackageId {
    resolve.push_str("policy.wit", text).expect("a WIT package")
}

/// Why a policy that was built for one text doesn't run on a host that has another, if it doesn't.
fn breaks(built_for: &str, host: &str) -> Option<String> {
    let mut resolve = Resolve::default();
    // Two packages of one name have to be of two versions.
    let host = host.replace("\npackage drs:staging-sync@0.", "\npackage drs:staging-sync@99.");
    let packages = [parsed(&mut resolve, built_for), parsed(&mut resolve, &host)];
    let [built_for, host] =
        packages.map(|package| resolve.select_world(&[package], Some("policy")).expect("the world"));
    semver_check(resolve, built_for, host).err().map(|error| format!("{error:#}"))
}

/// A text without its comments, in one style.
fn bare(text: &str) -> String {
    let mut resolve = Resolve::default();
    let package = parsed(&mut resolve, text);
    let mut printer = WitPrinter::default();
    printer.emit_docs(false).print(&resolve, package, &[]).expect("a text");
    printer.output.to_string()
}

#[test]
fn policies_of_every_released_version_run_on_the_current_one() {
    let home = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (folder, of) in [("wit/released", "policy.wit"), ("host/runtime/tests/released", "rust.wasm.gz")] {
        let entries = fs::read_dir(home.join(folder)).expect("versions").map(|entry| entry.expect("an entry").path());
        let folders = entries.filter(|path| path.is_dir()).inspect(|path| assert!(path.join(of).exists(), "{path:?}"));
        let found: BTreeSet<String> = folders.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
        let expected = RELEASED.iter().map(|(version, _)| version.to_string()).collect();
        assert_eq!(found, expected, "{folder}, and RELEASED in host/runtime/src/policy/released.rs");
    }
    for (version, text) in RELEASED {
        assert!(text.contains(&format!("\npackage drs:staging-sync@{version};\n")), "{version}");
        assert_eq!(breaks(text, CURRENT), None, "{version}");
        if version == VERSION {
            assert_eq!(bare(text), bare(CURRENT), "{version} is released: a change needs a new version");
        }
    }
}

#[test]
fn an_added_function_keeps_the_promise_and_other_changes_break_it() {
    let with = |old: &str, new: &str| {
        assert!(CURRENT.contains(old), "{old}");
        CURRENT.replacen(old, new, 1)
    };
    let function = with("describe: func() -> account;", "describe: func() -> account; history: func() -> string;");
    let interface =
        with("world policy {", "interface archive { fetch: func() -> string; }\nworld policy { import archive;");
    for added in [&function, &interface] {
        assert_eq!(breaks(CURRENT, added), None);
        assert!(breaks(added, CURRENT).is_some(), "and a policy that uses it needs a host that has it");
        assert_ne!(bare(CURRENT), bare(added));
    }
    for (what, broken) in [
        ("a field more", with("total: u32,", "total: u32, note: option<string>,")),
        ("a case more", with("    updated,\n", "    updated, postponed,\n")),
        ("a function less", with("describe: func() -> account;", "")),
        (
            "an export more",
            with("export info: func() -> policy-info;", "export info: func() -> policy-info; export more: func();"),
        ),
        ("another result", with("-> receipt;", "-> result<receipt, string>;")),
    ] {
        assert!(breaks(CURRENT, &broken).is_some(), "{what}");
    }
}

#[test]
fn a_package_is_printed_by_its_version() {
    let folder = folder("wit");
    let wit = |more: &[&str]| staging_sync(&folder, &[&["policy", "wit"], more].concat());
    assert!(wit(&[]) == (0, CURRENT.to_owned(), String::new()), "the current one");
    assert_eq!(wit(&["--version", VERSION]), wit(&[]));
    for (version, text) in RELEASED.iter().filter(|(version, _)| *version != VERSION) {
        assert!(wit(&["--version", version]) == (0, text.to_string(), String::new()), "{version}");
    }
    let (code, stdout, stderr) = wit(&["--version", "0.1.99"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("\"0.1.99\"") && stderr.contains("0.1.0. For a later version, upgrade"), "{stderr}");
}
