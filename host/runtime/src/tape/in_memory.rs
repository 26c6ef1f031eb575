//! The in-memory `AwsApi`: a state of AWS built from a tape, for ticks that differ from the recorded one.
//!
//! The table is kept: a write is carried out if its condition holds, and later reads see it. Any other read gets
//! the recorded answer to the same request, as often as it's made. Where the tape has a failed condition, and then
//! reads the item again, somebody edited the item in between; so it happens here, whatever the write asks for.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::Tape;
use super::exchange::{Answer, Exchange, Failure, target};
use super::replay::NOT_ON_TAPE;
use crate::account::Item;
use crate::aws::{AwsApi, AwsError, Call, Request};

/// DynamoDB's code for a write whose condition doesn't hold.
pub const CONDITION_FAILED: &str = "ConditionalCheckFailedException";

/// AWS in memory.
pub struct InMemoryApi {
    now: SystemTime,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    table: BTreeMap<String, Item>,
    scans: Answers,
    accounts: BTreeMap<String, Account>,
    unknown: Vec<String>,
}

#[derive(Default)]
struct Account {
    answers: Answers,
    /// The reads of its item; an error where one fails.
    reads: Vec<Option<Failure>>,
    read: usize,
    /// What becomes of its writes, one by one; then they are carried out.
    writes: VecDeque<Effect>,
    seen: AccountCalls,
}

/// Recorded reads, and which of them were used.
#[derive(Default)]
struct Answers {
    recorded: Vec<Exchange>,
    used: Vec<bool>,
}

/// What becomes of a write.
enum Effect {
    CarriedOut,
    Refused(Failure),
    /// Its condition fails, because before it the item was made this, or deleted.
    Edited(Failure, Option<Item>),
}

/// What was asked about an account in one tick.
#[derive(Debug, Clone, Default)]
pub struct AccountCalls {
    /// The calls to STS and DRS, with their answers, in order.
    pub heard: Vec<Exchange>,
    /// The writes, in order.
    pub writes: Vec<Writing>,
}

/// A write that was asked for.
#[derive(Debug, Clone)]
pub struct Writing {
    /// The list that was read before, in DynamoDB JSON; `None` where there was none.
    pub read: Option<Value>,
    /// The list as it shall be.
    pub list: Value,
    /// Whether the table has it now.
    pub done: bool,
}

/// One tick as AWS saw it.
#[derive(Debug, Default)]
pub struct ObservedTick {
    /// What was asked about each account.
    pub accounts: BTreeMap<String, AccountCalls>,
    /// The table after it, by account id.
    pub table: BTreeMap<String, Item>,
    /// Reads that aren't on the tape.
    pub unknown: Vec<String>,
}

impl InMemoryApi {
    /// The world that a tape tells of.
    pub fn of(tape: &Tape) -> Self {
        let mut state = State { scans: Answers::of(tape.host.iter()), ..State::default() };
        for exchange in &tape.host {
            let items = match &exchange.answer {
                Answer::Response(page) => page.get("Items").and_then(Value::as_array),
                Answer::Error(_) => None,
            };
            for item in items.into_iter().flatten().filter_map(Value::as_object) {
                state.table.extend(key(item).map(|key| (key.to_owned(), item.clone())));
            }
        }
        for (id, list) in &tape.targets {
            let first = list.iter().find(|exchange| exchange.is_write() || exchange.operation == "GetItem");
            if let Some(item) = first.and_then(read_item) {
                state.table.entry(id.clone()).or_insert(item);
            }
            let reads = list.iter().filter(|exchange| exchange.operation == "GetItem");
            let account = Account {
                answers: Answers::of(list.iter().filter(|exchange| exchange.service != "dynamodb")),
                reads: reads.map(|exchange| exchange.failure().cloned()).collect(),
                writes: effects(list),
                ..Account::default()
            };
            state.accounts.insert(id.clone(), account);
        }
        Self { now: tape.now.time(), state: Mutex::new(state) }
    }

