//! DynamoDB: reading target accounts, and the one conditional write.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Aws, AwsError, Principal, Request};
use crate::account::{AccountId, Item};

/// A slice of a DynamoDB parallel scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Which one, from 0.
    pub segment: u32,
    /// Of how many, from 1 to 1,000,000 (DynamoDB's limit).
    pub total: u32,
}

/// A change to a stored list, on the condition that the list is still the one that was read.
#[derive(Clone)]
pub struct Write {
    /// The item's key.
    pub account: AccountId,
    /// The list as it was read; `None` where the item had no such attribute.
    pub read: Option<Arc<Value>>,
    /// The list as it shall be; `None` for no such attribute.
    pub list: Option<Value>,
    /// `updatedAt`.
    pub updated_at: String,
}

/// The result of a conditional write, with the current item after a conflict.
pub enum Landed {
    /// It's done.
    Done,
    /// Somebody edited the item, which is this now.
    Edited(Item),
    /// Somebody deleted the item.
    Gone,
}

impl Aws {
    /// Reads a page of the table, or of a segment of it, consistently: its items, and where the next one begins.
    pub async fn scan_page(
        &self,
        segment: Option<Segment>,
        start: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>), AwsError> {
        let request = Request::Scan {
            table_name: self.table.clone(),
            consistent_read: true,
            exclusive_start_key: start.clone(),
            segment: segment.map(|slice| slice.segment),
            total_segments: segment.map(|slice| slice.total),
        };
        let doing = format!("Scan of table {}", self.table);
        let mut page = self.call(None, Principal::Host, request).await.map_err(|error| error.while_doing(&doing))?;
        let Some(Value::Array(found)) = page.get_mut("Items").map(Value::take) else {
            return Err(AwsError::malformed("expected a list of Items").while_doing(&doing));
        };
        let mut items = Vec::with_capacity(found.len());
        for item in found {
            let Value::Object(item) = item else {
                return Err(AwsError::malformed("expected an item to be a map").while_doing(&doing));
            };
            items.push(item);
        }
        match page.get_mut("LastEvaluatedKey").map(Value::take) {
            Some(Value::Object(next)) if start.as_ref() == Some(&next) => {
                Err(AwsError::malformed("a page that leads to itself").while_doing(&doing))
            }
            Some(Value::Object(next)) => Ok((items, Some(next))),
            _ => Ok((items, None)),
        }
    }

    /// Reads one target account, consistently. `None`: there's none of this id.
    pub async fn get_item(&self, account: &AccountId) -> Result<Option<Item>, AwsError> {
        let request = Request::GetItem { table_name: self.table.clone(), key: key(account), consistent_read: true };
        let mut answer = self
            .call(None, Principal::Host, request)
            .await
            .map_err(|error| error.while_doing(format_args!("GetItem in table {}", self.table)))?;
        match answer.get_mut("Item").map(Value::take) {
            Some(Value::Object(item)) => Ok(Some(item)),
            _ => Ok(None),
        }
    }

    /// Writes a list and `updatedAt`, and nothing else, to an item that exists and whose list is still as read; whether it
    /// was.
    async fn write(&self, write: Write) -> Result<bool, AwsError> {
        let mut values = Map::new();
        let update = match write.list {
            Some(list) => {
                values.insert(":list".into(), list);
                "SET stagingAccounts = :list, updatedAt = :now"
            }
            None => "SET updatedAt = :now REMOVE stagingAccounts",
        };
        values.insert(":now".into(), json!({"S": write.updated_at}));
        let unchanged = match write.read {
            Some(read) => {
                values.insert(":read".into(), Arc::unwrap_or_clone(read));
                "stagingAccounts = :read"
            }
            None => "attribute_not_exists(stagingAccounts)",
        };
        let request = Request::UpdateItem {
            table_name: self.table.clone(),
            key: key(&write.account),
            update_expression: update.into(),
            condition_expression: format!("attribute_exists(accountId) AND {unchanged}"),
            expression_attribute_values: values,
        };
        match self.call(None, Principal::Host, request).await {
            Ok(_) => Ok(true),
            Err(error) if error.code == "ConditionalCheckFailedException" => Ok(false),
            Err(error) => Err(error.while_doing(format_args!("UpdateItem in table {}", self.table))),
        }
    }

    /// Writes a list on its condition. After a conflict the item is read again: where it has this very list and time, the
    /// conflict is with this write, whose answer was lost, and which the SDK tried again.
    pub async fn replace(&self, write: Write) -> Result<Landed, AwsError> {
        let (account, list, now) = (write.account.clone(), write.list.clone(), write.updated_at.clone());
        if self.write(write).await? {
            return Ok(Landed::Done);
        }
        let Some(item) = self.get_item(&account).await? else { return Ok(Landed::Gone) };
        let updated_at = item.get("updatedAt").and_then(|time| time.get("S")).and_then(Value::as_str);
        let ours = item.get("stagingAccounts") == list.as_ref() && updated_at == Some(&now);
        Ok(if ours { Landed::Done } else { Landed::Edited(item) })
    }
}

fn key(account: &AccountId) -> Item {
    Item::from_iter([("accountId".to_owned(), json!({"S": account.as_str()}))])
}
