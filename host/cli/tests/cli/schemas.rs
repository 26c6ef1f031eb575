//! The schemas that editors go by know exactly what the program knows. That real files pass, and broken ones don't, is
//! tested by a validator in `cfn/tests/test_schemas.py`.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use staging_sync_lab::Fleet;
use staging_sync_runtime::plan::Plan;
use staging_sync_runtime::tape::Tape;

use crate::staging_sync;

async fn schema(kind: &str) -> Value {
    let ran = staging_sync().args(["schema", kind]).output().await.expect("the program");
    assert!(ran.status.success() && ran.stderr.is_empty(), "{kind}");
    serde_json::from_slice(&ran.stdout).expect("a schema in JSON")
}

/// The members that an error about one of no known name lists.
fn known(error: &str) -> BTreeSet<String> {
    let (_, list) = error.split_once("unknown field `¿`, expected").unwrap_or_else(|| panic!("{error}"));
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn properties(schema: &Value, pointer: &str) -> BTreeSet<String> {
    let object = schema.pointer(pointer).unwrap_or_else(|| panic!("nothing at {pointer}"));
    assert_eq!(object["additionalProperties"], false, "{pointer}");
    object["properties"].as_object().unwrap_or_else(|| panic!("{pointer}")).keys().cloned().collect()
}

#[tokio::test]
async fn a_fleets_schema_has_what_a_fleet_may_have() {
    let schema = schema("fleet").await;
    let account = |account: Value| json!({"accounts": {"111122223333": account}});
    let fault = |fault: Value| json!({"faults": [fault]});
    for (pointer, fleet) in [
        ("", json!({"¿": 1})),
        ("/properties/hub", json!({"hub": {"¿": 1}})),
        ("/$defs/account", account(json!({"¿": 1}))),
        ("/$defs/role", account(json!({"roles": {"R": {"¿": 1}}}))),
        ("/$defs/region/oneOf/2", account(json!({"regions": {"us-east-1": {"¿": 1}}}))),
        ("/$defs/sourceServer", account(json!({"regions": {"us-east-1": {"sourceServers": [{"¿": 1}]}}}))),
        ("/$defs/fault", fault(json!({"¿": 1}))),
        ("/$defs/fault/properties/error/oneOf/1", fault(json!({"error": {"¿": 1}}))),
        ("/$defs/fault/properties/mutate/oneOf/1", fault(json!({"mutate": {"¿": 1}}))),
    ] {
        let error = Fleet::from_json(&fleet.to_string()).expect_err("a member that isn't known").to_string();
        assert_eq!(properties(&schema, pointer), known(&error), "{pointer}");
    }
    Fleet::from_json(r#"{"$schema": "./fleet.schema.json"}"#).expect("a fleet that names its schema");
}

#[tokio::test]
async fn a_tapes_schema_has_what_a_tape_may_have() {
    let schema = schema("tape").await;
    let tape = |name: &str, value: Value| {
        let mut tape = json!({
            "version": 1, "now": "2026-02-02T22:45:00Z", "event": {},
            "config": {"table": "t", "regions": ["us-east-1"]},
        });
        tape[name] = value;
        tape.to_string()
    };
    let failure = json!([{"service": "s", "operation": "o", "request": {}, "error": {"code": "c", "¿": 1}}]);
    for (pointer, tape) in [
        ("", tape("¿", json!(1))),
        ("/properties/config", tape("config", json!({"¿": 1}))),
        ("/$defs/exchange", tape("host", json!([{"¿": 1}]))),
        ("/$defs/exchange/properties/error", tape("host", failure)),
    ] {
        let error = Tape::parse(&tape).expect_err("a member that isn't known");
        assert_eq!(properties(&schema, pointer), known(&error), "{pointer}");
    }
    // It says where its schema is, and goes on saying it when it's written again.
    let text = tape("$schema", json!("./tape.schema.json"));
    assert!(Tape::parse(&text).expect("a tape").text().contains("./tape.schema.json"));
}

#[tokio::test]
async fn a_plans_schema_has_what_a_plan_may_have() {
    let schema = schema("plan").await;
    let entry = json!({"¿": 1});
    let plan = |name: &str, value: &Value| {
        let mut plan = json!({"format": 1});
        plan[name] = value.clone();
        plan.to_string()
    };
    let account = |name: &str| plan("accounts", &json!([{name: entry}]));
    let list = |name: &str| plan("accounts", &json!([{name: [entry]}]));
    for (pointer, plan) in [
        ("", plan("¿", &json!(1))),
        ("/properties/policy", plan("policy", &entry)),
        ("/$defs/account", plan("accounts", &json!([entry]))),
        ("/$defs/added", list("added")),
        ("/$defs/removed", list("removed")),
        ("/$defs/condition", account("condition")),
    ] {
        let error = Plan::read(&plan).err().expect("a member that isn't known");
        let mut known = known(&error);
        if pointer.is_empty() {
            known.insert("sha256".into()); // which is of the rest, and checked by itself
        }
        assert_eq!(properties(&schema, pointer), known, "{pointer}");
    }
}

#[tokio::test]
async fn the_manifests_schema_is_the_one_beside_the_program() {
    let known: Value =
        serde_json::from_str(include_str!("../../../runtime/policy-manifest.schema.json")).expect("JSON");
    assert_eq!(schema("manifest").await, known);
}
