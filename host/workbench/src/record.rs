//! The recording of a case: one tick with its AWS calls, written completely or not at all.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use staging_sync_runtime::Config;
use staging_sync_runtime::aws::AwsApi;
use staging_sync_runtime::case::{Case, name, result};
use staging_sync_runtime::error::{Error, ErrorKind};
use staging_sync_runtime::event::Event;
use staging_sync_runtime::policy::Policy;
use staging_sync_runtime::tape::anonymize::{self, Keep, Left};
use staging_sync_runtime::tape::{self, HostSettings, Now, Recorder, Tape};
use staging_sync_runtime::tick::{Report, Runtime, Tick};

/// What to record, and how.
#[derive(Clone)]
pub struct Recording {
    /// The event.
    pub event: Value,
    /// A description of the situation, in one line.
    pub about: String,
    /// When the tick begins.
    pub now: SystemTime,
    /// Whether writes are made; otherwise they're recorded as done.
    pub writes: bool,
    /// Whether account ids and names are replaced, and what of names is kept.
    pub anonymize: Option<Anonymize>,
}

/// The options for anonymizing a tape.
#[derive(Clone, Default)]
pub struct Anonymize {
    /// The parts of names to keep; `None` keeps nothing.
    pub keep_names: Option<Keep>,
}

/// A case that isn't in a directory yet.
#[derive(Debug)]
pub struct Recorded {
    /// The tape.
    pub tape: Tape,
    /// The result: the summary, or the tick's error.
    pub result: Value,
    /// The tick's report, with real names.
    pub report: Result<Report, Error>,
    /// What `anonymize` left as it was.
    pub left: Left,
}

/// Runs a tick and records it. `progress` hears how many accounts are done, of how many.
pub async fn record(
    mut config: Config,
    policy: Policy,
    aws_api: Arc<dyn AwsApi>,
    recording: Recording,
    progress: impl Fn(usize, usize) + Sync,
) -> Result<Recorded, Error> {
    let failed = |message: String| Error::new(ErrorKind::ConfigurationInvalid, message);
    let settings = tape::parse(&config.settings).and_then(tape::read);
    let settings = settings.map_err(|error| failed(format!("POLICY_SETTINGS: {error}")))?;
    let now = Now::of(recording.now);
    let mut tape = Tape {
        schema: None,
        version: tape::VERSION,
        about: recording.about,
        now,
        event: recording.event,
        settings,
        config: HostSettings {
            table: config.table.clone(),
            regions: config.regions.clone(),
            max_removals_percent: config.max_removals_percent,
        },
        host: Vec::new(),
        targets: Default::default(),
    };
    // The tick asks for writes as ever, so that the tape has them; they aren't made.
    let writes = recording.writes && !std::mem::take(&mut config.dry_run);
    let recorder = Arc::new(Recorder::new(aws_api, writes));
    let event = Event::parse(&tape.event)?;
    let runtime = Arc::new(Runtime::with(config, policy.clone(), recorder.clone()).await?);
    let report = runtime.tick(Tick { now: now.time(), ..Tick::of(event) }, progress).await;
    recorder.finish(&mut tape).map_err(failed)?;
    let result = result(&report);
    let recorded = Recorded { tape, result, report, left: Vec::new() };
    match &recording.anonymize {
        Some(how) => recorded.anonymized(&policy, how).await.map_err(failed),
        None => Ok(recorded),
    }
}

/// What a summary says of its accounts, without their names.
fn statuses(result: &Value) -> Vec<String> {
    let details = result.get("details").and_then(Value::as_array).into_iter().flatten();
    let mut statuses: Vec<String> = details.filter_map(|detail| Some(detail.get("status")?.to_string())).collect();
    statuses.sort(); // ids that aren't 12 digits have no order to keep
    statuses
}

/// Refuses a directory that isn't empty, before the tick runs.
pub fn vacant(dir: &Path) -> Result<(), String> {
    if std::fs::read_dir(dir).is_ok_and(|mut files| files.next().is_some()) {
        return Err(format!("{}: isn't empty: choose another directory, or remove it", dir.display()));
    }
    Ok(())
}

impl Recorded {
    /// The same without names and ids of others, decided again by the policy.
    pub async fn anonymized(mut self, policy: &Policy, how: &Anonymize) -> Result<Self, String> {
        self.left = anonymize::anonymize(&mut self.tape, how.keep_names.as_ref())?;
        // What came of the tick has the names of others as well; what comes of the tape hasn't.
        let case = self.case(Path::new("anonymous"));
        let before = statuses(&self.result);
        self.result = Box::pin(case.run(policy)).await?.result();
        if statuses(&self.result) != before {
            return Err(
                "the anonymized tape leads to other decisions, because the policy decides by names; keep the relevant \
                 parts with --keep-names"
                    .into(),
            );
        }
        Ok(self)
    }

    /// Writes the case's directory atomically.
    pub fn write(&self, dir: &Path) -> Result<(), String> {
        self.write_with(dir, Some(&self.result))
    }

    /// The same without `summary.json`, where what came out isn't what must come out. Replaces one that was written
    /// like this before.
    pub fn write_undecided(&self, dir: &Path) -> Result<(), String> {
        let mut names = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
        if names.all(|name| name == "event.json" || name == "tape.json") {
            let _ = std::fs::remove_dir_all(dir); // it may not be there
        }
        self.write_with(dir, None)
    }

    fn write_with(&self, dir: &Path, summary: Option<&Value>) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
        vacant(dir)?;
        let mut part = dir.as_os_str().to_owned();
        part.push(".part");
        let part = Path::new(&part);
        let write = || {
            std::fs::create_dir_all(part)?;
            std::fs::write(part.join("event.json"), tape::pretty(&self.tape.event))?;
            std::fs::write(part.join("tape.json"), self.tape.text())?;
            if let Some(summary) = summary {
                std::fs::write(part.join("summary.json"), tape::pretty(summary))?;
            }
            std::fs::rename(part, dir)
        };
        write().map_err(|error| {
            let _ = std::fs::remove_dir_all(part);
            failed(error)
        })
    }

    /// The case as it would be read from a directory.
    pub fn case(&self, dir: &Path) -> Case {
        Case {
            dir: dir.to_owned(),
            name: name(dir),
            event: self.tape.event.clone(),
            settings: self.tape.settings.clone(),
            tape: self.tape.clone(),
            pins_settings: false,
            expected: Some(self.result.clone()),
        }
    }
}
