//! The document of a rollout beside its manifest: terms, state and evidence in one, so that one conditional write moves all.
//!
//! A rollout is in force for one pair of policies: where the manifest names another active policy or another candidate, the
//! active policy decides every account. What a host or an operator may do next depends on the state alone, so parallel hosts
//! agree, whoever writes first.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::cohort::Cohort;
use super::evidence::{Difference, Evidence, TickPart, TickRef, shortened};
use super::terms::{Step, Terms};
use crate::tape;

/// The format that this program writes, and the only one that it reads.
pub const FORMAT: u64 = 1;

/// How many differences are kept; the others are counted.
const MAX_DIFFERENCES: usize = 100;

/// How many ticks are remembered.
const MAX_TICKS: usize = 50;

/// How many fan-outs may be under way, or incomplete.
const MAX_FAN_OUTS: usize = 4;

/// How many earlier rollouts of the same candidate are kept.
const MAX_EARLIER: usize = 5;

/// A policy with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyId {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The SHA-256 of the component.
    pub sha256: String,
    /// The settings that the manifest has for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Map<String, Value>>,
}

/// Where a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It goes on when its step is passed.
    Running,
    /// It stays at its step.
    Paused,
    /// All steps are passed: the manifest is to be changed.
    Passed,
    /// The candidate is the active policy.
    Promoted,
    /// The active policy decides every account.
    Aborted,
}

impl State {
    /// As JSON and people read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Passed => "passed",
            Self::Promoted => "promoted",
            Self::Aborted => "aborted",
        }
    }

    /// Whether the candidate decides its cohort.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Passed)
    }
}

/// The evidence of one step, in ticks and in comparisons of accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepEvidence {
    /// Clean ticks.
    pub clean_ticks: u64,
    /// Other ticks, segments of ticks and ticks of named accounts.
    pub other_ticks: u64,
    /// Decisions compared.
    pub compared: u64,
    /// Of these, decided by the candidate.
    pub by_candidate: u64,
    /// Of these, changes.
    pub changes: u64,
    /// Differences.
    pub differences: u64,
    /// Failures of the candidate.
    pub failures: u64,
    /// Accounts that the host couldn't measure.
    pub not_measured: u64,
}

/// A tick that a document has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TickRecord {
    /// Its id: the journal's, if there's a journal.
    pub id: String,
    /// When it began, in UTC to the second.
    pub at: String,
    /// The id of the request that asked for it, if there's one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The step, from 1 on.
    pub step: usize,
    /// Whether it was clean.
    pub clean: bool,
    /// Decisions compared.
    pub compared: u64,
    /// Of these, changes.
    pub changes: u64,
    /// Differences.
    pub differences: u64,
    /// Failures of the candidate.
    pub failures: u64,
    /// Accounts that the host couldn't measure.
    pub not_measured: u64,
}

/// The segments of a fan-out that have come in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FanOut {
    name: String,
    total: u32,
    clean: Vec<u32>,
}

/// A rollout of the same candidate that ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Earlier {
    rollout: Terms,
    state: State,
    since: String,
    by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    evidence: Vec<StepEvidence>,
    differences: Vec<Difference>,
    differences_left_out: u64,
}

/// The document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Document {
    format: u64,
    /// The policy that decides all accounts outside the cohort.
    pub active: PolicyId,
    /// The policy that decides the cohort.
    pub candidate: PolicyId,
    /// What was asked for.
    pub rollout: Terms,
    /// Where it is.
    pub state: State,
    /// The step, from 1 on.
    pub step: usize,
    /// Since when it's in this state, in UTC to the second.
    pub since: String,
    /// Who brought it there.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The evidence of each step.
    pub evidence: Vec<StepEvidence>,
    /// The first differences and failures.
    pub differences: Vec<Difference>,
    /// How many more there were.
    pub differences_left_out: u64,
    /// The last ticks, the oldest first.
    pub ticks: Vec<TickRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fan_outs: Vec<FanOut>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<Earlier>,
}

