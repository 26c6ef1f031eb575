//! Each invariant, broken by hand: the host keeps a policy from breaking some of them, so no policy shows that.

use serde_json::{Value, json};

use super::*;
use staging_sync_runtime::bindings::types::{Outcome, Tick};
use staging_sync_runtime::journal::PolicyRef;
use staging_sync_runtime::outcome::skipped;
use staging_sync_runtime::tape::{Answer, Exchange};

const ID: &str = "111111111111";

fn list(ids: &[&str]) -> Value {
    let entry = |id: &&str| {
        let text = |text: &str| json!({"S": text});
        json!({"M": {
            "accountId": text(id), "accountName": text("n"), "roleArn": text("r"), "externalId": text("e"),
            "addedAt": text("t"), "addedBy": text("b"),
        }})
    };
    json!({"L": ids.iter().map(entry).collect::<Vec<_>>()})
}

fn names(ids: &[&str]) -> Exchange {
    let accounts: Vec<Value> = ids.iter().map(|id| json!({"accountID": id})).collect();
    Exchange {
        service: "drs".into(),
        operation: "ListStagingAccounts".into(),
        region: Some("r".into()),
        request: json!({}),
        answer: Answer::Response(json!({"accounts": accounts})),
    }
}

fn updated(added: &[&str], removed: &[&str], count: u32) -> Outcome {
    let ids = |ids: &[&str]| ids.iter().map(ToString::to_string).collect();
    Outcome {
        status: Status::Updated,
        reason: None,
        added: ids(added),
        removed: ids(removed),
        staging_account_count: count,
        ..skipped("")
    }
}

fn report(outcome: Outcome) -> Report {
    let outcomes = vec![AccountOutcome { account_id: ID.into(), account_name: None, outcome }];
    let counts = Counts::of(&outcomes);
    let tick = Tick {
        operation: "another".into(),
        now: "t".into(),
        dry_run: false,
        regions: Vec::new(),
        settings: String::new(),
    };
    Report {
        summary: json!({}),
        counts,
        outcomes,
        tick,
        decided_by: Default::default(),
        demoted: false,
        not_read: false,
        shadow: Default::default(),
        metrics: Vec::new(),
        calls: Default::default(),
        policy_rejected: None,
        planned: Vec::new(),
        tick_id: None,
        rollout: None,
        policy: PolicyRef { name: "p".into(), version: "1".into(), digest: "d".into(), settings: json!({}) },
    }
}

/// What is broken by an outcome, this write, and a region that names these.
fn broken(outcome: Outcome, named: &[&str], read: Value, list: Value) -> Vec<(Invariant, String)> {
    let writes = vec![Writing { read: Some(read), list, done: true }];
    let seen = AccountCalls { heard: vec![names(named)], writes };
    let observed = ObservedTick { accounts: [(ID.to_owned(), seen)].into(), ..ObservedTick::default() };
    let (report, regions) = (Ok(report(outcome)), ["r".to_owned()]);
    let tick = Ticked { report: &report, observed: &observed, regions: &regions, operation: "another", dry_run: false };
    check(&tick).into_iter().map(|violation| (violation.invariant, violation.what)).collect()
}

const A: &str = "222222222222";
const B: &str = "333333333333";
const C: &str = "444444444444";

#[test]
fn what_is_right_breaks_nothing() {
    assert_eq!(broken(updated(&[C], &[B], 2), &[A, C, ID], list(&[A, B]), list(&[A, C])), []);
    // DRS names the account itself, which its list must not.
    assert_eq!(broken(updated(&[], &[ID], 1), &[A, ID], list(&[A, ID]), list(&[A])), []);
}

#[test]
fn entries_are_kept_or_complete() {
    let says = |read: Value, written: Value| match &broken(updated(&[], &[], 2), &[A, B], read, written)[..] {
        [(Invariant::Entries, what)] => what.clone(),
        other => panic!("{other:?}"),
    };
    let mut edited = list(&[A, B]);
    edited["L"][0]["M"]["note"] = json!({"S": "new"});
    let other = format!("the entry of {A} isn't as it was, or where it was");
    assert_eq!(says(list(&[A, B]), edited), other);
    assert_eq!(says(list(&[B, A]), list(&[A, B])), other);
    assert_eq!(says(list(&[A, B, B]), list(&[A, B])), format!("an entry of {B} is gone"));

    let mut partial = list(&[A]);
    partial["L"][0]["M"]["externalId"] = json!({"S": ""});
    let found = broken(updated(&[A], &[], 1), &[A], list(&[]), partial);
    assert_eq!(found, [(Invariant::Entries, format!("the new entry of {A} has no externalId"))]);
}

#[test]
fn outcomes_say_what_was_written() {
    let says = |outcome: Outcome| match &broken(outcome, &[A, B], list(&[A]), list(&[A, B]))[..] {
        [(Invariant::Outcomes, what)] => what.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(says(updated(&[C], &[], 2)), format!("says other ids than it writes, which are +{B}"));
    assert_eq!(says(updated(&[B], &[], 3)), "counts 3 entries, of 2");
    assert_eq!(says(skipped("because")), "says skipped, and its change was written");
}

#[test]
fn changes_need_a_view_that_says_so() {
    let found = broken(updated(&[], &[B], 1), &[A, B], list(&[A, B]), list(&[A]));
    assert_eq!(found, [(Invariant::Removals, format!("removes {B}, which a region names"))]);
    let found = broken(updated(&[ID], &[], 1), &[ID], list(&[]), list(&[ID]));
    assert_eq!(found, [(Invariant::Additions, format!("adds {ID}, the account itself"))]);
}

#[test]
fn a_fault_stays_with_its_account() {
    let (usual, other) = (report(skipped("one")), report(skipped("other")));
    assert_eq!(others(&usual, &usual, C), []);
    assert_eq!(others(&usual, &other, ID), []);
    assert_eq!(others(&usual, &other, C).len(), 1);
    // Where removals wait for their observed, another account's observed may come.
    let held = report(Outcome { held_reason: Some("wait".into()), ..skipped("one") });
    assert_eq!(others(&held, &other, C), []);
}

#[test]
fn a_summary_is_that_of_its_outcomes() {
    let outcomes = report(updated(&[A], &[], 1)).outcomes;
    let good = json!({
        "totalAccounts": 1, "accountsProcessed": 1, "accountsUpdated": 1, "accountsSkipped": 0, "accountsFailed": 0,
        "details": [{"accountId": ID, "status": "updated", "added": [A], "removed": []}],
    });
    assert_eq!(summary(&good, &outcomes), []);
    for (pointer, bad, says) in [
        ("/accountsUpdated", json!(0), "accountsUpdated: expected 1, found 0"),
        ("/details/0/status", json!("failed"), "status: expected \"updated\", found \"failed\""),
        ("/details/0/removed", json!(null), "removed: expected [], found nothing"),
        ("/details", json!([]), "details: expected one an account, ordered by accountId"),
    ] {
        let mut summary = good.clone();
        *summary.pointer_mut(pointer).expect("a field") = bad;
        let found: Vec<String> = super::summary(&summary, &outcomes).into_iter().map(|it| it.what).collect();
        assert_eq!(found, [says]);
    }
}
