//! Variants of a tape with one more fault, for each of its exchanges and each kind of fault.

use serde_json::{Value, json};

use crate::invariants::{self, Violation};
use crate::judge::judge;
use crate::waived::Waived;
use staging_sync_runtime::case::Case;
use staging_sync_runtime::policy::Policy;
use staging_sync_runtime::tape::{Answer, CONDITION_FAILED, Exchange, Failure, Tape};

/// A staging account that nobody has: somebody adds it.
const NEWCOMER: &str = "999999999999";

/// What can go wrong with a call. The AWS API retries calls, so an error lasts for the tick.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    Throttled,
    Denied,
    TooSlow,
    Malformed,
    Expired,
    ExpiredOnce,
    LastPageMissing,
    BadId,
    EntryAdded,
    ListRemoved,
    Deleted,
    AnswerLost,
}

/// A tape with a fault.
#[derive(Debug)]
pub struct Variant {
    /// What is other than on the tape, in words; empty for the tape as it is.
    pub about: String,
    /// The same in a file's name.
    pub name: String,
    /// The account that the fault is about; `None` for the table.
    pub touched: Option<String>,
    /// The tape.
    pub tape: Tape,
}

/// What became of a case under its faults.
#[derive(Debug)]
pub struct Faults {
    /// How many tapes were tried, the one as it was recorded included.
    pub variants: usize,
    /// How many of them had the policy ask for what isn't on the tape. It was told so, and the invariants held.
    pub beyond: usize,
    /// Those in which an invariant didn't hold.
    pub broken: Vec<Broken>,
}

/// A variant in which something didn't hold.
#[derive(Debug)]
pub struct Broken {
    /// The variant as a case.
    pub case: Case,
    /// What is other than on the tape.
    pub variant: Variant,
    /// What didn't hold.
    pub violations: Vec<Violation>,
}

/// Judges a case as recorded and with every fault. What doesn't hold without one is told once; `waived` isn't told.
pub async fn faults(case: &Case, policy: &Policy, waived: &Waived) -> Result<Faults, String> {
    let applies = |violation: &Violation| waived.reason(violation.invariant).is_none();
    let mut usual = judge(case, policy).await.map_err(|error| error.message)?;
    usual.broken.retain(applies);
    if let Some(unknown) = usual.unknown.first() {
        return Err(format!("the policy asks for {unknown}, which isn't on the tape; record it again"));
    }
    let mut found = Faults { variants: 1, beyond: 0, broken: Vec::new() };
    if !usual.broken.is_empty() {
        let tape = case.tape.clone();
        let variant = Variant { about: String::new(), name: "recorded".into(), touched: None, tape };
        found.broken.push(Broken { case: case.clone(), variant, violations: usual.broken.clone() });
    }
    for variant in variants(&case.tape) {
        found.variants += 1;
        let changed = Case { tape: variant.tape.clone(), ..case.clone() };
        let judged = judge(&changed, policy).await.map_err(|error| format!("{}: {}", variant.about, error.message))?;
        found.beyond += usize::from(!judged.unknown.is_empty());
        let mut violations = judged.broken;
        if let (Some(touched), Ok(usual), Ok(report)) = (&variant.touched, &usual.report, &judged.report) {
            violations.extend(invariants::others(usual, report, touched));
        }
        let same = |it: &Violation, other: &Violation| (it.invariant, &it.account) == (other.invariant, &other.account);
        violations.retain(|it| applies(it) && !usual.broken.iter().any(|other| same(it, other)));
        if !violations.is_empty() {
            found.broken.push(Broken { case: changed, variant, violations });
        }
    }
    Ok(found)
}

/// A tape's variants, in the tape's order.
pub fn variants(tape: &Tape) -> Vec<Variant> {
    let targets = tape.targets.iter().map(|(target, list)| (Some(target), list));
    let lists = std::iter::once((None, &tape.host)).chain(targets);
    let mut variants = Vec::new();
    for (target, list) in lists {
        for (place, exchange) in list.iter().enumerate() {
            for fault in Fault::of(exchange) {
                let Some(exchanges) = fault.put(tape, target, list, place) else { continue };
                let mut list = list.clone();
                list.splice(place..=place, exchanges);
                let mut tape = tape.clone();
                match target {
                    None => tape.host = list,
                    Some(target) => drop(tape.targets.insert(target.clone(), list)),
                }
                let whose = target.map(|target| format!(" of {target}")).unwrap_or_default();
                variants.push(Variant {
                    about: format!("call {} ({}{whose}): {}", place + 1, exchange.name(), fault.text()),
                    name: format!("{}-{}-{}", target.map_or("table", String::as_str), place + 1, fault.name()),
                    touched: target.cloned(),
                    tape,
                });
            }
        }
    }
    variants
}

