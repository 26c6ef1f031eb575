//! The figures of simulations, as text and as JSON.

use serde_json::json;
use staging_sync_runtime::text::counted;
use staging_sync_workbench::simulate::scenario::{Shape, Simulated};

use super::Simulation;
use crate::table;

/// The columns of the ticks of one simulation.
const ONE: [&str; 10] = [
    "TICK",
    "TAKES",
    "CALLS",
    "THROTTLED",
    "DONE",
    "FAILED",
    "DEFERRED",
    "GB-SECONDS",
    "LAMBDA A MONTH",
    "FIRST LIMIT",
];

/// The columns of the ticks of several simulations.
const SEVERAL: [&str; 11] = [
    "ACCOUNTS",
    "MEMORY",
    "SEGMENTS",
    "TICK",
    "TAKES",
    "CALLS",
    "DONE",
    "FAILED",
    "DEFERRED",
    "$ A MONTH",
    "FIRST LIMIT",
];

/// One simulation as an object, several as a list.
pub fn json(simulations: &[Simulation]) {
    let figures: Vec<_> = simulations.iter().map(Simulation::figures).collect();
    println!("{}", table::json(&if let [one] = figures.as_slice() { json!(one) } else { json!(figures) }));
}

/// The ticks of all simulations in a table, below what they have in common.
pub fn text(simulations: &[Simulation]) {
    let Some(first) = simulations.first() else { return };
    let scenario = &first.scenario;
    let common = format!(
        "{}, {} ms a call, MAX_CONCURRENCY={}",
        counted(scenario.regions.into(), "region"),
        scenario.latency_ms,
        scenario.concurrency
    );
    let table = if simulations.len() == 1 {
        let accounts = counted(scenario.accounts as usize, "account");
        println!("{accounts} in {common}, {} MB, {}\n", first.shape.memory_mb, lambdas(first.shape.segments));
        let mut table = table::table(&ONE);
        table.add_rows(first.ticks.iter().map(|tick| one(tick, first.shape)));
        table
    } else {
        println!("{common}\n");
        let mut table = table::table(&SEVERAL);
        for simulation in simulations {
            table.add_rows(simulation.ticks.iter().map(|tick| several(tick, simulation)));
        }
        table
    };
    println!("{table}");
    if !simulations.iter().all(Simulation::gets_through) {
        println!(
            "\nA tick doesn't reach all accounts. To find the memory and the number of segments that do, use `--fit`."
        );
    }
}

/// How many Lambdas there are, in words.
pub fn lambdas(segments: u32) -> String {
    if segments > 1 { format!("{segments} segments") } else { "one Lambda".into() }
}

/// The name of a tick, without what it means.
pub fn short(name: &str) -> &str {
    name.split(',').next().unwrap_or(name)
}

fn one(tick: &Simulated, shape: Shape) -> [String; ONE.len()] {
    [
        tick.name.to_owned(),
        format!("{:.1} s", tick.took.as_secs_f64()),
        tick.calls().to_string(),
        tick.throttled().to_string(),
        tick.done.to_string(),
        (tick.failed + tick.unknown).to_string(),
        tick.deferred.to_string(),
        format!("{:.1}", tick.gb_seconds(shape)),
        match tick.gets_through() {
            true => format!("${:.2}", tick.dollars_a_month(shape)),
            false => "not all accounts".into(),
        },
        tick.limit.clone().unwrap_or_else(|| "none".into()),
    ]
}

fn several(tick: &Simulated, Simulation { scenario, shape, .. }: &Simulation) -> [String; SEVERAL.len()] {
    [
        scenario.accounts.to_string(),
        format!("{} MB", shape.memory_mb),
        shape.segments.to_string(),
        short(tick.name).to_owned(),
        format!("{:.1} s", tick.took.as_secs_f64()),
        tick.calls().to_string(),
        tick.done.to_string(),
        (tick.failed + tick.unknown).to_string(),
        tick.deferred.to_string(),
        if tick.gets_through() { format!("{:.2}", tick.dollars_a_month(*shape)) } else { "-".into() },
        tick.limit.as_deref().map_or("none", |limit| limit.split(" after ").next().unwrap_or(limit)).to_owned(),
    ]
}
