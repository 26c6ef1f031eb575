//! The terms of a rollout: its steps, what aborts it, and whom it spares, as an operator asks for them.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::account::AccountId;

/// How many hundredths of a percent are all accounts.
pub const BASE: u32 = 10_000;

/// How many clean ticks a step may ask for.
const MAX_TICKS: u64 = 100_000;

/// How many steps there may be.
const MAX_STEPS: usize = 20;

/// A share of all accounts, in hundredths of a percent: from 1 to 10,000. As text it's a percentage like `0.5%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Share(u32);

/// What aborts a rollout besides an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AbortOn {
    /// The candidate fails on an account: always.
    Failure,
    /// The candidate decides an account other than the active policy.
    Difference,
}

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// The share of all accounts that the candidate decides.
    pub share: Share,
    /// How many clean ticks it takes to pass the step.
    pub ticks: u64,
    /// How many changes must be seen in it.
    pub min_changes: u64,
}

/// The terms of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Terms {
    /// When it was published, in UTC to the second.
    pub started_at: String,
    /// What the order of accounts is made with.
    pub salt: String,
    /// The steps, each with a larger share than the one before.
    pub steps: Vec<Step>,
    /// What aborts it.
    pub abort_on: BTreeSet<AbortOn>,
    /// The accounts that the candidate never decides.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub never: BTreeSet<AccountId>,
    /// The accounts that it decides at every step.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub always: BTreeSet<AccountId>,
}

impl Share {
    /// A share of so many hundredths of a percent, if there's one.
    pub fn new(hundredths: u32) -> Option<Self> {
        (1..=BASE).contains(&hundredths).then_some(Self(hundredths))
    }

    /// In hundredths of a percent.
    pub fn hundredths(self) -> u32 {
        self.0
    }

    /// Reads a percentage like `10%`, `0.5%` or `12.25%`.
    fn parse(text: &str) -> Option<Self> {
        let number = text.strip_suffix('%')?;
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let digits =
            |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole, 3) || !digits(part, 2) {
            return None;
        }
        Self::new(whole.parse::<u32>().ok()? * 100 + format!("{part:0<2}").parse::<u32>().ok()?)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 100, self.0 % 100);
        match part {
            0 => write!(f, "{whole}%"),
            part if part % 10 == 0 => write!(f, "{whole}.{}%", part / 10),
            part => write!(f, "{whole}.{part:02}%"),
        }
    }
}

impl From<Share> for String {
    fn from(share: Share) -> Self {
        share.to_string()
    }
}

impl TryFrom<String> for Share {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("expected a share from 0.01% to 100%, found {text:?}"))
    }
}

/// Reads steps like `1%:3,10%:3,50%:6`: shares that grow, each with its number of clean ticks. Each needs so many changes.
pub fn parse_steps(text: &str, min_changes: u64) -> Result<Vec<Step>, String> {
    let step = |text: &str| {
        let expected = || format!("{text:?}: expected a share and a number of clean ticks like 10%:3");
        let (share, ticks) = text.trim().split_once(':').ok_or_else(expected)?;
        let share = Share::try_from(share.to_owned())?;
        let ticks = ticks.parse().ok().filter(|ticks| (1..=MAX_TICKS).contains(ticks)).ok_or_else(expected)?;
        Ok(Step { share, ticks, min_changes })
    };
    let steps: Vec<Step> = text.split(',').map(step).collect::<Result<_, String>>()?;
    check(&steps)?;
    Ok(steps)
}

/// Refuses steps that don't grow, or too many of them.
fn check(steps: &[Step]) -> Result<(), String> {
    if !(1..=MAX_STEPS).contains(&steps.len()) {
        return Err(format!("expected 1 to {MAX_STEPS} steps, found {}", steps.len()));
    }
    let shares = steps.iter().map(|step| step.share);
    if steps.iter().any(|step| step.min_changes == 0) {
        return Err("expected at least one change in each step: without changes there is nothing to judge".into());
    }
    match shares.clone().zip(shares.skip(1)).find(|(one, next)| one >= next) {
        Some((one, next)) => Err(format!("expected shares that grow, found {next} after {one}")),
        None => Ok(()),
    }
}

impl Terms {
    /// Refuses terms that contradict themselves.
    pub fn check(&self) -> Result<(), String> {
        check(&self.steps)?;
        if let Some(both) = self.never.intersection(&self.always).next() {
            return Err(format!("{both} can't be decided both never and always"));
        }
        Ok(())
    }

    /// Whether other terms ask for the same, whenever they began.
    pub fn is_same(&self, other: &Self) -> bool {
        Self { started_at: other.started_at.clone(), ..self.clone() } == *other
    }

    /// Whether a difference aborts the rollout.
    pub fn aborts_on_difference(&self) -> bool {
        self.abort_on.contains(&AbortOn::Difference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percentages() {
        for (text, hundredths) in [("1%", 100), ("0.01%", 1), ("0.5%", 50), ("12.25%", 1_225), ("100%", 10_000)] {
            assert_eq!(Share::parse(text).map(Share::hundredths), Some(hundredths), "{text}");
            assert_eq!(Share::new(hundredths).map(|share| share.to_string()).as_deref(), Some(text));
        }
        for text in ["0%", "100.01%", "1", "%", "-1%", "1.%", ".5%", "1.005%", "1e1%", " 1%", "1000%"] {
            assert_eq!(Share::parse(text), None, "{text}");
        }
    }

    #[test]
    fn steps_grow() {
        let steps = parse_steps("1%:3, 10%:3,50%:6", 2).expect("steps");
        assert_eq!(steps.len(), 3);
        assert_eq!((steps[2].share.to_string(), steps[2].ticks, steps[2].min_changes), ("50%".into(), 6, 2));
        for (text, says) in [
            ("", "like 10%:3"),
            ("1%", "like 10%:3"),
            ("1%:0", "like 10%:3"),
            ("1:3", "from 0.01% to 100%"),
            ("10%:3,10%:3", "shares that grow"),
            ("10%:3,1%:3", "found 1% after 10%"),
        ] {
            let error = parse_steps(text, 1).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
