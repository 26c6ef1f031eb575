//! The verification of a policy in every small world, the simplest first, to find the smallest counterexample.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::compare::told;
use crate::invariants::{Invariant, OPERATION, Violation};
use crate::judge::{Judged, judge};
use crate::small::{self, SmallWorld};
use crate::varied::{self, Varied};
use crate::waived::Waived;
use staging_sync_runtime::bindings::types::AccountOutcome;
use staging_sync_runtime::case::Case;
use staging_sync_runtime::error::Error;
use staging_sync_runtime::outcome::Counts;
use staging_sync_runtime::policy::Policy;

/// How many worlds are judged in the first tick, and at most in one. The first ticks are small, so that a policy
/// that is bad everywhere is found out soon.
const FIRST: usize = 16;
const MOST: usize = 1024;

/// What to verify.
#[derive(Debug, Clone, Default)]
pub struct Verification {
    /// The event's operation.
    pub operation: String,
    /// The policy's settings.
    pub settings: Map<String, Value>,
    /// How many staging accounts there are, from 1 to `small::MOST`.
    pub staging_accounts: u8,
    /// Values that are put into some of the worlds.
    pub varied: Varied,
    /// The invariants that the policy says don't apply.
    pub waived: Waived,
}

/// The result of a verification.
#[derive(Debug, Default)]
pub struct Verified {
    /// The number of worlds.
    pub all: usize,
    /// How many of them are the small worlds in every combination, without those that the values are put into.
    pub small: usize,
    /// The number of checked worlds: all, or those up to the first violation.
    pub judged: usize,
    /// What became of their accounts in the first tick, where AWS answers.
    pub counts: Counts,
    /// The same of the worlds in which AWS fails, or what is stored isn't fit to be worked with.
    pub troubled: Counts,
    /// The smallest world in which each invariant breaks.
    pub broken: BTreeMap<Invariant, Counterexample>,
}

/// A world in which an invariant breaks.
#[derive(Debug)]
pub struct Counterexample {
    /// The violation.
    pub violation: Violation,
    /// The number of checked worlds in which it occurs.
    pub worlds: usize,
    /// The world; `None` if it takes several accounts in one tick.
    pub world: Option<SmallWorld>,
    /// The settings, where they aren't those that are verified.
    pub settings: Option<Map<String, Value>>,
    /// What the policy decided in it.
    pub decided: String,
    /// The same as a case.
    pub case: Case,
}

/// Worlds that are judged with the same settings.
struct Round<'a> {
    settings: &'a Map<String, Value>,
    /// Whether they aren't those that are verified.
    other: bool,
    worlds: Vec<SmallWorld>,
}

impl Verification {
    /// Why an invariant isn't judged, if it isn't.
    pub fn inapplicable(&self, invariant: Invariant) -> Option<String> {
        let foreign = invariant == Invariant::Summary && self.operation != OPERATION;
        let of_operation = || format!("the summary of {} is its own affair", self.operation);
        self.waived.reason(invariant).map(str::to_owned).or_else(|| foreign.then(of_operation))
    }

    /// Judges the policy in every world. `progress` hears how many are judged, of how many.
    pub async fn run(&self, policy: &Policy, progress: impl Fn(usize, usize)) -> Result<Verified, Error> {
        let mut worlds = small::all(self.staging_accounts);
        let small = worlds.len();
        worlds.extend(self.varied.worlds());
        let mut rounds = vec![Round { settings: &self.settings, other: false, worlds }];
        let others = self.varied.settings.iter();
        rounds.extend(others.map(|settings| Round { settings, other: true, worlds: varied::settings_worlds() }));
        let all = rounds.iter().map(|round| round.worlds.len()).sum();
        let mut found = Verified { all, small, ..Verified::default() };
        let mut size = FIRST;
        for round in &rounds {
            let mut left = &round.worlds[..];
            while !left.is_empty() && found.broken.is_empty() {
                progress(found.judged, all);
                let (now, later) = left.split_at(small::fitting(left, size));
                self.judge(policy, round, now, &mut found).await?;
                found.judged += now.len();
                left = later;
                size = (size * 2).min(MOST);
            }
        }
        progress(found.judged, all);
        Ok(found)
    }

