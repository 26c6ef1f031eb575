//! What a call costs: processor time, allocations and handshakes of a tick, beside the floor, with TLS and without.

use serde::Serialize;

use super::child::{COUNTED, Ticked};
use super::host::{Caller, Measuring, Programs};
use super::ticks::Size;
use crate::{CommandError, table};

/// The most that a call of a warm tick may allocate, as `bench --short` measures it, and how much of it: what it did when
/// this was last set. `make test` fails where a tick exceeds one of them by a tenth. Allocations don't depend on the
/// machine, and hardly on the build.
const BUDGET: (f64, f64) = (252.0, 48_500.0);

/// The ticks of one caller, a call each.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    pub transport: &'static str,
    /// `first` and `warm` are ticks of the host; `floor` is `floor`'s.
    pub what: &'static str,
    pub accounts: u32,
    pub calls: usize,
    /// Processor time of a call, in microseconds.
    pub user_us: f64,
    pub kernel_us: f64,
    /// How many times the processor time of the floor.
    pub ratio: Option<f64>,
    /// Allocations of a call, and their bytes; none where they weren't counted.
    pub allocations: Option<f64>,
    pub allocated_bytes: Option<f64>,
    /// TLS handshakes of the tick.
    pub full_handshakes: u64,
    pub resumed_handshakes: u64,
}

impl Cost {
    pub fn processor_us(&self) -> f64 {
        self.user_us + self.kernel_us
    }

    fn of(size: &Size, what: &'static str, measuring: &Measuring, ticked: &Ticked) -> Self {
        let calls = measuring.lab.calls().len();
        let a_call = |of: f64| of / calls.max(1) as f64;
        let handshakes = measuring.lab.handshakes();
        Self {
            transport: if size.tls { "TLS" } else { "plain" },
            what,
            accounts: size.accounts,
            calls,
            user_us: a_call(ticked.processor.user_seconds * 1e6),
            kernel_us: a_call(ticked.processor.kernel_seconds * 1e6),
            ratio: None,
            allocations: ticked.allocations.map(|all| a_call(all.number as f64)),
            allocated_bytes: ticked.allocations.map(|all| a_call(all.bytes as f64)),
            full_handshakes: handshakes.full,
            resumed_handshakes: handshakes.resumed,
        }
    }

    /// What is wrong with the allocations, if something is.
    pub fn exceeds(&self) -> Option<String> {
        let (number, bytes) = (self.allocations?, self.allocated_bytes?);
        let (most, most_bytes) = BUDGET;
        let host = self.what == "warm" && self.transport == "plain";
        (host && (number > most * 1.1 || bytes > most_bytes * 1.1)).then(|| {
            format!(
                "a call of a warm tick made {number:.0} allocations of {bytes:.0} bytes in all, more than its budget of {most:.0} and \
                 {most_bytes:.0} by a tenth: bring it down, or, if it's worth that, set the budget in host/cli/src/bench/cost.rs"
            )
        })
    }
}

/// One processor, as a Lambda function of the default size has at most, where a process can be told.
fn cores() -> Option<u8> {
    std::process::Command::new("taskset").arg("--version").output().is_ok().then_some(1)
}

/// A host's first and warm tick, and the floor of a warm one: without TLS, then with it.
pub async fn measure(
    accounts: u32,
    regions: u8,
    concurrency: u32,
    programs: &Programs,
) -> Result<Vec<Cost>, CommandError> {
    let mut costs = Vec::new();
    for tls in [false, true] {
        let size = Size { accounts, regions, latency_ms: 0, concurrency, journal: false, tls, cores: cores() };
        let mut host = Measuring::start(&size, programs, Caller::Host, &[]).await?;
        let mut of_host = Vec::new();
        for what in ["first", "warm"] {
            let ticked = host.tick("").await?;
            of_host.push(Cost::of(&size, what, &host, &ticked));
        }
        let counted = host.tick(COUNTED).await?;
        let counted = Cost::of(&size, "warm", &host, &counted);
        host.end().await?;

        let mut floor = Measuring::start(&size, programs, Caller::Floor, &[]).await?;
        floor.tick("").await?; // so that its code and memory are as warm as the host's
        let ticked = floor.tick("").await?;
        let mut of_floor = Cost::of(&size, "floor", &floor, &ticked);
        let ticked = floor.tick(COUNTED).await?;
        let with_allocations = Cost::of(&size, "floor", &floor, &ticked);
        floor.end().await?;

        (of_floor.allocations, of_floor.allocated_bytes) =
            (with_allocations.allocations, with_allocations.allocated_bytes);
        if let Some(warm) = of_host.last_mut() {
            (warm.allocations, warm.allocated_bytes) = (counted.allocations, counted.allocated_bytes);
        }
        for cost in &mut of_host {
            cost.ratio = Some(cost.processor_us() / of_floor.processor_us()).filter(|ratio| ratio.is_finite());
        }
        costs.extend(of_host.into_iter().chain([of_floor]));
    }
    Ok(costs)
}

pub fn print(costs: &[Cost]) {
    let accounts = costs.first().map_or(0, |cost| cost.accounts);
    println!(
        "What a call costs, {accounts} accounts without latency, a host with one processor: processor time in us; FLOOR = the calls of the warm tick by hyper \
         and aws-sigv4 alone\n"
    );
    let header =
        ["CONNECTION", "TICK", "CALLS", "USER", "KERNEL", "CPU", "CPU/FLOOR", "ALLOCATIONS", "BYTES", "HANDSHAKES"];
    let mut table = table::table(&header);
    let or_dash = |number: Option<f64>, digits: usize| number.map_or("-".into(), |number| format!("{number:.digits$}"));
    for cost in costs {
        table.add_row([
            cost.transport.to_owned(),
            cost.what.to_owned(),
            cost.calls.to_string(),
            format!("{:.1}", cost.user_us),
            format!("{:.1}", cost.kernel_us),
            format!("{:.1}", cost.processor_us()),
            or_dash(cost.ratio, 2),
            or_dash(cost.allocations, 0),
            or_dash(cost.allocated_bytes, 0),
            match (cost.full_handshakes, cost.resumed_handshakes) {
                (0, 0) => "0".to_owned(),
                (full, resumed) => format!("{full} full, {resumed} resumed"),
            },
        ]);
    }
    println!("{table}\n");
}
