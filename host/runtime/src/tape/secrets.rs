//! The data that no tape contains: credentials, tokens, external ids, and unrelated attributes of items.

use std::collections::HashMap;

use serde_json::Value;

use super::exchange::{Answer, Exchange};
use super::placeholder::{EXTERNAL_ID, PLACEHOLDER, TOKEN};

/// The attributes of an item that the host reads; others may hold anything.
const READ: [&str; 7] =
    ["accountId", "accountName", "isCurrentAccount", "roleArn", EXTERNAL_ID, "stagingAccounts", "updatedAt"];

/// Replaces external ids that AWS answered with, and page tokens, wherever they occur; drops the rest.
pub(super) fn remove<'a>(exchanges: impl Iterator<Item = &'a mut Exchange>) {
    let mut exchanges: Vec<&mut Exchange> = exchanges.collect();
    let mut known = Known::default();
    for exchange in &mut exchanges {
        let operation = exchange.operation.clone();
        if let Answer::Response(response) = &mut exchange.answer {
            reduce(&operation, response);
            known.learn(response, None);
        }
    }
    for exchange in &mut exchanges {
        known.replace_in(exchange);
    }
}

/// Removes secrets from calls as they come, for a tape that is too large to be kept in memory: one of these for each target
/// account.
#[derive(Default)]
pub(crate) struct Redaction(Known);

impl Redaction {
    /// Learns the external ids of a stored item, before they occur in a call.
    pub(crate) fn learn(&mut self, item: &Value) {
        self.0.learn(item, None);
    }

    /// Replaces external ids and page tokens in a call and its answer, and drops the rest. The external ids of entries
    /// that are written are replaced as well: an entry may have been stored before.
    pub(crate) fn apply(&mut self, exchange: &mut Exchange) {
        self.0.learn(&exchange.request, None);
        let operation = exchange.operation.clone();
        if let Answer::Response(response) = &mut exchange.answer {
            reduce(&operation, response);
            self.0.learn(response, None);
        }
        self.0.replace_in(exchange);
    }
}

/// Leaves of a response what the host reads.
fn reduce(operation: &str, response: &mut Value) {
    let reduce_item = |item: &mut Value| {
        if let Value::Object(item) = item {
            item.retain(|attribute, _| READ.contains(&attribute.as_str()));
        }
    };
    match operation {
        "Scan" => {
            if let Some(items) = response.get_mut("Items").and_then(Value::as_array_mut) {
                items.iter_mut().for_each(reduce_item);
            }
        }
        "GetItem" => {
            if let Some(item) = response.get_mut("Item") {
                reduce_item(item);
            }
        }
        "AssumeRole" => {
            let until = response.get("Credentials").and_then(|given| given.get("Expiration")).cloned();
            *response = match until {
                Some(until) => serde_json::json!({"Credentials": {"Expiration": until}}),
                None => serde_json::json!({}),
            };
        }
        _ => {}
    }
}

/// Secrets and what stands for each.
#[derive(Default)]
struct Known {
    placeholders: HashMap<String, String>,
    external_ids: usize,
    tokens: usize,
}

impl Known {
    fn learn(&mut self, value: &Value, attribute: Option<&str>) {
        match (value, attribute) {
            (Value::Object(fields), _) => {
                for (key, value) in fields {
                    let own = [EXTERNAL_ID, "nextToken"].contains(&key.as_str()).then_some(key.as_str());
                    self.learn(value, own.or(attribute));
                }
            }
            (Value::Array(list), _) => list.iter().for_each(|value| self.learn(value, attribute)),
            (Value::String(text), Some(attribute)) if !text.is_empty() && !self.placeholders.contains_key(text) => {
                let (count, name) = match attribute {
                    EXTERNAL_ID => (&mut self.external_ids, PLACEHOLDER),
                    _ => (&mut self.tokens, TOKEN),
                };
                *count += 1;
                self.placeholders.insert(text.clone(), format!("{name}{count}"));
            }
            _ => {}
        }
    }

    fn replace_in(&self, exchange: &mut Exchange) {
        self.replace(&mut exchange.request);
        match &mut exchange.answer {
            Answer::Response(response) => self.replace(response),
            Answer::Error(error) => self.replace_within(&mut error.message),
        }
    }

    fn replace(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => fields.values_mut().for_each(|value| self.replace(value)),
            Value::Array(list) => list.iter_mut().for_each(|value| self.replace(value)),
            Value::String(text) => {
                if let Some(placeholder) = self.placeholders.get(text) {
                    text.clone_from(placeholder);
                }
            }
            _ => {}
        }
    }

    /// Within a sentence; a text so short that it's found in ordinary words isn't looked for.
    fn replace_within(&self, sentence: &mut String) {
        for (secret, placeholder) in self.placeholders.iter().filter(|(secret, _)| secret.len() >= 8) {
            if sentence.contains(secret) {
                *sentence = sentence.replace(secret, placeholder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_get_the_same_name_wherever_they_are() {
        let exchange = |operation: &str, request: Value, answer: Answer| Exchange {
            service: "x".into(),
            operation: operation.into(),
            region: None,
            request,
            answer,
        };
        let entry = json!({"L": [{"M": {"externalId": {"S": "second-secret"}, "note": {"S": "kept"}}}]});
        let item = json!({"externalId": {"S": "first-secret"}, "apiKey": {"S": "others'"}, "stagingAccounts": entry});
        let message = "x second-secret".to_owned();
        let mut exchanges = [
            exchange("Scan", json!({}), Answer::Response(json!({"Items": [item]}))),
            exchange("UpdateItem", json!({":list": entry, ":new": {"S": "own"}}), Answer::Response(json!({}))),
            exchange("List", json!({}), Answer::Response(json!({"nextToken": "opaque"}))),
            exchange(
                "List",
                json!({"nextToken": "opaque"}),
                Answer::Error(super::super::exchange::Failure { code: "C".into(), message, retryable: false }),
            ),
            exchange(
                "AssumeRole",
                json!({}),
                Answer::Response(json!({"Credentials": {"Expiration": "e", "SecretAccessKey": "s"}})),
            ),
        ];
        remove(exchanges.iter_mut());
        let text = serde_json::to_string(&exchanges).expect("JSON");
        for secret in ["first-secret", "second-secret", "others'", "opaque", "SecretAccessKey"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert_eq!(exchanges[1].request[":list"]["L"][0]["M"]["externalId"]["S"], "external-id-2");
        assert_eq!(exchanges[1].request[":list"]["L"][0]["M"]["note"]["S"], "kept");
        assert_eq!(exchanges[3].request["nextToken"], "next-token-1");
    }
}
