//! `staging-sync bench`: the time of ticks and cold starts, against a lab with the latency of AWS.
//!
//! A time says little without its floor: the tick's AWS calls, each of which takes `latency`, in rounds of
//! `MAX_CONCURRENCY`. What is above it is the host's own doing. Calls are counted as well, and must be as many as a
//! tick needs: that holds on any machine, however slow.

mod child;
mod cost;
mod fleet;
mod floor;
mod host;
mod layers;
mod pages;
mod plot;
mod process;
mod runtime_api;
mod start;
mod ticks;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::chart::{self, Destination};
use crate::{CommandError, Exit, policy_arg, table};
use cost::Cost;
use host::Programs;
use pages::Page;
use start::Started;
use ticks::{Measured, Size};

/// The number of accounts that the console's pages are measured with.
const PAGES_OF: u32 = 10_000;

/// The number of accounts whose calls are measured for their cost.
const COST_OF: u32 = 1_000;

#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    policy: policy_arg::Choice,
    /// The number of target accounts, 1 to 100000. Each number of a comma-separated list is measured separately.
    #[arg(long, value_name = "COUNT", value_delimiter = ',', default_values_t = [10, 100, 1_000, 10_000],
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    accounts: Vec<u32>,
    /// The number of regions in which each account is asked, 1 to 34.
    #[arg(long, value_name = "COUNT", default_value_t = 4,
        value_parser = clap::value_parser!(u8).range(1..=i64::from(fleet::REGIONS)))]
    regions: u8,
    /// The time of an AWS call, in ms. Each number of a comma-separated list is measured separately.
    #[arg(long, value_name = "MS", value_delimiter = ',', default_values_t = [0, 80])]
    latency_ms: Vec<u64>,
    /// `MAX_CONCURRENCY`, 1 to 4096.
    #[arg(long, value_name = "COUNT", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=4096))]
    concurrency: u32,
    /// Measure with a journal as well.
    #[arg(long)]
    journal: bool,
    /// Measure ticks over TLS; what a call costs is measured with and without it in any case.
    #[arg(long)]
    tls: bool,
    /// Let the host use only this number of processors (the lab shares them), 1 to 64. Default: all.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=64))]
    cores: Option<u8>,
    /// Measure the ticks of another build of this program, so that two builds can be compared by the same means.
    #[arg(long, value_name = "PROGRAM")]
    host: Option<PathBuf>,
    /// Leave out everything but ticks: what a call costs, cold starts, and the console's pages.
    #[arg(long)]
    only_ticks: bool,
    /// The number of cold starts of the Lambda function's program to measure, each with and without a precompiled policy.
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    starts: u32,
    /// The Lambda function's program. Default: `bootstrap` beside this program.
    #[arg(long, value_name = "FILE")]
    bootstrap: Option<PathBuf>,
    /// Measure only two small sizes and one start, in seconds instead of minutes, to check the number of calls and of allocations.
    #[arg(long, conflicts_with_all = ["accounts", "latency_ms", "starts"])]
    short: bool,
    /// Write all figures to a file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw time, calls and memory of the ticks by number of accounts into an SVG file.
    #[arg(long, value_name = "FILE.svg", value_parser = chart::file_name)]
    plot: Option<PathBuf>,
    /// Runs the ticks of one size for another `bench`, so that their memory is a host's alone.
    #[arg(long, hide = true)]
    child: bool,
    /// Makes the calls of one size for another `bench`, at the least cost.
    #[arg(long, hide = true)]
    floor: bool,
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    if arguments.child {
        return child::run().await;
    }
    if arguments.floor {
        let accounts = arguments.accounts.first().copied().unwrap_or_default();
        return floor::run(accounts, arguments.concurrency as usize).await;
    }
    let (accounts, latencies, starts) = match arguments.short {
        true => (vec![3, 40], vec![0], 1),
        false => (arguments.accounts.clone(), arguments.latency_ms.clone(), arguments.starts),
    };
    let plot = arguments.plot.as_deref().map(Destination::open).transpose()?; // before minutes of measuring
    arguments.policy.load().await?; // now it's compiled and kept: no host's memory has a compiler's in it
    let policy = absolute(&arguments.policy.path())?;
    let host = match &arguments.host {
        Some(host) => absolute(host)?,
        None => std::env::current_exe().map_err(|error| CommandError(format!("bench: {error}")))?,
    };
    let programs = Programs { host, policy };
    let machine = process::machine();
    println!("{machine}\n");

    let mut measured = Vec::new();
    for latency_ms in latencies {
        for accounts in &accounts {
            for journal in if arguments.journal || arguments.short { &[false, true][..] } else { &[false] } {
                let (regions, concurrency, journal) = (arguments.regions, arguments.concurrency, *journal);
                let (tls, cores) = (arguments.tls, arguments.cores);
                let size = Size { accounts: *accounts, regions, latency_ms, concurrency, journal, tls, cores };
                say!(
                    "{accounts} accounts, {latency_ms} ms a call{} ...",
                    if journal { ", with a journal" } else { "" }
                );
                measured.extend(ticks::measure(&size, &programs).await?);
            }
        }
    }
    print_ticks(arguments.regions, arguments.concurrency, &measured);
    if let Some(plot) = plot {
        plot.write(&plot::picture(&machine, &measured).svg()?)?;
    }

    let mut figures = json!({"machine": machine, "ticks": measured});
    let mut wrong: Vec<String> = measured.iter().filter_map(Measured::miscounted).collect();
    if !arguments.only_ticks {
        wrong.extend(measure_the_rest(&arguments, &programs, starts, &mut figures).await?);
    }
    if let Some(file) = &arguments.json {
        std::fs::write(file, table::json(&figures) + "\n")
            .map_err(|error| CommandError(format!("{}: {error}", file.display())))?;
    }
    for what in &wrong {
        say!("{what}");
    }
    Ok(if wrong.is_empty() { Exit::Success } else { Exit::Failed })
}

