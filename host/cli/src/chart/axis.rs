//! Logarithmic axes from one power of ten to another, and how values are written.

use super::{Bound, Panel};

/// What a panel's values are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// A number of something.
    Count,
    /// US dollars.
    Dollars,
    /// Mebibytes, which AWS calls MB.
    Megabytes,
    /// Kilobytes, of 1,000 bytes.
    Kilobytes,
}

impl Unit {
    /// A value with its unit, like `$0.01` or `300 s`.
    fn with(self, number: &str) -> String {
        match self {
            Self::Seconds => format!("{number} s"),
            Self::Count => number.to_owned(),
            Self::Dollars => format!("${number}"),
            Self::Megabytes => format!("{number} MB"),
            Self::Kilobytes => format!("{number} KB"),
        }
    }

    /// A value of a tick of the axis: a power of ten.
    pub fn tick(self, value: f64) -> String {
        self.with(&if value >= 1.0 { grouped(value) } else { trimmed(value, 6) })
    }

    /// A value with about three digits.
    pub fn exact(self, value: f64) -> String {
        let digits = (2.0 - value.abs().max(1e-6).log10().floor()).clamp(0.0, 6.0) as usize;
        self.with(&if digits == 0 { grouped(value) } else { trimmed(value, digits) })
    }
}

fn trimmed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A whole number with its thousands apart.
pub fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An axis from a power of ten to a greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis {
    low: i32,
    high: i32,
}

impl Axis {
    /// The least axis that has all of these; values that have no logarithm are left out.
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let values = values.filter(|value| *value > 0.0 && value.is_finite()).map(f64::log10);
        let (low, high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return Self { low: 0, high: 1 };
        }
        // A power of ten stays one in spite of rounding.
        let (low, high) = ((low + 1e-9).floor() as i32, (high - 1e-9).ceil() as i32);
        Self { low, high: high.max(low + 1) }
    }

    /// The common axis of the numbers of accounts.
    pub fn accounts(panels: &[Panel]) -> Self {
        let points = panels.iter().flat_map(|panel| &panel.series).flat_map(|series| &series.points);
        Self::of(points.map(|point| f64::from(point.accounts)))
    }

    /// The axis of a panel's values and of its constant limits. What grows with the accounts is cut where it ends.
    pub fn values(panel: &Panel) -> Self {
        let points = panel.series.iter().flat_map(|series| &series.points).map(|point| point.value);
        let limits = panel.limits.iter().filter_map(|limit| match limit.bound {
            Bound::Constant(value) => Some(value),
            Bound::PerAccount(_) => None,
        });
        Self::of(points.chain(limits))
    }

    /// Its ends.
    pub fn ends(self) -> (f64, f64) {
        (10_f64.powi(self.low), 10_f64.powi(self.high))
    }

    /// Its powers of ten.
    pub fn ticks(self) -> impl Iterator<Item = f64> {
        (self.low..=self.high).map(|power| 10_f64.powi(power))
    }
}
