//! Tests of a rollout's document: what goes on, on which evidence, and what doesn't.

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
