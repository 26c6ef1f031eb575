//! The regions' answers about an account, read from the calls themselves, so that the invariants don't rely on the code
//! that they check.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use staging_sync_runtime::account::AccountId;
use staging_sync_runtime::tape::{Answer, Exchange};

/// The regions' answers about an account in a tick.
#[derive(Debug, Default)]
pub struct View {
    /// The staging accounts that some region named, the target itself among them.
    pub named: BTreeSet<String>,
    /// The regions that were asked and not read to their last page.
    pub incomplete: BTreeSet<String>,
    /// The regions that were read to their last page.
    pub read: BTreeSet<String>,
    /// Whether the role couldn't be assumed.
    pub unassumed: bool,
}

/// How far a listing of a region got.
#[derive(Default)]
struct Reading {
    entries: usize,
    state: State,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum State {
    #[default]
    Failed,
    More,
    NotOptedIn,
    Complete,
}

impl View {
    /// Reads the view from the calls to STS and DRS, in their order.
    pub fn of(heard: &[Exchange]) -> Self {
        let mut view = Self::default();
        let mut readings = BTreeMap::<(&str, &str), Reading>::new();
        for exchange in heard {
            match (exchange.service.as_str(), &exchange.region) {
                ("sts", _) => view.unassumed = !assumed(exchange),
                (_, Some(region)) => {
                    let reading = readings.entry((&exchange.operation, region)).or_default();
                    reading.hear(exchange, &mut view.named);
                }
                _ => {}
            }
        }
        for ((operation, region), reading) in &readings {
            // A region that doesn't know the credentials is empty, unless every region says so.
            let other = |(at, it): (&(&str, &str), &Reading)| at.0 == *operation && it.state != State::NotOptedIn;
            let read = match reading.state {
                State::Complete => true,
                State::NotOptedIn => readings.iter().any(other),
                State::Failed | State::More => false,
            };
            if read {
                view.read.insert((*region).to_owned());
            }
        }
        let asked = readings.keys().map(|(_, region)| (*region).to_owned());
        view.incomplete = asked.filter(|region| !view.read.contains(region)).collect();
        view
    }

    /// The reason that the view is incomplete, if it is.
    pub fn trouble(&self) -> Option<String> {
        let region = self.incomplete.first().map(|region| format!("{region} wasn't read to its last page"));
        region.or_else(|| self.unassumed.then(|| "the role couldn't be assumed".into()))
    }
}

fn assumed(exchange: &Exchange) -> bool {
    matches!(&exchange.answer, Answer::Response(response) if response.pointer("/Credentials/Expiration").is_some())
}

impl Reading {
    fn hear(&mut self, exchange: &Exchange, named: &mut BTreeSet<String>) {
        if exchange.request.get("nextToken").is_none() {
            self.entries = 0;
        }
        let page = match &exchange.answer {
            Answer::Response(page) => page,
            Answer::Error(failure) => {
                self.state = match failure.code.as_str() {
                    "UninitializedAccountException" if self.entries == 0 => State::Complete,
                    "UnrecognizedClientException" if self.entries == 0 => State::NotOptedIn,
                    _ => State::Failed,
                };
                return;
            }
        };
        let list = page.get("accounts").or_else(|| page.get("items")).and_then(Value::as_array);
        let mut good = list.is_some();
        for entry in list.into_iter().flatten() {
            let id = entry.get("accountID").or_else(|| entry.pointer("/stagingArea/stagingAccountID"));
            match id.map(|id| id.as_str().and_then(AccountId::parse)) {
                Some(Some(id)) => drop(named.insert(id.to_string())),
                None if exchange.operation == "DescribeSourceServers" => {} // not extended
                Some(None) | None => good = false,
            }
            self.entries += 1;
        }
        let more = page.get("nextToken").and_then(Value::as_str).is_some_and(|token| !token.is_empty());
        self.state = match (good, more) {
            (false, _) => State::Failed,
            (true, true) => State::More,
            (true, false) => State::Complete,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use staging_sync_runtime::tape::Failure;

    fn heard(region: &str, token: Option<&str>, answer: Result<Value, &str>) -> Exchange {
        Exchange {
            service: "drs".into(),
            operation: "ListStagingAccounts".into(),
            region: Some(region.into()),
            request: token.map_or(json!({}), |token| json!({"nextToken": token})),
            answer: match answer {
                Ok(page) => Answer::Response(page),
                Err(code) => Answer::Error(Failure::of(code, "", false)),
            },
        }
    }

    #[test]
    fn a_region_is_read_when_its_last_page_is() {
        let page = |next: Option<&str>| Ok(json!({"accounts": [{"accountID": "111111111111"}], "nextToken": next}));
        let view = |calls: &[Exchange]| View::of(calls).trouble();
        assert_eq!(view(&[heard("a", None, page(None))]), None);
        assert_eq!(view(&[heard("a", None, page(Some("x"))), heard("a", Some("x"), page(None))]), None);
        let cut = [heard("a", None, page(Some("x"))), heard("a", Some("x"), Err("NetworkError"))];
        assert_eq!(view(&cut).as_deref(), Some("a wasn't read to its last page"));
        assert_eq!(view(&[heard("a", None, Ok(json!({"accounts": [{"accountID": "1"}]})))]), view(&cut));
        assert_eq!(view(&[heard("a", None, Ok(json!({})))]), view(&cut));
        assert_eq!(View::of(&cut).named.len(), 1);
    }

    #[test]
    fn not_opted_in_is_empty_unless_everywhere() {
        let unknown = |region| heard(region, None, Err("UnrecognizedClientException"));
        assert!(View::of(&[unknown("a"), unknown("b")]).trouble().is_some());
        assert_eq!(View::of(&[unknown("a"), heard("b", None, Err("UninitializedAccountException"))]).trouble(), None);
    }
}
