//! `freezes.json`: accounts that operators keep as they are, and decisions that they don't want to be made again.

use std::collections::BTreeSet;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::seal::FORMAT;
use super::{Journal, MAX_BYTES};
use crate::account::AccountId;
use crate::store::{Fetched, StoreError, When};
use crate::tape::{self, Now};

/// The document.
pub const FREEZES: &str = "freezes.json";

/// The account of a freeze that is of all accounts.
pub const ALL: &str = "*";

/// The reason of all accounts of a tick that doesn't know which ones are frozen.
pub(super) const NOTHING_WRITTEN: &str = "Freezes unknown, so nothing is written in this tick";

/// Whether an account was skipped for this reason because it's frozen, or may be.
pub fn is_frozen(reason: &str) -> bool {
    reason.starts_with("Frozen until ") || reason.starts_with(NOTHING_WRITTEN)
}

/// Whether an account was skipped for this reason because of a veto.
pub fn is_vetoed(reason: &str) -> bool {
    reason.starts_with("Vetoed until ") || reason.starts_with("Vetoed: ")
}

/// How often the document is read and written again because somebody else wrote it meanwhile.
const MAX_CONFLICTS: usize = 20;

/// All freezes and vetoes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freezes {
    /// The version of the format.
    format: u64,
    /// In the order in which they were made.
    pub freezes: Vec<Freeze>,
}

/// An account that is kept as it is, or one decision that isn't made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Freeze {
    /// The account's id, or `*` for all.
    pub account: String,
    /// When it ends, in UTC to the second; a veto may be without an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// Who made it.
    pub author: String,
    /// Why.
    pub comment: String,
    /// The decision that isn't made; without one nothing is changed in the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub veto: Option<Veto>,
}

/// A decision that isn't made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Veto {
    /// Ids that aren't added.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub add: BTreeSet<AccountId>,
    /// Ids that aren't removed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub remove: BTreeSet<AccountId>,
}

/// A time like `2026-02-02T22:45:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(Now);

impl Time {
    /// A time without its fraction of a second.
    pub fn of(time: SystemTime) -> Self {
        Self(Now::of(time))
    }

    /// The time.
    pub fn time(self) -> SystemTime {
        self.0.time()
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from(self.0))
    }
}

impl Default for Freezes {
    fn default() -> Self {
        Self { format: FORMAT, freezes: Vec::new() }
    }
}

impl Freeze {
    /// Whether it still counts at a time.
    pub fn counts(&self, now: SystemTime) -> bool {
        self.until.is_none_or(|until| until.time() > now)
    }

    /// Whether it's about an account.
    pub fn is_of(&self, account: &str) -> bool {
        self.account == ALL || self.account == account
    }

    /// Why an account or an id is left as it is: `Frozen until <time>: <comment>`.
    pub fn reason(&self) -> String {
        let what = if self.veto.is_some() { "Vetoed" } else { "Frozen" };
        let until = self.until.map(|until| format!(" until {until}")).unwrap_or_default();
        format!("{what}{until}: {}", self.comment)
    }
}

impl Freezes {
    /// Those that count at a time.
    pub fn at(&self, now: SystemTime) -> impl Iterator<Item = &Freeze> {
        self.freezes.iter().filter(move |freeze| freeze.counts(now))
    }

    /// The freeze of an account that ends last, if it's frozen.
    pub fn freeze_of(&self, account: &str, now: SystemTime) -> Option<&Freeze> {
        let freezes = self.at(now).filter(|freeze| freeze.veto.is_none() && freeze.is_of(account));
        freezes.max_by_key(|freeze| freeze.until.map(Time::time))
    }

    /// Why an account is frozen, if it is.
    pub fn frozen(&self, account: &str, now: SystemTime) -> Option<String> {
        self.freeze_of(account, now).map(Freeze::reason)
    }

    /// The vetoes of an account.
    pub fn vetoes(&self, account: &str, now: SystemTime) -> Vec<Freeze> {
        self.at(now).filter(|freeze| freeze.veto.is_some() && freeze.is_of(account)).cloned().collect()
    }

