//! The history of a manifest: every change with its time, author, and the manifest as it was afterwards.
//!
//! It is a document beside the manifest (`policy.json` has `policy.history.json`). Hosts never read it. A manifest that
//! was changed without a record, by hand or by a publisher that died, gets one at the next change.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::manifest::Manifest;
use super::publish::{self, Unchanged};
use crate::store::location::Location;
use crate::store::{Fetched, Put, StoreError, When};
use crate::tape;
use crate::text;

/// The format that this program writes, and the only one that it reads.
const FORMAT: u64 = 1;

/// How large a history may grow, in bytes: some thousand changes. The oldest are dropped beyond it.
const MAX_BYTES: usize = 4 << 20;

/// How often a record is tried against others who write the same history.
const TRIES: usize = 10;

/// The kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A policy was published as the active one.
    Publish,
    /// A policy was published to decide in the shadow.
    Shadow,
    /// A policy was published to decide a growing share of the accounts.
    Rollout,
    /// The shadow became active.
    Promote,
    /// The shadow was taken out.
    Withdraw,
    /// An earlier policy became active again.
    Rollback,
    /// The manifest was changed without a record.
    Unrecorded,
}

impl Kind {
    /// As JSON and people read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Shadow => "shadow",
            Self::Rollout => "rollout",
            Self::Promote => "promote",
            Self::Withdraw => "withdraw",
            Self::Rollback => "rollback",
            Self::Unrecorded => "unrecorded",
        }
    }
}

/// A change: when and by whom it was made, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// When, as `2026-02-02T22:45:00Z`; of an unrecorded change, when it was noticed.
    pub at: String,
    /// Who: an ARN, or a user of the machine.
    pub by: String,
    /// What.
    pub change: Kind,
    /// Why, in the author's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// What the policy had decided as expected before, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
}

/// A change, its number, and the manifest after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its number, from 1 on.
    pub number: u64,
    /// What was known of it.
    pub change: Change,
    /// The manifest afterwards, whole.
    pub manifest: Manifest,
}

/// All changes that are known, the oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History(Vec<Record>);

/// The target of a rollback is missing or ambiguous.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotFound(String);

impl History {
    /// The changes, the oldest first.
    pub fn records(&self) -> &[Record] {
        &self.0
    }

    /// The manifest after a change.
    pub fn at(&self, number: u64) -> Result<&Record, NotFound> {
        let found = self.0.iter().find(|record| record.number == number);
        found.ok_or_else(|| {
            NotFound(format!("its history has no change {number}: `staging-sync policy log` lists them"))
        })
    }

    /// The last change after which a policy with this digest (8 digits or more) was active. Fails if it was active with
    /// different settings.
    pub fn with_active(&self, digest: &str) -> Result<&Record, NotFound> {
        let digits = digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !digits || !(8..=64).contains(&digest.len()) {
            return Err(NotFound(format!("{digest:?} isn't a digest: expected 8 to 64 digits of a policy's SHA-256")));
        }
        let digest = digest.to_ascii_lowercase();
        let mut found = self.0.iter().rev().filter(|record| record.manifest.active.sha256.starts_with(&digest));
        let last = found.next().ok_or_else(|| {
            NotFound(format!(
                "its history has no active policy with the digest {digest}: `staging-sync policy log` lists them"
            ))
        })?;
        match found.find(|record| !record.manifest.active.is_same(&last.manifest.active)) {
            None => Ok(last),
            Some(other) => Err(NotFound(format!(
                "{digest} was active more than once, as different policies or with different settings: select a change with --to-change {} \
             or --to-change {}",
                last.number, other.number
            ))),
        }
    }

    /// Adds a change. One that was noticed without its record before gets it now.
    fn add(&mut self, change: Change, manifest: &Manifest) {
        let waiting = self.0.iter_mut().rev().take(TRIES);
        let mut waiting = waiting.filter(|record| record.change.change == Kind::Unrecorded);
        if change.change != Kind::Unrecorded
            && let Some(record) = waiting.find(|record| record.manifest == *manifest)
        {
            record.change = change;
            return;
        }
        let number = self.0.last().map_or(0, |record| record.number) + 1;
        self.0.push(Record { number, change, manifest: manifest.clone() });
    }

