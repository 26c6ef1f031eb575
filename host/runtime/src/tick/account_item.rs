//! An account of a tick as it was read from the table, until it's decided.

use serde_json::Value;

use crate::account::Item;

/// An account of the tick: its key, and its item unless the event named one that there isn't.
pub(super) struct Account {
    pub(super) key: String,
    pub(super) item: Option<StoredItem>,
}

/// An item as it's kept until its account is decided.
pub(super) enum StoredItem {
    /// Ready for use.
    Read(Item),
    /// As a JSON text, a sixth of that, for one that may wait for long.
    Packed(Box<[u8]>),
}

impl Account {
    pub(super) fn of(item: Item) -> Self {
        let key = item.get("accountId").and_then(|id| id.get("S")).and_then(Value::as_str).unwrap_or_default();
        Self { key: key.to_owned(), item: Some(StoredItem::Read(item)) }
    }

    /// Makes it small, until it's decided.
    pub(super) fn pack(&mut self) {
        if let Some(StoredItem::Read(item)) = &self.item
            && let Ok(text) = serde_json::to_vec(item)
        {
            self.item = Some(StoredItem::Packed(text.into()));
        }
    }
}

impl StoredItem {
    /// The item as it was read.
    pub(super) fn unpacked(self) -> Item {
        match self {
            Self::Read(item) => item,
            Self::Packed(text) => serde_json::from_slice(&text).unwrap_or_default(), // it was written from an item
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_packed_item_is_the_same_when_it_is_unpacked() {
        let item = json!({
            "z": {"S": "é \"\\\u{2028}"}, "accountId": {"S": "111122223333"}, "n": {"N": "1.50"}, "b": {"B": "AAE="},
            "stagingAccounts": {"L": [{"M": {"b": {"NULL": true}, "a": {"SS": ["b", "a"]}}}, {"L": []}]},
        });
        let text = item.to_string();
        let Value::Object(item) = item else { unreachable!("an object") };
        let mut account = Account::of(item);
        account.pack();
        account.pack();
        assert!(matches!(account.item, Some(StoredItem::Packed(_))));
        let unpacked = account.item.map(|item| Value::Object(item.unpacked()).to_string());
        assert_eq!((account.key.as_str(), unpacked), ("111122223333", Some(text)), "in the same order, too");
    }
}
