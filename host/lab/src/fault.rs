//! Faults: the calls that they affect, how often, and their effect.

use std::collections::HashMap;
use std::time::Instant;

use serde::Deserialize;

use crate::fleet::{Item, Service};

/// One thing that goes wrong. Filters that are absent match every call; a call must match all that are there.
/// Exactly one effect, but `latencyMs` goes with any of them.
///
/// Each fault counts the calls that match it, whatever other faults do to them. Delays of several faults add
/// up, their `mutate`s all apply, and of the others the first in the list decides.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Fault {
    /// The account concerned: whose role is assumed (AssumeRole), whose credentials sign (the rest of STS, DRS, S3),
    /// or the key of the item (DynamoDB's GetItem, PutItem, UpdateItem, DeleteItem; other calls there have none).
    pub account: Option<String>,
    /// The region that the request is signed for.
    pub region: Option<String>,
    pub service: Option<Service>,
    /// As AWS writes it: `ListStagingAccounts`.
    pub operation: Option<String>,
    /// The page of a paginated call, from 1.
    pub page: Option<u32>,
    /// Lets this many matching calls pass first.
    pub after: u64,
    /// Strikes this many calls; absent: all.
    pub times: Option<u64>,
    /// Lets this many matching calls a second pass, and as many at once after a second without any: a quota.
    pub beyond_per_second: Option<u32>,
    /// Counts `after`, `times` and `beyondPerSecond` for each account apart, or for each account and region apart.
    pub per: Option<Per>,

    /// Answers this error.
    pub error: Option<FaultError>,
    /// Milliseconds of delay.
    pub latency_ms: Option<u64>,
    /// Up to this many further milliseconds, drawn from the fleet's seed and the call's number.
    pub jitter_ms: u64,
    /// Never answers; ends when the client hangs up or the lab stops.
    pub hang: bool,
    /// Resets the connection instead of answering.
    pub reset: bool,
    /// Answers 200 with this body.
    pub body: Option<String>,
    /// Processes the call, and resets the connection instead of answering.
    pub lose_answer: bool,
    /// Ends the session that signed the call: ExpiredTokenException, now and for all of its later calls.
    pub expire_session: bool,
    /// Edits the table before the call is processed.
    pub mutate: Option<Mutate>,
}

/// What a fault's counters are kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Per {
    Account,
    Region,
}

/// The error of a fault.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct FaultError {
    /// As AWS names it: `ThrottlingException`.
    pub code: String,
    /// Absent: a sentence that names the code.
    pub message: Option<String>,
    /// HTTP status; absent: the one that AWS uses for the code.
    pub status: Option<u16>,
}

/// An edit of one table item, as another writer would make it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Mutate {
    /// The item's `accountId`; absent: the account that the call concerns.
    pub key: Option<String>,
    /// Attributes to set, in plain JSON. An item that isn't there is created.
    pub set: Item,
    /// Attributes to remove.
    pub remove: Vec<String>,
    /// Deletes the item.
    pub delete: bool,
}

impl Fault {
    /// A fault that answers an error, on every call until filters are set:
    /// `Fault { region: Some("eu-west-1".into()), times: Some(2), ..Fault::error("ThrottlingException") }`.
    pub fn error(code: &str) -> Self {
        Self { error: Some(FaultError { code: code.into(), ..FaultError::default() }), ..Self::default() }
    }

    /// A fault that delays.
    pub fn latency(milliseconds: u64) -> Self {
        Self { latency_ms: Some(milliseconds), ..Self::default() }
    }

    /// A fault that never answers.
    pub fn hang() -> Self {
        Self { hang: true, ..Self::default() }
    }

    /// A fault that resets the connection.
    pub fn reset() -> Self {
        Self { reset: true, ..Self::default() }
    }

    /// A fault that answers 200 with this body.
    pub fn body(body: &str) -> Self {
        Self { body: Some(body.into()), ..Self::default() }
    }

    /// A fault that loses the answer of a call that was processed.
    pub fn lose_answer() -> Self {
        Self { lose_answer: true, ..Self::default() }
    }

    /// A fault that ends the session that signed the call.
    pub fn expire_session() -> Self {
        Self { expire_session: true, ..Self::default() }
    }

    /// A fault that edits the table.
    pub fn mutate(mutate: Mutate) -> Self {
        Self { mutate: Some(mutate), ..Self::default() }
    }

    fn matches(&self, subject: &Subject) -> bool {
        fn wants<T: PartialEq + ?Sized>(filter: Option<&T>, actual: Option<&T>) -> bool {
            filter.is_none() || filter == actual
        }
        wants(self.account.as_deref(), subject.account)
            && wants(self.region.as_deref(), Some(subject.region))
            && wants(self.service.as_ref(), Some(&subject.service))
            && wants(self.operation.as_deref(), Some(subject.operation))
            && wants(self.page.as_ref(), subject.page.as_ref())
    }
}

/// What a call is to the faults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub service: Service,
    pub operation: &'a str,
    pub region: &'a str,
    /// The account concerned; see [`Fault::account`].
    pub account: Option<&'a str>,
    pub page: Option<u32>,
}

/// What the faults do to one call.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Strike {
    pub delay_ms: u64,
    pub mutations: Vec<Mutate>,
    pub end: Option<End>,
}

