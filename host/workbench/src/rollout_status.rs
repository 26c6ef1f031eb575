//! What a rollout has come to: whether it's in force, how each step is, and what is missing to go on.

use serde_json::{Value, json};
use staging_sync_runtime::activation::manifest::Manifest;
use staging_sync_runtime::rollout::{Document, PolicyId, State};
use staging_sync_runtime::text::counted;

/// Where a rollout is, as its manifest and its document say together.
pub fn state(manifest: &Manifest, document: &Document) -> State {
    let candidate = &document.candidate;
    if document.state.is_live() && candidate.is_same(&PolicyId::from(&manifest.active)) {
        return State::Promoted; // its host ended before it could say so
    }
    document.state
}

/// Why a rollout isn't in force although it wasn't ended: the manifest names other policies.
pub fn superseded(manifest: &Manifest, document: &Document, state: State) -> Option<&'static str> {
    if !state.is_live() {
        return None;
    }
    if !document.active.is_same(&PolicyId::from(&manifest.active)) {
        return Some("the manifest has another active policy now");
    }
    let shadow = manifest.shadow.as_ref().map(PolicyId::from);
    match shadow.is_some_and(|shadow| document.candidate.is_same(&shadow)) {
        true => None,
        false => Some("the manifest has another shadow policy now"),
    }
}

/// What is missing until the step is passed; none where nothing is.
pub fn missing(document: &Document) -> Option<String> {
    let (ticks, changes) = document.missing();
    let mut missing = Vec::new();
    for (count, what) in [(ticks, "clean tick"), (changes, "change")] {
        if count > 0 {
            missing.push(counted(usize::try_from(count).unwrap_or(usize::MAX), what));
        }
    }
    (!missing.is_empty()).then(|| missing.join(" and "))
}

/// How a step is: `passed`, `inconclusive` (neither passed nor failed), `failed` or `waiting`.
pub fn verdict(document: &Document, step: usize, state: State) -> &'static str {
    match state {
        State::Passed | State::Promoted if step == document.step => "passed",
        _ if step < document.step => "passed",
        _ if step > document.step => "waiting",
        State::Aborted => "failed",
        _ => "inconclusive",
    }
}

/// Everything, for programs.
pub fn json(manifest: &Manifest, document: &Document, state: State) -> Value {
    let (ticks, changes) = document.missing();
    let steps = document.rollout.steps.iter().zip(&document.evidence).enumerate().map(|(place, (step, seen))| {
        let mut value = json!(seen);
        value["step"] = (place + 1).into();
        value["share"] = json!(step.share);
        value["ticks"] = step.ticks.into();
        value["minChanges"] = step.min_changes.into();
        value["verdict"] = verdict(document, place + 1, state).into();
        value
    });
    json!({
        "state": state.name(),
        "superseded": superseded(manifest, document, state),
        "step": document.step,
        "since": document.since,
        "by": document.by,
        "reason": document.reason,
        "active": document.active,
        "candidate": document.candidate,
        "rollout": document.rollout,
        "steps": steps.collect::<Vec<_>>(),
        "missing": {"cleanTicks": ticks, "changes": changes},
        "differences": document.differences,
        "differencesLeftOut": document.differences_left_out,
        "ticks": document.ticks,
    })
}

/// A decision in a few words, like `updated +777788889999 -444455556666`; of a failure, its error.
pub fn decision(decision: &Value) -> String {
    if let Some(error) = decision["error"].as_str() {
        return error.to_owned();
    }
    let list = |name: &str, sign: &str| {
        let ids = decision[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        ids.map(|id| format!(" {sign}{id}")).collect::<String>()
    };
    let status = decision["status"].as_str().unwrap_or_default();
    format!("{status}{}{}{}", list("added", "+"), list("removed", "-"), list("heldRemovals", "held "))
}
