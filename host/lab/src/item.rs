//! Table items between plain JSON and DynamoDB JSON (API reference: AttributeValue).

use serde_json::{Map, Value, json};

use crate::fleet::Item;

/// Marks typed DynamoDB JSON inside plain JSON.
const TYPED: &str = "$dynamodb";

/// An item in DynamoDB JSON. The error is a path inside the item, and what is expected there.
pub(crate) fn to_dynamodb(item: &Item) -> Result<Map<String, Value>, String> {
    item.iter().map(|(name, value)| Ok((name.clone(), typed(value, name)?))).collect()
}

fn typed(value: &Value, path: &str) -> Result<Value, String> {
    Ok(match value {
        Value::Null => json!({ "NULL": true }),
        Value::Bool(b) => json!({ "BOOL": b }),
        Value::Number(n) => json!({ "N": n.to_string() }),
        Value::String(s) => json!({ "S": s }),
        Value::Array(values) => {
            let values = values.iter().enumerate().map(|(i, value)| typed(value, &format!("{path}[{i}]")));
            json!({ "L": values.collect::<Result<Vec<_>, _>>()? })
        }
        Value::Object(map) if map.len() == 1 && map.contains_key(TYPED) => {
            let typed = &map[TYPED];
            serde_json::from_value::<dynoxide::AttributeValue>(typed.clone())
                .map_err(|e| format!("{path}.{TYPED}: expected DynamoDB JSON such as {{\"SS\": [\"a\"]}}: {e}"))?;
            typed.clone()
        }
        Value::Object(map) => {
            let values = map.iter().map(|(name, value)| Ok((name.clone(), typed(value, &format!("{path}.{name}"))?)));
            json!({ "M": values.collect::<Result<Map<_, _>, String>>()? })
        }
    })
}

/// An item in plain JSON, its attributes sorted by name.
pub(crate) fn from_dynamodb(item: &Map<String, Value>) -> Item {
    sorted(item.iter().map(|(name, value)| (name.clone(), plain(value))))
}

fn plain(value: &Value) -> Value {
    let typed = || json!({ TYPED: value });
    let Some((kind, inner)) = value.as_object().and_then(|map| map.iter().next()) else { return typed() };
    match (kind.as_str(), inner) {
        ("NULL", _) => Value::Null,
        ("BOOL" | "S", inner) => inner.clone(),
        // A number that JSON would print in another way stays typed.
        ("N", Value::String(text)) => match text.parse::<serde_json::Number>() {
            Ok(number) if number.to_string() == *text => Value::Number(number),
            _ => typed(),
        },
        ("L", Value::Array(values)) => values.iter().map(plain).collect(),
        ("M", Value::Object(map)) => Value::Object(from_dynamodb(map)),
        _ => typed(),
    }
}

/// Sorted by name, whether or not serde_json's maps keep the order of insertion.
fn sorted(entries: impl Iterator<Item = (String, Value)>) -> Map<String, Value> {
    let mut entries: Vec<_> = entries.collect();
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    entries.into_iter().collect()
}

/// DynamoDB JSON with the names in every map sorted.
pub(crate) fn canonical(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(sorted(map.into_iter().map(|(name, value)| (name, canonical(value))))),
        Value::Array(values) => values.into_iter().map(canonical).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_json_survives_the_way_there_and_back() {
        let item = json!({
            "accountId": "111122223333",
            "count": 3,
            "ratio": 0.5,
            "isCurrentAccount": false,
            "nothing": null,
            "stagingAccounts": [{ "accountId": "444455556666", "tags": { "$dynamodb": { "SS": ["a", "b"] } } }],
            "exact": { "$dynamodb": { "N": "1.10" } },
        });
        let Value::Object(item) = item else { unreachable!() };
        let typed = to_dynamodb(&item).unwrap();
        assert_eq!(typed["count"], json!({ "N": "3" }));
        assert_eq!(typed["stagingAccounts"]["L"][0]["M"]["tags"], json!({ "SS": ["a", "b"] }));
        assert_eq!(from_dynamodb(&typed), item);
    }

    #[test]
    fn a_wrong_typed_value_is_named_by_its_path() {
        let Value::Object(item) = json!({ "list": [{ "$dynamodb": { "XX": 1 } }] }) else { unreachable!() };
        let error = to_dynamodb(&item).unwrap_err();
        assert!(error.starts_with("list[0].$dynamodb: expected DynamoDB JSON"), "{error}");
    }
}
