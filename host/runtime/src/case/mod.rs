//! Cases: recorded situations and their expected results, as directories of small JSON files.
//!
//! `event.json`, `tape.json`, `summary.json`, and `settings.json` where the policy's settings are other than the
//! tape's. Replaying a case opens no socket and reads nothing but these files and the policy.

pub mod bundle;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::aws::regions::is_named_well;
use crate::config::Config;
use crate::error::Error;
use crate::event::Event;
use crate::policy::Policy;
use crate::tape::{self, Exchange, Matched, Played, ReplayApi, Tape};
use crate::text;
use crate::tick::{Report, Runtime, Tick};

/// A case, read from its directory.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its directory.
    pub dir: PathBuf,
    /// Its name: the directory's.
    pub name: String,
    /// What was recorded.
    pub tape: Tape,
    /// The event that counts: the file's, or the tape's.
    pub event: Value,
    /// The policy's settings that count: the file's, or the tape's.
    pub settings: Map<String, Value>,
    /// Whether they are the file's: a proof then leaves them as they are.
    pub pins_settings: bool,
    /// What must come out, where there's a `summary.json`.
    pub expected: Option<Value>,
}

/// How a policy decided a case.
#[derive(Debug)]
pub struct Run {
    /// The tick's report, or why it failed as a whole.
    pub report: Result<Report, Error>,
    /// What was asked of the tape.
    pub played: Vec<Played>,
}

impl Case {
    /// Reads a case. An error names the file, and in it the JSON path and what was expected there.
    pub fn read(dir: &Path) -> Result<Self, String> {
        let expected = file(dir, "summary.json", tape::parse)?;
        Ok(Self { expected, ..Self::read_undecided(dir)? })
    }

    /// Reads a case but for what it expects, which is about to be replaced, and may be broken.
    pub fn read_undecided(dir: &Path) -> Result<Self, String> {
        if !dir.is_dir() {
            return Err(format!("{}: expected a case, a directory with a tape.json", dir.display()));
        }
        let tape = file(dir, "tape.json", Tape::parse)?.ok_or_else(|| {
            format!("{}: the file doesn't exist; `staging-sync record` writes one", dir.join("tape.json").display())
        })?;
        let event = file(dir, "event.json", tape::parse)?.unwrap_or_else(|| tape.event.clone());
        let settings = file(dir, "settings.json", |text| tape::parse(text).and_then(tape::read))?;
        let pins_settings = settings.is_some();
        let settings = settings.unwrap_or_else(|| tape.settings.clone());
        let case = Self { dir: dir.to_owned(), name: name(dir), tape, event, settings, pins_settings, expected: None };
        case.config().map_err(|error| format!("{}: {error}", dir.join("tape.json").display()))?;
        Ok(case)
    }

    /// A tape as a case that expects nothing.
    pub(crate) fn of_tape(name: &str, tape: &str) -> Result<Self, String> {
        let tape = Tape::parse(tape)?;
        Ok(Self {
            dir: PathBuf::from(name),
            name: name.to_owned(),
            event: tape.event.clone(),
            settings: tape.settings.clone(),
            pins_settings: false,
            expected: None,
            tape,
        })
    }

    /// Where the policy's settings are, for people.
    pub fn place_of_settings(&self) -> String {
        let place = self.dir.join(if self.pins_settings { "settings.json" } else { "tape.json" });
        format!("{}{}", place.display(), if self.pins_settings { "" } else { ": $.settings" })
    }

