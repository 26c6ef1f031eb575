//! Layers of plotters as groups of one SVG, and the colours and marks that all panels have in common.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use quick_xml::escape::escape;

/// What can go wrong while something is drawn.
pub type Error = DrawingAreaErrorKind<std::io::Error>;

/// What layers are drawn on, in pixels.
pub type Root<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Large enough for any picture: plotters moves what is outside into it.
const CANVAS: (u32, u32) = (1 << 14, 1 << 14);

/// Text and axes.
pub const INK: RGBColor = RGBColor(31, 35, 40);
/// What matters less.
pub const FAINT: RGBColor = RGBColor(89, 96, 104);
/// The lines at powers of ten.
pub const GRID: RGBColor = RGBColor(225, 228, 232);

/// Colours that can be told apart by everybody, on white.
const COLOURS: [RGBColor; 5] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(160, 96, 192), RGBColor(150, 104, 0)];

/// The colour of a series.
pub fn colour(hue: usize) -> RGBColor {
    COLOURS.get(hue % COLOURS.len()).copied().unwrap_or(INK)
}

/// What plotters draws, without the document around it.
pub fn layer(draw: impl FnOnce(&Root) -> Result<(), Error>) -> Result<String, Error> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, CANVAS).into_drawing_area();
        draw(&root)?;
        root.present()?;
    }
    let content = svg.split_once('>').map_or("", |(_, content)| content);
    let content = content.trim().trim_end_matches("</svg>").trim_end();
    // What is so without being said takes a sixth of the file.
    Ok(content.replace(" opacity=\"1\"", "").replace("\n</text>", "</text>"))
}

/// A group with a class, a title if it has one, more attributes, and its content.
pub fn group(class: &str, title: Option<&str>, attributes: &str, content: &str) -> String {
    let title = title.map(|title| format!("<title>{}</title>\n", escape(title))).unwrap_or_default();
    format!("<g class=\"{class}\"{attributes}>\n{title}{content}\n</g>\n")
}

/// Writes text from its upper left corner.
pub fn text(root: &Root, text: &str, at: (i32, i32), size: f64, colour: RGBColor) -> Result<(), Error> {
    anchored(root, text, at, size, colour, Pos::new(HPos::Left, VPos::Top))
}

/// Writes text at any of its corners or sides.
pub fn anchored(
    root: &Root,
    text: &str,
    at: (i32, i32),
    size: f64,
    colour: RGBColor,
    anchor: Pos,
) -> Result<(), Error> {
    // The backend takes 1.24 for the height of a line.
    let style = TextStyle::from(("sans-serif", size * 1.24)).color(&colour).pos(anchor);
    root.draw(&Text::new(text, at, style))
}

/// Draws the mark of a point: each hue has a shape of its own. A hollow one is white inside.
pub fn mark(root: &Root, (x, y): (i32, i32), hue: usize, hollow: bool) -> Result<(), Error> {
    let colour = colour(hue);
    let corners: &[(i32, i32)] = match hue % COLOURS.len() {
        0 => {
            let style = |colour: RGBColor| colour.filled().stroke_width(2);
            root.draw(&Circle::new((x, y), 4, style(if hollow { WHITE } else { colour })))?;
            return root.draw(&Circle::new((x, y), 4, colour.stroke_width(2)));
        }
        1 => &[(0, -5), (5, 4), (-5, 4)],
        2 => &[(-4, -4), (4, -4), (4, 4), (-4, 4)],
        3 => &[(0, -6), (5, 0), (0, 6), (-5, 0)],
        _ => &[(0, 5), (5, -4), (-5, -4)],
    };
    let corners: Vec<(i32, i32)> = corners.iter().map(|(dx, dy)| (x + dx, y + dy)).collect();
    root.draw(&Polygon::new(corners.clone(), if hollow { WHITE } else { colour }))?;
    let closed = corners.iter().chain(corners.first()).copied().collect::<Vec<_>>();
    root.draw(&PathElement::new(closed, colour.stroke_width(2)))
}
