//! The chart of `simulate --plot`: time, calls, cost and memory by number of accounts, with the quotas.

use staging_sync_runtime::text::counted;
use staging_sync_workbench::simulate::quota::Rates;
use staging_sync_workbench::simulate::scenario::{Figures, Scenario, TickFigures, dollars_a_month};

use super::print::{lambdas, short};
use crate::chart::{Limit, Panel, Picture, Point, Series, Stroke, TICK_INTERVAL_SECONDS, Unit};

/// The memory of a host with `MAX_CONCURRENCY=128` that has all calls in use, in bytes. From `staging-sync bench`: its PEAK
/// MEMORY at 1,000 accounts, release build. With fewer accounts than calls it takes less.
const BASE_BYTES: f64 = 70.0 * MEGABYTE;
/// How much more memory each account takes, in bytes. From `staging-sync bench`: how its PEAK MEMORY grows from there.
const BYTES_PER_ACCOUNT: f64 = 2.5 * 1_024.0;
/// The bytes of what AWS calls a MB.
const MEGABYTE: f64 = 1_048_576.0;
/// The longest timeout that Lambda allows, in seconds.
const LONGEST_TIMEOUT_SECONDS: u32 = 900;

/// A chart of simulations that differ in the numbers of accounts and segments alone.
pub fn picture(scenario: &Scenario, figures: &[Figures]) -> Picture {
    let memory_mb = figures.first().map_or(0, |figures| figures.memory_mb);
    let accounts = figures.iter().map(|figures| figures.accounts);
    let (least, most) = (accounts.clone().min().unwrap_or_default(), accounts.max().unwrap_or_default());
    let range = if least == most { Unit::Count.exact(most.into()) } else { range(least, most) };
    Picture {
        title: format!("Simulated ticks of {range} target accounts"),
        settings: format!(
            "{}, {} ms a call, MAX_CONCURRENCY={}, {memory_mb} MB, timeout {} s. Hollow points: not all accounts are reached.",
            counted(scenario.regions.into(), "region"),
            scenario.latency_ms,
            scenario.concurrency,
            scenario.timeout
        ),
        panels: vec![time(scenario, figures), calls(scenario, figures), cost(figures), memory(memory_mb, figures)],
    }
}

fn range(least: u32, most: u32) -> String {
    format!("{} to {}", Unit::Count.exact(least.into()), Unit::Count.exact(most.into()))
}

/// The numbers of segments, each with its simulations.
fn shapes(figures: &[Figures]) -> Vec<(u32, Vec<&Figures>)> {
    let mut segments: Vec<u32> = figures.iter().map(|figures| figures.segments).collect();
    segments.sort_unstable();
    segments.dedup();
    let of = |number: u32| figures.iter().filter(move |figures| figures.segments == number).collect();
    segments.into_iter().map(|number| (number, of(number))).collect()
}

/// A line for each number of segments and tick.
fn series(figures: &[Figures], value: impl Fn(&TickFigures, &Figures) -> f64) -> Vec<Series> {
    let mut series = Vec::new();
    for (hue, (segments, figures)) in shapes(figures).into_iter().enumerate() {
        for (tick, stroke) in [Stroke::Dashed, Stroke::Solid].into_iter().enumerate() {
            let ticks = figures.iter().filter_map(|figures| Some((*figures, figures.ticks.get(tick)?)));
            let points: Vec<Point> =
                ticks.clone().map(|(figures, tick)| point(figures, tick, value(tick, figures))).collect();
            let name = ticks.map(|(_, tick)| short(tick.tick)).next();
            let Some(name) = name else { continue };
            series.push(Series { name: format!("{}, {name} tick", lambdas(segments)), hue, stroke, points });
        }
    }
    series
}

fn point(figures: &Figures, tick: &TickFigures, value: f64) -> Point {
    let missed = tick.accounts_failed + tick.accounts_deferred + tick.accounts_unknown > 0;
    let why = tick.first_limit.as_deref().map_or("not all accounts", |limit| {
        limit.split(" after ").next().unwrap_or(limit).trim_start_matches("the Lambda's ")
    });
    let why = why.replace("sts", "STS").replace("dynamodb", "DynamoDB").replace("drs", "DRS");
    Point { accounts: figures.accounts, value, stopped: missed.then_some(why) }
}

