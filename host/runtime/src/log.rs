//! Log lines: JSON for CloudWatch, plain text for a terminal.

use std::fmt;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{
    FmtContext, FormatEvent, FormatFields, FormattedFields, time::FormatTime, time::SystemTime,
};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::text::printable_lines;

/// A field that is JSON already, like a list: in a JSON line it stands as it is, not as a quoted text.
pub struct Json(String);

impl Json {
    /// A value as JSON.
    pub fn of(value: &(impl Serialize + ?Sized)) -> tracing::field::DebugValue<Self> {
        tracing::field::debug(Self(serde_json::to_string(value).unwrap_or_default()))
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// One JSON object a line on stdout, as CloudWatch Logs takes it.
    Json,
    /// For people, on stderr: stdout is for data.
    Plain,
}

/// Whether a line may be printed, whatever `RUST_LOG` says. Below `info` the AWS SDK prints whole requests and
/// answers: items with external ids, and an answer of `AssumeRole` that it can't read, keys included. An invocation that
/// fails has a line of ours; the runtime's own, which is the error's `Debug` text and nothing else, says it twice.
fn allowed(line: &Metadata<'_>) -> bool {
    let said_already = line.target() == "lambda_runtime::layers::panic" && line.fields().field("error").is_none();
    !said_already && (!line.target().starts_with("aws_") || *line.level() <= Level::INFO)
}

/// Whether lines are JSON.
static JSON: AtomicBool = AtomicBool::new(false);

/// Whether lines are JSON, so that CloudWatch finds metrics in them.
pub fn is_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

/// Starts logging, as `RUST_LOG` says, or as `default` does without it; lines that could hold a secret are never
/// printed.
pub fn init(style: Style, default: &str) {
    let asked = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|filter| !filter.trim().is_empty());
    let asked = asked.map(EnvFilter::try_new).transpose();
    let unusable = asked.as_ref().err().map(ToString::to_string);
    let filter = asked.ok().flatten().unwrap_or_else(|| EnvFilter::new(default));
    JSON.store(style == Style::Json, Ordering::Relaxed);
    // A stderr that has ended is no reason to panic.
    let builder = tracing_subscriber::fmt().with_env_filter(filter).log_internal_errors(false);
    // A second call, in tests, changes nothing.
    let _ = match style {
        Style::Json => {
            let builder = builder.fmt_fields(JsonFields::new()).event_format(JsonLines);
            builder.finish().with(filter_fn(allowed)).try_init()
        }
        Style::Plain => builder
            .fmt_fields(format::debug_fn(plain_field).delimited(" "))
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .with_target(false)
            .without_time()
            .finish()
            .with(filter_fn(|line| allowed(line) && !line.is_span())) // lines for people say it themselves
            .try_init(),
    };
    if let Some(error) = unusable {
        tracing::warn!("environment: RUST_LOG is invalid, so the default {default:?} is used: {error}");
    }
}

/// A field of a plain line. What others wrote (the table, AWS, a policy) doesn't act on the terminal.
fn plain_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let value = printable_lines(&format!("{value:?}"));
    match field.name() {
        "message" => write!(writer, "{value}"),
        name if writer.has_ansi_escapes() => write!(writer, "\u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m{value}"),
        name => write!(writer, "{name}={value}"),
    }
}

/// `{"timestamp": …, "level": …, "message": …, fields…}`, with the fields of the spans that the line is in: the
/// invocation's ids, the account. A field `metrics` is left out and its members are members of the line, which is
/// where CloudWatch looks for them.
struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut line = Map::new();
        line.insert("timestamp".into(), time.into());
        line.insert("level".into(), event.metadata().level().as_str().into());
        line.insert("message".into(), Value::Null); // keeps its place
        for span in context.event_scope().into_iter().flat_map(|spans| spans.from_root()) {
            let extensions = span.extensions();
            let fields =
                extensions.get::<FormattedFields<N>>().map(|fields| fields.fields.as_str()).unwrap_or_default();
            line.extend(serde_json::from_str::<Map<String, Value>>(fields).unwrap_or_default());
        }
        event.record(&mut Fields(&mut line));
        if let Some(Value::Object(metrics)) = line.get_mut("metrics").map(Value::take) {
            line.remove("metrics");
            line.extend(metrics);
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        // Of what we log ourselves only `Json` begins like this; a message that does stays a text.
        let json = (field.name() != "message" && text.starts_with(['[', '{']))
            .then(|| serde_json::from_str(&text).ok())
            .flatten();
        self.0.insert(field.name().into(), json.unwrap_or(Value::String(text)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().into(), value.into());
    }
}
