//! Charts, as the program writes them.

use std::fs;
use std::time::{Duration, Instant};

use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;

use crate::{ran, staging_sync};

/// How often each class is in an SVG, which has to be XML.
fn count(svg: &str, class: &str) -> usize {
    let (mut reader, mut count) = (Reader::from_str(svg), 0);
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("{error}: {svg}")) {
            Event::Start(tag) => {
                let found = tag.try_get_attribute("class").expect("attributes");
                count += usize::from(found.is_some_and(|found| found.value == class));
            }
            Event::Eof => return count,
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_simulation_is_drawn_the_same_each_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let draw = async |name: &str, more: &[&str]| {
        let file = folder.path().join(name);
        let sizes = ["--accounts", "100,10", "--segments", "1,4", "--regions", "2", "--plot"];
        let (code, stdout, stderr) = ran(staging_sync().args(["simulate"]).args(sizes).arg(&file).args(more)).await;
        assert_eq!(code, Some(0), "{stderr}");
        (fs::read_to_string(file).expect("a chart"), stdout, stderr)
    };
    let (svg, table, progress) = draw("one.svg", &[]).await;
    let (again, json, _) = draw("other.svg", &["--json"]).await;
    assert!(svg == again, "the same command, other bytes");
    assert!(svg.len() < 60_000, "{}", svg.len());
    assert_eq!((count(&svg, "panel"), count(&svg, "series"), count(&svg, "point stopped")), (4, 16, 0));
    for label in ["STS, 600/s", "DynamoDB, 4,000/s", "DRS, 10/s an account and region", "tick interval, 300 s"] {
        assert!(svg.contains(label), "{label}");
    }
    let sizes = |line: &str| line.split_whitespace().take(4).map(str::to_owned).collect::<Vec<_>>().join(" ");
    let rows: Vec<String> = table.lines().filter(|line| line.contains(" MB ")).map(sizes).collect();
    assert_eq!((rows.len(), rows[0].as_str(), rows[7].as_str()), (8, "10 512 MB 1", "100 512 MB 4"), "{table}");
    assert_eq!(progress.lines().count(), 4, "{progress}");

    let figures: Value = serde_json::from_str(&json).expect("JSON");
    let figures = figures.as_array().expect("a list");
    let sizes: Vec<_> = figures.iter().map(|one| (one["accounts"].as_u64(), one["segments"].as_u64())).collect();
    assert_eq!(
        sizes,
        [(10, 1), (10, 4), (100, 1), (100, 4)].map(|(accounts, segments)| (Some(accounts), Some(segments)))
    );
}

#[tokio::test]
async fn ticks_that_do_not_reach_all_accounts_are_marked() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("growth.svg");
    let slow = ["--timeout", "30", "--latency-ms", "1000", "--memory-mb", "128", "--segments", "1"];
    let (code, stdout, stderr) =
        ran(staging_sync().args(["simulate", "--accounts", "10,2000"]).args(slow).arg("--plot").arg(&file)).await;
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    let svg = fs::read_to_string(file).expect("a chart");
    // The first tick and the warm one in the panels of time and cost, and each service in that of calls.
    assert_eq!(count(&svg, "point stopped"), 2 + 2 + 3, "{svg}");
    assert!(svg.contains(">\ntimeout<"), "{svg}");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_known_before_anything_is_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("none/growth.svg");
    for command in ["simulate", "bench"] {
        let began = Instant::now();
        let (code, stdout, stderr) = ran(staging_sync().arg(command).arg("--plot").arg(&missing)).await;
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        assert!(stderr.contains("none/growth.svg: ") && stderr.contains("choose a file in a folder"), "{stderr}");
        assert!(began.elapsed() < Duration::from_secs(60), "{command}");
        let (code, _, stderr) = ran(staging_sync().args([command, "--plot", "growth.png"])).await;
        assert!(code == Some(2) && stderr.contains("ends in .svg"), "{stderr}");
    }
}

#[tokio::test]
async fn measured_ticks_are_drawn() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("growth.svg");
    let (code, _, stderr) = ran(staging_sync().args(["bench", "--short", "--plot"]).arg(&file)).await;
    assert_eq!(code, Some(0), "{stderr}");
    let svg = fs::read_to_string(file).expect("a chart");
    // With and without a journal, the first tick and the warm one, of two sizes: in each panel.
    assert_eq!((count(&svg, "panel"), count(&svg, "series"), count(&svg, "point")), (4, 16, 32));
    assert!(svg.contains("tick interval, 300 s") && svg.contains("0 ms a call, journal, warm tick"), "{svg}");
}
