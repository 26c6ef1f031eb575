//! The evidence of one tick: paired comparisons of the candidate with the active policy, each of the same account on the same
//! observations.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many differences of one tick are kept with both decisions.
const MAX_DIFFERENCES: usize = 50;

/// How long a text of a decision may be, in bytes: a failure's reason may quote what a policy logged.
const MAX_TEXT: usize = 500;

/// How many ids a list of a decision names.
const MAX_IDS: usize = 50;

/// Whose decision counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecidedBy {
    /// The active policy's.
    Active,
    /// The candidate's.
    Candidate,
}

/// What a comparison came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Both decided the same.
    Same,
    /// The candidate decided otherwise.
    Different,
    /// The candidate failed: it trapped, ran out of fuel or memory, or said what isn't so.
    Failed,
    /// The host couldn't measure: the account failed at AWS, or time was out.
    NotMeasured,
}

/// A comparison of one account.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What it came to.
    pub verdict: Verdict,
    /// Whose decision counted.
    pub decided_by: DecidedBy,
    /// What the active policy decided.
    pub active: Value,
    /// What the candidate decided.
    pub candidate: Value,
}

/// Two decisions that differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Difference {
    /// The tick, by the id that `ticks` has.
    pub tick: String,
    /// The step, from 1 on.
    pub step: usize,
    /// The account.
    pub account_id: String,
    /// Whose decision counted.
    pub decided_by: DecidedBy,
    /// Whether the candidate failed.
    pub failed: bool,
    /// What the active policy decided.
    pub active: Value,
    /// What the candidate decided.
    pub candidate: Value,
}

/// What a tick saw, in accounts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// Compared: same, different, or failed on.
    pub compared: u64,
    /// Of these, decided by the candidate.
    pub by_candidate: u64,
    /// Of these, those in which the decision that counted adds or removes something.
    pub changes: u64,
    /// Decided otherwise by the candidate, its failures left out.
    pub different: u64,
    /// The candidate failed.
    pub failed: u64,
    /// The host couldn't measure.
    pub not_measured: u64,
    /// Whether all accounts of the table, or of the segment, were read.
    pub whole: bool,
    /// The first differences and failures, by account id.
    pub differences: Vec<(String, Comparison)>,
    /// How many more there were.
    pub differences_left_out: u64,
}

/// What part of the table a tick was over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TickPart {
    /// All of it.
    Table,
    /// The accounts that its event named.
    Named,
    /// A segment, of the fan-out with this name.
    Segment {
        /// Which one, from 0.
        segment: u32,
        /// Of how many.
        total: u32,
        /// What all segments of one tick have in common.
        fan_out: String,
    },
}

/// What a tick is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickRef {
    /// Its id: the journal's, if there's a journal.
    pub id: String,
    /// When it began, in UTC to the second.
    pub at: String,
    /// The id of the request that asked for it, if there's one.
    pub request: Option<String>,
    /// What it was over.
    pub part: TickPart,
}

impl Comparison {
    /// Compares two decisions, as `decider::gist` has them. `unobserved`: one of them would have needed what wasn't observed.
    pub fn of(decided_by: DecidedBy, active: Value, candidate: Value, unobserved: bool) -> Self {
        let failed = |decision: &Value| decision["status"] == "failed";
        let verdict = match candidate.get("error").is_some() {
            true => Verdict::Failed,
            false if unobserved => Verdict::NotMeasured,
            false if active != candidate => Verdict::Different,
            // What both couldn't decide says nothing of either.
            false if failed(&candidate) => Verdict::NotMeasured,
            false => Verdict::Same,
        };
        Self { verdict, decided_by, active, candidate }
    }

    /// Whether the decision that counted adds or removes something.
    fn is_change(&self) -> bool {
        // A candidate that failed decided nothing.
        let decided = match (self.decided_by, self.verdict) {
            (DecidedBy::Candidate, Verdict::Same | Verdict::Different) => &self.candidate,
            _ => &self.active,
        };
        ["added", "removed"].iter().any(|list| decided[list].as_array().is_some_and(|ids| !ids.is_empty()))
    }
}