impl Fault {
    /// The faults that this call can have.
    fn of(exchange: &Exchange) -> Vec<Self> {
        let mut faults = vec![Self::Throttled, Self::Denied, Self::TooSlow];
        faults.extend_from_slice(match exchange.operation.as_str() {
            "Scan" | "AssumeRole" => &[Self::Malformed],
            "ListStagingAccounts" | "DescribeSourceServers" => {
                &[Self::Malformed, Self::Expired, Self::ExpiredOnce, Self::LastPageMissing, Self::BadId]
            }
            "UpdateItem" => &[Self::EntryAdded, Self::ListRemoved, Self::Deleted, Self::AnswerLost],
            _ => &[],
        });
        faults
    }

    fn text(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Denied => "access denied",
            Self::TooSlow => "slower than the host waits",
            Self::Malformed => "an answer of another shape",
            Self::Expired => "the session has expired, and the next one as well",
            Self::ExpiredOnce => "the session has expired",
            Self::LastPageMissing => "one more page, which never comes",
            Self::BadId => "names an id that isn't one",
            Self::EntryAdded => "the condition fails: somebody added an entry",
            Self::ListRemoved => "the condition fails: somebody removed the list",
            Self::Deleted => "the condition fails: somebody deleted the item",
            Self::AnswerLost => "the answer is lost, and the condition fails when it's tried again",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Denied => "denied",
            Self::TooSlow => "too-slow",
            Self::Malformed => "malformed",
            Self::Expired => "expired",
            Self::ExpiredOnce => "expired-once",
            Self::LastPageMissing => "last-page-missing",
            Self::BadId => "bad-id",
            Self::EntryAdded => "entry-added",
            Self::ListRemoved => "list-removed",
            Self::Deleted => "deleted",
            Self::AnswerLost => "answer-lost",
        }
    }

    /// What comes instead of the exchange at this place. `None`: it's like that already, or can't be.
    fn put(self, tape: &Tape, target: Option<&String>, list: &[Exchange], place: usize) -> Option<Vec<Exchange>> {
        let exchange = &list[place];
        let with = |answer| Exchange { answer, ..exchange.clone() };
        let fails = |code: &str, message: &str, retryable| with(Answer::Error(Failure::of(code, message, retryable)));
        let response = match &exchange.answer {
            Answer::Response(response) => Some(response),
            Answer::Error(_) => None,
        };
        let changed = match self {
            Self::Throttled => vec![fails("ThrottlingException", "Rate exceeded", true)],
            Self::Denied => {
                let code = if exchange.service == "sts" { "AccessDenied" } else { "AccessDeniedException" };
                vec![fails(code, "not authorized", false)]
            }
            Self::TooSlow => vec![fails("TimeoutError", "no answer in time", true)],
            Self::Malformed => vec![with(Answer::Response(json!({})))],
            Self::Expired => vec![expired(exchange)],
            Self::ExpiredOnce => vec![expired(exchange), exchange.clone()],
            Self::LastPageMissing => {
                let mut page = response.filter(|page| page.get("nextToken").is_none_or(Value::is_null))?.clone();
                page.as_object_mut()?.insert("nextToken".into(), json!("a-page-that-never-comes"));
                let mut next = fails("NetworkError", "the connection broke", true);
                next.request.as_object_mut()?.insert("nextToken".into(), json!("a-page-that-never-comes"));
                vec![with(Answer::Response(page)), next]
            }
            Self::BadId => {
                let mut page = response?.clone();
                let (list, entry) = match exchange.operation.as_str() {
                    "ListStagingAccounts" => ("accounts", json!({"accountID": "1234"})),
                    _ => ("items", json!({"sourceServerID": "s-1", "stagingArea": {"stagingAccountID": "1234"}})),
                };
                page.get_mut(list)?.as_array_mut()?.push(entry);
                vec![with(Answer::Response(page))]
            }
            Self::EntryAdded | Self::ListRemoved | Self::Deleted | Self::AnswerLost => {
                response?;
                let item = self.edit(item_before(tape, target?, &list[..place])?, exchange);
                let request = json!({
                    "ConsistentRead": true,
                    "Key": exchange.request["Key"],
                    "TableName": exchange.request["TableName"],
                });
                let read = Exchange {
                    operation: "GetItem".into(),
                    request,
                    answer: Answer::Response(item.map_or_else(|| json!({}), |item| json!({"Item": item}))),
                    ..exchange.clone()
                };
                vec![fails(CONDITION_FAILED, "The conditional request failed", false), read]
            }
        };
        (changed != [exchange.clone()]).then_some(changed)
    }

    /// The item as it's found after the condition failed; `None` where it's gone.
    fn edit(self, mut item: Value, write: &Exchange) -> Option<Value> {
        let values = &write.request["ExpressionAttributeValues"];
        let attributes = item.as_object_mut()?;
        match self {
            Self::Deleted => return None,
            Self::ListRemoved => drop(attributes.remove("stagingAccounts")),
            Self::AnswerLost => {
                attributes.insert("stagingAccounts".into(), values[":list"].clone());
                attributes.insert("updatedAt".into(), values[":now"].clone());
            }
            _ => {
                let entry = json!({"M": {"accountId": {"S": NEWCOMER}, "accountName": {"S": "Somebody's"}}});
                let read = values.pointer("/:read/L").and_then(Value::as_array).cloned().unwrap_or_default();
                let list: Vec<Value> = read.into_iter().chain([entry]).collect();
                attributes.insert("stagingAccounts".into(), json!({"L": list}));
            }
        }
        Some(item)
    }
}