    /// Reads the document. The error says where what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let value: Value = tape::parse(text)?;
        match value.get("format") {
            Some(format) if *format == FORMAT => {}
            Some(other) => return Err(format!("$.format: expected {FORMAT}, found {other}: use a newer staging-sync")),
            None => return Err(format!("$.format: expected {FORMAT}, found nothing")),
        }
        let freezes: Self = tape::read(value)?;
        for (place, freeze) in freezes.freezes.iter().enumerate() {
            if freeze.account != ALL && AccountId::parse(&freeze.account).is_none() {
                return Err(format!("$.freezes[{place}].account: expected 12 digits or *, found {:?}", freeze.account));
            }
            if freeze.until.is_none() && freeze.veto.is_none() {
                return Err(format!("$.freezes[{place}].until: expected a time, found nothing"));
            }
        }
        Ok(freezes)
    }

    fn text(&self) -> Vec<u8> {
        tape::pretty(self).into_bytes()
    }
}

/// What a host knows of the freezes.
#[derive(Default)]
pub(super) struct KnownFreezes {
    /// The version that was read last, and what it says.
    read: Option<(Option<String>, Freezes)>,
    /// When it was read last, by the clock of ticks.
    at: Option<SystemTime>,
}

impl Journal {
    /// The freezes that count in a tick at `now`: one conditional call. Where they can't be read, those that are known; the
    /// second is why then. The error says why nothing is known.
    pub async fn freezes(&self, now: SystemTime) -> Result<(Freezes, Option<String>), String> {
        let mut known = self.freezes.lock().await;
        let version = known.read.as_ref().and_then(|(version, _)| version.clone());
        let fetched = match self.store.get(FREEZES, version.as_deref(), MAX_BYTES).await {
            Err(error) if error.denied && self.may_read().await => Ok(Fetched::Missing),
            fetched => fetched,
        };
        let found = match fetched {
            Ok(Fetched::Same) => Ok(None),
            Ok(Fetched::Missing) => Ok(Some((None, Freezes::default()))),
            Ok(Fetched::Found { bytes, version }) => match Freezes::parse(&bytes) {
                Ok(freezes) => Ok(Some((Some(version), freezes))),
                Err(error) => Err(format!("{}: {error}", self.title(FREEZES))),
            },
            Err(error) => Err(error.to_string()),
        };
        let failed = match found {
            Ok(found) => {
                let _ = self.readable.set(());
                let before = known.read.take();
                let after = found.or_else(|| before.clone()).unwrap_or_default();
                tell_ended(before.as_ref().map(|(_, freezes)| freezes), &after.1, known.at, now);
                (known.read, known.at) = (Some(after), Some(now));
                None
            }
            Err(error) => Some(error),
        };
        match (&known.read, failed) {
            (Some((_, freezes)), failed) => Ok((freezes.clone(), failed)),
            (None, failed) => Err(failed.unwrap_or_default()),
        }
    }

    /// Reads the freezes as they are now. A document that is no good is an error.
    pub async fn read_freezes(&self) -> Result<Freezes, StoreError> {
        Ok(self.freezes_and_version().await?.0)
    }

    async fn freezes_and_version(&self) -> Result<(Freezes, Option<String>), StoreError> {
        let Some((bytes, version)) = self.get(FREEZES).await? else { return Ok((Freezes::default(), None)) };
        let title = self.title(FREEZES);
        let freezes = Freezes::parse(&bytes)
            .map_err(|error| StoreError::passing(format!("{title}: {error}: mend the document, or delete it")))?;
        Ok((freezes, Some(version)))
    }

    /// Changes the freezes where nobody else does at the same moment; otherwise once more. Those that ended are dropped.
    pub async fn change_freezes(
        &self,
        now: SystemTime,
        change: impl Fn(&mut Vec<Freeze>),
    ) -> Result<Freezes, StoreError> {
        for _ in 0..=MAX_CONFLICTS {
            let (mut freezes, version) = self.freezes_and_version().await?;
            freezes.freezes.retain(|freeze| freeze.counts(now));
            change(&mut freezes.freezes);
            let when = version.map_or(When::Missing, When::Is);
            if self.store.replace(FREEZES, freezes.text(), when).await?.is_some() {
                return Ok(freezes);
            }
        }
        Err(StoreError::passing(format!("{}: others write it all the time; try again", self.title(FREEZES))))
    }
}

