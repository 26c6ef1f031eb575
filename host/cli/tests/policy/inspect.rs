//! `policy inspect`: the default policy, and components that this host doesn't run.

use std::fs;

use serde_json::{Value, json};

use crate::support::{default_policy, folder, staging_sync};

#[test]
fn the_default_policy_whole() {
    let folder = folder("inspect");
    fs::write(folder.join("policy.wasm"), default_policy("policy.wasm")).expect("a file");
    let (code, stdout, stderr) = staging_sync(&folder, &["policy", "inspect", "policy.wasm", "--json"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let mut found: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(found["sha256"].as_str().map(str::len), Some(64));
    assert_eq!(found["bytes"], default_policy("policy.wasm").len());
    assert!(found["instanceMemoryBytes"].as_u64().is_some_and(|bytes| bytes < 4 << 20), "{found}");
    for differing in ["sha256", "bytes", "instanceMemoryBytes"] {
        found[differing] = Value::Null;
    }
    let schema = include_str!("../../../../plugin/src/settings.schema.json");
    let mut imports = found["imports"].take();
    imports.as_array_mut().expect("a list").sort_by_key(|import| import["name"].to_string());
    // Exact to the function: the default policy doesn't call `discover-source-servers`.
    let expected = json!([
        {"name": "drs:staging-sync/account@0.1.0", "functions": ["describe", "discover", "update"]},
        {"name": "drs:staging-sync/logging@0.1.0", "functions": ["log"]},
        {"name": "drs:staging-sync/types@0.1.0", "functions": []},
    ]);
    assert_eq!(imports, expected);
    let expected = json!({
        "file": "policy.wasm",
        "kind": "component",
        "bytes": null,
        "sha256": null,
        "name": "staging-account-sync",
        "version": "0.1.0",
        "operations": [{"name": "sync_staging_accounts", "title": "staging account sync"}],
        "package": "drs:staging-sync@0.1.0",
        "imports": null,
        "exports": ["info", "validate-settings", "sync", "summarize"],
        "actions": [
            "dynamodb:GetItem", "dynamodb:Scan", "dynamodb:UpdateItem", "sts:AssumeRole", "drs:ListStagingAccounts",
        ],
        "settingsSchema": serde_json::from_str::<Value>(schema).expect("JSON"),
        "instanceMemoryBytes": null,
        "memorySizeMB": 512,
        "runnable": true,
        "refusal": null,
    });
    assert_eq!(found, expected);

    let (code, text, stderr) = staging_sync(&folder, &["policy", "inspect", "policy.wasm"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    for line in [
        "policy     staging-account-sync 0.1.0\n",
        "operation  sync_staging_accounts (staging account sync)\n",
        "drs:staging-sync/account@0.1.0: describe, discover, update\n",
        "exports    info, validate-settings, sync, summarize\n",
        "setting    removals (default \"all\"): Which stored",
        "MiB per instance; set MemorySize to 512 MB",
        "runs here  yes\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn the_least_access_follows_from_the_imports() {
    let folder = folder("iam");
    fs::write(folder.join("policy.wasm"), default_policy("policy.wasm")).expect("a file");
    let (code, stdout, _) = staging_sync(&folder, &["policy", "inspect", "policy.wasm", "--iam"]);
    let listing = json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["drs:ListStagingAccounts"], "Resource": "*"}],
    });
    let expected = json!({
        "hostRole": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": ["dynamodb:GetItem", "dynamodb:Scan", "dynamodb:UpdateItem"],
                    "Resource": "arn:${Partition}:dynamodb:${Region}:${Account}:table/${TargetAccountsTable}",
                },
                {
                    "Effect": "Allow",
                    "Action": ["sts:AssumeRole"],
                    "Resource": "arn:${Partition}:iam::*:role/${TargetAccountRole}",
                },
            ],
        },
        "targetAccountRole": listing,
        "sessionPolicy": listing,
    });
    assert_eq!((code, serde_json::from_str::<Value>(&stdout).expect("JSON")), (0, expected));
}

