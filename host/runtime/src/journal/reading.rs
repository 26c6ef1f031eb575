//! What is read of the journal: changes of an account, records of ticks in a span of time, and tapes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::time::{Duration, SystemTime};

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::names::{self, TickId};
use super::seal::FORMAT;
use super::{Change, Journal, Latest, MAX_BYTES, ReadError, Record, Sealed, Unsealed, latest};
use crate::account::AccountId;
use crate::aws::SESSION_NAME;
use crate::bindings::types::AccountOutcome;
use crate::digest::sha256;
use crate::outcome::OfAccount;
use crate::store::{Fetched, StoreError};
use crate::tape::{self, Answer, Exchange, Failure, Now, Tape};

const DAY: Duration = Duration::from_secs(86_400);

/// A tape of the journal, and what the tick that made it came to.
#[derive(Debug, Clone)]
pub struct Taped {
    /// The tape.
    pub tape: Tape,
    /// What became of each account.
    pub outcomes: Vec<AccountOutcome>,
    /// Who decided an account, by its id, where that was another than the active policy.
    pub decided_by: BTreeMap<String, String>,
}

/// What is found of `latest.json`.
pub enum LatestFound {
    /// The version that is known.
    Same,
    /// None: no tick ended yet.
    Missing,
    /// It, and its version.
    Found(Box<Latest>, String),
    /// Something else, and why it's of no use.
    Unreadable(String),
}

/// A line of a tape: the first has the format and the tape's frame, the others a call or an outcome each.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Frame {
        format: u64,
        tape: Map<String, Value>,
    },
    Call {
        target: Option<String>,
        exchange: Exchange,
    },
    #[serde(rename_all = "camelCase")]
    Outcome {
        outcome: OfAccount,
        decided_by: Option<String>,
    },
}

impl Journal {
    /// The names of the records of an account's changes, the newest first.
    pub async fn changes(&self, account: &AccountId) -> Result<Vec<String>, StoreError> {
        let mut names = self.store.list(&names::changes_of(account)).await?;
        names.reverse();
        Ok(names)
    }

    /// The record of a change.
    pub async fn change(&self, name: &str) -> Result<Sealed<Change>, ReadError> {
        self.read(name).await
    }

    /// The record of a tick.
    pub async fn tick(&self, id: &TickId) -> Result<Sealed<Record>, ReadError> {
        self.read(&id.record()).await
    }

    /// The ticks that left records, the newest first, from `since` to `until`: one list for each day.
    pub async fn ticks(&self, since: SystemTime, until: SystemTime) -> Result<Vec<TickId>, StoreError> {
        let (first, last) = (names::stamp(since), names::stamp(until));
        let (mut ids, mut day) = (Vec::new(), since);
        loop {
            let names = self.store.list(&names::ticks_of_day(day)).await?;
            let found =
                names.iter().filter_map(|name| TickId::parse(name.rsplit('/').next()?.strip_suffix(".json.gz")?));
            ids.extend(found.filter(|id| (first.as_str()..=last.as_str()).contains(&id.stamp())));
            if names::ticks_of_day(day) >= names::ticks_of_day(until) {
                break;
            }
            day += DAY;
        }
        ids.sort();
        ids.reverse();
        Ok(ids)
    }

    /// `latest.json` with its version, unless it's the version `known`.
    pub async fn latest(&self, known: Option<&str>) -> Result<LatestFound, StoreError> {
        Ok(match self.store.get(names::LATEST, known, MAX_BYTES).await? {
            Fetched::Same => LatestFound::Same,
            Fetched::Missing => LatestFound::Missing,
            Fetched::Found { bytes, version } => match latest::parse(&bytes) {
                Ok(latest) => LatestFound::Found(Box::new(latest), version),
                Err(error) => LatestFound::Unreadable(format!("{}: {error}", self.title(names::LATEST))),
            },
        })
    }

    /// The tape of a record; none where it couldn't be kept.
    pub async fn tape(&self, record: &Record) -> Result<Option<Taped>, ReadError> {
        let Some(kept) = &record.tape else { return Ok(None) };
        let Some((bytes, _)) = self.get(&kept.name).await? else {
            return Err(ReadError::Missing(self.title(&kept.name)));
        };
        let read = match sha256(&bytes) == kept.sha256 {
            true => read_tape(&bytes),
            false => Err(Unsealed::Tampered),
        };
        read.map(Some).map_err(|error| ReadError::Unsealed(self.title(&kept.name), error))
    }
}

