//! Whatever comes in from outside is read or refused, and never ends the process: events, items, environment.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use staging_sync_runtime::target::Target;
use staging_sync_runtime::{Config, Event};

/// Any JSON, with the words that we look for among its keys and texts.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        3 => prop::sample::select(vec![
            "accountId", "accountName", "isCurrentAccount", "roleArn", "externalId", "stagingAccounts", "operation",
            "dryRun", "accountIds", "segment", "totalSegments", "S", "N", "B", "BOOL", "NULL", "L", "M", "SS",
            "111122223333", "arn:aws:iam::111122223333:role/x", "sync_staging_accounts",
        ])
        .prop_map(String::from),
        1 => ".{0,20}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..8)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// An item that is nearly right: one of its attributes is anything.
fn nearly_an_item() -> impl Strategy<Value = Map<String, Value>> {
    let attributes = ["accountId", "accountName", "isCurrentAccount", "roleArn", "externalId", "stagingAccounts"];
    (prop::sample::select(attributes.to_vec()), any_json(), any_json()).prop_map(|(attribute, value, entry)| {
        let mut item = json!({
            "accountId": {"S": "111122223333"},
            "accountName": {"S": "name"},
            "isCurrentAccount": {"BOOL": false},
            "roleArn": {"S": "arn:aws:iam::111122223333:role/x"},
            "stagingAccounts": {"L": [{"M": {"accountId": {"S": "444455556666"}, "other": entry}}]},
        });
        item[attribute] = value;
        item.as_object().cloned().unwrap_or_default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_event_is_read_or_refused_with_its_path(event in any_json()) {
        match Event::parse(&event) {
            Ok(read) => prop_assert_eq!(json!(read.operation), event["operation"].clone()),
            Err(error) => prop_assert!(error.message.starts_with("event at $"), "{}", error.message),
        }
    }

    #[test]
    fn any_item_is_read_without_loss_or_refused_with_its_attribute(item in nearly_an_item()) {
        match Target::read(&item) {
            Ok(target) => {
                let _ = target.role();
                let entries: Vec<Value> = target.staging_accounts.iter().map(|entry| entry.stored().clone()).collect();
                let stored = item["stagingAccounts"].get("L").cloned().unwrap_or_else(|| json!([]));
                prop_assert_eq!(json!(entries), stored);
            }
            Err(bad) => {
                let attribute = bad.problem.split([':', '[']).next().unwrap_or_default();
                prop_assert!(item.contains_key(attribute), "{}", bad.problem);
            }
        }
    }

    #[test]
    fn any_environment_is_read_or_refused_by_the_variables_name(
        name in prop::sample::select(vec![
            "DRS_REGIONS", "MAX_CONCURRENCY", "DRY_RUN", "DEADLINE_MARGIN_SECONDS", "MAX_REMOVALS_PERCENT",
            "POLICY_FUEL", "POLICY_MEMORY_MIB",
        ]),
        value in ".*",
    ) {
        let variable = |asked: &str| match asked {
            "TARGET_ACCOUNTS_TABLE" => Some("table".to_owned()),
            asked => (asked == name).then(|| value.clone()),
        };
        if let Err(error) = Config::read(&variable) {
            prop_assert!(error.message.contains(name), "{}", error.message);
        }
    }
}
