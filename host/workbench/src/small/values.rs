//! The texts and ids of a small world: names, authors of entries, accounts.

use serde_json::{Map, Value, json};

use super::MOST;
use staging_sync_runtime::change::ADDED_BY;

/// What isn't as usual in a world.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values {
    /// The target account's name; empty: it has none.
    pub name: Option<String>,
    /// The target account's id.
    pub target: Option<String>,
    /// The staging accounts.
    pub entries: [Entry; MOST as usize],
}

/// What isn't as usual with a staging account.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    /// Its id.
    pub id: Option<String>,
    /// The name of its stored entry, which otherwise has none.
    pub name: Option<String>,
    /// Who added its stored entry.
    pub added_by: Option<String>,
}

impl Values {
    /// The id of a staging account.
    pub fn staging(&self, number: usize) -> String {
        let id = self.entries.get(number).and_then(|entry| entry.id.clone());
        id.unwrap_or_else(|| format!("{:012}", 300_000_000_001 + number as u64))
    }

    /// The ids of a set of staging accounts.
    pub fn staging_in(&self, set: u8) -> impl Iterator<Item = String> {
        (0..usize::from(MOST)).filter(move |number| set >> number & 1 == 1).map(|number| self.staging(number))
    }

    /// A staging account's stored entry.
    pub(super) fn entry(&self, number: usize, by_sync: bool) -> Value {
        let own = self.entries.get(number);
        let mut entry = Map::from_iter([("accountId".to_owned(), json!({"S": self.staging(number)}))]);
        if let Some(name) = own.and_then(|own| own.name.as_ref()) {
            entry.insert("accountName".into(), json!({"S": name}));
        }
        let added_by = own.and_then(|own| own.added_by.as_deref()).or(by_sync.then_some(ADDED_BY));
        if let Some(added_by) = added_by {
            entry.insert("addedBy".into(), json!({"S": added_by}));
        }
        entry.insert("note".into(), json!({"S": "kept"}));
        json!({"M": entry})
    }

    /// The same in words.
    pub(super) fn entry_text(&self, number: usize, by_sync: bool) -> String {
        let own = self.entries.get(number);
        let name = own.and_then(|own| own.name.as_ref()).map(|name| format!("named {name:?}, "));
        let by = match own.and_then(|own| own.added_by.as_ref()) {
            Some(by) => format!("{by:?}"),
            None if by_sync => "the sync".into(),
            None => "an operator".into(),
        };
        format!("{} ({}added by {by})", self.staging(number), name.unwrap_or_default())
    }

    /// The account in words, where it isn't the usual one.
    pub(super) fn text(&self) -> Option<String> {
        let name = self.name.as_ref().map(|name| match name.as_str() {
            "" => "without a name".to_owned(),
            name => format!("named {name:?}"),
        });
        let words: Vec<String> = self.target.iter().cloned().chain(name).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }

    /// The same with one value less that isn't as usual, in every way.
    pub fn simpler(&self) -> Vec<Self> {
        let mut simpler = Vec::new();
        let mut try_one = |change: &dyn Fn(&mut Self)| {
            let mut values = self.clone();
            change(&mut values);
            if values != *self {
                simpler.push(values);
            }
        };
        try_one(&|values| values.name = None);
        try_one(&|values| values.target = None);
        for number in 0..usize::from(MOST) {
            try_one(&|values| values.entries[number].id = None);
            try_one(&|values| values.entries[number].name = None);
            try_one(&|values| values.entries[number].added_by = None);
        }
        simpler
    }
}