    /// Reads a history. An error names the JSON path and what was expected there.
    fn parse(text: &str) -> Result<Self, String> {
        let mut document: Value = tape::parse(text)?;
        let format = document["format"].take();
        if format != FORMAT {
            return Err(format!("$.format: expected {FORMAT}, found {format}: use a newer staging-sync"));
        }
        let Value::Array(lines) = document["changes"].take() else {
            return Err("$.changes: expected a list of changes".into());
        };
        let records = lines.into_iter().enumerate().map(|(place, mut line)| {
            let wrong = |error: String| error.replacen('$', &format!("$.changes[{place}]"), 1);
            let object = line.as_object_mut().ok_or_else(|| wrong("$: expected a change, an object".into()))?;
            let number = object.shift_remove("number").and_then(|number| number.as_u64());
            let number = number.ok_or_else(|| wrong("$.number: expected the change's number".into()))?;
            let manifest = object.shift_remove("manifest").unwrap_or_default();
            let manifest = Manifest::parse(&manifest.to_string());
            let manifest = manifest.map_err(|error| wrong(error.replacen('$', "$.manifest", 1)))?;
            Ok(Record { number, change: tape::read(line).map_err(wrong)?, manifest })
        });
        Ok(Self(records.collect::<Result<_, String>>()?))
    }

    /// The document, without what was before it has become too large.
    fn text(&self) -> String {
        let lines: Vec<Value> = self.0.iter().map(Record::json).collect();
        let mut first = 0;
        loop {
            let text = tape::pretty(&json!({"format": FORMAT, "changes": lines[first..]}));
            if text.len() <= MAX_BYTES || lines.len() - first < 2 {
                return text;
            }
            first += (lines.len() - first).div_ceil(10);
        }
    }
}

impl Record {
    /// The record as the document has it.
    pub fn json(&self) -> Value {
        let mut line = json!({"number": self.number});
        for (name, value) in json!(self.change).as_object().into_iter().flatten() {
            line[name] = value.clone();
        }
        line["manifest"] = self.manifest.value();
        line
    }
}

/// The place of a manifest's history.
fn place(at: &Location) -> Location {
    at.with_ending(".json", ".history.json")
}

/// Reads the history of a manifest, which is empty if it doesn't exist.
pub async fn read(at: &Location) -> Result<History, Unchanged> {
    Ok(fetch(&place(at)).await?.0)
}

async fn fetch(place: &Location) -> Result<(History, Option<String>), Unchanged> {
    match place.get(None, 2 * MAX_BYTES as u64).await? {
        Fetched::Found { bytes, version } => {
            let history = text::decode(&bytes).map_err(str::to_owned).and_then(|text| History::parse(&text));
            Ok((history.map_err(|error| format!("{place}: isn't a readable history: {error}"))?, Some(version)))
        }
        Fetched::Missing | Fetched::Same => Ok((History::default(), None)),
    }
}

/// What became of a change, and of its record.
pub struct Recorded {
    /// The number of the previous change, for a rollback; `None` if there was no manifest or no record.
    pub before: Option<u64>,
    /// Why there is no record of the change, if there is none.
    pub missing: Option<String>,
}

/// Replaces a manifest (`before`, if it could be read), as `publish::replace` does, and records the change. That a record
/// can't be written keeps no change from being made: a rollback is urgent.
pub async fn change(
    at: &Location,
    before: Option<&Manifest>,
    version: Option<&str>,
    manifest: &Manifest,
    change: Change,
) -> Result<Recorded, Unchanged> {
    let before = match before {
        Some(before) => record_unrecorded(at, before, &change.at).await,
        None => Ok(None),
    };
    publish::replace(at, version, manifest).await?;
    let (before, missing) = match before {
        Ok(before) => (before, record(at, change, manifest).await.err()),
        Err(error) => (None, Some(error)),
    };
    Ok(Recorded { before, missing: missing.map(|error| error.to_string()) })
}

/// Makes sure that the history ends with this manifest, and says by which number.
async fn record_unrecorded(at: &Location, manifest: &Manifest, now: &str) -> Result<Option<u64>, Unchanged> {
    let (history, _) = fetch(&place(at)).await?;
    if let Some(last) = history.0.last().filter(|last| last.manifest == *manifest) {
        return Ok(Some(last.number));
    }
    let by = "unknown".to_owned();
    let change = Change { at: now.to_owned(), by, change: Kind::Unrecorded, comment: None, proof: None };
    record(at, change, manifest).await.map(Some)
}

