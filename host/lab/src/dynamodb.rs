//! Amazon DynamoDB (API reference: Scan, GetItem, UpdateItem, ...): dynoxide answers, on a thread of its own.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, mpsc};

use bytes::Bytes;
use dynoxide::{AttributeValue, Database, DynoxideError, ImportOptions};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use crate::error::AwsError;
use crate::fault::Mutate;
use crate::fleet::{Hub, Item};
use crate::{Error, item};

/// The attribute that is the table's key.
const KEY: &str = "accountId";
/// How many list positions are remembered for [`Table::page`].
const MOST_PAGES: usize = 10_000;

/// The table of target accounts.
pub(crate) struct Table {
    name: String,
    database: Database,
    pages: Arc<Mutex<Pages>>,
    jobs: mpsc::Sender<Job>,
}

/// Which page starts after which key: `operation/segment/key` -> page, from 1.
type Pages = HashMap<String, u32>;

type Answer = Result<String, AwsError>;

struct Job {
    operation: String,
    body: Bytes,
    answer: oneshot::Sender<Answer>,
}

/// The parts of a request that faults and the log look at.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Peek {
    key: Map<String, Value>,
    item: Map<String, Value>,
    segment: u32,
    exclusive_start_key: Option<Map<String, Value>>,
}

impl Peek {
    /// A body that can't be read is the engine's to refuse.
    pub fn at(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// The key of the item that the call is about, if it's about one.
    pub fn item_key(&self) -> Option<&str> {
        string(&self.key).or_else(|| string(&self.item))
    }

    pub fn continues(&self) -> bool {
        self.exclusive_start_key.is_some()
    }

    fn position(&self, operation: &str) -> Option<String> {
        let key = string(self.exclusive_start_key.as_ref()?)?;
        Some(position(operation, self.segment, key))
    }
}

fn string(key: &Map<String, Value>) -> Option<&str> {
    key.get(KEY)?.get("S")?.as_str()
}

fn position(operation: &str, segment: u32, key: &str) -> String {
    format!("{operation}/{segment}/{key}")
}

impl Table {
    pub fn new(hub: &Hub, targets: &[Item]) -> Result<Self, Error> {
        let database = Database::memory().map_err(refused)?;
        let table: dynoxide::actions::create_table::CreateTableRequest = request(json!({
            "TableName": hub.table,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": KEY, "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": KEY, "KeyType": "HASH" }],
        }))?;
        database.create_table(table).map_err(refused)?;
        let items = targets.iter().map(|target| {
            let typed = item::to_dynamodb(target).map_err(Error::Table)?;
            request::<HashMap<String, AttributeValue>>(Value::Object(typed))
        });
        let items = items.collect::<Result<Vec<_>, _>>()?;
        database.import_items(&hub.table, items, ImportOptions::default()).map_err(refused)?;

        let (jobs, queue) = mpsc::channel::<Job>();
        let pages = Arc::new(Mutex::new(Pages::new()));
        // SQLite serves one call at a time. One thread that works through a queue keeps the waiting out of the
        // async workers, and is faster than hundreds of threads that contend for the same lock.
        let worker = (database.clone(), pages.clone());
        std::thread::Builder::new()
            .name("lab-dynamodb".into())
            .spawn(move || {
                for Job { operation, body, answer } in queue {
                    let answered = catch_unwind(AssertUnwindSafe(|| run(&worker.0, &worker.1, &operation, &body)));
                    let failed = |_| Err(AwsError::new("InternalServerError", "The table's engine failed"));
                    let _ = answer.send(answered.unwrap_or_else(failed)); // a client may have gone
                }
            })
            .map_err(|e| Error::Table(e.to_string()))?;
        Ok(Self { name: hub.table.clone(), database, pages, jobs })
    }

