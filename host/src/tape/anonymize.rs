//! Replaces account ids and names, the same one by the same one, so that a tape can be shown to others.
//!
//! The new ids are in the order of the old ones, because accounts are decided and reported in it. External ids
//! and tokens aren't on a tape in the first place.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::{Tape, read};

/// Who added an entry, where it was no person.
const ADDED_BY_SYNC: &str = "staging-account-sync";

/// The attributes of an item's entries that hold no name; what isn't known may hold one.
const NAMELESS: [&str; 6] = ["accountId", "roleArn", "externalId", "addedAt", "updatedAt", "discoveredFrom"];

/// Replaces ids and names on a tape and in what came out of it.
pub fn anonymize(tape: &mut Tape, result: &mut Value) -> Result<(), String> {
    let mut value = serde_json::to_value(&*tape).map_err(|error| format!("tape: {error}"))?;
    let mut names = Names::default();
    names.ids(&value);
    names.ids(result);
    names.name(&tape.config.table, "table");
    for exchange in tape.host.iter().chain(tape.targets.values().flatten()) {
        if let Ok(response) = exchange.given() {
            names.learn(&response, "");
        }
    }
    let ids: Vec<String> = names.ids.keys().cloned().collect();
    for (number, id) in ids.into_iter().enumerate() {
        names.ids.insert(id, format!("{:012}", 100_000_000_001 + number as u64));
    }
    names.replace(&mut value);
    names.replace(result);
    *tape = read(value).map_err(|error| format!("the tape without names: {error}"))?;
    Ok(())
}

/// What is replaced by what.
#[derive(Default)]
struct Names {
    ids: BTreeMap<String, String>,
    names: HashMap<String, String>,
    /// Names in order of length, the longest first: one may be a part of another.
    by_length: BTreeSet<(std::cmp::Reverse<usize>, String)>,
    counts: HashMap<&'static str, usize>,
}

impl Names {
    fn ids(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(key, value)| {
                self.ids(&Value::String(key.clone()));
                self.ids(value);
            }),
            Value::Array(list) => list.iter().for_each(|value| self.ids(value)),
            Value::String(text) => {
                self.ids.extend(ids(text).map(|at| (text[at..at + 12].to_owned(), String::new())));
            }
            _ => {}
        }
    }

    fn learn(&mut self, value: &Value, attribute: &str) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(key, value)| {
                // A type like `S` says nothing of what it is.
                self.learn(value, if key.bytes().any(|byte| byte.is_ascii_lowercase()) { key } else { attribute });
            }),
            Value::Array(list) => list.iter().for_each(|value| self.learn(value, attribute)),
            Value::String(text) => match attribute {
                "accountName" if !is_made(text) => self.name(text, "account"),
                "addedBy" if text != ADDED_BY_SYNC => self.name(text, "user"),
                "hostname" => self.name(text, "host"),
                "accountName" | "addedBy" => {}
                known if NAMELESS.contains(&known) => {}
                // DRS's own fields, and `Credentials.Expiration`.
                "accountID" | "sourceServerID" | "stagingAccountID" | "arn" | "status" | "nextToken" | "Expiration" => {
                }
                _ => self.name(text, "text"),
            },
            _ => {}
        }
    }

    fn name(&mut self, text: &str, kind: &'static str) {
        if text.is_empty() || self.names.contains_key(text) || ids(text).any(|_| text.len() == 12) {
            return;
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        self.names.insert(text.to_owned(), format!("{kind}-{count}"));
        self.by_length.insert((std::cmp::Reverse(text.len()), text.to_owned()));
    }

    fn replace(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (key, mut value) in std::mem::take(fields) {
                    match &mut value {
                        Value::String(text) if ["message", "error", "errorMessage"].contains(&key.as_str()) => {
                            self.replace_within(text);
                        }
                        value => self.replace(value),
                    }
                    fields.insert(self.new_ids(&key), value);
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|value| self.replace(value)),
            Value::String(text) => {
                *text = self.names.get(text).cloned().unwrap_or_else(|| self.new_ids(text));
            }
            _ => {}
        }
    }

    /// In a sentence, names are replaced where they stand as words.
    fn replace_within(&self, sentence: &mut String) {
        for (_, name) in self.by_length.iter().filter(|(_, name)| name.len() >= 4) {
            if let Some(new) = self.names.get(name).filter(|_| sentence.contains(name.as_str())) {
                *sentence = replace_words(sentence, name, new);
            }
        }
        *sentence = self.new_ids(sentence);
    }

    fn new_ids(&self, text: &str) -> String {
        let (mut new, mut done) = (String::new(), 0);
        for at in ids(text) {
            new.push_str(&text[done..at]);
            new.push_str(self.ids.get(&text[at..at + 12]).map_or(&text[at..at + 12], String::as_str));
            done = at + 12;
        }
        new + &text[done..]
    }
}

/// Whether a policy made the name from the id, so that it isn't one.
fn is_made(name: &str) -> bool {
    name.strip_prefix("Staging Account ").is_some_and(|id| id.len() == 12 && ids(id).next().is_some())
}

/// Where account ids begin: 12 digits with no letter or digit beside them.
fn ids(text: &str) -> impl Iterator<Item = usize> {
    let bytes = text.as_bytes();
    let word = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphanumeric);
    (0..bytes.len()).filter(move |at| {
        let fits = bytes.get(*at..at + 12).is_some_and(|id| id.iter().all(u8::is_ascii_digit));
        fits && !word(at + 12) && (*at == 0 || !word(at - 1))
    })
}

fn replace_words(text: &str, word: &str, new: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        let inside = before.ends_with(char::is_alphanumeric) || after.starts_with(char::is_alphanumeric);
        out.push_str(before);
        out.push_str(if inside { word } else { new });
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_keep_their_order_and_names_are_gone() {
        let tape = json!({
            "version": 1, "now": "2026-02-02T22:45:00Z", "event": {"operation": "o", "accountIds": ["999988887777"]},
            "config": {"table": "acme-accounts", "regions": ["us-east-1"]},
            "host": [{"service": "dynamodb", "operation": "Scan", "request": {"TableName": "acme-accounts"}, "response": {"Items": [{
                "accountId": {"S": "999988887777"}, "accountName": {"S": "Acme Prod"},
                "roleArn": {"S": "arn:aws:iam::999988887777:role/R"},
                "stagingAccounts": {"L": [{"M": {
                    "accountId": {"S": "111122223333"}, "accountName": {"S": "Staging Account 111122223333"},
                    "addedBy": {"S": "jo@acme.example"}, "note": {"S": "ask Jo"},
                }}]},
            }]}}],
            "targets": {"999988887777": [{"service": "sts", "operation": "AssumeRole", "request": {},
                "error": {"code": "AccessDenied", "message": "arn:aws:iam::999988887777:role/R of Acme Prod"}}]},
        });
        let mut tape = Tape::parse(&tape.to_string()).expect("a tape");
        let mut result = json!({"details": [{"accountName": "Acme Prod", "error": "x of Acme Prod: 999988887777"}]});
        anonymize(&mut tape, &mut result).expect("names");
        let text = tape.text();
        for gone in ["cme", "jo@", "ask Jo", "999988887777", "111122223333"] {
            assert!(!text.contains(gone), "{gone} in {text}");
        }
        assert!(text.contains("Staging Account 100000000001"), "{text}");
        assert_eq!(tape.targets.keys().collect::<Vec<_>>(), ["100000000002"]);
        assert_eq!(result["details"][0], json!({"accountName": "account-1", "error": "x of account-1: 100000000002"}));
    }
}