/// How a struck call ends, instead of being processed.
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    Error(FaultError),
    Hang,
    Reset,
    Body(String),
    LoseAnswer,
    ExpireSession,
}

/// How many calls each fault has seen, and how many more a quota lets pass.
#[derive(Debug, Default)]
pub(crate) struct Counters(HashMap<(usize, String), Counter>);

#[derive(Debug, Default)]
struct Counter {
    seen: u64,
    /// What a quota had left, and when.
    left: Option<(f64, Instant)>,
}

impl Counter {
    /// Whether a quota of so many calls a second lets another one pass now.
    fn passes(&mut self, per_second: u32, now: Instant) -> bool {
        let rate = f64::from(per_second);
        let (left, at) = self.left.unwrap_or((rate, now));
        let left = (left + now.saturating_duration_since(at).as_secs_f64() * rate).min(rate);
        let passes = left >= 1.0;
        self.left = Some((if passes { left - 1.0 } else { left }, now));
        passes
    }
}

impl Counters {
    /// Counts the call and says what happens to it. `draw` gives jitter: a number of at most its argument.
    pub fn strike(&mut self, faults: &[Fault], subject: &Subject, draw: impl Fn(usize, u64) -> u64) -> Strike {
        let mut strike = Strike::default();
        for (index, fault) in faults.iter().enumerate().filter(|(_, fault)| fault.matches(subject)) {
            let account = subject.account.unwrap_or_default();
            let bucket = match fault.per {
                None => String::new(),
                Some(Per::Account) => account.to_owned(),
                Some(Per::Region) => format!("{account}/{}", subject.region),
            };
            let counter = self.0.entry((index, bucket)).or_default();
            let position = counter.seen;
            counter.seen += 1;
            if position < fault.after || fault.times.is_some_and(|times| position - fault.after >= times) {
                continue;
            }
            if fault.beyond_per_second.is_some_and(|rate| counter.passes(rate, Instant::now())) {
                continue;
            }
            let delay = fault.latency_ms.unwrap_or(0).saturating_add(draw(index, fault.jitter_ms));
            strike.delay_ms = strike.delay_ms.saturating_add(delay);
            strike.mutations.extend(
                fault
                    .mutate
                    .clone()
                    .map(|mutate| Mutate { key: mutate.key.or_else(|| subject.account.map(str::to_owned)), ..mutate }),
            );
            if strike.end.is_none() {
                strike.end = fault.end();
            }
        }
        strike
    }
}

impl Fault {
    fn end(&self) -> Option<End> {
        if let Some(error) = &self.error {
            Some(End::Error(error.clone()))
        } else if self.hang {
            Some(End::Hang)
        } else if self.reset {
            Some(End::Reset)
        } else if let Some(body) = &self.body {
            Some(End::Body(body.clone()))
        } else if self.lose_answer {
            Some(End::LoseAnswer)
        } else {
            self.expire_session.then_some(End::ExpireSession)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SUBJECT: Subject = Subject {
        service: Service::Drs,
        operation: "ListStagingAccounts",
        region: "eu-west-1",
        account: Some("111122223333"),
        page: Some(1),
    };

    fn strikes(faults: &[Fault], subjects: &[Subject]) -> Vec<bool> {
        let mut counters = Counters::default();
        subjects.iter().map(|subject| counters.strike(faults, subject, |_, _| 0).end.is_some()).collect()
    }

    #[test]
    fn after_and_times_count_matching_calls_only() {
        let fault =
            Fault { region: Some("eu-west-1".into()), after: 1, times: Some(2), ..Fault::error("ThrottlingException") };
        let other = Subject { region: "us-east-1", ..SUBJECT };
        let calls = [SUBJECT, other, SUBJECT, other, SUBJECT, SUBJECT];
        assert_eq!(strikes(&[fault], &calls), [false, false, true, false, true, false]);
    }

    #[test]
    fn per_account_counts_each_account_apart() {
        let fault = Fault { times: Some(1), per: Some(Per::Account), ..Fault::reset() };
        let other = Subject { account: Some("444455556666"), ..SUBJECT };
        assert_eq!(strikes(&[fault], &[SUBJECT, other, SUBJECT, other]), [true, true, false, false]);
    }

    #[test]
    fn delays_add_up_and_the_first_end_decides() {
        let faults = [Fault::latency(5), Fault::hang(), Fault { latency_ms: Some(7), ..Fault::reset() }];
        let strike = Counters::default().strike(&faults, &SUBJECT, |_, _| 0);
        assert_eq!((strike.delay_ms, strike.end), (12, Some(End::Hang)));
    }

    #[test]
    fn a_quota_lets_so_many_calls_a_second_pass() {
        let (mut counter, now) = (Counter::default(), Instant::now());
        let mut passed = |after: u64| {
            let at = now + Duration::from_millis(after);
            (0..20).filter(|_| counter.passes(10, at)).count()
        };
        assert_eq!((passed(0), passed(500), passed(60_000)), (10, 5, 10));
    }

    #[test]
    fn a_page_filter_passes_calls_without_pages() {
        let fault = Fault { page: Some(2), ..Fault::hang() };
        let second = Subject { page: Some(2), ..SUBJECT };
        let none = Subject { page: None, ..SUBJECT };
        assert_eq!(strikes(&[fault], &[SUBJECT, second, none]), [false, true, false]);
    }
}