/// What a tick goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The step, from 1 on.
    pub step: usize,
    /// The accounts that the candidate decides.
    pub cohort: Cohort,
    /// Whether a difference aborts the rollout, so that the active policy's decision counts.
    pub aborts_on_difference: bool,
}

/// What a tick's evidence brought about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// This step was passed, and the next one began.
    StepPassed(usize),
    /// The last step was passed.
    Passed,
    /// It was aborted, for this reason.
    Aborted(String),
}

impl PolicyId {
    /// Whether both are the same policy with the same settings.
    pub fn is_same(&self, other: &Self) -> bool {
        self.sha256 == other.sha256 && self.settings == other.settings
    }
}

impl Document {
    /// The document of a rollout that begins, after an earlier one of the same candidate if there was one.
    pub fn new(active: PolicyId, candidate: PolicyId, rollout: Terms, by: String, before: Option<Self>) -> Self {
        let mut earlier = Vec::new();
        if let Some(before) = before {
            earlier = before.earlier;
            earlier.push(Earlier {
                rollout: before.rollout,
                state: before.state,
                since: before.since,
                by: before.by,
                reason: before.reason,
                evidence: before.evidence,
                differences: before.differences,
                differences_left_out: before.differences_left_out,
            });
            earlier.drain(..earlier.len().saturating_sub(MAX_EARLIER));
        }
        Self {
            format: FORMAT,
            active,
            candidate,
            state: State::Running,
            step: 1,
            since: rollout.started_at.clone(),
            by,
            reason: None,
            evidence: vec![StepEvidence::default(); rollout.steps.len()],
            rollout,
            differences: Vec::new(),
            differences_left_out: 0,
            ticks: Vec::new(),
            fan_outs: Vec::new(),
            earlier,
        }
    }

