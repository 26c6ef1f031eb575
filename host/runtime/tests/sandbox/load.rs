//! What isn't a policy that this host runs is refused when it's loaded, and the message says why.

use std::fs::File;
use std::path::{Path, PathBuf};

use staging_sync_runtime::ErrorKind;
use staging_sync_runtime::policy::Policy;

use crate::guest::Guest;
use crate::limits;

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
async fn what_was_built_for_another_package() {
    for version in ["0.2.0", "0.1.1", "1.0.0", "0.1.0-rc.1"] {
        let import = format!(r#"(component (import "drs:staging-sync/account@{version}" (instance)))"#);
        let message = refusal(&text(&import)).await;
        let says = format!("was built for drs:staging-sync@{version}, and this host runs drs:staging-sync@0.1.0");
        assert!(message.starts_with(&says), "{message}");
    }
    // The version is right, the content isn't: an interface that there's none of, an export of another type.
    let shell = r#"(import "drs:staging-sync/shell@0.1.0" (instance (export "run" (func))))"#;
    let unknown = refusal(&text(&format!("(component {shell} {EXPORTS})"))).await;
    assert!(unknown.starts_with("doesn't fit drs:staging-sync@0.1.0: "), "{unknown}");
    assert!(unknown.contains("drs:staging-sync/shell@0.1.0"), "{unknown}");
    let types = refusal(&text(&format!("(component {EXPORTS})"))).await;
    assert!(types.starts_with("doesn't fit drs:staging-sync@0.1.0: ") && types.contains("info"), "{types}");
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