fn expired(exchange: &Exchange) -> Exchange {
    let failure = Failure::of("ExpiredTokenException", "The security token included in the request is expired", false);
    Exchange { answer: Answer::Error(failure), ..exchange.clone() }
}

/// The item as it was read last before a write.
fn item_before(tape: &Tape, target: &str, before: &[Exchange]) -> Option<Value> {
    let response = |exchange: &Exchange| match &exchange.answer {
        Answer::Response(response) => Some(response.clone()),
        Answer::Error(_) => None,
    };
    let read = before.iter().rev().filter(|exchange| exchange.operation == "GetItem").find_map(response);
    if let Some(read) = read {
        return read.get("Item").cloned();
    }
    let pages = tape.host.iter().filter_map(response);
    let mut items = pages.flat_map(|page| page["Items"].as_array().cloned().unwrap_or_default());
    items.find(|item| item.pointer("/accountId/S").and_then(Value::as_str) == Some(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_exchange_gets_the_faults_that_it_can_have() {
        let list = |answer: Value| json!({"service": "drs", "operation": "ListStagingAccounts", "region": "eu-west-1", "request": {"maxResults": 50}, "response": answer});
        let tape = json!({
            "version": 1, "now": "2026-02-02T22:45:00Z", "event": {"operation": "o"},
            "config": {"table": "t", "regions": ["eu-west-1"]},
            "host": [{"service": "dynamodb", "operation": "Scan", "request": {}, "response": {"Items": []}}],
            "targets": {"111122223333": [list(json!({"accounts": [], "nextToken": "x"})), list(json!({"accounts": []}))]},
        });
        let tape = Tape::parse(&tape.to_string()).expect("a tape");
        let variants = variants(&tape);
        let names: Vec<&str> = variants.iter().map(|variant| variant.name.as_str()).collect();
        assert!(names.contains(&"table-1-throttled") && names.contains(&"table-1-malformed"), "{names:?}");
        assert!(!names.contains(&"111122223333-1-last-page-missing"), "it has another page: {names:?}");
        let missing = variants.iter().find(|it| it.name == "111122223333-2-last-page-missing").expect("a variant");
        assert_eq!(
            missing.about,
            "call 2 (drs:ListStagingAccounts in eu-west-1 of 111122223333): one more page, which never comes"
        );
        assert_eq!(missing.tape.targets["111122223333"].len(), 3);
        let all: std::collections::BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(all.len(), names.len(), "each has a name of its own");
    }
}
