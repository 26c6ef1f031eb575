//! The anonymization of a tape: everything that isn't known to be harmless is replaced consistently.
//!
//! The way is the other one round than looking for names: of each text on a tape it's known what it is (an id, a role's
//! ARN, a time, a region …), and what isn't known becomes `text-1`. So nothing is left that nobody thought of. Fields
//! that the host doesn't read are dropped. What came out of the tick isn't changed here: it's what a replay comes to.

mod names;

use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::exchange::{Answer, Exchange};
use super::{Tape, placeholder, read};
use crate::aws::SESSION_NAME;
use crate::change::ADDED_BY;
use names::Names;

/// Says which parts of a name are kept, because a rule may depend on them.
pub type Keep = Arc<dyn Fn(&str) -> Vec<Range<usize>> + Send + Sync>;

/// The keys of an event that say what a tick is to do.
const EVENT: [&str; 5] = ["operation", "dryRun", "accountIds", "segment", "totalSegments"];

/// The attributes of items and of their entries that the host or a policy reads.
const ATTRIBUTES: [&str; 10] = [
    "accountId",
    "accountName",
    "addedAt",
    "addedBy",
    "discoveredFrom",
    "externalId",
    "isCurrentAccount",
    "roleArn",
    "stagingAccounts",
    "updatedAt",
];

/// The fields of answers of DRS and STS that the host reads, and those that lead there.
const FIELDS: [&str; 14] = [
    "Credentials",
    "Expiration",
    "accountID",
    "accounts",
    "arn",
    "hostname",
    "identificationHints",
    "items",
    "nextToken",
    "sourceProperties",
    "sourceServerID",
    "stagingAccountID",
    "stagingArea",
    "status",
];

/// What DRS says of an extension.
const STATUSES: [&str; 3] = ["EXTENDED", "EXTENSION_ERROR", "NOT_EXTENDED"];

/// What was left as it was, one line for each, for whoever shows the tape to others.
pub type Left = Vec<String>;

/// Replaces ids and names on a tape. The new ids are in the order of the old ones, because accounts are decided and
/// reported in it.
pub fn anonymize(tape: &mut Tape, keep: Option<&Keep>) -> Result<Left, String> {
    let mut names = Names::of(&tape.text(), keep);
    let mut left = Vec::new();
    if !tape.about.is_empty() {
        left.push(format!("about: {}", tape.about));
    }
    if let Value::Object(event) = &mut tape.event {
        event.retain(|key, _| EVENT.contains(&key.as_str()));
        let ids = event.get_mut("accountIds").and_then(Value::as_array_mut);
        ids.into_iter().flatten().for_each(|id| texts(id, &mut |id| names.id(id)));
    }
    for exchange in tape.host.iter_mut().chain(tape.targets.values_mut().flatten()) {
        names.exchange(exchange);
    }
    tape.config.table = names.of_kind("table", &tape.config.table);
    tape.targets = std::mem::take(&mut tape.targets).into_iter().map(|(key, calls)| (names.id(&key), calls)).collect();
    let settings = std::mem::take(&mut tape.settings);
    tape.settings = settings.into_iter().map(|(key, value)| names.setting(key, value, &mut left)).collect();
    left.extend(names.kept.iter().map(|kept| format!("of names: {kept}")));
    // It must be a tape still.
    let value = serde_json::to_value(&*tape).map_err(|error| format!("tape: {error}"))?;
    *tape = read(value).map_err(|error| format!("the anonymized tape: {error}"))?;
    Ok(left)
}

/// Replaces every text in a value.
fn texts(value: &mut Value, replace: &mut dyn FnMut(&str) -> String) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(|value| texts(value, replace)),
        Value::Array(list) => list.iter_mut().for_each(|value| texts(value, replace)),
        Value::String(text) => *text = replace(text),
        _ => {}
    }
}

