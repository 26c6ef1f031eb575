//! What isn't a policy that this host runs is refused when it's loaded, and the message says why.

use std::fs::File;
use std::path::{Path, PathBuf};

use staging_sync_lab::Lab;
use staging_sync_runtime::policy::{Policy, contract};
use staging_sync_runtime::{ErrorKind, Event, Tick};

use crate::guest::{ADDED, Guest, PACKAGE};
use crate::limits;
use crate::support::{patience, runtime, stored_ids, targets};

/// Why these bytes aren't loaded.
async fn refusal(bytes: &[u8]) -> String {
    let error = Policy::from_bytes(bytes, limits()).await.err().expect("a refusal");
    assert_eq!(error.kind, ErrorKind::PolicyRefused, "{error}");
    error.message
}

/// The component of this text.
fn text(component: &str) -> Vec<u8> {
    wat::parse_str(component).expect("valid WebAssembly text")
}

#[tokio::test]
async fn what_asks_for_more_than_the_package_offers() {
    for (component, says) in [
        (
            r#"(component (import "wasi:cli/environment@0.2.3" (instance)) (import "wasi:io/poll@0.2.3" (instance)))"#,
            "imports wasi:cli/environment@0.2.3, wasi:io/poll@0.2.3, but a policy may import nothing but \
             drs:staging-sync@0.1.0: build it without WASI",
        ),
        (
            r#"(component (import "acme:tools/files@1.0.0" (instance)))"#,
            "imports acme:tools/files@1.0.0, but a policy may import nothing but drs:staging-sync@0.1.0",
        ),
        (r#"(component (import "exit" (func)))"#, "imports exit, but a policy may import nothing but"),
        (
            r#"(component (import "drs:staging-sync-more/account@0.1.0" (instance)))"#,
            "imports drs:staging-sync-more/account@0.1.0, but a policy may import nothing but",
        ),
    ] {
        let message = refusal(&text(component)).await;
        assert!(message.starts_with(says), "{message}");
    }
}

#[tokio::test]
async fn what_was_built_for_another_track() {
    for version in ["0.2.0", "0.0.9", "1.0.0", "0.1.0-rc.1"] {
        let import = format!(
            r#"(component (import "drs:staging-sync/logging@0.1.0" (instance))
                (import "drs:staging-sync/account@{version}" (instance)))"#
        );
        let says = format!(
            "was built for drs:staging-sync@{version}, and this host runs policies of 0.1.x (it has 0.1.0): rebuild it \
             with the package that `staging-sync policy wit` prints"
        );
        assert_eq!(refusal(&text(&import)).await, says);
    }
    let message = refusal(&text(r#"(component (import "drs:staging-sync/account" (instance)))"#)).await;
    assert!(message.starts_with("was built for drs:staging-sync/account without a version, and"), "{message}");
}

/// A version of the package with these texts replaced.
fn package(version: &str, changes: &[(&str, &str)]) -> String {
    let begin = PACKAGE.replace("package drs:staging-sync@0.1.0;", &format!("package drs:staging-sync@{version};"));
    changes.iter().fold(begin, |text, (old, new)| {
        assert!(text.contains(old), "{old}");
        text.replacen(old, new, 1)
    })
}

/// A function, an interface and a field that the package doesn't have.
const FUNCTION: (&str, &str) =
    ("describe: func() -> account;", "describe: func() -> account; history: func() -> string;");
const INTERFACE: (&str, &str) =
    ("/// A policy: what", "interface archive { fetch: func(key: string) -> string; }\n/// A policy: what");
const IMPORT: (&str, &str) = ("import logging;", "import logging; import archive;");
const FIELD: (&str, &str) = ("total: u32,", "total: u32, note: option<string>,");

#[tokio::test(flavor = "multi_thread")]
async fn a_later_version_of_the_track_of_which_it_uses_nothing_new_decides_ticks() {
    for version in ["0.1.1", "0.1.27"] {
        let package = package(version, &[FUNCTION, INTERFACE, IMPORT]);
        let policy = Policy::from_bytes(&Guest { package, ..Guest::default() }.component(), limits()).await;
        let policy = policy.expect("a policy");
        assert_eq!(contract::built_for(policy.shape()), Some(version));
        assert!(policy.access().updates);
        let lab = Lab::start(targets([(vec![], vec![])])).await.expect("a lab");
        let runtime = runtime(&lab, &[], policy, patience()).await.expect("a runtime");
        let report = runtime.tick(Tick::of(Event::of("sync_staging_accounts")), |_, _| ()).await.expect("a report");
        assert_eq!((report.counts.updated, stored_ids(&lab)), (1, vec![vec![ADDED.to_owned()]]), "{version}");
    }
}

#[tokio::test]
async fn what_the_package_does_not_have_is_named_with_the_version_that_has_it() {
    let later = "it was built for 0.1.3, later than this host's 0.1.0. Upgrade staging-sync to a release that has 0.1.3, or \
                 build the policy with the package that `staging-sync policy wit` prints here";
    let never = "no released version has it so (0.1.0). Rebuild the policy with the package that `staging-sync policy wit \
                 --version 0.1.0` prints";
    let history = r#"(import "drs:staging-sync/account@0.1.0" "history" (func (param i32)))"#;
    let fetch = r#"(import "drs:staging-sync/archive@0.1.0" "fetch" (func (param i32 i32 i32)))"#;
    let lacks = |name: &str| format!("calls `{name}`, which drs:staging-sync@0.1.0 doesn't have");
    let differs = "calls `account.update` with another type than drs:staging-sync@0.1.0 has it (there is no \
                   `result.note` in the package)";
    for (changes, imports, problems) in [
        (&[FUNCTION][..], history.to_owned(), lacks("account.history")),
        (&[INTERFACE, IMPORT], fetch.to_owned(), lacks("archive.fetch")),
        (
            &[FUNCTION, INTERFACE, IMPORT],
            format!("{history} {fetch}"),
            format!("{}; {}", lacks("account.history"), lacks("archive.fetch")),
        ),
        (&[FIELD], String::new(), differs.to_owned()),
    ] {
        for (version, advice) in [("0.1.3", later), ("0.1.0", never)] {
            let guest = Guest { package: package(version, changes), imports: imports.clone(), ..Guest::default() };
            assert_eq!(refusal(&guest.component()).await, format!("{problems}: {advice}"));
        }
    }
}

#[tokio::test]
async fn what_has_exports_of_other_types() {
    // An interface of a later version that only has types is no reason.
    let types = r#"(import "drs:staging-sync/later@0.1.1" (instance (type $id string) (export "id" (type (eq $id)))))"#;
    let message = refusal(&text(&format!("(component {types} {EXPORTS})"))).await;
    let differs = "with another type than drs:staging-sync@0.1.0 has it (there is no";
    assert!(message.starts_with(&format!("exports `info` {differs} `result` in the policy); exports ")), "{message}");
    assert!(message.contains(&format!("exports `sync` {differs} `tick` in the policy); ")), "{message}");
    assert!(message.contains("it was built for 0.1.1") && !message.contains("calls"), "{message}");
}

/// All names that a policy exports, with types of no policy.
const EXPORTS: &str = r#"
    (core module $module (func (export "f")))
    (core instance $instance (instantiate $module))
    (func $f (canon lift (core func $instance "f")))
    (export "info" (func $f)) (export "validate-settings" (func $f))
    (export "sync" (func $f)) (export "summarize" (func $f))"#;

#[tokio::test]
async fn what_does_not_export_what_a_policy_must() {
    let message = refusal(&text("(component)")).await;
    assert_eq!(
        message,
        "doesn't export info, validate-settings, sync, summarize: it isn't a policy of drs:staging-sync@0.1.0"
    );
}

#[tokio::test]
async fn what_is_not_a_component() {
    let component = Guest::default().component();
    let mut later = component.clone();
    later[4] = 0x0e;
    for (bytes, says) in [
        (
            text("(module)"),
            "doesn't export info, validate-settings, sync, summarize: it isn't a policy of drs:staging-sync@0.1.0",
        ),
        (later, "is WebAssembly of a version that this host doesn't know"),
        (b"\0as".to_vec(), "isn't WebAssembly"),
        (b"#!/bin/sh\nexit 0\n".to_vec(), "isn't WebAssembly"),
        (Vec::new(), "is empty"),
    ] {
        assert_eq!(refusal(&bytes).await, says);
    }
    for end in [9, 100, component.len() / 2, component.len() - 1] {
        let message = refusal(&component[..end]).await;
        assert!(message.contains("isn't a WebAssembly component that can be compiled: "), "{message}");
    }
}

#[tokio::test]
async fn what_a_file_may_be() {
    let folder = tempfile();
    let huge = folder.join("huge.wasm");
    let file = File::create(&huge).expect("a file");
    file.set_len(100 << 20).expect("a file of 100 MiB, without a byte on the disk");
    let empty = folder.join("empty.wasm");
    File::create(&empty).expect("a file");
    for (path, kind, says) in [
        (&*huge, ErrorKind::PolicyRefused, "is larger than 64 MiB"),
        (&*empty, ErrorKind::PolicyRefused, "is empty"),
        (&*folder, ErrorKind::PolicyUnavailable, "directory"),
        (&*folder.join("none.wasm"), ErrorKind::PolicyUnavailable, "No such file"),
        // A file without an end, whatever its length says.
        (Path::new("/dev/zero"), ErrorKind::PolicyRefused, "is larger than 64 MiB"),
    ] {
        let error = Policy::load(path, limits()).await.err().expect("a refusal");
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.starts_with(&format!("policy {}: ", path.display())), "{error}");
        assert!(error.message.contains(says), "{error}");
    }
    std::fs::remove_dir_all(&folder).expect("a folder");
}

/// A folder of this process.
fn tempfile() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sandbox-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}