    async fn judge(
        &self,
        policy: &Policy,
        round: &Round<'_>,
        worlds: &[SmallWorld],
        found: &mut Verified,
    ) -> Result<(), Error> {
        let case = self.case(policy, round, worlds);
        let judged = judge(&case, policy).await?;
        let at = small::places(worlds);
        if let Ok(report) = &judged.report {
            let troubled = |of: &AccountOutcome| at.get(&of.account_id).is_some_and(|at| worlds[*at].is_troubled());
            let (of_troubled, others): (Vec<_>, Vec<_>) = report.outcomes.iter().cloned().partition(troubled);
            add(&mut found.counts, Counts::of(&others));
            add(&mut found.troubled, Counts::of(&of_troubled));
        }
        let mut places = BTreeMap::<Invariant, Vec<(usize, &Violation)>>::new();
        let mut of_ticks = BTreeMap::<Invariant, &Violation>::new();
        for violation in judged.broken.iter().filter(|violation| self.applies(violation)) {
            let place = violation.account.as_ref().and_then(|account| at.get(account));
            match place {
                Some(&place) => places.entry(violation.invariant).or_default().push((place, violation)),
                None => drop(of_ticks.entry(violation.invariant).or_insert(violation)),
            }
        }
        for (invariant, mut at) in places {
            at.sort_by_key(|(place, _)| *place);
            at.dedup_by_key(|(place, _)| *place);
            let Some((place, _)) = at.first() else { continue };
            let alone = self.alone(policy, round, &worlds[*place], invariant).await?;
            if let Some(example) = alone {
                let example = self.simplest(policy, round, example).await?;
                found.broken.insert(invariant, Counterexample { worlds: at.len(), ..example });
            } else if let Some((_, violation)) = at.first() {
                // It takes company: the tick's other accounts have something to do with it.
                of_ticks.entry(invariant).or_insert(violation);
            }
        }
        for (invariant, violation) in of_ticks {
            let mut example = None;
            for world in worlds {
                example = self.alone(policy, round, world, invariant).await?;
                if example.is_some() {
                    break;
                }
            }
            let example = example.unwrap_or_else(|| Counterexample {
                violation: violation.clone(),
                worlds: worlds.len(),
                world: None,
                settings: round.other.then(|| round.settings.clone()),
                decided: decided(&judged, violation),
                case: case.clone(),
            });
            found.broken.entry(invariant).or_insert(example);
        }
        Ok(())
    }

    /// The invariant broken in a world by itself, if it is.
    async fn alone(
        &self,
        policy: &Policy,
        round: &Round<'_>,
        world: &SmallWorld,
        invariant: Invariant,
    ) -> Result<Option<Counterexample>, Error> {
        let case = self.case(policy, round, std::slice::from_ref(world));
        let judged = judge(&case, policy).await?;
        let violation = judged.broken.iter().find(|violation| violation.invariant == invariant);
        Ok(violation.map(|violation| Counterexample {
            violation: violation.clone(),
            worlds: 1,
            world: Some(world.clone()),
            settings: round.other.then(|| round.settings.clone()),
            decided: decided(&judged, violation),
            case: case.clone(),
        }))
    }

    /// The same with as few values that aren't usual, and as few entries, as it takes.
    async fn simplest(
        &self,
        policy: &Policy,
        round: &Round<'_>,
        mut example: Counterexample,
    ) -> Result<Counterexample, Error> {
        'simpler: loop {
            for world in example.world.iter().flat_map(SmallWorld::simpler) {
                if let Some(found) = self.alone(policy, round, &world, example.violation.invariant).await? {
                    example = found;
                    continue 'simpler;
                }
            }
            return Ok(example);
        }
    }

    fn applies(&self, violation: &Violation) -> bool {
        self.waived.reason(violation.invariant).is_none()
    }

    fn case(&self, policy: &Policy, round: &Round, worlds: &[SmallWorld]) -> Case {
        let tape = small::tape(worlds, &self.operation, round.settings, &policy.access().listings);
        let (event, settings) = (tape.event.clone(), tape.settings.clone());
        Case {
            dir: PathBuf::new(),
            name: "small world".into(),
            tape,
            event,
            settings,
            pins_settings: false,
            expected: None,
        }
    }
}

fn add(counts: &mut Counts, more: Counts) {
    counts.total += more.total;
    counts.updated += more.updated;
    counts.unchanged += more.unchanged;
    counts.skipped += more.skipped;
    counts.failed += more.failed;
}

/// What a tick made of a violation's account, or of its only one.
fn decided(judged: &Judged, violation: &Violation) -> String {
    let report = match &judged.report {
        Ok(report) => report,
        Err(error) => return error.message.clone(),
    };
    let is = |id: &String| violation.account.as_ref().is_none_or(|account| account == id);
    report.outcomes.iter().find(|of| is(&of.account_id)).map(told).unwrap_or_default()
}