impl Names<'_> {
    /// A setting of a policy. What the default policy's settings are is known; others' may mean anything.
    fn setting(&mut self, key: String, mut value: Value, left: &mut Left) -> (String, Value) {
        match key.as_str() {
            "stagingRoleName" => texts(&mut value, &mut |name| self.role_name(name)),
            // External ids aren't on a tape; this one is equal to any.
            "externalIdTemplate" => value = json!("external-id-template"),
            "regions" => texts(&mut value, &mut |region| self.region(region)),
            _ => {
                texts(&mut value, &mut |text| self.known(text));
                left.push(format!("settings.{key}: {value}"));
            }
        }
        (key, value)
    }

    fn exchange(&mut self, exchange: &mut Exchange) {
        match exchange.service.as_str() {
            "dynamodb" => self.table_request(&mut exchange.request),
            _ => self.answer(&mut exchange.request, ""),
        }
        match &mut exchange.answer {
            Answer::Error(error) => {
                if !error.message.is_empty() {
                    error.message = self.of_kind("message", &error.message);
                }
                let plain = error.code.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'.');
                if !plain {
                    error.code = self.of_kind("code", &error.code).replace('-', "");
                }
            }
            Answer::Response(response) if exchange.service == "dynamodb" => self.table_answer(response),
            Answer::Response(response) => self.answer(response, ""),
        }
    }

    /// A request to DynamoDB: expressions are the host's own, values are attributes.
    fn table_request(&mut self, request: &mut Value) {
        let Value::Object(request) = request else { return };
        for (key, value) in request {
            match key.as_str() {
                "TableName" => texts(value, &mut |table| self.of_kind("table", table)),
                "UpdateExpression" | "ConditionExpression" => {}
                "ExpressionAttributeValues" => {
                    let Value::Object(values) = value else { continue };
                    // The names of values are the host's as well; what they hold is a list, or a time.
                    values.values_mut().for_each(|value| self.attribute("updatedAt", value));
                }
                _ => self.item(value),
            }
        }
    }

    fn table_answer(&mut self, response: &mut Value) {
        let Value::Object(fields) = response else { return self.unknown(response) };
        fields.retain(|key, _| ["Items", "Item", "LastEvaluatedKey"].contains(&key.as_str()));
        for value in fields.values_mut() {
            match value {
                Value::Array(items) => items.iter_mut().for_each(|item| self.item(item)),
                item => self.item(item),
            }
        }
    }

    /// An item, or an entry of its list: attributes by name.
    fn item(&mut self, item: &mut Value) {
        let Value::Object(attributes) = item else { return self.unknown(item) };
        for (name, mut value) in std::mem::take(attributes) {
            let known = ATTRIBUTES.contains(&name.as_str());
            self.attribute(if known { &name } else { "" }, &mut value);
            let name = if known { name } else { self.of_kind("attribute", &name) };
            attributes.insert(name, value);
        }
    }

    /// An attribute's value, in DynamoDB's JSON: an object of its type and the value.
    fn attribute(&mut self, name: &str, value: &mut Value) {
        let Value::Object(typed) = value else { return self.unknown(value) };
        if !typed.keys().all(|key| ["S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M"].contains(&key.as_str()))
        {
            return self.unknown(value);
        }
        for (kind, value) in typed {
            match (kind.as_str(), value) {
                ("S", value) => texts(value, &mut |text| self.text(name, text)),
                ("N" | "NS" | "B" | "BS", value) => texts(value, &mut |number| self.number(number)),
                ("L", Value::Array(list)) => list.iter_mut().for_each(|value| self.attribute(name, value)),
                ("M", entry) => self.item(entry),
                ("BOOL" | "NULL", Value::Bool(_)) => {}
                (_, value) => self.unknown(value),
            }
        }
    }

    /// What DRS or STS was asked, or answered.
    fn answer(&mut self, value: &mut Value, field: &str) {
        match value {
            Value::Object(fields) => {
                let request = ["RoleArn", "RoleSessionName", "maxResults"];
                fields.retain(|key, _| FIELDS.contains(&key.as_str()) || request.contains(&key.as_str()));
                fields.iter_mut().for_each(|(key, value)| self.answer(value, key));
            }
            Value::Array(list) => list.iter_mut().for_each(|value| self.answer(value, field)),
            Value::String(text) => *text = self.text(field, text),
            _ => {}
        }
    }

    /// What isn't as the API reference has it.
    fn unknown(&mut self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                let fields_before: Map<String, Value> = std::mem::take(fields);
                for (key, mut value) in fields_before {
                    self.unknown(&mut value);
                    fields.insert(self.of_kind("attribute", &key), value);
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|value| self.unknown(value)),
            Value::String(text) => *text = self.of_kind("text", text),
            Value::Number(_) => *value = json!(1),
            _ => {}
        }
    }

    /// A text, by the attribute or field that it is in.
    fn text(&mut self, name: &str, text: &str) -> String {
        match name {
            "accountId" | "accountID" | "stagingAccountID" => self.id(text),
            "roleArn" | "RoleArn" => self.role(text),
            "accountName" => self.account_name(text),
            "hostname" => self.name("host", text),
            "addedBy" if text == ADDED_BY => text.to_owned(),
            "addedBy" => self.of_kind("user", text),
            "discoveredFrom" => self.region(text),
            "addedAt" | "updatedAt" | "Expiration" if names::is_time(text) => text.to_owned(),
            "externalId" if placeholder::is_placeholder(text) => text.to_owned(),
            "externalId" => self.of_kind("external-id", text),
            "sourceServerID" => self.server(text),
            "arn" => self.server_arn(text),
            "status" if STATUSES.contains(&text) => text.to_owned(),
            "nextToken" if placeholder::is_token(text) => text.to_owned(),
            "nextToken" => self.of_kind("next-token", text),
            "RoleSessionName" if text == SESSION_NAME => text.to_owned(),
            _ => self.of_kind("text", text),
        }
    }
}

#[cfg(test)]
mod tests;
