//! The host of measured ticks, in its own process: one tick for each line on stdin, its figures on stdout.

use std::io::Write;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use staging_sync_runtime::{Config, Event, Service, Tick};

use super::process;
use crate::{CommandError, Exit, table};

/// One tick, as its host knows it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ticked {
    pub seconds: f64,
    pub summary_bytes: usize,
    pub peak_memory_bytes: u64,
}

/// Runs ticks as the environment says, as the Lambda does.
pub async fn run() -> Result<Exit, CommandError> {
    let unable = |error: std::io::Error| CommandError(format!("bench: {error}"));
    let service = Service::start(Config::from_env().await?).await?;
    service.prepare().await?;
    // Nothing else is to be done on this thread meanwhile.
    for line in std::io::stdin().lines() {
        line.map_err(unable)?;
        let began = Instant::now();
        let report = service.tick(Tick::of(Event::of("sync_staging_accounts")), |_, _| ()).await?;
        let seconds = began.elapsed().as_secs_f64();
        if report.counts.failed > 0 {
            return Err(CommandError(format!(
                "{} accounts failed: {}",
                report.counts.failed,
                table::json(&report.summary)
            )));
        }
        let summary_bytes = report.summary.to_string().len();
        let ticked = Ticked { seconds, summary_bytes, peak_memory_bytes: process::peak_memory("self") };
        println!("{}", serde_json::to_string(&ticked).unwrap_or_default());
        std::io::stdout().flush().map_err(unable)?;
    }
    Ok(Exit::Success)
}