    /// What a tick did, since the last turn. The tape then begins anew; the table stays as it is, and nobody edits
    /// it again.
    pub fn observed_tick(&self) -> ObservedTick {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.scans.used.fill(false);
        let mut accounts = BTreeMap::new();
        for (id, account) in &mut state.accounts {
            account.answers.used.fill(false);
            account.read = 0;
            account.writes.clear();
            accounts.insert(id.clone(), std::mem::take(&mut account.seen));
        }
        ObservedTick { accounts, table: state.table.clone(), unknown: std::mem::take(&mut state.unknown) }
    }
}

impl AwsApi for InMemoryApi {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Value, AwsError>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Box::pin(std::future::ready(state.call(call)))
    }

    fn now(&self) -> SystemTime {
        self.now
    }
}

impl State {
    fn call(&mut self, call: &Call) -> Result<Value, AwsError> {
        let mut exchange = Exchange::of(call, &Ok(json!({})));
        let Self { table, scans, accounts, unknown } = self;
        let answer = match (target(call), &call.request) {
            (None, _) => scans.next(&exchange).map(|page| current(page, table)),
            (Some(id), Request::GetItem { .. }) => Some(accounts.entry(id.clone()).or_default().read(table.get(&id))),
            (Some(id), Request::UpdateItem { .. }) => {
                let account = accounts.entry(id.clone()).or_default();
                Some(account.write(&id, table, &exchange.request["ExpressionAttributeValues"]))
            }
            (Some(id), _) => {
                let account = accounts.entry(id).or_default();
                let answer = account.answers.next(&exchange);
                let heard = answer.clone().unwrap_or_else(not_on_tape);
                account.seen.heard.push(Exchange { answer: heard, ..exchange.clone() });
                answer
            }
        };
        exchange.answer = answer.unwrap_or_else(|| {
            unknown.push(exchange.title());
            not_on_tape()
        });
        exchange.given()
    }
}

impl Account {
    fn read(&mut self, item: Option<&Item>) -> Answer {
        let failure = self.reads.get(self.read).cloned().flatten();
        self.read += 1;
        match (failure, item) {
            (Some(failure), _) => Answer::Error(failure),
            (None, Some(item)) => Answer::Response(json!({"Item": item})),
            (None, None) => Answer::Response(json!({})),
        }
    }

    fn write(&mut self, id: &str, table: &mut BTreeMap<String, Item>, values: &Value) -> Answer {
        let (read, list, now) = (values.get(":read"), &values[":list"], &values[":now"]);
        let (answer, done) = match self.writes.pop_front().unwrap_or(Effect::CarriedOut) {
            Effect::Refused(failure) => (Answer::Error(failure), false),
            Effect::Edited(failure, item) => {
                // The edit may be this very write, whose first answer was lost.
                let has = |name: &str, value: &Value| item.as_ref().and_then(|item| item.get(name)) == Some(value);
                let done = has("stagingAccounts", list) && has("updatedAt", now);
                match item {
                    Some(item) => drop(table.insert(id.to_owned(), item)),
                    None => drop(table.remove(id)),
                }
                (Answer::Error(failure), done)
            }
            Effect::CarriedOut => match table.get_mut(id).filter(|item| item.get("stagingAccounts") == read) {
                Some(item) => {
                    item.insert("stagingAccounts".into(), list.clone());
                    item.insert("updatedAt".into(), now.clone());
                    (Answer::Response(json!({})), true)
                }
                None => (Answer::Error(Failure::of(CONDITION_FAILED, "The conditional request failed", false)), false),
            },
        };
        self.seen.writes.push(Writing { read: read.cloned(), list: list.clone(), done });
        answer
    }
}

impl Answers {
    fn of<'a>(recorded: impl Iterator<Item = &'a Exchange>) -> Self {
        let recorded: Vec<Exchange> = recorded.cloned().collect();
        Self { used: vec![false; recorded.len()], recorded }
    }

    /// The first answer to this request that wasn't given yet; after the last one, that one again.
    fn next(&mut self, asked: &Exchange) -> Option<Answer> {
        let mut place = None;
        for (at, _) in self.recorded.iter().enumerate().filter(|(_, it)| {
            // The names first: most calls differ in them, and the rest costs more to compare.
            (&it.operation, &it.region) == (&asked.operation, &asked.region) && it.differences(asked).is_empty()
        }) {
            place = Some(at);
            if !self.used[at] {
                break;
            }
        }
        let place = place?;
        self.used[place] = true;
        Some(self.recorded[place].answer.clone())
    }
}