/// Logs the freezes that ended since the last tick, or were taken back.
fn tell_ended(before: Option<&Freezes>, after: &Freezes, last: Option<SystemTime>, now: SystemTime) {
    let ended_since = |freeze: &&Freeze| {
        // Who doesn't know when the last tick was tells what is in the document.
        let until = freeze.until.map(Time::time).filter(|until| *until <= now);
        until.is_some_and(|until| last.is_none_or(|last| until > last))
    };
    let known = before.map(|before| &before.freezes).into_iter().flatten();
    let taken_back = known.filter(|freeze| !after.freezes.contains(freeze));
    let taken_back = taken_back.filter(|freeze| last.is_none_or(|last| freeze.counts(last)));
    for freeze in after.freezes.iter().filter(ended_since).chain(taken_back) {
        tracing::info!(
            account = freeze.account,
            author = freeze.author,
            comment = freeze.comment,
            until = freeze.until.map(|until| until.to_string()),
            "a freeze has ended"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_770_072_300 + seconds)
    }

    fn freeze(account: &str, until: u64) -> Freeze {
        Freeze {
            account: account.into(),
            until: Some(Time::of(at(until))),
            author: "somebody".into(),
            comment: "fail-over".into(),
            veto: None,
        }
    }

    #[test]
    fn a_freeze_counts_until_it_ends_and_a_veto_freezes_nothing() {
        let veto = Freeze { veto: Some(Veto::default()), until: None, ..freeze("111122223333", 0) };
        let all = vec![freeze("111122223333", 60), freeze(ALL, 120), veto.clone()];
        let freezes = Freezes { freezes: all, ..Freezes::default() };
        let frozen = |account, now| freezes.frozen(account, at(now));
        assert_eq!(frozen("111122223333", 0).as_deref(), Some("Frozen until 2026-02-02T22:47:00Z: fail-over"));
        assert!(frozen("444455556666", 119).is_some());
        assert_eq!((frozen("444455556666", 120), frozen("111122223333", 120)), (None, None));
        assert_eq!(freezes.vetoes("111122223333", at(999)), [veto]);
        assert_eq!(freezes.vetoes("111122223333", at(999))[0].reason(), "Vetoed: fail-over");
        assert_eq!(Freezes::parse(&freezes.text()), Ok(freezes));
    }

    #[test]
    fn a_bad_document_is_told_by_its_path_and_what_was_expected() {
        let parse = |value: Value| Freezes::parse(value.to_string().as_bytes()).expect_err("a bad document");
        let freeze = |change: Value| {
            let mut freeze = json!({"account": "*", "until": "2026-02-02T22:45:00Z", "author": "a", "comment": "c"});
            freeze.as_object_mut().expect("an object").extend(change.as_object().cloned().unwrap_or_default());
            json!({"format": 1, "freezes": [freeze]})
        };
        assert!(Freezes::parse(freeze(json!({})).to_string().as_bytes()).is_ok());
        assert!(parse(freeze(json!({"account": "prod"}))).starts_with("$.freezes[0].account: expected 12 digits or *"));
        assert!(parse(freeze(json!({"until": "tomorrow"}))).starts_with("$.freezes[0].until: expected a time like"));
        assert!(
            parse(freeze(json!({"until": null}))).starts_with("$.freezes[0].until: expected a time, found nothing")
        );
        assert!(parse(freeze(json!({"unitl": 1}))).contains("unitl"));
        assert_eq!(parse(json!({"freezes": []})), "$.format: expected 1, found nothing");
        assert_eq!(parse(json!({"format": 2})), "$.format: expected 1, found 2: use a newer staging-sync");
    }
}
