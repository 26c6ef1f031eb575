//! The proof of a policy: the cases that it must pass, in the sandbox and without AWS, before it becomes active.

use std::time::Duration;

use serde_json::{Map, Value};
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use crate::case::{Case, bundle};
use crate::policy::{self, Release};

/// How long all cases together may take. A case takes a millisecond or two, in Python twenty.
const TIME: Duration = Duration::from_secs(30);

/// Situations that every policy of this package must come through: a change, a region that fails, nothing to do.
const SMOKE: [(&str, &str); 4] = [
    ("seed-scenario", include_str!("../../../../plugin/cases/seed-scenario/tape.json")),
    ("unchanged", include_str!("../../../../plugin/cases/unchanged/tape.json")),
    ("drs-access-denied", include_str!("../../../../plugin/cases/drs-access-denied/tape.json")),
    ("sts-denied", include_str!("../../../../plugin/cases/sts-denied/tape.json")),
];

/// What the proof on the built-in cases with these settings is known by: another version of this program, or other cases, make
/// it another one.
pub fn id(settings: &str) -> String {
    let cases = SMOKE.iter().flat_map(|(name, tape)| [*name, *tape]);
    let all: Vec<&str> = [env!("CARGO_PKG_VERSION"), settings].into_iter().chain(cases).collect();
    policy::sha256(all.join("\0").as_bytes())
}

/// Why a policy isn't proven.
pub struct Unproven {
    /// The case and what was wrong with it.
    pub reason: String,
    /// Whether it was out of time, so that another try may go well.
    pub out_of_time: bool,
}

/// Lets a policy decide its cases, with the settings that it's published with unless a case has its own: they must come
/// out as they say. Without any, a few of this program's own must
/// come out at all, for what another policy decides there is its own affair.
pub async fn prove(release: &Release, cases: Option<&[u8]>) -> Result<(), Unproven> {
    let refused = |reason: String| Unproven { reason, out_of_time: false };
    let run = async {
        match cases {
            Some(cases) => {
                let cases = bundle::read(cases).map_err(|error| refused(format!("the cases: {error}")))?;
                for mut case in cases {
                    if !case.pins_settings {
                        case.settings = settings(release);
                    }
                    let differs = comes_out(&case, release).await;
                    differs.map_err(|what| refused(format!("case {}: {what}", case.name)))?;
                }
            }
            None => {
                for (name, tape) in SMOKE {
                    comes_through(name, tape, release)
                        .await
                        .map_err(|what| refused(format!("built-in case {name}: {what}")))?;
                }
            }
        }
        Ok(())
    };
    // These ticks are nobody's news: no line, and no metric.
    let silent = Box::pin(run.with_subscriber(NoSubscriber::default())); // ticks' futures are large, and nested deeply
    tokio::time::timeout(TIME, silent).await.unwrap_or_else(|_| {
        Err(Unproven { reason: format!("the cases took longer than {} seconds", TIME.as_secs()), out_of_time: true })
    })
}

/// A case of the policy's own.
async fn comes_out(case: &Case, release: &Release) -> Result<(), String> {
    let run = case.run(release.policy()).await?;
    if let Some(problem) = run.problems().into_iter().next() {
        return Err(problem);
    }
    let ((expected, found), (recorded, asked)) = (run.summaries(case), run.writes());
    match (expected == found, recorded == asked) {
        (true, true) => Ok(()),
        (true, false) => Err("asks for other writes than expected".into()),
        (false, _) => Err(format!(
            "the result differs: expected {} in the first line that differs, found {}",
            different(&expected, &found),
            different(&found, &expected)
        )),
    }
}

/// The first line of a text that another one has otherwise.
fn different<'a>(text: &'a str, other: &str) -> &'a str {
    let mut lines = text.lines().zip(other.lines().map(Some).chain(std::iter::repeat(None)));
    lines.find(|(line, other)| Some(*line) != *other).map_or("nothing", |(line, _)| line.trim().trim_end_matches(','))
}

fn settings(release: &Release) -> Map<String, Value> {
    serde_json::from_str(release.settings()).unwrap_or_default()
}

/// One of this program's own, with the policy's settings and the first operation that it serves.
async fn comes_through(name: &str, tape: &str, release: &Release) -> Result<(), String> {
    let mut case = Case::of_tape(name, tape)?;
    case.settings = settings(release);
    let Some(operation) = release.policy().info().operations.first() else {
        return Err("the policy serves no operation".into());
    };
    case.event["operation"] = operation.name.clone().into();
    let report = case.run(release.policy()).await?.report.map_err(|error| error.message)?;
    let fault = report.outcomes.iter().find_map(|outcome| {
        let error = outcome.outcome.error.as_ref()?;
        error.starts_with("policy: ").then(|| format!("account {}: {error}", outcome.account_id))
    });
    fault.map_or(Ok(()), Err)
}
