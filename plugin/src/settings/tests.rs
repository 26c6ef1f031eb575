//! Tests of the settings and of their schema.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// The paths that `settings` is refused with.
fn wrong(settings: &Value) -> Vec<String> {
    parse(&settings.to_string()).err().into_iter().flatten().map(|error| error.path).collect()
}

#[test]
fn all_of_them() {
    let settings = parse(
        r#"{"removals": "own", "stagingRoleName": "Sync", "regions": ["us-gov-west-1", "eusc-de-east-1"],
            "externalIdTemplate": "drs-orchestration-cross-account"}"#,
    );
    let expected = Settings {
        removals: Removals::Own,
        staging_role_name: "Sync".into(),
        external_id_template: "drs-orchestration-cross-account".into(),
        regions: Some(vec!["us-gov-west-1".into(), "eusc-de-east-1".into()]),
    };
    assert_eq!(settings, Ok(expected));
}

#[test]
fn every_problem_at_once() {
    let settings = json!({
        "removals": "some", "stagingRoleName": "a/b", "externalIdTemplate": "x-{account}",
        "regions": ["us-east-1", "us-east-1", "nowhere", 1], "region": "us-east-1",
    });
    let mut paths = wrong(&settings);
    paths.sort();
    assert_eq!(
        paths,
        [
            "$.externalIdTemplate",
            "$.region",
            "$.regions[1]",
            "$.regions[2]",
            "$.regions[3]",
            "$.removals",
            "$.stagingRoleName"
        ]
    );
}

#[test]
fn not_an_object() {
    for text in ["", "[]", "null", "{", r#""all""#] {
        let errors = parse(text).unwrap_err();
        assert_eq!(errors.len(), 1, "{text}");
        assert_eq!(errors[0].path, "$", "{text}");
    }
}

#[test]
fn bounds() {
    for (key, good, bad) in [
        ("stagingRoleName", json!("x".repeat(64)), json!("x".repeat(65))),
        ("stagingRoleName", json!("_+=,.@-"), json!("")),
        ("externalIdTemplate", json!("ab"), json!("a")),
        ("externalIdTemplate", json!("{accountId}"), json!("{accountId}}")),
        ("externalIdTemplate", json!("x".repeat(1212) + "{accountId}"), json!("x".repeat(1213) + "{accountId}")),
        ("externalIdTemplate", json!("a:b/c"), json!("a b")),
        ("regions", json!(["mx-central-1"]), json!([])),
        ("regions", json!(["us-iso-east-1"]), json!("us-iso-east-1")),
    ] {
        assert_eq!(wrong(&json!({ key: good })), [""; 0], "{key}: {good}");
        assert_eq!(wrong(&json!({ key: bad })), [format!("$.{key}")], "{key}: {bad}");
    }
    for region in ["us-east", "us-1", "US-EAST-1", "us-east-1a", "us--1", "-east-1", "us-east-", "global", ""] {
        assert_eq!(wrong(&json!({ "regions": [region] })), ["$.regions[0]"], "{region}");
    }
}

#[test]
fn schema_and_parser_agree() {
    let schema = serde_json::from_str::<Value>(SCHEMA).unwrap();
    let properties = schema["properties"].as_object().unwrap();
    let mut keys = KEYS;
    keys.sort_unstable();
    let mut described = properties.keys().collect::<Vec<_>>();
    described.sort_unstable();
    assert_eq!(described, keys);

    for (key, property) in properties {
        let unknown = json!({ key: null });
        assert!(!parse(&unknown.to_string()).unwrap_err()[0].message.contains("unknown"), "{key}");
        assert!(property["description"].is_string(), "{key}");
        if let Some(default) = property.get("default") {
            assert_eq!(parse(&json!({ key: default }).to_string()), Ok(Settings::default()), "{key}");
        }
    }
    // Only the regions have no fixed default: it is all of the tick's.
    assert_eq!(properties.values().filter(|property| property.get("default").is_none()).count(), 1);
    assert_eq!(parse("{}").unwrap().regions, None);
    for choice in schema["properties"]["removals"]["enum"].as_array().unwrap() {
        assert_eq!(wrong(&json!({ "removals": choice })), [""; 0]);
    }
}

proptest! {
    /// Whatever the text: it's read, or every problem has a path.
    #[test]
    fn any_text_is_read_or_refused(
        text in prop_oneof![".*", r#"\{("(removals|regions|stagingRoleName|x)": ?("(all|a/b|\\\\|é)"|\[("us-east-1",?)*\]|1),?){0,3}\}"#],
    ) {
        if let Err(errors) = parse(&text) {
            prop_assert!(!errors.is_empty());
            prop_assert!(errors.iter().all(|error| error.path.starts_with('$')));
        }
    }
}