/// What becomes of the writes of a list.
fn effects(list: &[Exchange]) -> VecDeque<Effect> {
    let writes = list.iter().enumerate().filter(|(_, exchange)| exchange.is_write());
    let effects = writes.map(|(place, write)| match write.failure() {
        None => Effect::CarriedOut,
        Some(failure) if failure.code == CONDITION_FAILED => {
            let next = list[place + 1..].iter().find(|it| it.is_write() || it.operation == "GetItem");
            match next.filter(|next| !next.is_write() && next.failure().is_none()) {
                Some(read) => Effect::Edited(failure.clone(), read_item(read)),
                None => Effect::Refused(failure.clone()),
            }
        }
        Some(failure) => Effect::Refused(failure.clone()),
    });
    effects.collect()
}

/// The item that a `GetItem` gave.
fn read_item(exchange: &Exchange) -> Option<Item> {
    match &exchange.answer {
        Answer::Response(response) => response.get("Item")?.as_object().cloned(),
        Answer::Error(_) => None,
    }
}

/// A page of a scan with the items as they are now.
fn current(mut page: Answer, table: &BTreeMap<String, Item>) -> Answer {
    if let Answer::Response(response) = &mut page
        && let Some(Value::Array(items)) = response.get_mut("Items")
    {
        items.retain_mut(|item| {
            let Some(key) = item.as_object().and_then(key).map(str::to_owned) else { return true };
            match table.get(&key) {
                Some(now) => *item = Value::Object(now.clone()),
                None => return false,
            }
            true
        });
    }
    page
}

fn key(item: &Item) -> Option<&str> {
    item.get("accountId")?.get("S")?.as_str()
}

fn not_on_tape() -> Answer {
    Answer::Error(Failure::of(NOT_ON_TAPE, "host: this call isn't on the tape", false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(operation: &str, answer: Answer) -> Exchange {
        Exchange { service: "dynamodb".into(), operation: operation.into(), region: None, request: json!({}), answer }
    }

    fn item(list: &str) -> Item {
        Item::from_iter([("accountId".into(), json!({"S": "1"})), ("stagingAccounts".into(), json!(list))])
    }

    #[test]
    fn a_write_is_carried_out_if_the_list_is_the_one_that_was_read() {
        let mut table = BTreeMap::from([("1".to_owned(), item("old"))]);
        let mut account = Account::default();
        let values = json!({":read": "other", ":list": "new", ":now": "n"});
        assert!(matches!(account.write("1", &mut table, &values), Answer::Error(_)));
        assert_eq!(table["1"], item("old"));
        let values = json!({":read": "old", ":list": "new", ":now": "n"});
        assert!(matches!(account.write("1", &mut table, &values), Answer::Response(_)));
        assert_eq!(table["1"]["stagingAccounts"], "new");
        assert_eq!(account.seen.writes.iter().map(|write| write.done).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn an_item_read_after_a_failed_condition_is_an_edit() {
        let failed = || Answer::Error(Failure::of(CONDITION_FAILED, "", false));
        let list = [
            exchange("UpdateItem", failed()),
            exchange("GetItem", Answer::Response(json!({"Item": item("edited")}))),
            exchange("UpdateItem", failed()),
            exchange("GetItem", Answer::Response(json!({}))),
        ];
        let mut table = BTreeMap::from([("1".to_owned(), item("old"))]);
        let mut account = Account { writes: effects(&list), ..Account::default() };
        let values = json!({":read": "old", ":list": "new", ":now": "n"});
        assert!(matches!(account.write("1", &mut table, &values), Answer::Error(_)));
        assert_eq!(table["1"], item("edited"));
        assert!(matches!(account.write("1", &mut table, &values), Answer::Error(_)));
        assert!(table.is_empty(), "deleted");
    }
}
