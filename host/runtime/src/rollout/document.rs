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
mod tests;