/// Measures what isn't a matter of a tick's size, and says what exceeds its budget.
async fn measure_the_rest(
    arguments: &Arguments,
    programs: &Programs,
    starts: u32,
    figures: &mut serde_json::Value,
) -> Result<Vec<String>, CommandError> {
    let short = arguments.short;
    say!("what a call costs ...");
    let accounts = if short { 40 } else { COST_OF };
    let costs = cost::measure(accounts, arguments.regions, arguments.concurrency, programs).await?;
    cost::print(&costs);
    if !short {
        say!("whose instructions they are ...");
        let layers = layers::measure(programs).await?;
        layers::print(&layers);
        figures["layers"] = json!(layers);
    }
    if let Some(bootstrap) = bootstrap(arguments.bootstrap.clone()).filter(|_| starts > 0) {
        say!("starts of {} ...", bootstrap.display());
        let started = start::measure(&absolute(&bootstrap)?, &programs.policy, starts).await?;
        print_starts(&bootstrap, starts, &started);
        figures["starts"] = json!(started);
    }
    say!("pages of the console ...");
    let pages = pages::measure(if short { 40 } else { PAGES_OF }, &programs.policy).await?;
    print_pages(&pages);
    (figures["costs"], figures["pages"]) = (json!(costs), json!(pages));
    Ok(costs.iter().filter_map(Cost::exceeds).filter(|_| short).collect())
}

/// The Lambda's program: the one that was named, or the one beside this program.
fn bootstrap(named: Option<PathBuf>) -> Option<PathBuf> {
    if named.is_some() {
        return named;
    }
    let beside = std::env::current_exe().ok()?.with_file_name("bootstrap");
    if beside.exists() {
        return Some(beside);
    }
    say!("no cold starts are measured: there's no `bootstrap` beside this program; name one with --bootstrap");
    None
}

