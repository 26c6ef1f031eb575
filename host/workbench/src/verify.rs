//! Judges a policy in every small world, the simplest first, and finds the smallest in which an invariant breaks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::compare::told;
use crate::invariants::{Invariant, Violation};
use crate::judge::{Judged, judge};
use crate::small::{self, SmallWorld};
use staging_sync_runtime::case::Case;
use staging_sync_runtime::error::Error;
use staging_sync_runtime::outcome::Counts;
use staging_sync_runtime::policy::Policy;

/// How many worlds are judged in the first tick, and at most in one. The first ticks are small, so that a policy
/// that is bad everywhere is found out soon.
const FIRST: usize = 16;
const MOST: usize = 1024;

/// What to verify.
#[derive(Debug, Clone)]
pub struct Verification {
    /// The event's operation.
    pub operation: String,
    /// The policy's settings.
    pub settings: Map<String, Value>,
    /// How many staging accounts there are, from 1 to `small::MOST`.
    pub staging_accounts: u8,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Verified {
    /// How many worlds there are.
    pub all: usize,
    /// How many were judged: all, or up to those among which an invariant broke.
    pub judged: usize,
    /// What became of their accounts in the first tick.
    pub counts: Counts,
    /// The smallest world in which each invariant breaks.
    pub broken: BTreeMap<Invariant, Counterexample>,
}

/// A world in which an invariant breaks.
#[derive(Debug)]
pub struct Counterexample {
    /// What didn't hold.
    pub violation: Violation,
    /// In how many of the worlds judged.
    pub worlds: usize,
    /// The world; `None` if it takes several accounts in one tick.
    pub world: Option<SmallWorld>,
    /// What the policy decided in it.
    pub decided: String,
    /// The same as a case.
    pub case: Case,
}

impl Verification {
    /// Judges the policy in every world. `progress` hears how many are judged, of how many.
    pub async fn run(&self, policy: &Policy, progress: impl Fn(usize, usize)) -> Result<Verified, Error> {
        let worlds = small::all(self.staging_accounts);
        let mut found = Verified { all: worlds.len(), ..Verified::default() };
        let mut left = &worlds[..];
        let mut size = FIRST;
        while !left.is_empty() && found.broken.is_empty() {
            progress(found.judged, worlds.len());
            let (now, later) = left.split_at(size.min(left.len()));
            self.judge(policy, now, &mut found).await?;
            found.judged += now.len();
            left = later;
            size = (size * 2).min(MOST);
        }
        progress(found.judged, worlds.len());
        Ok(found)
    }

    async fn judge(&self, policy: &Policy, worlds: &[SmallWorld], found: &mut Verified) -> Result<(), Error> {
        let case = self.case(policy, worlds);
        let judged = judge(&case, policy).await?;
        if let Ok(report) = &judged.report {
            let counts = Counts::of(&report.outcomes);
            found.counts.total += counts.total;
            found.counts.updated += counts.updated;
            found.counts.unchanged += counts.unchanged;
            found.counts.skipped += counts.skipped;
            found.counts.failed += counts.failed;
        }
        let mut places = BTreeMap::<Invariant, Vec<(usize, &Violation)>>::new();
        let mut of_ticks = BTreeMap::<Invariant, &Violation>::new();
        for violation in &judged.broken {
            let place = violation.account.as_deref().and_then(small::place);
            match place {
                Some(place) => places.entry(violation.invariant).or_default().push((place, violation)),
                None => drop(of_ticks.entry(violation.invariant).or_insert(violation)),
            }
        }
        for (invariant, mut at) in places {
            at.sort_by_key(|(place, _)| *place);
            at.dedup_by_key(|(place, _)| *place);
            let Some((place, _)) = at.first() else { continue };
            let alone = self.alone(policy, &worlds[*place], invariant).await?;
            if let Some(example) = alone {
                found.broken.insert(invariant, Counterexample { worlds: at.len(), ..example });
            } else if let Some((_, violation)) = at.first() {
                // It takes company: the tick's other accounts have something to do with it.
                of_ticks.entry(invariant).or_insert(violation);
            }
        }
        for (invariant, violation) in of_ticks {
            let mut example = None;
            for world in worlds {
                example = self.alone(policy, world, invariant).await?;
                if example.is_some() {
                    break;
                }
            }
            let example = example.unwrap_or_else(|| Counterexample {
                violation: violation.clone(),
                worlds: worlds.len(),
                world: None,
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
        world: &SmallWorld,
        invariant: Invariant,
    ) -> Result<Option<Counterexample>, Error> {
        let case = self.case(policy, std::slice::from_ref(world));
        let judged = judge(&case, policy).await?;
        let violation = judged.broken.iter().find(|violation| violation.invariant == invariant);
        Ok(violation.map(|violation| Counterexample {
            violation: violation.clone(),
            worlds: 1,
            world: Some(world.clone()),
            decided: decided(&judged, violation),
            case: case.clone(),
        }))
    }

    fn case(&self, policy: &Policy, worlds: &[SmallWorld]) -> Case {
        let tape = small::tape(worlds, &self.operation, &self.settings, &policy.access().listings);
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

/// What a tick made of a violation's account, or of its only one.
fn decided(judged: &Judged, violation: &Violation) -> String {
    let report = match &judged.report {
        Ok(report) => report,
        Err(error) => return error.message.clone(),
    };
    let is = |id: &String| violation.account.as_ref().is_none_or(|account| account == id);
    report.outcomes.iter().find(|of| is(&of.account_id)).map(told).unwrap_or_default()
}