impl Evidence {
    /// Counts the comparisons of a tick, and `not_compared` accounts besides.
    pub fn of(seen: BTreeMap<String, Comparison>, not_compared: usize, whole: bool) -> Self {
        let mut sum = Self { whole, not_measured: not_compared as u64, ..Self::default() };
        for (account, comparison) in seen {
            let count = match comparison.verdict {
                Verdict::NotMeasured => {
                    sum.not_measured += 1;
                    continue;
                }
                Verdict::Same => None,
                Verdict::Different => Some(&mut sum.different),
                Verdict::Failed => Some(&mut sum.failed),
            };
            let differs = count.map(|count| *count += 1).is_some();
            sum.compared += 1;
            sum.by_candidate += u64::from(comparison.decided_by == DecidedBy::Candidate);
            sum.changes += u64::from(comparison.is_change());
            match differs {
                true if sum.differences.len() < MAX_DIFFERENCES => sum.differences.push((account, comparison)),
                true => sum.differences_left_out += 1,
                false => {}
            }
        }
        sum
    }

    /// Whether it speaks for the candidate: nothing failed or, unless that is accepted, differed; and most of the table was
    /// compared. A tick in which AWS failed for most accounts says nothing.
    pub fn is_clean(&self, differences_accepted: bool) -> bool {
        self.whole
            && self.failed == 0
            && (self.different == 0 || differences_accepted)
            && self.compared > 0
            && self.compared >= self.not_measured
    }
}

/// A decision as the document keeps it: long texts and lists are shortened.
pub(super) fn shortened(decision: &Value) -> Value {
    let mut decision = decision.clone();
    for value in decision.as_object_mut().into_iter().flat_map(|members| members.values_mut()) {
        match value {
            Value::String(text) if text.len() > MAX_TEXT => {
                let end = (0..=MAX_TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
                text.truncate(end);
                text.push('…');
            }
            Value::Array(ids) if ids.len() > MAX_IDS => {
                let more = ids.len() - MAX_IDS;
                ids.truncate(MAX_IDS);
                ids.push(format!("and {more} more").into());
            }
            _ => {}
        }
    }
    decision
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn decision(status: &str, added: &[&str]) -> Value {
        json!({"status": status, "added": added, "removed": [], "heldRemovals": []})
    }

    #[test]
    fn failure_difference_and_inability_are_three_things() {
        let (same, other) = (decision("updated", &["1"]), decision("unchanged", &[]));
        let fault = json!({"status": "failed", "error": "policy: trapped"});
        let denied = decision("failed", &[]);
        let of = |active: &Value, candidate: &Value, unobserved| {
            Comparison::of(DecidedBy::Active, active.clone(), candidate.clone(), unobserved).verdict
        };
        assert_eq!(of(&same, &same, false), Verdict::Same);
        assert_eq!(of(&same, &other, false), Verdict::Different);
        assert_eq!(of(&same, &fault, false), Verdict::Failed);
        assert_eq!(
            of(&fault, &same, false),
            Verdict::Different,
            "where the active policy fails, the candidate doesn't"
        );
        assert_eq!(of(&denied, &denied, false), Verdict::NotMeasured, "AWS failed for both");
        assert_eq!(of(&denied, &same, false), Verdict::Different);
        assert_eq!(of(&same, &other, true), Verdict::NotMeasured, "it would have needed more");
    }

    #[test]
    fn differences_are_capped_and_the_rest_is_counted() {
        let pair = Comparison::of(DecidedBy::Candidate, decision("updated", &["1"]), decision("unchanged", &[]), false);
        let seen = (0..70).map(|number| (format!("{number:012}"), pair.clone())).collect();
        let evidence = Evidence::of(seen, 3, true);
        assert_eq!((evidence.compared, evidence.different, evidence.not_measured), (70, 70, 3));
        assert_eq!((evidence.differences.len(), evidence.differences_left_out), (50, 20));
        assert_eq!(evidence.changes, 0, "the candidate's decision counted, and changes nothing");
        assert!(!evidence.is_clean(false) && evidence.is_clean(true));
    }

    #[test]
    fn a_tick_that_could_not_measure_most_accounts_is_not_clean() {
        let same = Comparison::of(DecidedBy::Active, decision("unchanged", &[]), decision("unchanged", &[]), false);
        let seen: BTreeMap<_, _> = [("1".to_owned(), same)].into();
        assert!(Evidence::of(seen.clone(), 1, true).is_clean(false));
        assert!(!Evidence::of(seen.clone(), 2, true).is_clean(false));
        assert!(!Evidence::of(seen, 0, false).is_clean(false), "not all were read");
        assert!(!Evidence::of(BTreeMap::new(), 0, true).is_clean(false));
    }
}