/// Children run elsewhere.
fn absolute(path: &Path) -> Result<PathBuf, CommandError> {
    path.canonicalize().map_err(|error| CommandError(format!("{}: {error}", path.display())))
}

fn print_ticks(regions: u8, concurrency: u32, measured: &[Measured]) {
    println!(
        "Ticks in {regions} regions, MAX_CONCURRENCY={concurrency}; FLOOR = calls x latency / {concurrency}; \
         WRITTEN = bytes of the writes for each byte that changed\n"
    );
    let mut table = table::table(&[
        "ACCOUNTS",
        "LATENCY",
        "TICK",
        "CALLS",
        "FLOOR",
        "TOOK",
        "TOOK/FLOOR",
        "CPU",
        "PEAK MEMORY",
        "WRITES",
        "WRITTEN",
        "SUMMARY",
    ]);
    let or_dash = |number: Option<f64>, digits: usize| number.map_or("-".into(), |number| format!("{number:.digits$}"));
    for tick in measured {
        table.add_row([
            tick.accounts.to_string(),
            format!("{} ms", tick.latency_ms),
            format!("{}{}", tick.tick, if tick.journal { ", journal" } else { "" }),
            tick.all_calls().to_string(),
            format!("{:.2} s", tick.floor_seconds),
            format!("{:.2} s", tick.seconds),
            or_dash(tick.ratio, 2),
            format!("{:.2} s", tick.processor.seconds()),
            format!("{} MiB", tick.peak_memory_bytes >> 20),
            tick.writes().to_string(),
            or_dash(tick.write_amplification, 1),
            format!("{:.1} KB", tick.summary_bytes as f64 / 1e3),
        ]);
    }
    println!("{table}\n");
}

fn print_starts(bootstrap: &Path, starts: u32, started: &[Started]) {
    let size = std::fs::metadata(bootstrap).map_or(0, |found| found.len());
    println!(
        "Cold starts of {} ({:.1} MB), best / median of {starts}, ms: until it asks for its first event (NEXT), makes its \
         first AWS call, and answers (SUMMARY); 1 account, 4 rounds of calls of {} ms; the policy precompiled beside it, \
         or compiled by it\n",
        bootstrap.display(),
        size as f64 / 1e6,
        start::LATENCY_MS,
    );
    let header = ["POLICY", "NEXT", "CPU", "FIRST CALL, CPU", "SUMMARY", "CPU", "PEAK MEMORY"];
    let mut table = table::table(&header);
    for start in started {
        let times = |times: start::Times| format!("{:.1} / {:.1}", times.best_ms, times.median_ms);
        table.add_row([
            start.policy.to_owned(),
            times(start.next),
            times(start.next_cpu),
            times(start.first_call_cpu),
            times(start.summary),
            times(start.summary_cpu),
            format!("{} MiB", start.peak_memory_bytes >> 20),
        ]);
    }
    println!("{table}\n");
}

fn print_pages(pages: &[Page]) {
    println!(
        "Pages of the console, median of 10, ms: until the first byte and until the last, and as a multiple of an empty fleet's; \
         COLD = the first time, when the state is read\n"
    );
    let header = ["ACCOUNTS", "PAGE", "SIZE", "FIRST BYTE", "RATIO", "COMPLETE", "RATIO", "COLD", "PEAK MEMORY"];
    let mut table = table::table(&header);
    let ratio = |ratio: Option<f64>| ratio.map_or("-".into(), |ratio| format!("{ratio:.1}"));
    for page in pages {
        table.add_row([
            page.accounts.to_string(),
            page.path.to_owned(),
            format!("{:.1} KB", page.bytes as f64 / 1e3),
            format!("{:.1}", page.first_byte_ms),
            ratio(page.first_byte_ratio),
            format!("{:.1}", page.complete_ms),
            ratio(page.complete_ratio),
            format!("{:.1}", page.cold_ms),
            format!("{} MiB", page.peak_memory_bytes >> 20),
        ]);
    }
    println!("{table}\n");
}
