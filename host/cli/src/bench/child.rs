//! The host of measured ticks, in its own process: one tick for each line on stdin, its figures on stdout.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use staging_sync_runtime::policy::Policy;
use staging_sync_runtime::{Config, Event, Service, Tick};

use super::process::{self, Processor};
use crate::allocations::{self, Allocations};
use crate::{CommandError, Exit, table};

/// The line that asks for a tick whose allocations are counted, which takes longer.
pub const COUNTED: &str = "counted";

/// One tick, as its process knows it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ticked {
    pub seconds: f64,
    pub processor: Processor,
    /// Where it was to count them.
    pub allocations: Option<Allocations>,
    pub summary_bytes: usize,
    pub peak_memory_bytes: u64,
}

/// Runs ticks as the environment says, as the Lambda does.
pub async fn run() -> Result<Exit, CommandError> {
    let config = Config::from_env().await?;
    if let Ok(policy) = std::env::var("POLICY") {
        Policy::load(Path::new(&policy), config.limits).await?; // it's compiled and kept now, so no tick begins without it
    }
    let service = Service::start(config).await?;
    service.prepare().await?;
    each_line(async || {
        let report = service.tick(Tick::of(Event::of("sync_staging_accounts")), |_, _| ()).await?;
        if report.counts.failed > 0 {
            let (failed, summary) = (report.counts.failed, table::json(&report.summary));
            return Err(CommandError(format!("{failed} accounts failed: {summary}")));
        }
        Ok(report.summary.to_string().len())
    })
    .await
}

/// Does it once for each line, and tells what it took.
pub async fn each_line(mut tick: impl AsyncFnMut() -> Result<usize, CommandError>) -> Result<Exit, CommandError> {
    let unable = |error: std::io::Error| CommandError(format!("bench: {error}"));
    // Nothing else is to be done on this thread meanwhile.
    for line in std::io::stdin().lines() {
        let counted = line.map_err(unable)? == COUNTED;
        if counted {
            allocations::start();
        }
        let (began, before) = (Instant::now(), Processor::of("self"));
        let summary_bytes = tick().await?;
        let seconds = began.elapsed().as_secs_f64();
        let ticked = Ticked {
            seconds,
            processor: Processor::of("self") - before,
            allocations: counted.then(allocations::stop),
            summary_bytes,
            peak_memory_bytes: process::peak_memory("self"),
        };
        println!("{}", serde_json::to_string(&ticked).unwrap_or_default());
        std::io::stdout().flush().map_err(unable)?;
    }
    Ok(Exit::Success)
}
