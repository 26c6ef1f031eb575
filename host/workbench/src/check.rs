//! The comparison of a policy's results with those that a case expects, and their replacement on request.

use staging_sync_runtime::case::{Case, Run};
use staging_sync_runtime::tape::{self, Exchange, Matched, Played, Tape};
use staging_sync_runtime::text;

/// What a case came to.
#[derive(Debug)]
pub enum Verdict {
    /// As expected.
    Same,
    /// Not as expected: a readable difference.
    Differs(String),
    /// Other than expected before, and now expected.
    Blessed,
}

/// Compares a run with its case. `bless` makes what came out the expectation.
pub fn check(case: &Case, run: &Run, bless: bool) -> Result<Verdict, String> {
    let mut parts = run.problems();
    let (expected, found) = run.summaries(case);
    parts.extend(diff("summary.json", &expected, &found));
    let (expected, found) = run.writes();
    parts.extend(diff("requested writes", &expected, &found));
    if parts.is_empty() {
        return Ok(Verdict::Same);
    }
    let missing = run.played.iter().any(|played| played.unknown().next().is_some());
    if !bless || missing {
        if bless {
            parts.push("not blessed: what isn't on the tape must be recorded first".into());
        }
        return Ok(Verdict::Differs(parts.join("\n")));
    }
    take_over(case, run)?;
    Ok(Verdict::Blessed)
}

/// A unified diff, if there's a difference.
fn diff(name: &str, expected: &str, found: &str) -> Option<String> {
    let diff = similar::TextDiff::from_lines(expected, found);
    let (before, after) = (format!("{name} (expected)"), format!("{name} (found)"));
    let text = diff.unified_diff().context_radius(3).header(&before, &after).to_string();
    (expected != found).then(|| text.trim_end().to_owned())
}

/// The tape of a case with the writes as a run asked for them, and without what it didn't ask for.
pub(crate) fn rewritten(case: &Case, run: &Run) -> Tape {
    let mut tape = case.tape.clone();
    for played in &run.played {
        let list = after(played);
        match &played.target {
            None => tape.host = list,
            Some(target) if list.is_empty() => drop(tape.targets.remove(target)),
            Some(target) => drop(tape.targets.insert(target.clone(), list)),
        }
    }
    tape
}

/// Rewrites the summary, and on the tape the writes; drops what is no longer asked for.
fn take_over(case: &Case, run: &Run) -> Result<(), String> {
    let tape = rewritten(case, run);
    for (name, contents) in [("tape.json", tape.text()), ("summary.json", tape::pretty(&run.result()))] {
        let path = case.dir.join(name);
        text::write_whole(&path, contents).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// A target's list as the run had it, in the tape's order.
fn after(played: &Played) -> Vec<Exchange> {
    let kept = played.recorded.iter().enumerate().filter_map(|(place, recorded)| {
        let asked = played.asked.iter().find(|asked| asked.matched.place() == Some(place))?;
        Some(if asked.matched == Matched::Same(place) { recorded } else { &asked.exchange })
    });
    let new = played.asked.iter().filter(|asked| asked.matched == Matched::Nothing).map(|asked| &asked.exchange);
    kept.chain(new).cloned().collect()
}
