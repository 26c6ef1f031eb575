//! Lossless conversion between the SDK's types and DynamoDB JSON.
//!
//! Source: "AttributeValue" in the DynamoDB API reference.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_types::base64;
use serde_json::{Map, Value, json};

use super::AwsError;
use crate::account::Item;

/// An item of the SDK in DynamoDB JSON.
pub fn item_to_json(item: &HashMap<String, AttributeValue>) -> Result<Item, AwsError> {
    item.iter().map(|(name, value)| Ok((name.clone(), to_json(value)?))).collect()
}

/// An item in DynamoDB JSON for the SDK.
pub fn item_from_json(item: &Item) -> Result<HashMap<String, AttributeValue>, AwsError> {
    item.iter().map(|(name, value)| Ok((name.clone(), from_json(value)?))).collect()
}

fn to_json(value: &AttributeValue) -> Result<Value, AwsError> {
    let blob = |blob: &Blob| base64::encode(blob.as_ref());
    Ok(match value {
        AttributeValue::S(text) => json!({"S": text}),
        AttributeValue::N(number) => json!({"N": number}),
        AttributeValue::Bool(flag) => json!({"BOOL": flag}),
        AttributeValue::Null(flag) => json!({"NULL": flag}),
        AttributeValue::B(bytes) => json!({"B": blob(bytes)}),
        AttributeValue::Ss(texts) => json!({"SS": texts}),
        AttributeValue::Ns(numbers) => json!({"NS": numbers}),
        AttributeValue::Bs(blobs) => json!({"BS": blobs.iter().map(blob).collect::<Vec<_>>()}),
        AttributeValue::L(list) => json!({"L": list.iter().map(to_json).collect::<Result<Vec<_>, _>>()?}),
        AttributeValue::M(map) => json!({"M": item_to_json(map)?}),
        _ => return Err(AwsError::malformed("an attribute of a type that isn't documented")),
    })
}

fn from_json(value: &Value) -> Result<AttributeValue, AwsError> {
    let bad = || AwsError::malformed("expected a typed value like {\"S\": \"text\"}");
    let (kind, content) = value.as_object().and_then(|typed| typed.iter().next()).ok_or_else(bad)?;
    let text = |content: &Value| content.as_str().map(str::to_owned).ok_or_else(bad);
    let flag = || content.as_bool().ok_or_else(bad);
    let blob = |content: &Value| Ok(Blob::new(base64::decode(text(content)?).map_err(|_| bad())?));
    let list = || content.as_array().ok_or_else(bad);
    Ok(match kind.as_str() {
        "S" => AttributeValue::S(text(content)?),
        "N" => AttributeValue::N(text(content)?),
        "BOOL" => AttributeValue::Bool(flag()?),
        "NULL" => AttributeValue::Null(flag()?),
        "B" => AttributeValue::B(blob(content)?),
        "SS" => AttributeValue::Ss(list()?.iter().map(text).collect::<Result<_, _>>()?),
        "NS" => AttributeValue::Ns(list()?.iter().map(text).collect::<Result<_, _>>()?),
        "BS" => AttributeValue::Bs(list()?.iter().map(blob).collect::<Result<_, _>>()?),
        "L" => AttributeValue::L(list()?.iter().map(from_json).collect::<Result<_, _>>()?),
        "M" => AttributeValue::M(item_from_json(content.as_object().unwrap_or(&Map::new()))?),
        _ => return Err(bad()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_the_round_trip() {
        let item = json!({
            "text": {"S": "é\n"}, "number": {"N": "1.50"}, "flag": {"BOOL": false}, "nothing": {"NULL": true},
            "bytes": {"B": "AAEC"}, "texts": {"SS": ["b", "a"]}, "numbers": {"NS": ["2", "1"]}, "blobs": {"BS": ["AA=="]},
            "nested": {"L": [{"M": {"deep": {"L": []}}}]},
        });
        let item = item.as_object().expect("an object");
        let there = item_from_json(item).expect("the SDK's types");
        assert_eq!(&item_to_json(&there).expect("JSON"), item);
    }
}
