//! Plans that aren't what a dry run wrote.

use serde_json::{Value, json};

use super::super::Plan;
use super::DIGEST;
use crate::change::digest;

fn plan() -> Value {
    json!({
        "format": 1,
        "plannedAt": "2026-02-02T22:45:00Z",
        "table": "targets",
        "region": "us-east-1",
        "policy": {"name": "p", "version": "1.0.0", "digest": "00", "settings": {}},
        "event": {"operation": "sync_staging_accounts"},
        "accounts": [{
            "accountId": "111122223333",
            "added": [{
                "accountId": "777788889999",
                "accountName": "Staging Account 777788889999",
                "roleArn": "arn:aws:iam::777788889999:role/Sync",
                "externalId": "x",
                "addedAt": "2026-02-02T22:45:00Z",
                "addedBy": "staging-account-sync",
                "discoveredFrom": "us-east-1",
            }],
            "removed": [{"accountId": "444455556666", "accountName": "Old"}],
            "condition": {"stagingAccounts": ["444455556666"], "sha256": "00"},
        }],
    })
}

/// A plan with the digest that it has then.
fn signed(mut plan: Value) -> String {
    plan[DIGEST] = digest(Some(&plan)).into();
    plan.to_string()
}

fn problem(text: &str) -> String {
    Plan::read(text).err().expect("a refused plan")
}

#[test]
fn a_plan_is_read_as_it_was_written() {
    let read = Plan::read(&signed(plan())).expect("a plan");
    let text = read.text();
    assert_eq!(Plan::read(&text).expect("a plan").text(), text);
    assert!(!format!("{:?}", read.accounts).contains("Sync"), "an entry to add is not for logs");
}

#[test]
fn what_the_host_lets_no_policy_do_no_plan_does() {
    for (at, value, path, expected) in [
        ("/accounts/0/added/0/accountId", json!("7777888899990"), "$.accounts[0].added[0].accountId", "12 digits"),
        ("/accounts/0/removed/0/accountId", json!(4), "$.accounts[0].removed[0].accountId", "expected a string"),
        ("/accounts/0/accountId", json!("777788889999"), "$.accounts[0].added[0]", "its own staging account"),
        ("/accounts/0/added/0/roleArn", json!("arn:aws:iam::1:role/x"), "$.accounts[0].added[0]", "isn't its own"),
        ("/accounts/0/added/0/externalId", json!(""), "$.accounts[0].added[0]", "empty"),
        ("/accounts/0/added/0/addedBy", json!("me"), "$.accounts[0].added[0].addedBy", "staging-account-sync"),
        ("/accounts/0/condition/stagingAccounts", json!([]), "$.accounts[0].removed[0].accountId", "isn't in the list"),
        (
            "/accounts/0/condition/stagingAccounts",
            json!(["444455556666", "777788889999"]),
            "$.accounts[0].added[0].accountId",
            "in the list already",
        ),
        ("/event", json!({}), "$.event", "operation"),
        ("/format", json!(2), "$.format", "reads format 1"),
        ("/format", json!("1"), "$.format", "expected 1"),
    ] {
        let mut plan = plan();
        *plan.pointer_mut(at).expect("a place") = value;
        let problem = problem(&signed(plan));
        assert!(problem.starts_with(&format!("at {path}: ")) && problem.contains(expected), "{at}: {problem}");
    }
    let mut twice = plan();
    let account = twice["accounts"][0].clone();
    twice["accounts"].as_array_mut().expect("a list").push(account);
    assert!(problem(&signed(twice)).starts_with("at $.accounts[1].accountId: "));
    let mut nothing = plan();
    (nothing["accounts"][0]["added"], nothing["accounts"][0]["removed"]) = (json!([]), json!([]));
    assert!(problem(&signed(nothing)).starts_with("at $.accounts[0]: "));
}

#[test]
fn a_plan_that_was_altered_is_refused() {
    let text = signed(plan());
    for (from, to) in [("\"targets\"", "\"others\""), ("444455556666\"]", "444455556666\", \"222233334444\"]")] {
        assert!(text.contains(from), "{from}");
        assert!(problem(&text.replace(from, to)).starts_with("at $.sha256: "));
    }
    let mut more = plan();
    more["accounts"][0]["force"] = true.into();
    assert!(problem(&signed(more)).contains("unknown field `force`"));
    let mut less = plan();
    less["accounts"][0].as_object_mut().expect("an account").remove("condition");
    assert_eq!(problem(&signed(less)), "at $.accounts[0]: missing field `condition`");
    assert!(problem(&plan().to_string()).starts_with("at $.sha256: "), "one without a digest");
    for cut in 1..text.len() {
        if text.is_char_boundary(cut) {
            problem(&text[..cut]);
        }
    }
    assert!(problem("[]").starts_with("at $: expected a plan"));
}
