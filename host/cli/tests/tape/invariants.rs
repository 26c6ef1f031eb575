//! The invariants: good policies keep them under every fault and in every small world, and bad ones are found.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use staging_sync_runtime::case::Case;
use staging_sync_runtime::policy::{Limits, Policy};
use staging_sync_workbench::faults::faults;
use staging_sync_workbench::invariants::Invariant;
use staging_sync_workbench::verify::{Verification, Verified};
use staging_sync_workbench::waived::Waived;

use crate::cases::all;
use crate::commands::{staging_sync, stderr, stdout};
use crate::guest::{ACCOUNT, Guest, OUTCOME, RECEIPT, TEXT, VIEWS};
use crate::recording::directory;
use crate::support::policy;

/// What becomes of a policy in the small worlds of so many staging accounts.
pub async fn verified(policy: &Policy, staging_accounts: u8, settings: Value) -> Verified {
    let operation = policy.info().operations[0].name.clone();
    let settings = settings.as_object().cloned().expect("settings");
    let verification = Verification { operation, settings, staging_accounts, ..Verification::default() };
    verification.run(policy, |_, _| ()).await.expect("a verdict")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_policy_keeps_them_in_every_small_world() {
    // With three, as by default, it takes six times as long.
    let found = verified(&policy().await, 2, json!({})).await;
    assert!(found.broken.is_empty(), "{:#?}", found.broken);
    assert_eq!((found.judged, found.counts.total + found.troubled.total), (found.all, found.all));
    let (counts, troubled) = (found.counts, found.troubled);
    assert_eq!(counts.failed, 0, "an account fails where AWS does, or its item is no good");
    assert!(counts.updated > 250 && counts.unchanged > 100 && troubled.updated > 250, "{counts:?} {troubled:?}");
    assert!(found.all > 2_000 && troubled.failed > 500, "{} {troubled:?}", found.all);
    for settings in [json!({"removals": "own"}), json!({"removals": "none"}), json!({"regions": ["us-east-1"]})] {
        let found = verified(&policy().await, 1, settings.clone()).await;
        assert!(found.broken.is_empty(), "{settings}: {:#?}", found.broken);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_policy_keeps_them_in_every_case_under_every_fault() {
    let policy = policy().await;
    let mut variants = 0;
    let running = all().into_iter().map(|case| {
        let policy = policy.clone();
        tokio::spawn(async move { (faults(&case, &policy, &Waived::default()).await, case.name) })
    });
    for running in running.collect::<Vec<_>>() {
        let (found, name) = running.await.expect("no panic");
        let found = found.expect("a verdict");
        assert!(found.broken.is_empty(), "{name}: {:#?}", found.broken);
        assert_eq!(found.beyond, 0, "{name}: this policy asks for what is on the tape");
        variants += found.variants;
    }
    assert!(variants > 1_000, "{variants} variants");
}

/// A guest that does this for every account, and never comes to its own behaviour.
fn does(sync: String) -> Guest {
    let texts = vec!["nothing stored".to_owned()];
    Guest { sync, texts, everywhere: true, ..Guest::default() }
}

/// Asks all regions, and then removes the first stored entry whatever they say; fails where there's none.
fn removes() -> Guest {
    let (stored, count) = (ACCOUNT + 36, ACCOUNT + 40);
    does(format!(
        "(call $discover (i32.const 0) (i32.const 0) (i32.const {VIEWS}))
         (if (i32.load (i32.const {count})) (then
           (call $update (i32.const 0) (i32.const 0) (i32.load (i32.const {stored})) (i32.const 1) (i32.const {RECEIPT}))
           (i64.store align=4 (i32.const {}) (i64.load align=4 (i32.const {})))
           (i32.store (i32.const {}) (i32.load (i32.const {}))))
         (else
           (i32.store8 (i32.const {OUTCOME}) (i32.const 3))
           (i32.store8 (i32.const {}) (i32.const 1))
           (i64.store align=4 (i32.const {}) (i64.load align=4 (i32.const {TEXT})))))
         (return (i32.const {OUTCOME}))",
        OUTCOME + 36,
        RECEIPT + 8,
        OUTCOME + 64,
        RECEIPT + 36,
        OUTCOME + 16,
        OUTCOME + 20,
    ))
}

/// Asks all regions, and then finds everything as it should be.
fn always_unchanged() -> Guest {
    does(format!(
        "(call $discover (i32.const 0) (i32.const 0) (i32.const {VIEWS}))
         (i32.store8 (i32.const {OUTCOME}) (i32.const 1))
         (i32.store (i32.const {}) (i32.load (i32.const {})))
         (return (i32.const {OUTCOME}))",
        OUTCOME + 64,
        ACCOUNT + 40,
    ))
}

/// A policy for an operation whose summary isn't judged: a guest's isn't the platform's.
async fn other(guest: Guest) -> Policy {
    let guest = Guest { operation: Some("another_operation"), ..guest };
    Policy::from_bytes(&guest.component(), Limits::default()).await.expect("a policy")
}

/// The smallest world in which an invariant breaks, and how it shows.
fn example(found: &Verified, invariant: Invariant) -> Vec<(&'static str, String)> {
    let example = found.broken.get(&invariant).unwrap_or_else(|| panic!("{invariant:?}: {:#?}", found.broken));
    let mut lines = example.world.as_ref().expect("a world").lines();
    lines.push(("decided", example.decided.clone()));
    lines.push(("broken", example.violation.what.clone()));
    lines
}

fn lines<const N: usize>(lines: [(&'static str, &str); N]) -> Vec<(&'static str, String)> {
    lines.into_iter().map(|(name, text)| (name, text.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_policy_is_shown_in_the_smallest_world() {
    // Adds an account that nobody names.
    let found = verified(&other(Guest::default()).await, 3, json!({})).await;
    assert_eq!(
        example(&found, Invariant::Additions),
        lines([
            ("stored", "nothing"),
            ("eu-west-1", "names nothing"),
            ("us-east-1", "names nothing"),
            ("decided", "updated +222222222222"),
            ("broken", "adds 222222222222, which no region names"),
        ])
    );

    let found = verified(&other(always_unchanged()).await, 3, json!({})).await;
    assert_eq!(
        example(&found, Invariant::Unknown),
        lines([
            ("stored", "nothing"),
            ("eu-west-1", "names nothing"),
            ("us-east-1", "is throttled"),
            ("decided", "unchanged"),
            ("broken", "says unchanged, and us-east-1 wasn't read to its last page"),
        ])
    );

    let found = verified(&other(does("unreachable".into())).await, 3, json!({})).await;
    assert_eq!(found.judged, 16, "what is bad everywhere is found soon");
    assert!(example(&found, Invariant::Decides).iter().any(|(_, text)| text.contains("policy: trapped")));

    // The summary is judged where it's the platform's.
    let guest = Policy::from_bytes(&removes().component(), Limits::default()).await.expect("a policy");
    let found = verified(&guest, 1, json!({})).await;
    let (_, broken) = example(&found, Invariant::Summary).pop().expect("lines");
    assert_eq!(broken, "totalAccounts: expected 1, found nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn removals_without_a_look_are_found_and_always_in_the_same_world() {
    let policy = other(removes()).await;
    let found = verified(&policy, 1, json!({})).await;
    assert_eq!(
        example(&found, Invariant::Removals),
        lines([
            ("stored", "300000000001 (added by an operator)"),
            ("eu-west-1", "names nothing"),
            ("us-east-1", "names 300000000001"),
            ("decided", "updated -300000000001"),
            ("broken", "removes 300000000001, which a region names"),
        ])
    );
    assert_eq!(
        example(&found, Invariant::Decides),
        lines([
            ("stored", "300000000001 (added by an operator)"),
            ("eu-west-1", "names nothing"),
            ("us-east-1", "is throttled"),
            (
                "decided",
                "failed: policy: asked for a removal, but us-east-1 wasn't read to its last page; nothing was written",
            ),
            ("broken", "policy: asked for a removal, but us-east-1 wasn't read to its last page; nothing was written"),
        ])
    );
    let again = verified(&policy, 1, json!({})).await;
    assert_eq!(format!("{:?}", again.broken), format!("{:?}", found.broken));

    // One entry a tick: the second tick goes on.
    let found = verified(&policy, 2, json!({})).await;
    assert!(found.broken.contains_key(&Invariant::Settled), "{:#?}", found.broken.keys());
}

/// A bad policy in a file, for the commands.
fn file(guest: &Guest, name: &str) -> String {
    let path = directory(name);
    std::fs::write(&path, guest.component()).expect("a file");
    path.display().to_string()
}

#[test]
fn a_case_under_faults_tells_which_and_writes_it_down() {
    let (policy, out) = (file(&removes(), "removes.wasm"), directory("broken-under-faults"));
    let arguments = ["test", "--faults", "only-one-account", "--policy", &policy, "--out", &out.display().to_string()];
    let ran = staging_sync(&arguments);
    assert_eq!(ran.status.code(), Some(1), "{}{}", stdout(&ran), stderr(&ran));
    let text = stdout(&ran);
    let call = "call 4 (drs:ListStagingAccounts in us-east-1 of 111122223333): ";
    assert!(text.contains("BROKEN   only-one-account") && text.contains("broken: the policy decides"), "{text}");
    for fault in ["throttled", "access denied", "slower than the host waits", "one more page, which never comes"] {
        assert!(text.contains(&format!("{call}{fault}\n")), "{text}");
    }
    assert!(text.contains("but us-east-1 wasn't read to its last page"), "{text}");

    let written: BTreeSet<String> = std::fs::read_dir(&out)
        .expect("cases")
        .map(|case| case.expect("a case").file_name().to_string_lossy().into_owned())
        .collect();
    let name = "only-one-account-111122223333-4-throttled";
    assert!(written.contains(name), "{written:?}");
    let case = out.join(name);
    let replayed = staging_sync(&["replay", &case.display().to_string(), "--policy", &policy]);
    assert_eq!(replayed.status.code(), Some(0), "{}", stderr(&replayed));
    assert!(stdout(&replayed).contains("asked for a removal"), "{}", stdout(&replayed));
    assert_eq!(Case::read(&case).expect("a case").expected, None, "what must come out is for people to say");

    // The same again: what was written is replaced. A good policy keeps the invariants in what a bad one broke.
    assert_eq!(stdout(&staging_sync(&arguments)), text);
    let good = staging_sync(&["test", "--faults", &out.display().to_string()]);
    assert_eq!(good.status.code(), Some(0), "{}", stdout(&good));
}

#[test]
fn verify_says_by_its_exit_code_what_it_came_to() {
    let (bad, out) = (file(&removes(), "removes-too.wasm"), directory("broken-worlds"));
    let out = out.display().to_string();
    let verify = |more: &[&str]| staging_sync(&[&["policy", "verify", "--staging-accounts", "1"], more].concat());
    let good = verify(&["target/policy.wasm", "--settings", r#"{"removals": "own"}"#]);
    assert_eq!(good.status.code(), Some(0), "{}{}", stdout(&good), stderr(&good));
    assert_eq!(stdout(&good).matches("holds ").count(), 8, "{}", stdout(&good));

    let ran = verify(&[&bad, "--out", &out]);
    assert_eq!(ran.status.code(), Some(1), "{}{}", stdout(&ran), stderr(&ran));
    assert!(stdout(&ran).contains("BROKEN   the summary counts every account once"), "{}", stdout(&ran));
    let case = Path::new(&out).join("summary").display().to_string();
    assert_eq!(staging_sync(&["replay", &case, "--policy", &bad]).status.code(), Some(0));

    for (arguments, says) in [
        (["nowhere.wasm", "--settings", "{}"], "nowhere.wasm: No such file"),
        (["target/policy.wasm", "--settings", "[]"], "SettingsInvalid: --settings: $: invalid type"),
        (
            ["target/policy.wasm", "--settings", r#"{"removals": "some"}"#],
            "SettingsInvalid: --settings: settings: $.removals",
        ),
        (["target/policy.wasm", "--operation", "unknown"], "UnknownOperation: "),
    ] {
        let ran = verify(&arguments);
        assert_eq!((ran.status.code(), stdout(&ran)), (Some(2), String::new()), "{}", stderr(&ran));
        assert!(stderr(&ran).contains(says), "{}", stderr(&ran));
    }
}
