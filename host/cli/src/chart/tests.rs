use std::fs;
use std::path::Path;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::axis::{Axis, grouped};
use super::*;

/// The elements of an SVG: each with its attributes, the elements around it and the text directly in it.
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    classes: Vec<String>,
    text: String,
}

impl Element {
    fn get(&self, name: &str) -> &str {
        self.attributes.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    fn is_in(&self, class: &str) -> bool {
        self.classes.iter().any(|known| known == class)
    }
}

fn elements(svg: &str) -> Vec<Element> {
    let (mut reader, mut elements, mut open) = (Reader::from_str(svg), Vec::<Element>::new(), Vec::<usize>::new());
    loop {
        let event = reader.read_event().unwrap_or_else(|error| panic!("{error}: {svg}"));
        match &event {
            Event::Start(tag) | Event::Empty(tag) => {
                let attributes = tag.attributes().map(|attribute| {
                    let attribute = attribute.expect("an attribute");
                    (attribute.key.as_ref().to_owned(), attribute.value.into_owned())
                });
                let attributes: Vec<(String, String)> = attributes.collect();
                let mut classes = open.last().map_or(Vec::new(), |place| elements[*place].classes.clone());
                classes.extend(attributes.iter().filter(|(name, _)| name == "class").map(|(_, value)| value.clone()));
                let name = tag.name().as_ref().to_owned();
                elements.push(Element { name, attributes, classes, text: String::new() });
                if matches!(event, Event::Start(_)) {
                    open.push(elements.len() - 1);
                }
            }
            Event::End(_) => drop(open.pop().expect("an element")),
            Event::Text(text) => {
                if let Some(place) = open.last() {
                    elements[*place].text += text.trim();
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert!(open.is_empty(), "{svg}");
    elements
}

fn texts<'a>(elements: &'a [Element], name: &str, class: &str) -> Vec<&'a str> {
    let found = elements.iter().filter(|element| element.name == name && element.is_in(class));
    found.map(|element| element.text.as_str()).collect()
}

fn series(name: &str, stroke: Stroke, points: &[(u32, f64)]) -> Series {
    let points = points.iter().map(|(accounts, value)| Point { accounts: *accounts, value: *value, stopped: None });
    Series { name: name.into(), hue: 0, stroke, points: points.collect() }
}

fn picture() -> Picture {
    let mut one = series("one Lambda", Stroke::Dashed, &[(10, 0.5), (1_000, 12.0), (100_000, 270.0)]);
    one.points[2].stopped = Some("timeout".into());
    let panel = Panel {
        title: "Time <of> a \"tick\" & more".into(),
        unit: Unit::Seconds,
        series: vec![one, series("16 segments", Stroke::Solid, &[(10, 0.4), (1_000, 1.0), (100_000, 190.0)])],
        limits: vec![
            Limit::tick_interval(),
            Limit::per_account("STS, 600/s", 1.0 / 600.0),
            Limit::per_account("steep", 1.0),
            Limit::per_account("out of sight", 1e9),
        ],
    };
    let other = Panel { title: "Empty".into(), unit: Unit::Dollars, series: Vec::new(), limits: Vec::new() };
    Picture { title: "Ticks & <tables>".into(), settings: "4 regions".into(), panels: vec![panel, other] }
}

fn path(element: &Element) -> Vec<(i32, i32)> {
    let number = |text: &str| text.parse().expect("a number");
    let points = element.get("points").split_whitespace().map(|point| point.split_once(',').expect("a point"));
    points.map(|(x, y)| (number(x), number(y))).collect()
}

#[test]
fn a_picture_has_all_lines_limits_and_labels_and_says_what_it_is() {
    let svg = picture().svg().expect("a picture");
    let elements = elements(&svg);
    let root = &elements[0];
    assert_eq!((root.name.as_str(), root.get("role"), root.get("aria-labelledby")), ("svg", "img", "title desc"));
    assert_eq!((elements[1].name.as_str(), elements[2].name.as_str()), ("title", "desc"));
    assert!(svg.contains("one Lambda: 0.5 s at 10, 270 s at 100,000 (timeout)"), "{svg}");
    assert_eq!((elements[3].name.as_str(), elements[3].get("fill")), ("rect", "#FFFFFF"));

    let count = |class: &str| elements.iter().filter(|element| element.get("class") == class).count();
    assert_eq!((count("panel"), count("series"), count("limit")), (2, 2, 3));
    assert_eq!((count("point"), count("point stopped"), count("swatch")), (5, 1, 2));
    let labels = texts(&elements, "text", "label");
    assert_eq!(labels.len(), 4, "{labels:?}");
    for label in ["tick interval, 300 s", "STS, 600/s", "steep", "timeout"] {
        assert!(labels.contains(&label), "{label} in {labels:?}");
    }
    let axes = texts(&elements, "text", "axes");
    for label in ["10", "100,000", "0.1 s", "1,000 s", "target accounts", "$1", "$10"] {
        assert!(axes.contains(&label), "{label} in {axes:?}");
    }
    assert_eq!(texts(&elements, "text", "legend"), ["one Lambda", "16 segments"]);
    assert!(texts(&elements, "title", "point").contains(&"16 segments, 1,000 accounts: 1 s"));
    let fonts: Vec<&str> =
        elements.iter().filter(|element| element.name == "text").map(|text| text.get("font-family")).collect();
    assert!(!fonts.is_empty() && fonts.iter().all(|font| *font == "sans-serif"), "{fonts:?}");
}

#[test]
fn what_grows_goes_to_the_right_and_up_and_stays_between_the_axes() {
    let svg = picture().svg().expect("a picture");
    let elements = elements(&svg);
    let lines = |class: &str| {
        let lines = elements.iter().filter(|element| element.name == "polyline" && element.is_in(class));
        lines.map(path).collect::<Vec<_>>()
    };
    let series = lines("line");
    assert_eq!(series.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3]);
    for line in &series {
        assert!(line.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 > pair[1].1), "{line:?}");
    }
    // Two decades are twice as wide as one: the axis is logarithmic.
    assert_eq!(series[0][1].0 - series[0][0].0, series[0][2].0 - series[0][1].0);
    let [interval, sts, steep] = lines("limit").try_into().expect("three");
    assert_eq!(interval[0].1, interval[1].1);
    assert!(sts[0].1 > sts[1].1 && sts[0].0 > interval[0].0, "cut below: {sts:?}");
    assert!(steep[1].0 < interval[1].0, "cut above: {steep:?}");
    let (left, right) = (interval[0].0, interval[1].0);
    assert!(series.concat().iter().chain(&sts).chain(&steep).all(|(x, _)| (left..=right).contains(x)));
}

#[test]
fn the_same_picture_has_the_same_bytes() {
    assert_eq!(picture().svg().expect("a picture"), picture().svg().expect("a picture"));
}

#[test]
fn values_without_a_logarithm_are_left_out() {
    let mut picture = picture();
    let odd = [(10, 0.0), (100, f64::NAN), (1_000, f64::INFINITY), (10_000, -1.0)];
    picture.panels[1].series = vec![series("odd", Stroke::Solid, &odd), series("none", Stroke::Dotted, &[])];
    let svg = picture.svg().expect("a picture");
    assert_eq!(elements(&svg).iter().filter(|element| element.get("class") == "line").count(), 2);
}

#[test]
fn axes_go_from_a_power_of_ten_to_a_greater_one() {
    for (values, ends) in [
        (vec![10.0, 1e6], (10.0, 1e6)),
        (vec![1_000.0], (1_000.0, 10_000.0)),
        (vec![0.02, 270.0], (0.01, 1_000.0)),
        (vec![0.0, f64::NAN], (1.0, 10.0)),
        (vec![], (1.0, 10.0)),
    ] {
        let (low, high) = Axis::of(values.iter().copied()).ends();
        assert!((low / ends.0 - 1.0).abs() < 1e-9 && (high / ends.1 - 1.0).abs() < 1e-9, "{values:?}: {low} {high}");
    }
    assert_eq!([0.0, 999.0, 1_000.0, 1_234_567.0].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    let exact = [0.012_34, 1.5, 31.44, 270.0, 1_284.2].map(|value| Unit::Seconds.exact(value));
    assert_eq!(exact, ["0.0123 s", "1.5 s", "31.4 s", "270 s", "1,284 s"]);
    assert_eq!((Unit::Dollars.tick(0.01), Unit::Megabytes.tick(1_000.0)), ("$0.01".into(), "1,000 MB".into()));
}

#[test]
fn labels_are_moved_apart() {
    assert_eq!(labels::spread(&[50, 10, 52], 14, 0, 100), [50, 10, 64]);
    assert_eq!(labels::spread(&[95, 99, 100], 14, 0, 100), [72, 86, 100]);
    let mut labels = labels::Labels::default();
    let first = labels.place("timeout", 11.0, (100, 100), (0, 0, 300, 200)).expect("a place");
    assert_eq!(labels.place("timeout", 11.0, (102, 101), (0, 0, 300, 200)), None, "it's there already");
    let other = labels.place("throttled", 11.0, (102, 101), (0, 0, 300, 200)).expect("a place");
    assert!((first.1 - other.1).abs() >= 13 || (first.0 - other.0).abs() >= 40, "{first:?} {other:?}");
}

#[test]
fn a_file_is_checked_first_and_keeps_its_content_until_it_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("none/growth.svg");
    let error = Destination::open(&missing).expect_err("no folder").0;
    assert!(error.starts_with(&missing.display().to_string()) && error.contains("choose a file"), "{error}");
    assert!(Destination::open(folder.path()).is_err());

    let file = folder.path().join("growth.svg");
    drop(Destination::open(&file).expect("a file"));
    assert!(!file.exists(), "nothing is left of a run that failed");
    fs::write(&file, "a longer text from before").expect("a file");
    let destination = Destination::open(&file).expect("a file");
    assert_eq!(fs::read_to_string(&file).expect("text"), "a longer text from before");
    destination.write("<svg/>").expect("written");
    assert_eq!(fs::read_to_string(&file).expect("text"), "<svg/>");

    assert_eq!(file_name("a/growth.SVG").expect("a name"), Path::new("a/growth.SVG"));
    assert!(file_name("growth.png").expect_err("no SVG").contains("ends in .svg"));
}
