//! The replaying `AwsApi`: answers from a tape, and records how the calls differ from it.
//!
//! Calls are matched by equality within their target account, in order only among equal ones, because targets
//! and regions are asked concurrently.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::Tape;
use super::exchange::{Answer, Exchange, target};
use crate::aws::{AwsApi, AwsError, Call};

/// The code of a read that isn't on the tape.
pub(super) const NOT_ON_TAPE: &str = "NotOnTape";

/// Answers from a tape.
pub struct ReplayApi {
    now: SystemTime,
    lists: Mutex<Lists>,
}

/// The calls about each target account, or about none.
type Lists = BTreeMap<Option<String>, List>;

#[derive(Default)]
struct List {
    recorded: Vec<Exchange>,
    used: Vec<bool>,
    asked: Vec<Asked>,
}

/// A call that was made in a replay.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What was asked, and the answer that was given.
    pub exchange: Exchange,
    /// Where the answer came from.
    pub matched: Matched,
}

/// Which exchange of the tape answered a call, by its place in the target's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matched {
    /// The same call.
    Same(usize),
    /// For a write: another write to the same item, which stood next on the tape.
    Instead(usize),
    /// None: a write is taken as done, a read fails.
    Nothing,
}

/// What became of a target's list.
#[derive(Debug, Clone)]
pub struct Played {
    /// The target account, or none.
    pub target: Option<String>,
    /// What the tape has.
    pub recorded: Vec<Exchange>,
    /// What was asked, in order.
    pub asked: Vec<Asked>,
}

impl ReplayApi {
    /// Answers from a tape.
    pub fn new(tape: &Tape) -> Self {
        let list = |recorded: &Vec<Exchange>| List {
            used: vec![false; recorded.len()],
            recorded: recorded.clone(),
            asked: Vec::new(),
        };
        let targets = tape.targets.iter().map(|(target, recorded)| (Some(target.clone()), list(recorded)));
        let lists = targets.chain([(None, list(&tape.host))]).collect();
        Self { now: tape.now.time(), lists: Mutex::new(lists) }
    }

    /// What was asked so far, target by target.
    pub fn played(&self) -> Vec<Played> {
        let lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let played = lists.iter().map(|(target, list)| Played {
            target: target.clone(),
            recorded: list.recorded.clone(),
            asked: list.asked.clone(),
        });
        played.collect()
    }
}

impl AwsApi for ReplayApi {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Value, AwsError>> {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = lists.entry(target(call)).or_default().answer(Exchange::of(call, &Ok(json!({}))));
        Box::pin(std::future::ready(answer))
    }

    fn now(&self) -> SystemTime {
        self.now
    }
}

impl List {
    fn answer(&mut self, mut exchange: Exchange) -> Result<Value, AwsError> {
        let mut free = self.recorded.iter().enumerate().filter(|(place, _)| !self.used[*place]);
        let matched = match free.clone().find(|(_, recorded)| recorded.differences(&exchange).is_empty()) {
            Some((place, _)) => Matched::Same(place),
            None => match free.find(|(_, recorded)| recorded.is_write() && exchange.is_write()) {
                Some((place, _)) => Matched::Instead(place),
                None => Matched::Nothing,
            },
        };
        let answer = match matched {
            Matched::Same(place) | Matched::Instead(place) => {
                self.used[place] = true;
                exchange.answer.clone_from(&self.recorded[place].answer);
                exchange.given()
            }
            Matched::Nothing if exchange.is_write() => {
                exchange.answer = Answer::Response(json!({}));
                exchange.given()
            }
            Matched::Nothing => Err(AwsError {
                code: NOT_ON_TAPE.into(),
                message: "host: this call isn't on the tape".into(),
                retryable: false,
            }),
        };
        self.asked.push(Asked { exchange, matched });
        answer
    }
}

impl Played {
    /// The target's name in sentences.
    pub fn name(&self) -> &str {
        self.target.as_deref().unwrap_or("the table")
    }

    /// The exchanges that nothing asked for.
    pub fn left(&self) -> impl Iterator<Item = (usize, &Exchange)> {
        let used = |place: usize| self.asked.iter().any(|asked| asked.matched.place() == Some(place));
        self.recorded.iter().enumerate().filter(move |(place, _)| !used(*place))
    }

    /// The reads that aren't on the tape.
    pub fn unknown(&self) -> impl Iterator<Item = &Asked> {
        self.asked.iter().filter(|asked| asked.matched == Matched::Nothing && !asked.exchange.is_write())
    }

    /// Reads that aren't on the tape, and what of the tape was left over, each with the nearest one. Writes are
    /// a decision, so they're compared elsewhere.
    pub fn problems(&self) -> Vec<String> {
        let unknown = self.unknown().map(|asked| {
            let nearest =
                nearest(&asked.exchange, self.recorded.iter(), |recorded| recorded.differences(&asked.exchange));
            let nearest = nearest.unwrap_or_else(|| "nothing is recorded of it".into());
            format!("{}: asked for {}, which isn't on the tape; {nearest}", self.name(), asked.exchange.title())
        });
        let left = self.left().filter(|(_, left)| !left.is_write()).map(|(_, left)| {
            let asked =
                self.asked.iter().filter(|asked| asked.matched == Matched::Nothing).map(|asked| &asked.exchange);
            let nearest = nearest(left, asked, |asked| left.differences(asked));
            let nearest = nearest.map(|nearest| format!("; {nearest}")).unwrap_or_default();
            format!("{}: {} is on the tape, but nothing asked for it{nearest}", self.name(), left.title())
        });
        unknown.chain(left).collect()
    }
}

impl Matched {
    /// The exchange's place in its target's list.
    pub fn place(self) -> Option<usize> {
        match self {
            Self::Same(place) | Self::Instead(place) => Some(place),
            Self::Nothing => None,
        }
    }
}

/// The nearest of some calls and in what it differs.
fn nearest<'a>(
    to: &Exchange,
    calls: impl Iterator<Item = &'a Exchange>,
    differences: impl Fn(&Exchange) -> Vec<String>,
) -> Option<String> {
    let far = |call: &Exchange| usize::from(call.operation != to.operation) * 1000;
    let (_, call, found) = calls
        .map(|call| {
            let found = differences(call);
            (far(call) + found.len(), call, found)
        })
        .min_by_key(|(distance, _, _)| *distance)?;
    if found.is_empty() {
        return Some(format!("the nearest, {}, is the same but was asked for already", call.title()));
    }
    let more = found.len().saturating_sub(3);
    let more = if more > 0 { format!("; {more} more") } else { String::new() };
    let found: Vec<String> = found.into_iter().take(3).collect();
    Some(format!("the nearest is {} ({}{more})", call.title(), found.join("; ")))
}