fn read_tape(bytes: &[u8]) -> Result<Taped, Unsealed> {
    let malformed = |error: String| Unsealed::Malformed(error);
    let mut taped: Option<Taped> = None;
    for (number, line) in BufReader::new(GzDecoder::new(bytes).take(MAX_BYTES)).lines().enumerate() {
        let line = line.map_err(|error| malformed(format!("isn't gzip, or is cut off: {error}")))?;
        let at = |error: serde_json::Error| malformed(format!("line {}: {error}", number + 1));
        match (serde_json::from_str(&line).map_err(at)?, &mut taped) {
            (Line::Frame { format, .. }, _) if format != FORMAT => {
                return Err(Unsealed::UnknownFormat(format.to_string()));
            }
            (Line::Frame { tape: frame, .. }, None) => {
                let mut frame = Value::Object(frame);
                frame["about"] = json!("");
                let tape = tape::read(frame).map_err(malformed)?;
                taped = Some(Taped { tape, outcomes: Vec::new(), decided_by: BTreeMap::new() });
            }
            (Line::Call { target: None, exchange }, Some(taped)) => taped.tape.host.push(exchange),
            (Line::Call { target: Some(target), exchange }, Some(taped)) => {
                taped.tape.targets.entry(target).or_default().push(exchange);
            }
            (Line::Outcome { outcome, decided_by }, Some(taped)) => {
                taped.decided_by.extend(decided_by.map(|by| (outcome.0.account_id.clone(), by)));
                taped.outcomes.push(outcome.0);
            }
            _ => return Err(malformed(format!("line {}: isn't where it belongs", number + 1))),
        }
    }
    let mut taped = taped.ok_or_else(|| malformed("is empty".into()))?;
    taped.complete();
    Ok(taped)
}

impl Taped {
    /// The message of a region that wasn't asked, because the account wasn't using it.
    pub const NOT_ASKED: &str = "not asked in this tick: the account wasn't using this region";

    /// Puts on the tape what the host knew from earlier ticks, so that one that knows nothing comes to the same: sessions
    /// that still lasted, and regions that weren't asked.
    fn complete(&mut self) {
        self.merge_pages();
        let until = String::from(Now::of(self.tape.now.time() + Duration::from_secs(3600)));
        let pages = self.tape.host.iter().filter_map(|exchange| match &exchange.answer {
            Answer::Response(response) => response.get("Items").and_then(Value::as_array),
            Answer::Error(_) => None,
        });
        let roles: BTreeMap<&str, &str> = pages
            .flatten()
            .filter_map(|item| Some((item["accountId"]["S"].as_str()?, item["roleArn"]["S"].as_str()?)))
            .collect();
        for (target, calls) in &mut self.tape.targets {
            let listed = calls.iter().filter(|call| call.operation == "ListStagingAccounts");
            let asked: BTreeSet<String> = listed.filter_map(|call| call.region.clone()).collect();
            if asked.is_empty() {
                continue;
            }
            // The first call that needs a session has one: of this tick, or of an earlier one.
            let first = calls.iter().find(|call| matches!(call.service.as_str(), "sts" | "drs"));
            if let (true, Some(role)) = (first.is_some_and(|call| call.service == "drs"), roles.get(target.as_str())) {
                let request = json!({"RoleArn": role, "RoleSessionName": SESSION_NAME});
                let response = Answer::Response(json!({"Credentials": {"Expiration": until}}));
                calls.insert(0, exchange("sts", "AssumeRole", None, request, response));
            }
            for region in self.tape.config.regions.iter().filter(|region| !asked.contains(*region)) {
                let failure = Failure::of("UninitializedAccountException", Self::NOT_ASKED, false);
                let request = json!({"maxResults": 50});
                calls.push(exchange("drs", "ListStagingAccounts", Some(region), request, Answer::Error(failure)));
            }
        }
    }

    /// Makes one page of the table's: a host that is behind begins with the accounts that wait, so in the middle, and may
    /// have no time for the last page.
    fn merge_pages(&mut self) {
        let (pages, others): (Vec<_>, Vec<_>) = self.tape.host.drain(..).partition(|call| call.operation == "Scan");
        let mut items = Vec::new();
        let mut merged = None;
        for mut page in pages {
            let Answer::Response(Value::Object(response)) = &mut page.answer else { continue };
            if let Some(Value::Array(more)) = response.remove("Items") {
                items.extend(more);
            }
            merged = merged.or(Some(page));
        }
        if let Some(mut page) = merged {
            if let Some(request) = page.request.as_object_mut() {
                request.remove("ExclusiveStartKey");
            }
            page.answer = Answer::Response(json!({"Items": items}));
            self.tape.host.push(page);
        }
        self.tape.host.extend(others);
    }
}

fn exchange(service: &str, operation: &str, region: Option<&String>, request: Value, answer: Answer) -> Exchange {
    Exchange { service: service.into(), operation: operation.into(), region: region.cloned(), request, answer }
}
