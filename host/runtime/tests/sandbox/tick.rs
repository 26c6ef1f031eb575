//! What a policy may do outside of any account: the accounts are decided and written, and the tick says that the
//! policy is at fault.

use staging_sync_lab::Lab;
use staging_sync_runtime::policy::Policy;
use staging_sync_runtime::{Error, ErrorKind, Event, Tick};

use crate::guest::{ACCOUNT, ADDED, Guest, RESULT, SUMMARY, TEXT, VIEWS, ZEROS};
use crate::limits;
use crate::support::{patience, runtime, stored_ids, targets};

/// The error of a tick, after which every account is as the policy decided.
async fn tick(guest: Guest) -> Error {
    let lab = Lab::start(targets((0..2).map(|_| (vec![], vec![])))).await.expect("a lab");
    let policy = Policy::from_bytes(&guest.component(), limits()).await.expect("a policy");
    let runtime = runtime(&lab, &[], policy, patience()).await.expect("a runtime");
    let done = runtime.tick(Tick::of(Event::of("sync_staging_accounts")), |_, _| ()).await;
    assert_eq!(stored_ids(&lab), [[ADDED], [ADDED]], "{guest:?}");
    done.expect_err("a bad summary")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_summary_fails_the_tick_after_its_writes() {
    let describe = format!("(call $describe (i32.const {ACCOUNT}))");
    let returns = |text| {
        let summary =
            format!("(i64.store (i32.const {SUMMARY}) (i64.load (i32.const {TEXT}))) (return (i32.const {SUMMARY}))");
        Guest { summarize: summary, texts: vec![String::from(text)], ..Guest::default() }
    };
    let does = |summarize: &str| Guest { summarize: summarize.into(), ..Guest::default() };
    let huge = format!(
        "(drop (memory.grow (i32.const 184))) (i32.store (i32.const {SUMMARY}) (i32.const {ZEROS})) \
         (i32.store offset=4 (i32.const {SUMMARY}) (i32.const 11000000)) (return (i32.const {SUMMARY}))"
    );
    for (guest, says) in [
        (does(&describe), "policy: called a function of `account` outside `sync`"),
        (does("unreachable"), "policy: trapped"),
        (does("(loop $for_ever (br $for_ever))"), "policy: reached its limit of 20000000 units of fuel"),
        (does(&huge), "policy: failed: too much data"),
        (returns("no JSON"), "policy: returned something that isn't a JSON object"),
        (returns("[]"), "policy: returned something that isn't a JSON object"),
        (returns(""), "policy: returned something that isn't a JSON object"),
    ] {
        let error = tick(guest).await;
        assert_eq!(error.kind, ErrorKind::PolicyFailed, "{says}: {error}");
        assert!(error.message.starts_with("summarize: ") && error.message.contains(says), "{says}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_cannot_say_what_it_is_is_not_loaded() {
    let describe = format!("(call $describe (i32.const {ACCOUNT}))");
    for (info, says) in [
        (&*describe, "info: policy: called a function of `account` outside `sync`"),
        ("unreachable", "info: policy: trapped"),
        ("(loop $for_ever (br $for_ever))", "info: policy: reached its limit of 20000000 units of fuel"),
    ] {
        let guest = Guest { info: info.into(), ..Guest::default() };
        let error = Policy::from_bytes(&guest.component(), limits()).await.err().expect("a refusal");
        assert_eq!(error.kind, ErrorKind::PolicyFailed, "{says}: {error}");
        assert!(error.message.contains(says), "{says}: {error}");
    }
    // More memory, or more of it from the start, than there is for one instance.
    let guest = Guest { items: "(start $start) (func $start unreachable)".into(), ..Guest::default() };
    let error = Policy::from_bytes(&guest.component(), limits()).await.err().expect("a refusal");
    assert!(error.message.contains("info: policy: trapped"), "{error}");
    let small = staging_sync_runtime::policy::Limits { memory: 1 << 16, ..limits() };
    let error = Policy::from_bytes(&Guest::default().component(), small).await.err().expect("a refusal");
    assert!(error.message.contains("info: policy: reached its limit of 0 MiB of memory"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_judged_within_the_limits() {
    let lab = Lab::start(targets([])).await.expect("a lab");
    let refuses = format!("(i32.store8 (i32.const {RESULT}) (i32.const 1))");
    for (validate_settings, kind, says) in [
        ("(loop $for_ever (br $for_ever))", ErrorKind::PolicyFailed, "validate-settings: policy: reached its limit of"),
        (&*refuses, ErrorKind::SettingsInvalid, "settings: "),
    ] {
        let guest = Guest { validate_settings: validate_settings.into(), ..Guest::default() };
        let policy = Policy::from_bytes(&guest.component(), limits()).await.expect("a policy");
        let error = runtime(&lab, &[], policy, patience()).await.err().expect("a refusal");
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(says), "{error}");
    }
}

/// A policy that asks again and again doesn't make AWS pay for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_discovery_that_failed_is_not_tried_again_in_the_same_tick() {
    let mut fleet = targets((0..2).map(|_| (vec![], vec![])));
    let denied = fleet.targets[1]["accountId"].as_str().expect("an id").to_owned();
    fleet.accounts.get_mut(&denied).expect("the account").roles.clear();
    let lab = Lab::start(fleet).await.expect("a lab");
    let again = format!(
        "(loop $again (call $discover (i32.const 0) (i32.const 0) (i32.const {VIEWS}))
           (global.set $tries (i32.add (global.get $tries) (i32.const 1)))
           (br_if $again (i32.lt_u (global.get $tries) (i32.const 900))))"
    );
    let items = "(global $tries (mut i32) (i32.const 0))".into();
    let guest = Guest { sync: again, items, everywhere: true, ..Guest::default() };
    let policy = Policy::from_bytes(&guest.component(), limits()).await.expect("a policy");
    let runtime = runtime(&lab, &[], policy, patience()).await.expect("a runtime");
    runtime.tick(Tick::of(Event::of("sync_staging_accounts")), |_, _| ()).await.expect("a summary");
    let assumed = lab.calls().into_iter().filter(|call| call.operation == "AssumeRole").count();
    assert_eq!(assumed, 2, "once for each account");
}
