//! One panel: axes, limits, lines with their points, and the legend.

use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::combinators::LogCoord;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::{self, Axis};
use super::canvas::{self, Error, FAINT, GRID, INK};
use super::labels::{self, Labels};
use super::{Bound, Limit, Panel, Series, Stroke, legend};

/// The width of a panel, in pixels.
pub const WIDTH: i32 = 560;
/// The space of the title of a panel.
const TOP: i32 = 34;
/// The space of the labels at the left.
const LEFT: i32 = 78;
/// The space of the labels of limits at the right.
const RIGHT: i32 = 140;
/// The height of what is between the axes.
const PLOT: i32 = 236;
/// The space between the lower axis and the legend.
const BELOW: i32 = 50;
/// The size of labels.
const SMALL: f64 = 11.5;

/// The height of panels whose legends have so many rows, in pixels.
pub fn height(rows: i32) -> i32 {
    TOP + PLOT + BELOW + rows.saturating_mul(legend::ROW) + 14
}

/// Where values are.
struct Plane {
    accounts: Axis,
    values: Axis,
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
}

impl Plane {
    /// The pixel of a number of accounts and a value.
    fn at(&self, accounts: f64, value: f64) -> (i32, i32) {
        let ((first, last), (low, high)) = (self.accounts.ends(), self.values.ends());
        let pixels = (self.left..self.right, self.bottom..self.top);
        let plane: Cartesian2d<LogCoord<f64>, LogCoord<f64>> =
            Cartesian2d::new((first..last).log_scale(), (low..high).log_scale(), pixels);
        plotters::coord::CoordTranslate::translate(&plane, &(accounts, value))
    }

    /// The ends of a limit, as far as they are between the axes; none if nothing of it is.
    fn ends(&self, bound: Bound) -> Option<[(f64, f64); 2]> {
        let ((first, last), (low, high)) = (self.accounts.ends(), self.values.ends());
        match bound {
            Bound::Constant(value) => (low..=high).contains(&value).then_some([(first, value), (last, value)]),
            Bound::PerAccount(value) => {
                let (from, to) = (first.max(low / value), last.min(high / value));
                (value > 0.0 && from < to).then_some([(from, from * value), (to, to * value)])
            }
        }
    }
}

/// A panel from its upper left corner.
pub fn drawn(panel: &Panel, accounts: &Axis, (x, y): (i32, i32)) -> Result<String, Error> {
    let plane = Plane {
        accounts: *accounts,
        values: Axis::values(panel),
        left: x + LEFT,
        right: x + WIDTH - RIGHT,
        top: y + TOP,
        bottom: y + TOP + PLOT,
    };
    let mut labels = Labels::default();
    let mut content = axes(panel, &plane)?;
    content += &limits(&panel.limits, &plane, &mut labels)?;
    for series in &panel.series {
        content += &line(series, panel, &plane)?;
    }
    content += &stopped(&panel.series, &plane, &mut labels)?;
    content += &legend::drawn(&panel.series, (x + LEFT - 44, plane.bottom + BELOW), (WIDTH - LEFT) / 2)?;
    Ok(canvas::group("panel", Some(&panel.title), "", content.trim_end()))
}

fn axes(panel: &Panel, plane: &Plane) -> Result<String, Error> {
    let ((first, last), (low, high)) = (plane.accounts.ends(), plane.values.ends());
    let path =
        |from: (i32, i32), to: (i32, i32), colour: RGBColor| PathElement::new(vec![from, to], colour.stroke_width(1));
    let layer = canvas::layer(|root| {
        for accounts in plane.accounts.ticks() {
            root.draw(&path(plane.at(accounts, low), plane.at(accounts, high), GRID))?;
            let (x, y) = plane.at(accounts, low);
            let top = Pos::new(HPos::Center, VPos::Top);
            canvas::anchored(root, &axis::grouped(accounts), (x, y + 7), SMALL, INK, top)?;
        }
        for value in plane.values.ticks() {
            root.draw(&path(plane.at(first, value), plane.at(last, value), GRID))?;
            let (x, y) = plane.at(first, value);
            let right = Pos::new(HPos::Right, VPos::Center);
            canvas::anchored(root, &panel.unit.tick(value), (x - 7, y), SMALL, INK, right)?;
        }
        root.draw(&path(plane.at(first, low), plane.at(last, low), INK))?;
        root.draw(&path(plane.at(first, low), plane.at(first, high), INK))?;
        canvas::text(root, &panel.title, (plane.left - 44, plane.top - 26), 14.0, INK)?;
        let (middle, centre) = (i32::midpoint(plane.left, plane.right), Pos::new(HPos::Center, VPos::Top));
        canvas::anchored(root, "target accounts", (middle, plane.bottom + 25), 12.0, INK, centre)
    })?;
    Ok(canvas::group("axes", None, "", &layer))
}

