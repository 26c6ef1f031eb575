//! Lossless conversion between the SDK's types and DynamoDB JSON.
//!
//! Source: "AttributeValue" in the DynamoDB API reference.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_types::base64;
use serde_json::{Map, Value};

use super::AwsError;
use crate::account::Item;

/// An item of the SDK in DynamoDB JSON.
pub fn item_to_json(item: HashMap<String, AttributeValue>) -> Result<Item, AwsError> {
    let mut json = Map::with_capacity(item.len());
    for (name, value) in item {
        json.insert(name, to_json(value)?);
    }
    Ok(json)
}

/// An item in DynamoDB JSON for the SDK.
pub fn item_from_json(item: &Item) -> Result<HashMap<String, AttributeValue>, AwsError> {
    item.iter().map(|(name, value)| Ok((name.clone(), from_json(value)?))).collect()
}

/// Nothing is copied that can be moved: a page of a table has thousands of these.
fn to_json(value: AttributeValue) -> Result<Value, AwsError> {
    let texts = |all: Vec<String>| all.into_iter().map(Value::String).collect::<Value>();
    let (kind, content) = match value {
        AttributeValue::S(text) => ("S", Value::String(text)),
        AttributeValue::N(number) => ("N", Value::String(number)),
        AttributeValue::Bool(flag) => ("BOOL", flag.into()),
        AttributeValue::Null(flag) => ("NULL", flag.into()),
        AttributeValue::B(bytes) => ("B", base64::encode(bytes).into()),
        AttributeValue::Ss(all) => ("SS", texts(all)),
        AttributeValue::Ns(all) => ("NS", texts(all)),
        AttributeValue::Bs(blobs) => ("BS", blobs.iter().map(|blob| base64::encode(blob.as_ref())).collect()),
        AttributeValue::L(list) => ("L", Value::Array(list.into_iter().map(to_json).collect::<Result<_, _>>()?)),
        AttributeValue::M(map) => ("M", Value::Object(item_to_json(map)?)),
        _ => return Err(AwsError::malformed("an attribute of a type that isn't documented")),
    };
    let mut typed = Map::with_capacity(1);
    typed.insert(kind.to_owned(), content);
    Ok(Value::Object(typed))
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
    use serde_json::json;

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
        assert_eq!(&item_to_json(there).expect("JSON"), item);
    }
}