    /// The host's settings of a replay. An error names the tape's JSON path.
    pub fn config(&self) -> Result<Config, String> {
        let recorded = &self.tape.config;
        if recorded.table.trim().is_empty() {
            return Err("$.config.table: expected the table's name, found nothing".into());
        }
        if recorded.regions.is_empty() {
            return Err("$.config.regions: expected a list of regions, found none".into());
        }
        if let Some((place, region)) = recorded.regions.iter().enumerate().find(|(_, region)| !is_named_well(region)) {
            return Err(format!("$.config.regions[{place}]: expected a region like eu-central-1, found {region:?}"));
        }
        if recorded.max_removals_percent > 100 {
            let found = recorded.max_removals_percent;
            return Err(format!("$.config.maxRemovalsPercent: expected a number from 0 to 100, found {found}"));
        }
        let variable = |name: &str| match name {
            "TARGET_ACCOUNTS_TABLE" => Some(recorded.table.clone()),
            "DRS_REGIONS" => Some(recorded.regions.join(",")),
            "MAX_REMOVALS_PERCENT" => Some(recorded.max_removals_percent.to_string()),
            "POLICY_SETTINGS" => Some(Value::Object(self.settings.clone()).to_string()),
            _ => None,
        };
        Config::read(&variable).map_err(|error| format!("$.config: {}", error.message))
    }

    /// Lets a policy decide the case.
    pub async fn run(&self, policy: &Policy) -> Result<Run, String> {
        let player = Arc::new(ReplayApi::new(&self.tape));
        let tick = async {
            let event = Event::parse(&self.event)?;
            let config = self.config().map_err(|error| Error::new(crate::ErrorKind::ConfigurationInvalid, error))?;
            let runtime = Arc::new(Runtime::with(config, policy.clone(), player.clone()).await?);
            Box::pin(runtime.tick(Tick { now: self.tape.now.time(), ..Tick::of(event) }, |_, _| ())).await
        };
        let report = tick.await;
        Ok(Run { report, played: player.played() })
    }
}

impl Run {
    /// The summary, or the error as Lambda would return it.
    pub fn result(&self) -> Value {
        result(&self.report)
    }

    /// The summary as the case expects it, and as it is.
    pub fn summaries(&self, case: &Case) -> (String, String) {
        (case.expected.as_ref().map(tape::pretty).unwrap_or_default(), tape::pretty(&self.result()))
    }

    /// The writes of every target account, as the tape has them and as they were asked for.
    pub fn writes(&self) -> (String, String) {
        (self.texts(recorded_writes), self.texts(asked_writes))
    }

    fn texts(&self, of: impl Fn(&Played) -> Vec<&Exchange>) -> String {
        let lists = self.played.iter().map(|played| (played.name(), of(played)));
        let lists = lists.filter(|(_, writes)| !writes.is_empty());
        let lists: BTreeMap<&str, Vec<&Value>> =
            lists.map(|(name, writes)| (name, writes.iter().map(|write| &write.request).collect())).collect();
        tape::pretty(&json!(lists))
    }

    /// What wasn't on the tape, and what was left over.
    pub fn problems(&self) -> Vec<String> {
        self.played.iter().flat_map(Played::problems).collect()
    }
}

fn recorded_writes(played: &Played) -> Vec<&Exchange> {
    played.recorded.iter().filter(|recorded| recorded.is_write()).collect()
}

/// The writes asked for; one that the tape has, as the tape has it.
fn asked_writes(played: &Played) -> Vec<&Exchange> {
    let asked = played.asked.iter().filter(|asked| asked.exchange.is_write());
    let as_recorded = asked.map(|asked| match asked.matched {
        Matched::Same(place) => played.recorded.get(place).unwrap_or(&asked.exchange),
        _ => &asked.exchange,
    });
    as_recorded.collect()
}

/// The summary of a tick, or its error as Lambda would return it.
pub fn result(report: &Result<Report, Error>) -> Value {
    match report {
        Ok(report) => report.summary.clone(),
        Err(error) => json!({"errorType": error.kind.error_type(), "errorMessage": error.message}),
    }
}

/// A directory's name, also where it's given as `.`.
pub fn name(dir: &Path) -> String {
    let whole = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    whole.file_name().map_or_else(|| dir.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// Reads a file of a case. None: there's no such file.
fn file<T>(dir: &Path, name: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    let path = dir.join(name);
    let text = match text::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    read(&text).map(Some).map_err(|error| format!("{}: {error}", path.display()))
}
