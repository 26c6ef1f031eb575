//! A good policy decides from the next tick on; a bad one never does.

use std::fs;

use crate::guest::Guest;
use crate::{active, admission, entry, folder, publish, put, refresh, source, version};

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_followed_and_rolled_back() {
    let folder = folder();
    let source = source(&publish(folder.path(), &version("1.0.0"), None, None), admission());
    let (current, rejected) = refresh(&source).await;
    assert_eq!((active(current.as_ref()), rejected), ("1.0.0", None));
    publish(folder.path(), &version("2.0.0"), Some(&version("1.0.0")), None);
    assert_eq!(active(refresh(&source).await.0.as_ref()), "2.0.0");
    // Nothing changed: what ticks go by is the very same.
    let change = |current: &staging_sync_runtime::activation::CurrentPolicies| current.change;
    let before = refresh(&source).await.0.as_ref().map(change);
    assert_eq!(refresh(&source).await.0.as_ref().map(change), before);
    publish(folder.path(), &version("1.0.0"), None, None);
    assert_eq!(active(refresh(&source).await.0.as_ref()), "1.0.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_by_itself_is_followed_also_where_it_is_written_in_place() {
    let folder = folder();
    let path = folder.path().join("policy.wasm");
    fs::write(&path, version("1.0.0").component()).expect("a component");
    let source = source(&path, admission());
    assert_eq!(active(refresh(&source).await.0.as_ref()), "1.0.0");
    let next = version("2.0.0").component();
    fs::write(&path, &next[..next.len() / 2]).expect("half a component");
    let (current, rejected) = refresh(&source).await;
    assert_eq!(active(current.as_ref()), "1.0.0");
    assert_eq!(rejected.expect("a rejection").step.name(), "compile");
    fs::write(&path, &next).expect("a component");
    let (current, rejected) = refresh(&source).await;
    assert_eq!((active(current.as_ref()), rejected), ("2.0.0", None));
    fs::remove_file(&path).expect("it was there");
    let (current, rejected) = refresh(&source).await;
    assert_eq!(active(current.as_ref()), "2.0.0");
    assert_eq!(rejected.expect("a rejection").step.name(), "fetch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_policy_never_goes_live_and_the_last_good_one_goes_on() {
    let folder = folder();
    let source = source(&publish(folder.path(), &version("1.0.0"), None, None), admission());
    assert_eq!(active(refresh(&source).await.0.as_ref()), "1.0.0");
    let traps_in_info = Guest { version: "2.0.0", info: "unreachable".into(), ..Guest::default() };
    let traps_everywhere =
        Guest { version: "2.0.0", summarize: "unreachable".into(), texts: vec!["x".into()], ..Guest::default() };
    for (bad, step) in [(traps_in_info, "contract"), (traps_everywhere, "proof")] {
        publish(folder.path(), &bad, Some(&version("1.0.0")), None);
        let (current, rejected) = refresh(&source).await;
        assert_eq!(active(current.as_ref()), "1.0.0", "{step}");
        assert_eq!(rejected.map(|rejected| rejected.step.name()), Some(step));
        // It stays rejected, and isn't tried anew with every tick.
        assert_eq!(refresh(&source).await.1.map(|rejected| rejected.step.name()), Some(step));
    }
    publish(folder.path(), &version("3.0.0"), Some(&version("1.0.0")), None);
    let (current, rejected) = refresh(&source).await;
    assert_eq!((active(current.as_ref()), rejected), ("3.0.0", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_is_missing_is_looked_for_again() {
    let folder = folder();
    let path = publish(folder.path(), &version("1.0.0"), None, None);
    let entry = entry(folder.path(), &version("2.0.0"));
    let component = folder.path().join(&entry.component);
    let bytes = fs::read(&component).expect("a component");
    fs::remove_file(&component).expect("it was there");
    let source = source(&path, admission());
    refresh(&source).await;
    put(
        folder.path(),
        &staging_sync_runtime::activation::manifest::Manifest { active: entry, previous: None, shadow: None }.text(),
    );
    let (current, rejected) = refresh(&source).await;
    assert_eq!(active(current.as_ref()), "1.0.0");
    assert_eq!(rejected.expect("a rejection").step.name(), "fetch");
    fs::write(&component, bytes).expect("a component");
    let (current, rejected) = refresh(&source).await;
    assert_eq!((active(current.as_ref()), rejected), ("2.0.0", None));
}
