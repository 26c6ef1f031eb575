//! Charts as SVG: lines over time or over a size, told apart by the shape of their points as well as by colour.

use maud::{Markup, PreEscaped, html};
use plotters::prelude::*;
use plotters::style::RelativeSize;

/// The size of a chart, in the units of its view: the page says how large it is shown.
const SIZE: (u32, u32) = (760, 260);

/// Colours that can be told apart by everybody, and from a light and from a dark page.
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(160, 96, 192)];

/// A line of a chart.
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its points, by growing x.
    pub points: Vec<(f64, f64)>,
}

/// What a chart shows.
pub struct Chart<'a> {
    /// What it's of.
    pub title: &'a str,
    /// What is counted from below to above, with its unit.
    pub unit: &'a str,
    /// The label of a place from left to right.
    pub label: &'a dyn Fn(f64) -> String,
    /// The lines.
    pub series: Vec<Series>,
}

impl Chart<'_> {
    /// The chart as a figure; nothing where there are fewer than two points.
    pub fn figure(&self) -> Markup {
        let points: Vec<(f64, f64)> = self.series.iter().flat_map(|series| series.points.iter().copied()).collect();
        let bounds = |of: fn(&(f64, f64)) -> f64| {
            let values = points.iter().map(of);
            (values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max))
        };
        let ((left, right), (_, top)) = (bounds(|point| point.0), bounds(|point| point.1));
        if left >= right || !top.is_finite() {
            return html! {};
        }
        let most = if top > 0.0 { top * 1.05 } else { 1.0 };
        let mut svg = String::new();
        // Writing to a text doesn't fail.
        if self.draw(&mut svg, (left, right), most).is_err() {
            return html! {};
        }
        let content = svg.split_once('>').map_or("", |(_, content)| content);
        html! {
            figure.chart {
                svg viewBox={ "0 0 " (SIZE.0) " " (SIZE.1) } role="img" aria-label={ (self.title) ", " (self.unit) } {
                    (PreEscaped(content.trim_end().trim_end_matches("</svg>")))
                }
                figcaption {
                    (self.title) ", " (self.unit)
                    @if self.series.len() > 1 {
                        ":"
                        @for (place, series) in self.series.iter().enumerate() {
                            span class={ "legend series-" (place % COLOURS.len()) } {
                                span aria-hidden="true" { (SHAPES[place % SHAPES.len()]) } " " (series.name)
                            }
                        }
                    }
                }
            }
        }
    }

    fn draw(
        &self,
        svg: &mut String,
        (left, right): (f64, f64),
        most: f64,
    ) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(8)
            .margin_right(36)
            .x_label_area_size(28)
            .y_label_area_size(64)
            .build_cartesian_2d(left..right, 0.0..most)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .x_labels(5)
            .y_labels(5)
            .x_label_formatter(&|x| (self.label)(*x))
            .y_label_formatter(&|y| number(*y))
            .label_style(("sans-serif", RelativeSize::Height(0.062)))
            .draw()?;
        for (place, series) in self.series.iter().enumerate() {
            let colour = COLOURS[place % COLOURS.len()];
            chart.draw_series(LineSeries::new(series.points.iter().copied(), colour.stroke_width(2)))?;
            let points = series.points.iter().copied();
            match place % SHAPES.len() {
                0 => drop(chart.draw_series(points.map(|point| Circle::new(point, 3, colour.filled())))?),
                1 => drop(chart.draw_series(points.map(|point| TriangleMarker::new(point, 5, colour.filled())))?),
                2 => drop(chart.draw_series(points.map(|point| Cross::new(point, 4, colour.stroke_width(2))))?),
                _ => drop(chart.draw_series(
                    points.map(|point| EmptyElement::at(point) + Rectangle::new([(-3, -3), (3, 3)], colour.filled())),
                )?),
            }
        }
        root.present()
    }
}

/// The shapes of the points of lines, as text.
const SHAPES: [&str; 4] = ["●", "▲", "✕", "■"];

fn number(value: f64) -> String {
    let (value, unit) = if value >= 10_000.0 { (value / 1e3, " k") } else { (value, "") };
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_one_figure_that_says_what_it_is() {
        let series = |name: &str, points| Series { name: name.into(), points };
        let lines = vec![series("a", vec![(0.0, 1.0), (1.0, 2.0)]), series("b", vec![(0.0, 0.0), (1.0, 0.0)])];
        let label = |x: f64| format!("at {x:.0}");
        let chart = Chart { title: "Calls", unit: "a tick", label: &label, series: lines };
        let figure = chart.figure().into_string();
        assert_eq!((figure.matches("<svg").count(), figure.matches("</svg>").count()), (1, 1), "{figure}");
        assert!(figure.contains("aria-label=\"Calls, a tick\"") && figure.contains("<polyline"), "{figure}");
        assert!(!figure.contains("style="), "{figure}");
        let one = Chart { series: vec![series("a", vec![(0.0, 1.0)])], ..chart };
        assert_eq!(one.figure().into_string(), "");
    }
}
