//! Names in the journal: what ticks are known by, and where their records are, so that they're found without a list.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::account::AccountId;
use crate::digest::sha256;
use crate::tape::Now;

/// The document that dashboards and monitors read.
pub const LATEST: &str = "latest.json";

/// Where records of ticks are, by day.
pub const TICKS: &str = "ticks/";

/// How long the part of a request id is that an id has, in characters.
const MAX_REQUEST: usize = 64;

/// What a tick is known by: its time in UTC to the millisecond and its request id, like
/// `20260202T224500000Z-8f5d2a0c91be`. Ids are ordered by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TickId(String);

impl TickId {
    /// The id of a tick that begins at `at`. Without a request id, as outside Lambda, it gets one of its own.
    pub fn new(at: SystemTime, request: Option<&str>) -> Self {
        let request = request.map(|request| {
            let plain = request.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-');
            plain.take(MAX_REQUEST).collect::<String>()
        });
        let request = request.filter(|request| !request.is_empty()).unwrap_or_else(unique);
        Self(format!("{}-{request}", stamp(at)))
    }

    /// The id, if the text is one.
    pub fn parse(text: &str) -> Option<Self> {
        let (stamp, request) = text.split_once('-')?;
        let (date, time) = stamp.split_once('T')?;
        let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_stamp = digits(date, 8) && time.strip_suffix('Z').is_some_and(|time| digits(time, 9));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let is_request = (1..=MAX_REQUEST).contains(&request.len()) && request.chars().all(is_plain);
        (is_stamp && is_request).then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the tick's record is.
    pub fn record(&self) -> String {
        format!("{TICKS}{}/{}.json.gz", self.day(), self.0)
    }

    /// Where its tape is.
    pub fn tape(&self) -> String {
        format!("tapes/{}/{}.ndjson.gz", self.day(), self.0)
    }

    /// Where the record of an account's change is; `number` counts the attempts to write it, from 0.
    pub fn change(&self, account: &AccountId, number: usize) -> String {
        format!("{}{}-{number}.json", changes_of(account), self.0)
    }

    /// Its time, as `stamp` writes it.
    pub fn stamp(&self) -> &str {
        self.0.split('-').next().unwrap_or_default()
    }

    /// The day as a part of keys, like `2026/02/02`.
    fn day(&self) -> String {
        day(&self.0)
    }
}

impl std::fmt::Display for TickId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the records of an account's changes are.
pub fn changes_of(account: &AccountId) -> String {
    format!("changes/{account}/")
}

/// Where the entry is that was last removed of these ids.
pub(super) fn removed(account: &AccountId, staging_account: &str) -> String {
    format!("removed/{account}/{staging_account}.json")
}

/// Where the records of ticks of a day are.
pub fn ticks_of_day(at: SystemTime) -> String {
    format!("{TICKS}{}/", day(&stamp(at)))
}

/// A time as ids begin with it, like `20260202T224500000Z`.
pub fn stamp(at: SystemTime) -> String {
    let text = String::from(Now::of(at));
    let seconds: String = text.chars().filter(|c| c.is_ascii_digit() || *c == 'T').collect();
    let milliseconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().subsec_millis();
    format!("{seconds}{milliseconds:03}Z")
}

fn day(stamp: &str) -> String {
    let part = |range| stamp.get(range).unwrap_or_default();
    format!("{}/{}/{}", part(0..4), part(4..6), part(6..8))
}

/// A text that no other process or tick has.
fn unique() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    sha256(format!("{now:?} {} {number}", std::process::id()).as_bytes()).chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_where_the_record_is() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_770_072_300_007);
        let id = TickId::new(at, Some("8f5d-../x"));
        assert_eq!(id.as_str(), "20260202T224500007Z-8f5d-x");
        assert_eq!(id.record(), "ticks/2026/02/02/20260202T224500007Z-8f5d-x.json.gz");
        assert_eq!(TickId::parse(id.as_str()), Some(id));
        assert_ne!(TickId::new(at, None), TickId::new(at, Some("")));
        for other in ["", "20260202T224500007Z", "20260202T2245Z-x", "20260202T224500007Z-../x", "latest"] {
            assert_eq!(TickId::parse(other), None, "{other}");
        }
    }
}
