//! Charts of growth as SVG: panels over the number of target accounts, both axes logarithmic, with limits drawn in.
//!
//! plotters draws; each of its layers is put into a group that has what its backend can't say: dashes, and titles for
//! screen readers and pointers. The same picture always has the same bytes.

mod axis;
mod canvas;
mod destination;
mod labels;
mod legend;
mod panel;
#[cfg(test)]
mod tests;

use quick_xml::escape::escape;

use crate::CommandError;
pub use axis::Unit;
pub use destination::{Destination, file_name};

/// The time between two ticks of the stack's default schedule, in seconds.
pub const TICK_INTERVAL_SECONDS: f64 = 300.0;

/// The space for the title and the settings above the panels, in pixels.
const HEADER: i32 = 66;

/// Some panels with a common title.
#[derive(Debug, Clone)]
pub struct Picture {
    /// What it's of.
    pub title: String,
    /// The settings that hold for all panels, in one line.
    pub settings: String,
    /// The panels, two in a row.
    pub panels: Vec<Panel>,
}

/// Lines over the number of target accounts.
#[derive(Debug, Clone)]
pub struct Panel {
    /// What is counted from below to above, with its unit.
    pub title: String,
    /// The unit of its values.
    pub unit: Unit,
    /// What was simulated or measured.
    pub series: Vec<Series>,
    /// What must not be exceeded.
    pub limits: Vec<Limit>,
}

/// One line of a panel, with its points.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// The number of its colour and of the shape of its points.
    pub hue: usize,
    /// How it's drawn.
    pub stroke: Stroke,
    /// Its points, by growing number of accounts. Only values above 0 are drawn.
    pub points: Vec<Point>,
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stroke {
    /// Without gaps.
    Solid,
    /// With dashes.
    Dashed,
    /// With dots and without a mark for each point: a floor, for example.
    Dotted,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The number of target accounts.
    pub accounts: u32,
    /// The value, in the panel's unit.
    pub value: f64,
    /// Why not all accounts were reached, in a few words; none if they were. Such a point is hollow.
    pub stopped: Option<String>,
}

/// A limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// Its label.
    pub name: String,
    /// Where it is.
    pub bound: Bound,
}

/// Where a limit is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// The same value for any number of accounts.
    Constant(f64),
    /// A value for each account.
    PerAccount(f64),
}

impl Limit {
    /// A limit that is the same for any number of accounts.
    pub fn constant(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), bound: Bound::Constant(value) }
    }

    /// A limit that grows with the number of accounts.
    pub fn per_account(name: impl Into<String>, value: f64) -> Self {
        Self { name: name.into(), bound: Bound::PerAccount(value) }
    }

    /// The time between two ticks, in seconds.
    pub fn tick_interval() -> Self {
        Self::constant(format!("tick interval, {TICK_INTERVAL_SECONDS} s"), TICK_INTERVAL_SECONDS)
    }
}

impl Picture {
    /// The picture as a file's content.
    pub fn svg(&self) -> Result<String, CommandError> {
        self.drawn().map_err(|error| CommandError(format!("the chart couldn't be drawn: {error}")))
    }

    fn drawn(&self) -> Result<String, canvas::Error> {
        let legend = self.panels.iter().map(|panel| legend::rows(&panel.series)).max().unwrap_or_default();
        let height = panel::height(legend);
        let rows = i32::try_from(self.panels.len().div_ceil(2)).unwrap_or(i32::MAX);
        let size = (2 * panel::WIDTH, HEADER + rows.saturating_mul(height));
        let accounts = axis::Axis::accounts(&self.panels);
        let (title, description) = (escape(&self.title), self.description());
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\" aria-labelledby=\"title desc\">\n\
             <title id=\"title\">{title}</title>\n<desc id=\"desc\">{}</desc>\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#FFFFFF\"/>\n",
            escape(&description),
            width = size.0,
            height = size.1,
        );
        svg += &canvas::group(
            "heading",
            None,
            "",
            &canvas::layer(|root| {
                canvas::text(root, &self.title, (24, 14), 20.0, canvas::INK)?;
                canvas::text(root, &self.settings, (24, 42), 13.0, canvas::FAINT)
            })?,
        );
        for (place, panel) in (0..).zip(&self.panels) {
            let corner = (place % 2 * panel::WIDTH, HEADER + place / 2 * height);
            svg += &panel::drawn(panel, &accounts, corner)?;
        }
        Ok(svg + "</svg>\n")
    }

    /// What the picture shows, in words.
    fn description(&self) -> String {
        let mut text = format!("{}.", self.settings);
        for panel in &self.panels {
            text += &format!(" {}:", panel.title);
            for series in &panel.series {
                let shown = |point: &Point| {
                    let stopped = point.stopped.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
                    let value = panel.unit.exact(point.value);
                    format!("{value} at {}{stopped}", axis::grouped(f64::from(point.accounts)))
                };
                let mut ends: Vec<String> = series.points.first().map(shown).into_iter().collect();
                ends.extend(series.points.last().filter(|_| series.points.len() > 1).map(shown));
                if !ends.is_empty() {
                    text += &format!(" {}: {};", series.name, ends.join(", "));
                }
            }
            let limits: Vec<&str> = panel.limits.iter().map(|limit| limit.name.as_str()).collect();
            text += &if limits.is_empty() { String::new() } else { format!(" limits: {}.", limits.join("; ")) };
        }
        text
    }
}