/// Adds a record, whoever else does at the same time, and returns its number.
async fn record(at: &Location, change: Change, manifest: &Manifest) -> Result<u64, Unchanged> {
    let place = place(at);
    for _ in 0..TRIES {
        let (mut history, version) = fetch(&place).await?;
        history.add(change.clone(), manifest);
        let number = history.0.iter().rev().find(|record| record.change == change).map_or(0, |record| record.number);
        let when = version.map_or(When::Missing, When::Is);
        match place.put(history.text().into_bytes(), when).await {
            Ok(Put::Done) => return Ok(number),
            Ok(Put::Changed) => {
                // A write whose answer was lost is in its own way.
                if fetch(&place).await?.0.0.iter().any(|record| record.number == number && record.change == change) {
                    return Ok(number);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    let message = format!("{place}: other writers keep changing it");
    Err(StoreError::passing(message).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(sha256: &str, settings: &str) -> Manifest {
        let sha256 = sha256.repeat(32);
        let text = format!(
            r#"{{"name": "p", "version": "1", "component": "c", "sha256": "{sha256}", "settings": {settings}}}"#
        );
        Manifest::parse(&text).expect("a manifest")
    }

    fn change(change: Kind) -> Change {
        let (at, by) = ("2026-02-02T22:45:00Z".to_owned(), "somebody".to_owned());
        Change { at, by, change, comment: None, proof: Some("4 built-in cases".into()) }
    }

    #[test]
    fn a_history_is_read_as_it_was_written() {
        let mut history = History::default();
        history.add(change(Kind::Publish), &manifest("0a", "{}"));
        history.add(change(Kind::Rollback), &manifest("0b", r#"{"removals": "none"}"#));
        assert_eq!(History::parse(&history.text()), Ok(history.clone()));
        for (broken, path) in [
            (r#"{"format": 2, "changes": []}"#, "$.format"),
            (r#"{"format": 1}"#, "$.changes"),
            (r#"{"format": 1, "changes": [{"number": 1, "manifest": {}}]}"#, "$.changes[0].manifest"),
        ] {
            let error = History::parse(broken).expect_err(broken);
            assert!(error.starts_with(path), "{error}");
        }
        let other = history.text().replacen("\"by\"", "\"From\"", 1);
        assert!(History::parse(&other).is_err_and(|error| error.starts_with("$.changes[0]")));
    }

    #[test]
    fn a_change_that_was_noticed_first_gets_its_record() {
        let mut history = History::default();
        history.add(change(Kind::Publish), &manifest("0a", "{}"));
        history.add(change(Kind::Unrecorded), &manifest("0b", "{}"));
        history.add(change(Kind::Publish), &manifest("0c", "{}"));
        history.add(change(Kind::Promote), &manifest("0b", "{}"));
        let kinds: Vec<Kind> = history.0.iter().map(|record| record.change.change).collect();
        assert_eq!(kinds, [Kind::Publish, Kind::Promote, Kind::Publish]);
    }

    #[test]
    fn a_digest_names_one_policy_with_one_settings() {
        let mut history = History::default();
        history.add(change(Kind::Publish), &manifest("0a", "{}"));
        history.add(change(Kind::Publish), &manifest("0b", "{}"));
        history.add(change(Kind::Publish), &manifest("0b", r#"{"removals": "none"}"#));
        let number = |digest: &str| history.with_active(digest).map(|record| record.number);
        assert_eq!(number("0a0a0A0A").ok(), Some(1));
        let error = number("0b0b0b0b").expect_err("two").to_string();
        assert!(error.contains("--to-change 3") && error.contains("--to-change 2"), "{error}");
        for bad in ["0a0a", "nothexxx", "0c0c0c0c"] {
            assert!(number(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_history_that_grows_too_large_loses_its_oldest_changes() {
        let mut history = History::default();
        let large = format!(r#"{{"a": "{}"}}"#, "x".repeat(MAX_BYTES / 8));
        for _ in 0..12 {
            history.add(change(Kind::Publish), &manifest("0a", &large));
        }
        let text = history.text();
        let kept = History::parse(&text).expect("a history");
        assert!(text.len() <= MAX_BYTES && kept.0.len() > 3);
        assert_eq!(kept.0.last().map(|record| record.number), Some(12));
    }
}