    /// Reads a document. An error names the JSON path and what was expected there.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value = tape::parse(text)?;
        if value["format"] != FORMAT {
            return Err(format!("$.format: expected {FORMAT}, found {}: use a newer staging-sync", value["format"]));
        }
        let document: Self = tape::read(value)?;
        document.rollout.check().map_err(|error| format!("$.rollout: {error}"))?;
        let steps = document.rollout.steps.len();
        if document.evidence.len() != steps || !(1..=steps).contains(&document.step) {
            return Err(format!("$.step: expected a step and the evidence of each of {steps}"));
        }
        Ok(document)
    }

    /// The document as files have it.
    pub fn text(&self) -> String {
        tape::pretty(self)
    }

    /// What a tick of these two policies goes by; none where the rollout isn't in force for them.
    pub fn stage(&self, active: &PolicyId, candidate: &PolicyId) -> Option<Stage> {
        let is_in_force = self.state.is_live() && self.is_of(active, candidate);
        let step = self.current().filter(|_| is_in_force)?;
        let Terms { salt, never, always, .. } = self.rollout.clone();
        Some(Stage {
            step: self.step,
            cohort: Cohort { salt, share: step.share, never, always },
            aborts_on_difference: self.rollout.aborts_on_difference(),
        })
    }

    /// Whether it's the rollout of this candidate beside this active policy.
    pub fn is_of(&self, active: &PolicyId, candidate: &PolicyId) -> bool {
        self.active.is_same(active) && self.candidate.is_same(candidate)
    }

    /// The step that it's at.
    pub fn current(&self) -> Option<&Step> {
        self.rollout.steps.get(self.step.checked_sub(1)?)
    }

    /// What is missing until the step is passed: clean ticks, and changes seen.
    pub fn missing(&self) -> (u64, u64) {
        match (self.current(), self.evidence.get(self.step.wrapping_sub(1))) {
            (Some(step), Some(seen)) => {
                (step.ticks.saturating_sub(seen.clean_ticks), step.min_changes.saturating_sub(seen.changes))
            }
            _ => (0, 0),
        }
    }

    /// Brings it to another state.
    pub fn change(&mut self, state: State, at: &str, by: &str, reason: Option<String>) {
        (self.state, self.reason) = (state, reason);
        at.clone_into(&mut self.since);
        by.clone_into(&mut self.by);
    }

    /// Takes a tick's evidence, made at this step (from 1 on), and goes on as it says. A tick that it has already changes
    /// nothing, so a write whose answer was lost may be made again. None: there's nothing to write.
    pub fn record(&mut self, step: usize, evidence: &Evidence, tick: &TickRef, by: &str) -> Option<Vec<Event>> {
        if !self.state.is_live() || self.ticks.iter().any(|known| known.id == tick.id) {
            return None;
        }
        let clean = evidence.is_clean(!self.rollout.aborts_on_difference());
        // A tick that began at an earlier step is no evidence for this one.
        let counts = step == self.step
            && match &tick.part {
                TickPart::Table => clean,
                TickPart::Named => false,
                TickPart::Segment { segment, total, fan_out } => self.completes(fan_out, *total, *segment, clean),
            };
        let seen = self.evidence.get_mut(step.checked_sub(1)?)?;
        *(if counts { &mut seen.clean_ticks } else { &mut seen.other_ticks }) += 1;
        seen.compared += evidence.compared;
        seen.by_candidate += evidence.by_candidate;
        seen.changes += evidence.changes;
        seen.differences += evidence.different;
        seen.failures += evidence.failed;
        seen.not_measured += evidence.not_measured;
        self.ticks.push(TickRecord {
            id: tick.id.clone(),
            at: tick.at.clone(),
            request: tick.request.clone(),
            step,
            clean,
            compared: evidence.compared,
            changes: evidence.changes,
            differences: evidence.different,
            failures: evidence.failed,
            not_measured: evidence.not_measured,
        });
        self.ticks.drain(..self.ticks.len().saturating_sub(MAX_TICKS));
        self.keep_differences(step, evidence, tick);
        Some(self.go_on(evidence, tick, by))
    }

    fn keep_differences(&mut self, step: usize, evidence: &Evidence, tick: &TickRef) {
        self.differences_left_out += evidence.differences_left_out;
        for (account_id, comparison) in &evidence.differences {
            if self.differences.len() >= MAX_DIFFERENCES {
                self.differences_left_out += 1;
                continue;
            }
            self.differences.push(Difference {
                tick: tick.id.clone(),
                step,
                account_id: account_id.clone(),
                decided_by: comparison.decided_by,
                failed: comparison.verdict == super::Verdict::Failed,
                active: shortened(&comparison.active),
                candidate: shortened(&comparison.candidate),
            });
        }
    }

    fn go_on(&mut self, evidence: &Evidence, tick: &TickRef, by: &str) -> Vec<Event> {
        let first = evidence.differences.first().map_or("", |(account, _)| account.as_str());
        let reason = match evidence {
            Evidence { failed: 1.., .. } => {
                let failed = evidence.differences.iter();
                let mut failed = failed.filter(|(_, comparison)| comparison.verdict == super::Verdict::Failed);
                let account = failed.next().map_or(first, |(account, _)| account.as_str());
                Some(format!("the candidate failed on {} accounts, {account} among them", evidence.failed))
            }
            Evidence { different: 1.., .. } if self.rollout.aborts_on_difference() => {
                Some(format!("the candidate decided {} accounts differently, {first} among them", evidence.different))
            }
            _ => None,
        };
        if let Some(reason) = reason {
            self.change(State::Aborted, &tick.at, by, Some(reason.clone()));
            return vec![Event::Aborted(reason)];
        }
        if self.state != State::Running || self.missing() != (0, 0) {
            return Vec::new();
        }
        if self.step == self.rollout.steps.len() {
            self.change(State::Passed, &tick.at, by, None);
            return vec![Event::Passed];
        }
        self.step += 1;
        self.fan_outs.clear(); // their first segments belong to the step before
        vec![Event::StepPassed(self.step - 1)]
    }

    /// Whether a segment completes a clean tick: all segments of its fan-out came in, and each was clean.
    fn completes(&mut self, name: &str, total: u32, segment: u32, clean: bool) -> bool {
        if !clean {
            self.fan_outs.retain(|fan_out| fan_out.name != name);
            return false;
        }
        let known = self.fan_outs.iter().position(|fan_out| fan_out.name == name && fan_out.total == total);
        let place = known.unwrap_or_else(|| {
            self.fan_outs.push(FanOut { name: name.to_owned(), total, clean: Vec::new() });
            self.fan_outs.drain(..self.fan_outs.len().saturating_sub(MAX_FAN_OUTS));
            self.fan_outs.len() - 1
        });
        let Some(fan_out) = self.fan_outs.get_mut(place) else { return false };
        if !fan_out.clean.contains(&segment) {
            fan_out.clean.push(segment);
        }
        let complete = fan_out.clean.len() as u64 == u64::from(total);
        if complete {
            self.fan_outs.remove(place);
        }
        complete
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::json;

    use super::super::evidence::{Comparison, DecidedBy};
    use super::super::terms::{AbortOn, parse_steps};
    use super::*;

    fn policy(version: &str) -> PolicyId {
        PolicyId { name: "p".into(), version: version.into(), sha256: version.repeat(64), settings: None }
    }

    fn document(steps: &str, min_changes: u64, abort_on: &[AbortOn]) -> Document {
        let terms = Terms {
            started_at: "2026-02-02T22:45:00Z".into(),
            salt: "s".into(),
            steps: parse_steps(steps, min_changes).expect("steps"),
            abort_on: abort_on.iter().copied().collect(),
            never: Default::default(),
            always: Default::default(),
        };
        Document::new(policy("1"), policy("2"), terms, "somebody".into(), None)
    }

    /// What a tick saw: so many changes, differences and failures, each of an account of its own.
    fn evidence(changes: usize, different: usize, failed: usize) -> Evidence {
        let decision = |added: &[&str]| json!({"status": "unchanged", "added": added, "removed": []});
        let of = |active: Value, candidate: Value| Comparison::of(DecidedBy::Active, active, candidate, false);
        let mut all = vec![of(decision(&[]), decision(&[]))];
        all.extend((0..changes).map(|_| of(decision(&["1"]), decision(&["1"]))));
        all.extend((0..different).map(|_| of(decision(&[]), decision(&["1"]))));
        all.extend((0..failed).map(|_| of(decision(&[]), json!({"status": "failed", "error": "policy: trapped"}))));
        let seen: BTreeMap<String, Comparison> =
            all.into_iter().enumerate().map(|(number, one)| (format!("{number:012}"), one)).collect();
        Evidence::of(seen, 0, true)
    }

    fn tick(number: usize, part: TickPart) -> TickRef {
        TickRef { id: format!("tick {number}"), at: "2026-02-02T22:50:00Z".into(), request: Some("r".into()), part }
    }

    fn segment(number: u32, fan_out: &str) -> TickPart {
        TickPart::Segment { segment: number, total: 3, fan_out: fan_out.into() }
    }

    #[test]
    fn a_document_is_read_as_it_was_written() {
        let mut first = document("1%:1,100%:2", 1, &[AbortOn::Failure, AbortOn::Difference]);
        first.record(1, &evidence(1, 0, 0), &tick(1, TickPart::Table), "host");
        first.record(2, &evidence(1, 0, 0), &tick(2, segment(0, "f")), "host");
        first.record(2, &evidence(1, 1, 0), &tick(3, TickPart::Table), "host");
        assert_eq!(Document::parse(&first.text()), Ok(first.clone()));
        let terms = first.rollout.clone();
        let second = Document::new(policy("1"), policy("2"), terms, "somebody".into(), Some(first.clone()));
        assert_eq!(Document::parse(&second.text()), Ok(second.clone()));
        assert_eq!(second.earlier.len(), 1, "evidence stays");
        assert_eq!(second.earlier[0].evidence, first.evidence);
        for (broken, path) in [
            (first.text().replace("\"format\": 1", "\"format\": 2"), "$.format"),
            (first.text().replace("\"step\": 2,\n  \"since\"", "\"step\": 3,\n  \"since\""), "$.step"),
            (first.text().replace("\"1%\"", "\"101%\""), "$.rollout.steps[0].share"),
            (first.text().replace("\"salt\"", "\"pepper\""), "$.rollout"),
        ] {
            let error = Document::parse(&broken).expect_err(path);
            assert!(error.starts_with(path), "{path}: {error}");
        }
    }

    #[test]
    fn a_rollout_is_in_force_for_its_pair_of_policies_alone() {
        let mut rollout = document("10%:1", 1, &[AbortOn::Failure]);
        assert!(rollout.stage(&policy("1"), &policy("2")).is_some());
        assert!(rollout.stage(&policy("3"), &policy("2")).is_none());
        assert!(rollout.stage(&policy("1"), &policy("3")).is_none());
        let settings = Some(Map::from_iter([("removals".to_owned(), json!("none"))]));
        assert!(rollout.stage(&policy("1"), &PolicyId { settings, ..policy("2") }).is_none());
        rollout.change(State::Aborted, "now", "somebody", None);
        assert!(rollout.stage(&policy("1"), &policy("2")).is_none());
    }

    #[test]
    fn segments_are_one_clean_tick_where_all_are_clean() {
        let mut rollout = document("10%:9", 1, &[AbortOn::Failure]);
        let mut number = 0;
        let mut record = |rollout: &mut Document, part: TickPart, evidence: &Evidence| {
            number += 1;
            rollout.record(1, evidence, &tick(number, part), "host");
            rollout.evidence[0].clean_ticks
        };
        let clean = evidence(1, 0, 0);
        let partial = Evidence { whole: false, ..clean.clone() };
        assert_eq!(record(&mut rollout, segment(0, "a"), &clean), 0);
        assert_eq!(record(&mut rollout, segment(0, "a"), &clean), 0, "a segment that ran again is one");
        assert_eq!(record(&mut rollout, segment(1, "b"), &clean), 0, "those of another fan-out don't count");
        assert_eq!(record(&mut rollout, segment(1, "a"), &clean), 0);
        assert_eq!(record(&mut rollout, segment(2, "a"), &clean), 1);
        assert_eq!(record(&mut rollout, segment(0, "b"), &partial), 1);
        assert_eq!(record(&mut rollout, segment(2, "b"), &clean), 1, "one of it wasn't clean");
        assert_eq!(record(&mut rollout, TickPart::Named, &clean), 1);
        assert_eq!(record(&mut rollout, TickPart::Table, &clean), 2);
    }

    proptest! {
        /// Whatever ticks see, and in whatever order what they saw is kept: nothing is passed without its evidence, and what is
        /// aborted stays so.
        #[test]
        fn nothing_goes_on_without_its_evidence(
            ticks in prop::collection::vec((0..3_usize, 0..8_usize, 0..10_usize, 1..4_usize), 0..40),
            accepted: bool,
        ) {
            let abort_on = if accepted { vec![AbortOn::Failure] } else { vec![AbortOn::Failure, AbortOn::Difference] };
            let mut rollout = document("1%:2,10%:1,50%:3", 2, &abort_on);
            let mut aborted = false;
            for (number, (changes, different, failed, step)) in ticks.into_iter().enumerate() {
                // Failures and differences are rare.
                let (different, failed) = (different / 7, failed / 9);
                let before = rollout.clone();
                let tick = tick(number, TickPart::Table);
                rollout.record(step, &evidence(changes, different, failed), &tick, "host");
                let after = rollout.clone();
                prop_assert_eq!(rollout.record(step, &evidence(0, 0, 1), &tick, "host"), None, "a tick counts once");
                prop_assert_eq!(&rollout, &after);
                if !before.state.is_live() {
                    prop_assert_eq!(&rollout, &before);
                    continue;
                }
                aborted |= failed > 0 || (different > 0 && !accepted);
                prop_assert_eq!(rollout.state == State::Aborted, aborted);
                for (place, (step, seen)) in rollout.rollout.steps.iter().zip(&rollout.evidence).enumerate() {
                    let passed = place + 1 < rollout.step || rollout.state == State::Passed;
                    prop_assert!(!passed || (seen.clean_ticks >= step.ticks && seen.changes >= step.min_changes));
                }
                prop_assert_eq!(Document::parse(&rollout.text()), Ok(rollout.clone()));
            }
        }
    }
}
