//! The chart of `bench --plot`: time, calls, memory and the summary's size by number of accounts, as measured.

use staging_sync_runtime::text::counted;

use super::ticks::Measured;
use crate::chart::{Limit, Panel, Picture, Point, Series, Stroke, Unit};

/// The memory of the stack's function by default, in MB.
const MEMORY_MB: u32 = 512;
/// The largest answer of a Lambda function, in KB.
const ANSWER_KB: f64 = 6_291.456;

/// A chart of measured ticks, and of the machine that they were measured on.
pub fn picture(machine: &str, measured: &[Measured]) -> Picture {
    let settings = measured.first().map_or(String::new(), |first| {
        format!(", {}, MAX_CONCURRENCY={}", counted(first.regions.into(), "region"), first.max_concurrency)
    });
    Picture {
        title: "Measured ticks, by number of target accounts".into(),
        settings: format!("{machine}{settings}"),
        panels: panels(measured),
    }
}

fn panels(measurements: &[Measured]) -> Vec<Panel> {
    let panel = |title: &str, unit, value: fn(&Measured) -> f64, limits| Panel {
        title: title.into(),
        unit,
        series: series(measurements, value),
        limits,
    };
    let mut time =
        panel("Time of a tick, in seconds", Unit::Seconds, |tick| tick.seconds, vec![Limit::tick_interval()]);
    time.series.extend(floors(measurements));
    let memory = vec![Limit::constant(format!("default, {MEMORY_MB} MB"), MEMORY_MB.into())];
    let answer = vec![Limit::constant("answer, 6 MB", ANSWER_KB)];
    vec![
        time,
        panel("Calls of a tick", Unit::Count, |tick| tick.all_calls() as f64, Vec::new()),
        panel("Peak memory, in MB", Unit::Megabytes, |tick| tick.peak_memory_bytes as f64 / 1_048_576.0, memory),
        panel("Size of the summary, in KB", Unit::Kilobytes, |tick| tick.summary_bytes as f64 / 1e3, answer),
    ]
}

/// The latencies, without and with a journal, each with its measurements.
fn settings(measurements: &[Measured]) -> Vec<(String, Vec<&Measured>)> {
    let mut settings: Vec<(u64, bool)> = measurements.iter().map(|tick| (tick.latency_ms, tick.journal)).collect();
    settings.sort_unstable();
    settings.dedup();
    let of = |(latency_ms, journal): (u64, bool)| {
        let mut of: Vec<&Measured> =
            measurements.iter().filter(|tick| (tick.latency_ms, tick.journal) == (latency_ms, journal)).collect();
        of.sort_by_key(|tick| tick.accounts);
        let journal = if journal { ", journal" } else { "" };
        (format!("{latency_ms} ms a call{journal}"), of)
    };
    settings.into_iter().map(of).collect()
}

/// A line for each setting and tick.
fn series(measurements: &[Measured], value: impl Fn(&Measured) -> f64) -> Vec<Series> {
    let mut series = Vec::new();
    for (hue, (name, of)) in settings(measurements).into_iter().enumerate() {
        for (tick, stroke) in [("first", Stroke::Dashed), ("warm", Stroke::Solid)] {
            let points = points(of.iter().copied().filter(|measured| measured.tick == tick), &value);
            series.push(Series { name: format!("{name}, {tick} tick"), hue, stroke, points });
        }
    }
    series
}

/// The least times that the calls of ticks can take, where calls take time.
fn floors(measurements: &[Measured]) -> Vec<Series> {
    let mut series = Vec::new();
    for (hue, (name, of)) in settings(measurements).into_iter().enumerate() {
        for tick in ["first", "warm"] {
            let of = of.iter().copied().filter(|measured| measured.tick == tick && measured.floor_seconds > 0.0);
            let points = points(of, |measured| measured.floor_seconds);
            if !points.is_empty() {
                series.push(Series { name: format!("{name}, {tick}: floor"), hue, stroke: Stroke::Dotted, points });
            }
        }
    }
    series
}

fn points<'a>(measurements: impl Iterator<Item = &'a Measured>, value: impl Fn(&Measured) -> f64) -> Vec<Point> {
    measurements.map(|tick| Point { accounts: tick.accounts, value: value(tick), stopped: None }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(accounts: u32, latency_ms: u64, tick: &'static str) -> Measured {
        let calls = accounts as usize * 4 + 1;
        let floor_seconds = calls as f64 * latency_ms as f64 / 128e3;
        Measured {
            accounts,
            latency_ms,
            tick,
            seconds: floor_seconds + 0.1,
            floor_seconds,
            calls: [("ListStagingAccounts".to_owned(), calls)].into(),
            peak_memory_bytes: 50 << 20,
            summary_bytes: 1_300,
            ..Measured::default()
        }
    }

    #[test]
    fn each_latency_and_tick_is_a_line_and_has_its_floor() {
        let measured: Vec<Measured> = [(1_000, 80), (10, 80), (10, 0), (1_000, 0)]
            .into_iter()
            .flat_map(|(accounts, latency)| ["first", "warm"].map(|tick| measurement(accounts, latency, tick)))
            .collect();
        let panels = panels(&measured);
        let names: Vec<&str> = panels.iter().map(|panel| panel.title.as_str()).collect();
        assert_eq!(
            names,
            ["Time of a tick, in seconds", "Calls of a tick", "Peak memory, in MB", "Size of the summary, in KB"]
        );
        let lines: Vec<&str> = panels[0].series.iter().map(|series| series.name.as_str()).collect();
        assert_eq!(
            lines,
            [
                "0 ms a call, first tick",
                "0 ms a call, warm tick",
                "80 ms a call, first tick",
                "80 ms a call, warm tick",
                "80 ms a call, first: floor",
                "80 ms a call, warm: floor"
            ]
        );
        let accounts: Vec<u32> = panels[0].series[2].points.iter().map(|point| point.accounts).collect();
        assert_eq!(accounts, [10, 1_000]);
        for (line, floor) in panels[0].series[2].points.iter().zip(&panels[0].series[4].points) {
            assert!(line.value > floor.value, "{line:?} {floor:?}");
        }
        assert_eq!(panels[1].series[1].points[1].value, 4_001.0);
        assert_eq!(panels[2].series[0].points[0].value, 50.0);
    }

    #[test]
    fn a_run_without_ticks_has_an_empty_chart() {
        assert!(picture("a machine", &[]).svg().expect("a chart").contains("</svg>"));
    }
}
