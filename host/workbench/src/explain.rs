//! Why an account's list is what it is: from the record of a tick, and from its tape.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use futures_util::stream::{self, StreamExt};
use serde::Serialize;
use serde_json::Value;
use staging_sync_runtime::account::AccountId;
use staging_sync_runtime::journal::names::TickId;
use staging_sync_runtime::journal::{AccountRecord, CONCURRENCY, Journal, PolicyRef, ReadError, Record, Taped};
use staging_sync_runtime::store::StoreError;
use staging_sync_runtime::tape::{Answer, Exchange};

use crate::history::Told;

/// How far back a record is looked for.
const LONGEST: Duration = Duration::from_secs(90 * 86_400);

/// A record that tells something of an account.
pub struct Found {
    /// The record.
    pub record: Record,
    /// What it tells of the account.
    pub account: AccountRecord,
    /// What is wrong with it, if the record that refers to it knows another digest.
    pub tampered: Option<String>,
}

/// The last record of an account.
#[derive(Default)]
pub struct Last {
    /// The record; none if nothing is told of the account.
    pub found: Option<Found>,
    /// Records on the way to it that are no good, and why.
    pub unreadable: Vec<String>,
}

/// What is known of the decision about an account in a tick. It holds no external id.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// What became of the account.
    #[serde(flatten)]
    pub told: Told,
    /// What was asked: the event's operation, or the operator's command.
    pub operation: String,
    /// Who made an operator's change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The active policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyRef>,
    /// Where the record of the change is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_record: Option<String>,
    /// What is wrong with the records: somebody changed them, or they can't be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub record_problems: Vec<String>,
    /// Why the tape can't be read, if there's one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tape_problem: Option<String>,
    /// What the tape says; none if it couldn't be kept or read, or if a person decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<Observed>,
}

/// What a tick saw of an account, and wrote.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// The ids that were stored, each time that the item was read.
    pub stored: Vec<Vec<String>>,
    /// What AWS answered.
    pub answers: Vec<Answered>,
    /// What was written, or tried to be.
    pub written: Vec<Written>,
}

/// A call to AWS and what it came to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answered {
    /// The call, like `drs:ListStagingAccounts in us-east-1`.
    pub call: String,
    /// The region, if the call was to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// What it came to, in words or ids.
    pub said: String,
    /// Whether it failed, so that the region isn't known.
    pub failed: bool,
}

/// A write of a list.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Written {
    /// The ids of the new list.
    pub list: Vec<String>,
    /// The ids of the list that had to be there still; none if there had to be no list.
    pub condition: Option<Vec<String>>,
    /// Why it wasn't written, if it wasn't.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The last record of an account up to a time.
