//! What a host without a last good policy goes by, where its source has none that is good.

use std::sync::Arc;

use staging_sync_runtime::activation::PolicySource;
use staging_sync_runtime::activation::manifest::Manifest;

use crate::guest::Guest;
use crate::{active, admission, at, entry, folder, publish, put, refresh, source, version};

fn bad() -> Guest {
    Guest { version: "2.0.0", info: "unreachable".into(), ..Guest::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_previous_policy_of_the_manifest_stands_in() {
    let folder = folder();
    let source = source(&publish(folder.path(), &bad(), Some(&version("1.0.0")), None), admission());
    let (current, rejected) = refresh(&source).await;
    let current = current.expect("a current");
    assert_eq!(active(Some(&current)), "1.0.0");
    assert_eq!(rejected.expect("a rejection").step.name(), "contract");
    assert_eq!(source.policies(&current).hold_removals, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_packaged_policy_stands_in_last_and_removes_nothing() {
    let folder = folder();
    let packaged = folder.path().join("packaged.wasm");
    std::fs::write(&packaged, version("0.9.0").component()).expect("a component");
    let path = publish(folder.path(), &bad(), None, None);
    let source = PolicySource::new(at(&path), Arc::new(admission()), Some(at(&packaged)));
    let (current, rejected) = refresh(&source).await;
    let current = current.expect("a current");
    assert_eq!(active(Some(&current)), "0.9.0");
    assert!(rejected.is_some());
    assert!(source.policies(&current).hold_removals.is_some_and(|reason| reason.contains("removes nothing")));
    // It stood in and nothing more: it's never the last good one.
    publish(folder.path(), &version("3.0.0"), None, None);
    let current = refresh(&source).await.0.expect("a current");
    assert_eq!(active(Some(&current)), "3.0.0");
    assert!(source.policies(&current).last_good.is_none());
    assert!(source.policies(&current).hold_removals.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_packaged_policy_stands_in_with_the_settings_of_the_one_that_it_stands_in_for() {
    let folder = folder();
    let packaged = folder.path().join("packaged.wasm");
    std::fs::write(&packaged, version("0.9.0").component()).expect("a component");
    let mut broken = entry(folder.path(), &bad());
    broken.settings = serde_json::json!({"externalIdTemplate": "x-{id}"}).as_object().cloned();
    let manifest = Manifest { active: broken, previous: None, shadow: None };
    let source =
        PolicySource::new(at(&put(folder.path(), &manifest.text())), Arc::new(admission()), Some(at(&packaged)));
    let current = refresh(&source).await.0.expect("a current");
    assert_eq!(current.active.settings(), r#"{"externalIdTemplate":"x-{id}"}"#);
    // A component by itself has those of the environment, also where it can't be read.
    let source = PolicySource::new(at(&folder.path().join("nowhere.wasm")), Arc::new(admission()), Some(at(&packaged)));
    let (current, rejected) = refresh(&source).await;
    assert_eq!((active(current.as_ref()), rejected.expect("a rejection").step.name()), ("0.9.0", "fetch"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stands_in_whose_settings_are_unknown() {
    let folder = folder();
    let packaged = folder.path().join("packaged.wasm");
    std::fs::write(&packaged, version("0.9.0").component()).expect("a component");
    let path = put(folder.path(), "{");
    let source = PolicySource::new(at(&path), Arc::new(admission()), Some(at(&packaged)));
    let (current, rejected) = refresh(&source).await;
    assert_eq!((active(current.as_ref()), rejected.expect("a rejection").step.name()), ("none", "manifest"));
}