fn time(scenario: &Scenario, figures: &[Figures]) -> Panel {
    let rates = Rates::with(&scenario.throttle);
    let mut limits = vec![Limit::tick_interval()];
    if scenario.timeout < LONGEST_TIMEOUT_SECONDS {
        limits.push(Limit::constant(format!("timeout, {} s", scenario.timeout), scenario.timeout.into()));
    }
    let longest = f64::from(LONGEST_TIMEOUT_SECONDS);
    limits.push(Limit::constant(format!("longest timeout, {longest} s"), longest));
    // A first tick assumes the role of each account, and writes its item.
    limits.push(Limit::per_account(sts(&rates), 1.0 / rates.sts));
    limits.push(Limit::per_account(dynamodb(&rates), write_units(scenario) / rates.dynamodb));
    Panel {
        title: "Time of a tick, and the least that quotas allow a first tick".into(),
        unit: Unit::Seconds,
        series: series(figures, |tick, _| tick.seconds),
        limits,
    }
}

/// Capacity units of a write: one for each KB of the item.
fn write_units(scenario: &Scenario) -> f64 {
    (f64::from(scenario.item_bytes) / 1_024.0).ceil()
}

fn sts(rates: &Rates) -> String {
    format!("STS, {}/s", Unit::Count.exact(rates.sts))
}

fn dynamodb(rates: &Rates) -> String {
    format!("DynamoDB, {}/s", Unit::Count.exact(rates.dynamodb))
}

/// The calls of a service in a tick.
type CallsOf = fn(&TickFigures) -> u64;

fn calls(scenario: &Scenario, figures: &[Figures]) -> Panel {
    let rates = Rates::with(&scenario.throttle);
    let services: [(&str, CallsOf); 3] = [
        ("DRS", |tick| tick.calls.drs.answered),
        ("STS", |tick| tick.calls.sts.answered),
        ("DynamoDB", |tick| tick.calls.dynamodb.answered),
    ];
    let mut series = Vec::new();
    for (hue, (service, calls)) in (2..).zip(services) {
        for (number, (segments, figures)) in shapes(figures).into_iter().enumerate() {
            let firsts = figures.iter().filter_map(|figures| Some((*figures, figures.ticks.first()?)));
            series.push(Series {
                name: format!("{service}, {}", lambdas(segments)),
                hue,
                stroke: if number == 0 { Stroke::Solid } else { Stroke::Dashed },
                points: firsts.map(|(figures, tick)| point(figures, tick, calls(tick) as f64)).collect(),
            });
        }
    }
    // Whichever quota of DRS is reached first.
    let regions = rates.drs * f64::from(scenario.regions);
    let (drs, of) = match rates.drs_account.filter(|all| *all < regions) {
        Some(all) => (all, format!("{}/s an account", Unit::Count.exact(all))),
        None => (regions, format!("{}/s an account and region", Unit::Count.exact(rates.drs))),
    };
    Panel {
        title: "Calls of a first tick, and the most that quotas allow in 5 minutes".into(),
        unit: Unit::Count,
        series,
        limits: vec![
            Limit::constant(sts(&rates), rates.sts * TICK_INTERVAL_SECONDS),
            Limit::constant(dynamodb(&rates), rates.dynamodb * TICK_INTERVAL_SECONDS / write_units(scenario)),
            Limit::per_account(format!("DRS, {of}"), drs * TICK_INTERVAL_SECONDS),
        ],
    }
}

fn cost(figures: &[Figures]) -> Panel {
    Panel {
        title: "Cost of Lambda in 30 days of such ticks, in US dollars".into(),
        unit: Unit::Dollars,
        series: series(figures, |tick, figures| dollars_a_month(tick.lambda_gb_seconds, figures.segments)),
        limits: Vec::new(),
    }
}

/// The memory of a Lambda isn't simulated: it's computed from what was measured.
fn memory(memory_mb: u32, figures: &[Figures]) -> Panel {
    let lines = shapes(figures).into_iter().enumerate().map(|(hue, (segments, figures))| {
        let points = figures.iter().map(|figures| {
            let accounts = f64::from(figures.accounts.div_ceil(segments));
            let value = (BASE_BYTES + accounts * BYTES_PER_ACCOUNT) / MEGABYTE;
            let stopped = (value > f64::from(memory_mb)).then(|| "out of memory".to_owned());
            Point { accounts: figures.accounts, value, stopped }
        });
        Series { name: lambdas(segments), hue, stroke: Stroke::Solid, points: points.collect() }
    });
    Panel {
        title: "Memory of a Lambda, in MB, computed from measured ticks".into(),
        unit: Unit::Megabytes,
        series: lines.collect(),
        limits: vec![Limit::constant(format!("memory, {memory_mb} MB"), memory_mb.into())],
    }
}

