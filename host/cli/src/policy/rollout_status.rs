//! The state of a rollout on one screen.

use staging_sync_runtime::activation::manifest::Manifest;
use staging_sync_runtime::rollout::{Difference, Document, PolicyId, State};
use staging_sync_runtime::store::location::Location;
use staging_sync_runtime::text::printable;
use staging_sync_workbench::rollout_status::{decision, missing, superseded, verdict};

use crate::table;

/// How many differences are shown to people.
const SHOWN: usize = 5;

fn title(policy: &PolicyId) -> String {
    format!("{} {} (sha256 {})", policy.name, policy.version, policy.sha256.get(..12).unwrap_or_default())
}

/// One screen, for people.
pub fn text(at: &Location, manifest: &Manifest, document: &Document, state: State) -> String {
    let mut lines = vec![
        format!("candidate  {}", printable(&title(&document.candidate))),
        format!("active     {}", printable(&title(&document.active))),
    ];
    let reason = document.reason.as_ref().map(|reason| format!(": {}", printable(reason))).unwrap_or_default();
    lines.push(format!(
        "state      {} since {} by {}{reason}",
        state.name(),
        printable(&document.since),
        printable(&document.by)
    ));
    let terms = &document.rollout;
    let abort_on = if terms.aborts_on_difference() { "a failure or a difference" } else { "a failure" };
    lines.push(format!("aborts on  {abort_on}; salt {}", printable(&terms.salt)));
    lines.push(String::new());
    let mut steps = table::table(&[
        "STEP",
        "SHARE",
        "VERDICT",
        "CLEAN TICKS",
        "CHANGES SEEN",
        "COMPARED",
        "BY CANDIDATE",
        "DIFFERENCES",
        "FAILURES",
        "NOT MEASURED",
    ]);
    for (place, (step, seen)) in terms.steps.iter().zip(&document.evidence).enumerate() {
        steps.add_row([
            (place + 1).to_string(),
            step.share.to_string(),
            verdict(document, place + 1, state).to_owned(),
            format!("{} of {}", seen.clean_ticks, step.ticks),
            format!("{} of {}", seen.changes, step.min_changes),
            seen.compared.to_string(),
            seen.by_candidate.to_string(),
            seen.differences.to_string(),
            seen.failures.to_string(),
            seen.not_measured.to_string(),
        ]);
    }
    lines.push(steps.to_string());
    lines.push(String::new());
    lines.extend(document.differences.iter().take(SHOWN).map(difference));
    let more = document.differences.len().saturating_sub(SHOWN) as u64 + document.differences_left_out;
    if more > 0 {
        lines.push(format!("and {more} more differences (--json shows {})", document.differences.len()));
    }
    lines.push(match document.ticks.last() {
        Some(tick) => format!("last tick: {} at {}", printable(&tick.id), printable(&tick.at)),
        None => {
            "no tick yet: hosts have to read and write the rollout's state, and must be as new as this program".into()
        }
    });
    lines.push(next(at, manifest, document, state));
    lines.join("\n")
}

/// A difference on one line.
fn difference(difference: &Difference) -> String {
    let what = if difference.failed { "failure" } else { "difference" };
    printable(&format!(
        "{what} at step {} for {}: active {}; candidate {}",
        difference.step,
        difference.account_id,
        decision(&difference.active),
        decision(&difference.candidate)
    ))
}

/// What happens next, or what to do.
fn next(at: &Location, manifest: &Manifest, document: &Document, state: State) -> String {
    if let Some(why) = superseded(manifest, document, state) {
        return format!("next: nothing: {why}, so the rollout isn't in force");
    }
    match (state, missing(document)) {
        (State::Running, Some(missing)) => format!(
            "next: step {} is inconclusive until it has seen {missing} more; without changes it stays so",
            document.step
        ),
        (State::Running, None) => "next: the next tick goes on".into(),
        (State::Paused, _) => format!("next: staging-sync policy rollout resume {at}, or abort"),
        (State::Passed, _) => format!(
            "next: a host makes the candidate active; if none may write the manifest: staging-sync policy rollout promote {at}"
        ),
        (State::Promoted, _) => format!("next: nothing; to go back: staging-sync policy rollback {at}"),
        (State::Aborted, _) => format!("next: staging-sync policy withdraw {at}, or publish another candidate"),
    }
}
