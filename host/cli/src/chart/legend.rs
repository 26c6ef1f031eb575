//! The legend of a panel: a line and a mark for each series.

use plotters::prelude::*;

use super::canvas::{self, Error};
use super::{Series, Stroke};

/// The height of a row, in pixels.
pub const ROW: i32 = 19;

/// The rows of a legend of two columns.
pub fn rows(series: &[Series]) -> i32 {
    i32::try_from(series.len().div_ceil(2)).unwrap_or(i32::MAX)
}

/// The attribute for the dashes of a line.
pub fn dashes(stroke: Stroke) -> &'static str {
    match stroke {
        Stroke::Solid => "",
        Stroke::Dashed => " stroke-dasharray=\"7 4\"",
        Stroke::Dotted => " stroke-dasharray=\"2 4\"",
    }
}

/// A legend from its upper left corner, with columns of this width.
pub fn drawn(series: &[Series], (left, top): (i32, i32), column: i32) -> Result<String, Error> {
    let mut content = String::new();
    for (place, series) in (0..).zip(series) {
        let (x, y) = (left + place % 2 * column, top + place / 2 * ROW);
        let colour = canvas::colour(series.hue);
        let line = canvas::layer(|root| {
            root.draw(&PathElement::new(vec![(x, y + 6), (x + 30, y + 6)], colour.stroke_width(2)))
        })?;
        content += &canvas::group("swatch", None, dashes(series.stroke), &line);
        content += &canvas::layer(|root| {
            if series.stroke != Stroke::Dotted {
                canvas::mark(root, (x + 15, y + 6), series.hue, false)?;
            }
            canvas::text(root, &series.name, (x + 37, y + 1), 12.0, canvas::INK)
        })?;
        content.push('\n');
    }
    Ok(canvas::group("legend", None, "", content.trim_end()))
}