fn limits(limits: &[Limit], plane: &Plane, labels: &mut Labels) -> Result<String, Error> {
    let (mut content, mut beside) = (String::new(), Vec::new());
    for limit in limits {
        let Some([from, to]) = plane.ends(limit.bound) else { continue };
        let (from, to) = (plane.at(from.0, from.1), plane.at(to.0, to.1));
        let dashes = match limit.bound {
            Bound::Constant(_) => " stroke-dasharray=\"10 3\"",
            Bound::PerAccount(_) => " stroke-dasharray=\"10 3 2 3\"",
        };
        let drawn = canvas::layer(|root| root.draw(&PathElement::new(vec![from, to], FAINT.stroke_width(1))))?;
        content += &canvas::group("limit", Some(&limit.name), dashes, &drawn);
        // A line that is cut before the right side has its label beside its end, others have it at the right.
        if to.0 < plane.right {
            let width = labels::width(&limit.name, SMALL);
            let fits = to.0 + 8 + width <= plane.right;
            let (x, y) = (if fits { to.0 + 8 } else { to.0 - 12 - width }, to.1 + 2);
            labels.keep_free((x, y, x + width, y + 14));
            content += &label(&limit.name, (x, y))?;
        } else {
            beside.push((limit, to.1 - 6));
        }
    }
    let wanted: Vec<i32> = beside.iter().map(|(_, y)| *y).collect();
    let placed = labels::spread(&wanted, 14, plane.top - 8, plane.bottom - 8);
    for ((limit, _), y) in beside.iter().zip(placed) {
        let x = plane.right + 6;
        labels.keep_free((x, y, x + labels::width(&limit.name, SMALL), y + 14));
        content += &label(&limit.name, (x, y))?;
    }
    Ok(content)
}

/// Text with white around it, so that it can be read above lines.
fn label(text: &str, at: (i32, i32)) -> Result<String, Error> {
    let text = canvas::layer(|root| canvas::text(root, text, at, SMALL, FAINT))?;
    let halo = " stroke=\"#FFFFFF\" stroke-width=\"3\" paint-order=\"stroke\"";
    Ok(canvas::group("label", None, halo, &text))
}

fn line(series: &Series, panel: &Panel, plane: &Plane) -> Result<String, Error> {
    let shown = series.points.iter().filter(|point| point.value > 0.0 && point.value.is_finite());
    let points: Vec<_> = shown.map(|point| (point, plane.at(f64::from(point.accounts), point.value))).collect();
    let path: Vec<(i32, i32)> = points.iter().map(|(_, at)| *at).collect();
    if path.is_empty() {
        return Ok(String::new());
    }
    let colour = canvas::colour(series.hue);
    let path = canvas::layer(|root| root.draw(&PathElement::new(path, colour.stroke_width(2))))?;
    let mut content = canvas::group("line", None, legend::dashes(series.stroke), &path);
    for (point, at) in points.iter().filter(|_| series.stroke != Stroke::Dotted) {
        let hollow = point.stopped.is_some();
        let mark = canvas::layer(|root| canvas::mark(root, *at, series.hue, hollow))?;
        let stopped = point.stopped.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
        let accounts = axis::grouped(f64::from(point.accounts));
        let title = format!("{}, {accounts} accounts: {}{stopped}", series.name, panel.unit.exact(point.value));
        content += &canvas::group(if hollow { "point stopped" } else { "point" }, Some(&title), "", &mark);
    }
    Ok(canvas::group("series", Some(&series.name), "", content.trim_end()))
}

/// Labels of the points at which not all accounts were reached.
fn stopped(series: &[Series], plane: &Plane, labels: &mut Labels) -> Result<String, Error> {
    let points = series.iter().flat_map(|series| &series.points).filter(|point| point.value > 0.0);
    let points = points.map(|point| (point, plane.at(f64::from(point.accounts), point.value)));
    for (_, (x, y)) in points.clone() {
        labels.keep_free((x - 5, y - 5, x + 5, y + 5));
    }
    let mut content = String::new();
    for (point, at) in points {
        let Some(why) = &point.stopped else { continue };
        if let Some(at) = labels.place(why, SMALL, at, (plane.left, plane.top, plane.right, plane.bottom)) {
            content += &label(why, at)?;
        }
    }
    Ok(content)
}