#[test]
fn a_policy_that_only_looks_needs_no_more_than_the_table() {
    let folder = folder("looks");
    // Not a policy for want of exports; what it may do is known all the same.
    let component = r#"(component
        (import "drs:staging-sync/account@0.1.0" (instance (export "forget" (func)))))"#;
    fs::write(folder.join("looks.wasm"), wat::parse_str(component).expect("a component")).expect("a file");
    let (code, stdout, stderr) = staging_sync(&folder, &["policy", "inspect", "looks.wasm", "--iam"]);
    let iam: Value = serde_json::from_str(&stdout).expect("JSON");
    let table = &iam["hostRole"]["Statement"];
    assert_eq!((code, table.as_array().map(Vec::len), &iam["sessionPolicy"]), (1, Some(1), &Value::Null));
    assert_eq!(table[0]["Action"], json!(["dynamodb:GetItem", "dynamodb:Scan"]));
    assert!(stderr.contains("doesn't export info, validate-settings, sync, summarize"), "{stderr}");
}

#[test]
fn what_this_host_does_not_run_is_shown_with_the_reason() {
    let folder = folder("refused");
    let wasi = r#"(component
        (import "wasi:clocks/monotonic-clock@0.2.6" (instance (export "now" (func (result u64)))))
        (import "drs:staging-sync/account@0.1.0" (instance (export "update" (func)))))"#;
    let later = r#"(component (import "drs:staging-sync/logging@0.1.8" (instance (export "log" (func)))))"#;
    let older = r#"(component (import "drs:staging-sync/logging@0.0.9" (instance (export "log" (func)))))"#;
    for (name, component, package, says) in [
        (
            "wasi.wasm",
            wasi,
            "drs:staging-sync@0.1.0",
            "contract: imports wasi:clocks/monotonic-clock@0.2.6, but a policy may",
        ),
        (
            "older.wasm",
            older,
            "drs:staging-sync@0.0.9",
            "contract: was built for drs:staging-sync@0.0.9, and this host runs policies of 0.1.x",
        ),
        ("later.wasm", later, "drs:staging-sync@0.1.8", "contract: doesn't export info, "),
    ] {
        fs::write(folder.join(name), wat::parse_str(component).expect("a component")).expect("a file");
        let (code, stdout, stderr) = staging_sync(&folder, &["policy", "inspect", name, "--json"]);
        let found: Value = serde_json::from_str(&stdout).expect("JSON");
        assert_eq!((code, &found["runnable"], &found["package"]), (1, &json!(false), &json!(package)), "{stderr}");
        assert!(found["refusal"].as_str().is_some_and(|refusal| refusal.starts_with(says)), "{found}");
        assert!(stderr.starts_with(&format!("{name}: this host can't run it: {says}")), "{stderr}");
    }
    let (_, stdout, _) = staging_sync(&folder, &["policy", "inspect", "later.wasm"]);
    assert!(stdout.contains("package    drs:staging-sync@0.1.8 (this host has 0.1.0)\n"), "{stdout}");
    let (_, stdout, _) = staging_sync(&folder, &["policy", "inspect", "wasi.wasm"]);
    assert!(stdout.contains("imports    wasi:clocks/monotonic-clock@0.2.6: now\n"), "{stdout}");
}

#[test]
fn a_core_module_is_told_by_what_it_would_become() {
    let folder = folder("module");
    fs::write(folder.join("core.wasm"), default_policy("policy.core.wasm")).expect("a file");
    let (code, stdout, stderr) = staging_sync(&folder, &["policy", "inspect", "core.wasm"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("core.wasm: a core module of") && stdout.contains("runs here  yes"), "{stdout}");
    assert!(stdout.contains("account@0.1.0: describe, discover, update\n"), "{stdout}");
    let (code, ..) = staging_sync(&folder, &["policy", "encode", "core.wasm", "--out", "policy.wasm"]);
    assert_eq!((code, staging_sync(&folder, &["policy", "inspect", "policy.wasm"]).0), (0, 0));
}