pub async fn last(journal: &Journal, id: &AccountId, at: SystemTime) -> Result<Last, ReadError> {
    let day = Duration::from_secs(86_400);
    let (mut until, mut gone, mut last) = (at, Duration::ZERO, Last::default());
    // The record after the one at hand: it has the digest of that one, if it's of the same host.
    let mut after: Option<Record> = None;
    while gone <= LONGEST {
        let since = until.checked_sub(day).unwrap_or(SystemTime::UNIX_EPOCH);
        let ids = journal.ticks(since, until).await?;
        let mut records =
            stream::iter(ids).map(|id: TickId| async move { (journal.tick(&id).await, id) }).buffered(CONCURRENCY);
        while let Some((record, tick)) = records.next().await {
            let sealed = match record {
                Ok(sealed) => sealed,
                Err(error @ (ReadError::Unsealed(..) | ReadError::Missing(_))) => {
                    last.unreadable.push(format!("{tick}: {error}"));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let record = sealed.content;
            if let Some(account) = record.accounts.iter().find(|one| one.account_id == id.as_str()).cloned() {
                let told = after.as_ref().and_then(|after| after.previous.as_ref());
                let tampered = told.filter(|told| told.tick == record.tick && told.digest != sealed.digest).map(|_| {
                    "was changed after it was written: the record after it knows another digest; somebody tampered with it".to_owned()
                });
                last.found = Some(Found { record, account, tampered });
                return Ok(last);
            }
            after = Some(record);
        }
        (until, gone) = (since, gone + day);
    }
    Ok(last)
}

/// What one tick tells of an account; none if it tells nothing.
pub async fn in_tick(journal: &Journal, id: &str, tick: &TickId) -> Result<Option<Found>, ReadError> {
    let record = journal.tick(tick).await?.content;
    let account = record.accounts.iter().find(|one| one.account_id == id).cloned();
    Ok(account.map(|account| Found { record, account, tampered: None }))
}

/// Why an account has no record.
pub async fn why_not(journal: &Journal, id: &AccountId) -> Result<String, StoreError> {
    let latest = journal.read_latest().await?;
    Ok(match latest {
        None => "the journal has no latest.json: no tick has run with this JOURNAL".into(),
        Some((None, _)) => "latest.json can't be read by this program".into(),
        Some((Some(latest), _)) => match latest.accounts.get(id.as_str()) {
            None => format!("no tick has seen the account; the last one was at {}", latest.at),
            Some(account) => {
                let reason = account.reason.as_deref().map(|reason| format!(" ({reason})"));
                format!(
                    "it was {}{} at {}, and nothing was changed, failed or held within 90 days",
                    account.status,
                    reason.unwrap_or_default(),
                    latest.at
                )
            }
        },
    })
}

/// Explains what a record tells of an account, with the tape of the tick, where there's one.
pub async fn explain(journal: &Journal, found: &Found) -> (Explanation, Option<Taped>) {
    let Found { record, account, tampered } = found;
    let mut record_problems = Vec::from_iter(tampered.clone());
    let mut change_record = None;
    if let Some(change) = &account.change {
        match journal.verified(&change.name).await {
            Ok(_) => change_record = Some(journal.title(&change.name)),
            Err(error) => record_problems.push(error.to_string()),
        }
    }
    let (taped, tape_problem) = match journal.tape(record).await {
        Ok(taped) => (taped, None),
        Err(error) => (None, Some(error.to_string())),
    };
    let explanation = Explanation {
        told: Told::of(record, account),
        operation: record.operation.clone(),
        author: record.author.clone(),
        policy: record.policy.clone(),
        change_record,
        record_problems,
        tape_problem,
        observed: taped.as_ref().map(|taped| observed(taped, &account.account_id)),
    };
    (explanation, taped)
}

/// What was stored, what each region said, and what was written.
fn observed(taped: &Taped, id: &str) -> Observed {
    let items = taped.tape.host.iter().filter_map(|exchange| match &exchange.answer {
        Answer::Response(response) => response.get("Items").and_then(Value::as_array),
        Answer::Error(_) => None,
    });
    let item = items.flatten().find(|item| item["accountId"]["S"] == id);
    let mut stored: Vec<_> = item.map(|item| listed(&item["stagingAccounts"])).into_iter().collect();
    let calls: Vec<&Exchange> = taped.tape.targets.get(id).into_iter().flatten().collect();
    for read in calls.iter().filter(|call| call.operation == "GetItem") {
        if let Answer::Response(response) = &read.answer {
            stored.push(listed(&response["Item"]["stagingAccounts"]));
        }
    }
    // Regions are asked at once, so their order means nothing.
    let is_of_table = |call: &&&Exchange| call.service == "dynamodb";
    let is_session = |call: &&Exchange| call.operation == "AssumeRole" && call.failure().is_none();
    let asked = calls.iter().filter(|call| !is_of_table(call) && !is_session(call));
    let mut answers: Vec<Answered> = asked.map(|call| answered(call, id)).collect();
    answers.sort();
    let writes = calls.iter().filter(|call| call.is_write()).map(|write| {
        let values = &write.request["ExpressionAttributeValues"];
        Written {
            list: listed(&values[":list"]),
            condition: values.get(":read").map(listed),
            error: write.failure().map(|error| format!("{}: {}", error.code, error.message)),
        }
    });
    Observed { stored, answers, written: writes.collect() }
}

/// What a call to AWS came to; DRS names the account itself too, which is left out.
fn answered(exchange: &Exchange, account: &str) -> Answered {
    let (said, failed) = match &exchange.answer {
        Answer::Error(failure) if failure.message == Taped::NOT_ASKED => {
            ("not in use, so it wasn't asked".into(), false)
        }
        Answer::Error(failure) if failure.code == "UninitializedAccountException" => {
            ("nothing, DRS isn't in use there".into(), false)
        }
        Answer::Error(failure) => (format!("{}: {}", failure.code, failure.message), true),
        Answer::Response(response) => {
            let accounts = response["accounts"].as_array().into_iter().flatten();
            let accounts = accounts.filter_map(|account| account["accountID"].as_str());
            let servers = response["items"].as_array().into_iter().flatten();
            let servers = servers.filter_map(|server| server["stagingArea"]["stagingAccountID"].as_str());
            let ids: BTreeSet<&str> = accounts.chain(servers).filter(|id| *id != account).collect();
            let ids = Vec::from_iter(ids);
            (if ids.is_empty() { "nothing".into() } else { ids.join(", ") }, false)
        }
    };
    Answered { call: exchange.name(), region: exchange.region.clone(), said, failed }
}

/// The ids of a stored list.
fn listed(list: &Value) -> Vec<String> {
    let entries = list["L"].as_array().into_iter().flatten();
    entries.filter_map(|entry| entry["M"]["accountId"]["S"].as_str().map(str::to_owned)).collect()
}