#[cfg(test)]
mod tests {
    use staging_sync_workbench::simulate::scenario::{CallFigures, ServiceCalls};

    use super::*;
    use crate::chart::Bound;

    fn scenario() -> Scenario {
        Scenario {
            accounts: 100,
            regions: 4,
            latency_ms: 80,
            throttle: vec!["sts=300".parse().expect("a rate")],
            concurrency: 128,
            timeout: 270,
            item_bytes: 1_500,
        }
    }

    fn figures(accounts: u32, segments: u32, limit: Option<&str>) -> Figures {
        let calls = |answered| CallFigures { answered, throttled: 0 };
        let tick = |tick, calls_of_roles| TickFigures {
            tick,
            seconds: f64::from(accounts) / 80.0,
            calls: ServiceCalls { dynamodb: calls(1), drs: calls(u64::from(accounts) * 4), sts: calls(calls_of_roles) },
            accounts_done: accounts.into(),
            accounts_failed: 0,
            accounts_deferred: u64::from(limit.is_some()),
            accounts_unknown: 0,
            lambda_gb_seconds: 2.0,
            lambda_dollars_a_month: None,
            first_limit: limit.map(str::to_owned),
        };
        let ticks = vec![tick("first, all change", u64::from(accounts)), tick("warm, nothing changes", 0)];
        Figures { accounts, regions: 4, latency_ms: 80, max_concurrency: 128, memory_mb: 512, segments, ticks }
    }

    #[test]
    fn each_number_of_segments_and_tick_is_a_line_and_the_quotas_are_limits() {
        let all = [
            figures(100, 1, None),
            figures(100, 16, None),
            figures(1_000_000, 1, Some("the Lambda's timeout")),
            figures(1_000_000, 16, Some("sts throttles after 0.1 s")),
        ];
        let picture = picture(&scenario(), &all);
        assert_eq!(picture.title, "Simulated ticks of 100 to 1,000,000 target accounts");
        let [time, calls, cost, memory] = picture.panels.as_slice() else { panic!("{picture:?}") };
        let names = |panel: &Panel| panel.series.iter().map(|series| series.name.clone()).collect::<Vec<_>>();
        let ticks =
            ["one Lambda, first tick", "one Lambda, warm tick", "16 segments, first tick", "16 segments, warm tick"];
        assert_eq!((names(time), names(cost)), (ticks.map(String::from).to_vec(), ticks.map(String::from).to_vec()));
        assert_eq!((calls.series.len(), names(memory).len()), (6, 2));
        let stopped = |place: usize| time.series[place].points.iter().map(|point| point.stopped.as_deref());
        assert_eq!(stopped(0).collect::<Vec<_>>(), [None, Some("timeout")]);
        assert_eq!(stopped(2).collect::<Vec<_>>(), [None, Some("STS throttles")]);

        assert_eq!(
            time.limits,
            [
                Limit::constant("tick interval, 300 s", 300.0),
                Limit::constant("timeout, 270 s", 270.0),
                Limit::constant("longest timeout, 900 s", 900.0),
                Limit::per_account("STS, 300/s", 1.0 / 300.0),
                Limit::per_account("DynamoDB, 4,000/s", 2.0 / 4_000.0),
            ]
        );
        assert_eq!(
            calls.limits,
            [
                Limit::constant("STS, 300/s", 90_000.0),
                Limit::constant("DynamoDB, 4,000/s", 600_000.0),
                Limit::per_account("DRS, 10/s an account and region", 12_000.0),
            ]
        );
        assert_eq!(memory.limits[0].bound, Bound::Constant(512.0));
        let memory: Vec<_> = memory.series.iter().map(|series| series.points[1].stopped.is_some()).collect();
        assert_eq!(memory, [true, false]);
    }

    #[test]
    fn the_quota_of_an_account_in_all_regions_counts_where_it_is_less() {
        let mut scenario = scenario();
        scenario.throttle = vec!["drs-account=20".parse().expect("a rate")];
        let limits = calls(&scenario, &[figures(10, 1, None)]).limits;
        assert_eq!(limits[2], Limit::per_account("DRS, 20/s an account", 6_000.0));
    }
}
