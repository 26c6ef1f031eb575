//! The journal as commands use it: opened as `JOURNAL` says, by somebody with a name.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args;
use staging_sync_runtime::aws::AwsApi;
use staging_sync_runtime::aws::sdk_api::SdkApi;
use staging_sync_runtime::journal::{CONCURRENCY, Journal, NoApi, ReadError};
use staging_sync_runtime::store::StoreError;
use staging_sync_runtime::store::bucket::Objects;
use staging_sync_runtime::store::location::is_s3;
use staging_sync_runtime::tape::Now;

use crate::CommandError;

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

impl From<ReadError> for CommandError {
    fn from(error: ReadError) -> Self {
        Self(error.to_string())
    }
}

/// `--journal`: where the journal is.
#[derive(Args)]
pub struct Place {
    /// The journal: an s3://bucket/prefix/ or a folder.
    #[arg(long = "journal", env = "JOURNAL", value_name = "PLACE", hide_env = true, hide_env_values = true)]
    place: Option<String>,
}

impl Place {
    /// The place of this text; without one, that of `JOURNAL`.
    pub fn of(text: Option<String>) -> Self {
        Self { place: text.or_else(|| std::env::var("JOURNAL").ok()) }
    }

    /// The place as it's given.
    pub fn text(&self) -> Result<&str, CommandError> {
        let place = self.place.as_deref().map(str::trim).filter(|place| !place.is_empty());
        place.ok_or_else(|| {
            CommandError(
                "there's no journal: set JOURNAL, or --journal, to the host's s3://bucket/prefix/ or folder".into(),
            )
        })
    }

    /// The journal there, for commands that ask nothing else of AWS.
    pub async fn open(&self) -> Result<Arc<Journal>, CommandError> {
        open(self.text()?, Arc::new(NoApi)).await
    }
}

/// A duration of days, hours and minutes, like `7d`, `4h` or `1d12h`; none if the text is none.
pub fn duration(text: &str) -> Option<Duration> {
    let (mut seconds, mut rest) = (0_u64, text);
    for (unit, factor) in [('d', 86_400_u64), ('h', 3600), ('m', 60)] {
        let Some((number, after)) = rest.split_once(unit) else { continue };
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: u64 = number.parse().ok().filter(|number| *number < 100_000)?;
        seconds += factor * number;
        rest = after;
    }
    (rest.is_empty() && !text.is_empty()).then(|| Duration::from_secs(seconds))
}

/// A time like `2026-02-02T22:45:00Z`; none if the text is none.
pub fn time(text: &str) -> Option<SystemTime> {
    serde_json::from_value::<Now>(text.into()).ok().map(Now::time)
}

/// The value of an option that is a time.
pub fn time_argument(text: &str) -> Result<SystemTime, String> {
    time(text).ok_or_else(|| "expected a time like 2026-02-02T22:45:00Z".into())
}

/// A time, or so long ago.
#[derive(Debug, Clone, Copy)]
pub enum Moment {
    /// So long ago.
    Ago(Duration),
    /// A time.
    At(SystemTime),
}

impl Moment {
    /// A week ago.
    pub const WEEK: Self = Self::Ago(Duration::from_secs(7 * 86_400));

    /// The time that it is, now.
    pub fn time(self, now: SystemTime) -> SystemTime {
        match self {
            Self::Ago(duration) => now.checked_sub(duration).unwrap_or(SystemTime::UNIX_EPOCH),
            Self::At(time) => time,
        }
    }
}

/// The span of time of `--since` and `--until`.
pub fn span(since: Moment, until: Option<Moment>) -> Result<(SystemTime, SystemTime), CommandError> {
    let now = SystemTime::now();
    let (since, until) = (since.time(now), until.map_or(now, |until| until.time(now)));
    match since > until {
        true => Err(CommandError("--since is after --until: nothing is in between".into())),
        false => Ok((since, until)),
    }
}

/// The value of an option that is a time, or so long ago.
pub fn moment(text: &str) -> Result<Moment, String> {
    let found = duration(text).map(Moment::Ago).or_else(|| time(text).map(Moment::At));
    found.ok_or_else(|| "expected a duration like 7d or 4h, or a time like 2026-02-02T22:45:00Z".into())
}

/// The journal at a place, with a way to AWS that it needs for nothing but ticks.
pub async fn open(place: &str, aws_api: Arc<dyn AwsApi>) -> Result<Arc<Journal>, CommandError> {
    Journal::open(place, objects(place).await?.as_ref(), aws_api).map_err(not_a_place)
}

/// The journal at a place, for somebody who only looks.
pub async fn reader(place: &str) -> Result<Journal, CommandError> {
    Journal::reader(place, objects(place).await?.as_ref()).map_err(not_a_place)
}

/// The way to S3, if the journal is there.
async fn objects(place: &str) -> Result<Option<Arc<Objects>>, CommandError> {
    Ok(match is_s3(place) {
        true => Some(Arc::new(Objects::concurrent(CONCURRENCY).await?)),
        false => None,
    })
}

fn not_a_place(error: String) -> CommandError {
    CommandError(format!("JOURNAL: {error}"))
}

/// Who runs the command: the caller of AWS, or the user of this machine where STS doesn't say.
pub async fn author(api: &SdkApi) -> String {
    match api.identity().await.caller {
        Ok(caller) => caller.arn,
        Err(_) => user(),
    }
}

/// The user of this machine.
pub fn user() -> String {
    let mut named = ["USER", "LOGNAME"].into_iter().filter_map(|name| std::env::var(name).ok());
    named.find(|name| !name.trim().is_empty()).unwrap_or_else(|| "unknown".into())
}
