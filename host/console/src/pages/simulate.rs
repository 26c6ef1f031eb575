//! What if: a fleet of another size, and what its ticks take and cost with each memory.

use maud::{Markup, html};

use super::chart::{Chart, Series};
use super::{layout, parts};
use crate::console::Console;
use crate::query::Query;
use crate::simulation::{Asked, Simulation};

/// The page; `simulation` is there if one was asked for.
pub fn simulate(
    console: &Console,
    asked: Result<Asked, String>,
    simulation: Option<Result<Simulation, String>>,
    query: &Query,
) -> Markup {
    let shown = asked.as_ref().ok().copied();
    let value = |name: &str, of: fn(Asked) -> u32, default: u32| match query.get(name) {
        Some(text) => text.to_owned(),
        None => shown.map_or(default, of).to_string(),
    };
    let fields = [
        (
            "accounts",
            "Target accounts",
            value("accounts", |asked| asked.accounts, 1_000),
            "accounts x regions: at most 10000",
        ),
        ("regions", "Regions of each account", value("regions", |asked| asked.regions.into(), 4), "1 to 34"),
        (
            "memoryMb",
            "Memory of the Lambda function, MB",
            value("memoryMb", |asked| asked.memory_mb, 512),
            "128 to 10240",
        ),
        ("segments", "Segments", value("segments", |asked| asked.segments, 1), "1 to 100"),
    ];
    let content = html! {
        p {
            "Runs a first tick, in which every account changes, and a warm one, in which none does, in simulated time: with the "
            "real scheduler and policy, 80 ms a call, and the quotas that AWS documents. " code { "staging-sync simulate" }
            " has more options."
        }
        form.filter method="get" action="/simulate" {
            @for (name, label, value, hint) in &fields {
                div {
                    label for=(name) { (label) }
                    input id=(name) name=(name) value=(value) inputmode="numeric" size="8" required aria-describedby={ (name) "-hint" };
                    span.hint id={ (name) "-hint" } { (hint) }
                }
            }
            button type="submit" { "Simulate" }
        }
        @if let Err(problem) = &asked { div.notice role="alert" { p { (parts::text(problem)) } } }
        @match simulation {
            Some(Ok(simulation)) => (result(&simulation)),
            Some(Err(problem)) => div.notice role="alert" { p { (parts::text(&problem)) } },
            None => {},
        }
    };
    layout::page(console, "Simulate", "/simulate", &content)
}

fn result(simulation: &Simulation) -> Markup {
    let label = |x: f64| format!("{x:.0} MB");
    let series =
        |place: usize, of: &dyn Fn(&staging_sync_workbench::simulate::scenario::TickFigures) -> Option<f64>| {
            let points = simulation
                .figures
                .iter()
                .filter_map(|figures| Some((f64::from(figures.memory_mb), of(figures.ticks.get(place)?)?)));
            let name = ["first tick", "warm tick"].get(place).copied().unwrap_or_default();
            Series { name: name.to_owned(), points: points.collect() }
        };
    let of_both = |of: &dyn Fn(&staging_sync_workbench::simulate::scenario::TickFigures) -> Option<f64>| {
        vec![series(0, of), series(1, of)]
    };
    html! {
        section aria-labelledby="result" {
            h2 id="result" { "What came out" }
            p { "Policy: " (parts::text(&simulation.policy)) "." }
            div.charts {
                (Chart { title: "Time of a tick by memory", unit: "seconds", label: &label, series: of_both(&|tick| Some(tick.seconds)) }.figure())
                (Chart { title: "Cost of Lambda by memory", unit: "dollars in 30 days, a tick every 5 minutes", label: &label,
                    series: of_both(&|tick| tick.lambda_dollars_a_month) }.figure())
            }
            (parts::table("Figures", &html! {
                thead { tr {
                    @for name in ["Memory", "Tick", "Takes", "Calls", "Throttled", "Done", "Failed", "Deferred", "GB-seconds", "Lambda a month", "First limit"] {
                        th scope="col" { (name) }
                    }
                } }
                tbody { @for figures in &simulation.figures { @for tick in &figures.ticks { tr {
                    th scope="row" { (figures.memory_mb) " MB" @if figures.memory_mb == simulation.asked.memory_mb { " (asked)" } }
                    td { (tick.tick) }
                    td.number { (format!("{:.1} s", tick.seconds)) }
                    td.number { (tick.calls.all().answered) }
                    td.number { (tick.calls.all().throttled) }
                    td.number { (tick.accounts_done) }
                    td.number { (tick.accounts_failed + tick.accounts_unknown) }
                    td.number { (tick.accounts_deferred) }
                    td.number { (format!("{:.1}", tick.lambda_gb_seconds)) }
                    td.number { @match tick.lambda_dollars_a_month { Some(dollars) => (format!("${dollars:.2}")), None => "not all accounts" } }
                    td { (tick.first_limit.as_deref().unwrap_or("none")) }
                } } } }
            }))
        }
    }
}