    /// Answers one call with the body of a successful answer.
    pub async fn answer(&self, operation: &str, body: Bytes) -> Answer {
        let (answer, answered) = oneshot::channel();
        let gone = || AwsError::new("InternalServerError", "The table's engine has stopped");
        self.jobs.send(Job { operation: operation.to_owned(), body, answer }).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// The page that a Scan or Query asks for, from 1.
    pub fn page(&self, operation: &str, peek: &Peek) -> Option<u32> {
        if !matches!(operation, "Scan" | "Query") {
            return None;
        }
        if !peek.continues() {
            return Some(1);
        }
        let position = peek.position(operation)?;
        self.pages.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get(&position).copied()
    }

    /// All items in DynamoDB JSON, sorted by key.
    pub fn items(&self) -> Result<Vec<Map<String, Value>>, Error> {
        let mut items = Vec::new();
        let mut start = Value::Null;
        loop {
            let mut scan = json!({ "TableName": self.name, "ConsistentRead": true });
            if !start.is_null() {
                scan["ExclusiveStartKey"] = start;
            }
            let answer = self.database.scan(request(scan)?).map_err(refused)?;
            let mut answer = serde_json::to_value(answer).map_err(|e| Error::Table(e.to_string()))?;
            start = answer["LastEvaluatedKey"].take();
            if let Value::Array(page) = answer["Items"].take() {
                items.extend(page.into_iter().filter_map(|item| match item::canonical(item) {
                    Value::Object(item) => Some(item),
                    _ => None,
                }));
            }
            if start.is_null() {
                break;
            }
        }
        items.sort_by(|a, b| string(a).cmp(&string(b)));
        Ok(items)
    }

    pub fn put(&self, item: &Item) -> Result<(), Error> {
        let typed = item::to_dynamodb(item).map_err(Error::Table)?;
        self.database.put_item(request(json!({ "TableName": self.name, "Item": typed }))?).map_err(refused)?;
        Ok(())
    }

    /// Edits one item, as another writer would.
    pub fn mutate(&self, mutate: &Mutate) -> Result<(), Error> {
        let key = mutate.key.as_deref().ok_or_else(|| Error::Table("no key to edit".into()))?;
        let key = json!({ KEY: { "S": key } });
        if mutate.delete {
            self.database.delete_item(request(json!({ "TableName": self.name, "Key": key }))?).map_err(refused)?;
            return Ok(());
        }
        let values = item::to_dynamodb(&mutate.set).map_err(Error::Table)?;
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        let (mut names, mut bound) = (Map::new(), Map::new());
        for (i, (name, value)) in values.into_iter().enumerate() {
            set.push(format!("#s{i} = :s{i}"));
            names.insert(format!("#s{i}"), name.into());
            bound.insert(format!(":s{i}"), value);
        }
        for (i, name) in mutate.remove.iter().enumerate() {
            remove.push(format!("#r{i}"));
            names.insert(format!("#r{i}"), name.as_str().into());
        }
        let clause = |word: &str, parts: &[String]| match parts {
            [] => String::new(),
            parts => format!("{word} {} ", parts.join(", ")),
        };
        let mut update = json!({
            "TableName": self.name,
            "Key": key,
            "UpdateExpression": clause("SET", &set) + &clause("REMOVE", &remove),
            "ExpressionAttributeNames": names,
        });
        if !bound.is_empty() {
            update["ExpressionAttributeValues"] = Value::Object(bound);
        }
        self.database.update_item(request(update)?).map_err(refused)?;
        Ok(())
    }
}

fn request<T: DeserializeOwned>(request: Value) -> Result<T, Error> {
    serde_json::from_value(request).map_err(|e| Error::Table(e.to_string()))
}

fn refused(error: DynoxideError) -> Error {
    Error::Table(error.to_string())
}

fn run(database: &Database, pages: &Mutex<Pages>, operation: &str, body: &[u8]) -> Answer {
    macro_rules! pass {
        ($method:ident) => {
            write(&database.$method(read(body)?).map_err(failed)?)
        };
    }
    macro_rules! pass_list {
        ($method:ident) => {{
            let answer = database.$method(read(body)?).map_err(failed)?;
            remember(pages, operation, body, answer.last_evaluated_key.as_ref());
            write(&answer)
        }};
    }
    match operation {
        "Scan" => pass_list!(scan),
        "Query" => pass_list!(query),
        "GetItem" => pass!(get_item),
        "PutItem" => pass!(put_item),
        "UpdateItem" => pass!(update_item),
        "DeleteItem" => pass!(delete_item),
        "BatchGetItem" => pass!(batch_get_item),
        "BatchWriteItem" => pass!(batch_write_item),
        "TransactGetItems" => pass!(transact_get_items),
        "TransactWriteItems" => pass!(transact_write_items),
        "DescribeTable" => pass!(describe_table),
        "ListTables" => pass!(list_tables),
        _ => Err(AwsError::unknown_operation()),
    }
}

/// Notes which page the list continues with.
fn remember(pages: &Mutex<Pages>, operation: &str, body: &[u8], last: Option<&HashMap<String, AttributeValue>>) {
    let Some(AttributeValue::S(key)) = last.and_then(|last| last.get(KEY)) else { return };
    let peek = Peek::at(body);
    let mut pages = pages.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let page = peek.position(operation).and_then(|position| pages.get(&position).copied()).unwrap_or(1);
    if pages.len() >= MOST_PAGES {
        pages.clear();
    }
    pages.insert(position(operation, peek.segment, key), page + 1);
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, AwsError> {
    serde_json::from_slice(body).map_err(|e| {
        let text = e.to_string();
        let text = text.split(" at line ").next().unwrap_or(&text);
        // The engine's request types mark what kind of mistake they found.
        let marked = text.split_once(':').filter(|(mark, _)| mark.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
        match marked {
            Some((mark, text)) if mark.starts_with("VALIDATION") => AwsError::new("ValidationException", text),
            Some((_, text)) => AwsError::new("SerializationException", text),
            None if text.contains("missing field") => AwsError::new("ValidationException", text),
            None => AwsError::new("SerializationException", text),
        }
    })
}

fn write(answer: &impl Serialize) -> Answer {
    serde_json::to_string(answer).map_err(|e| AwsError::new("InternalServerError", e.to_string()))
}

fn failed(error: DynoxideError) -> AwsError {
    let code = error.error_type().rsplit('#').next().unwrap_or_default();
    AwsError {
        status: Some(error.status_code()),
        body: Some(error.to_json()),
        ..AwsError::new(code, error.to_string())
    }
}
