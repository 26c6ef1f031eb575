//! Pages of the console over a large fleet: the time until the first byte and the last one, beside those of an empty
//! fleet, and the memory that they take.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::process;
use crate::CommandError;

/// What is asked: the page as people open it, one that is searched, and what programs get.
const PATHS: [&str; 3] = ["/", "/?q=target+77&sort=name&order=desc", "/api/v1/fleet"];

/// How often each is asked; the first time the state is read, afterwards it's known.
const TIMES: usize = 10;

/// One path, over a fleet.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    pub accounts: u32,
    pub path: &'static str,
    pub bytes: usize,
    /// Of the first request, which reads the state.
    pub cold_ms: f64,
    /// The median of the others.
    pub first_byte_ms: f64,
    pub complete_ms: f64,
    /// How many times as long as with an empty fleet.
    pub first_byte_ratio: Option<f64>,
    pub complete_ratio: Option<f64>,
    /// The console's, after all of them.
    pub peak_memory_bytes: u64,
}

/// The pages over an empty fleet and over one of this size.
pub async fn measure(accounts: u32, policy: &Path) -> Result<Vec<Page>, CommandError> {
    let empty = of_fleet(0, policy).await?;
    let mut all = of_fleet(accounts, policy).await?;
    for (page, empty) in all.iter_mut().zip(&empty) {
        page.first_byte_ratio = Some(page.first_byte_ms / empty.first_byte_ms);
        page.complete_ratio = Some(page.complete_ms / empty.complete_ms);
    }
    Ok(empty.into_iter().chain(all).collect())
}

async fn of_fleet(accounts: u32, policy: &Path) -> Result<Vec<Page>, CommandError> {
    let failed = |error: std::io::Error| CommandError(format!("bench: the console: {error}"));
    let folder = tempfile::tempdir().map_err(failed)?;
    std::fs::write(folder.path().join("latest.json"), latest(accounts).to_string()).map_err(failed)?;
    let mut console = Command::new(std::env::current_exe().map_err(failed)?)
        .args(["console", "--listen", "127.0.0.1:0"])
        .env_clear()
        .env("JOURNAL", folder.path())
        .env("POLICY", policy)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let Some(stdout) = console.stdout.take() else {
        return Err(CommandError("bench: the console has no output".into()));
    };
    let line = BufReader::new(stdout).lines().next_line().await.map_err(failed)?.unwrap_or_default();
    let address = line.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut pages = Vec::new();
    for path in PATHS {
        let mut times = Vec::new();
        let mut bytes = 0;
        for _ in 0..=TIMES {
            let (first, complete, read) = ask(&address, path).await.map_err(failed)?;
            bytes = read;
            times.push((first, complete));
        }
        let (_, cold) = times.remove(0);
        let median = |of: fn(&(Duration, Duration)) -> Duration| {
            let mut times: Vec<f64> = times.iter().map(|time| of(time).as_secs_f64() * 1e3).collect();
            times.sort_by(f64::total_cmp);
            times.get(times.len() / 2).copied().unwrap_or_default()
        };
        pages.push(Page {
            accounts,
            path,
            bytes,
            cold_ms: cold.as_secs_f64() * 1e3,
            first_byte_ms: median(|time| time.0),
            complete_ms: median(|time| time.1),
            first_byte_ratio: None,
            complete_ratio: None,
            peak_memory_bytes: 0,
        });
    }
    let peak = console.id().map_or(0, |id| process::peak_memory(&id.to_string()));
    pages.iter_mut().for_each(|page| page.peak_memory_bytes = peak);
    console.kill().await.map_err(failed)?;
    Ok(pages)
}

/// How long a path takes to its first and to its last byte, and how many bytes there are.
async fn ask(address: &str, path: &str) -> std::io::Result<(Duration, Duration, usize)> {
    let mut stream = TcpStream::connect(address).await?;
    let began = Instant::now();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = vec![0; 64 << 10];
    let mut bytes = stream.read(&mut answer).await?;
    let first = began.elapsed();
    if !answer.starts_with(b"HTTP/1.1 200 ") {
        return Err(std::io::Error::other(format!("{path}: expected an answer 200")));
    }
    loop {
        match stream.read(&mut answer).await? {
            0 => return Ok((first, began.elapsed(), bytes)),
            read => bytes += read,
        }
    }
}

/// `latest.json` of a fleet.
fn latest(accounts: u32) -> Value {
    let account = |number: u32| {
        let staging: Vec<String> =
            (0..4).map(|region| format!("{:012}", 200_000_000_000 + u64::from(number) * 10 + region)).collect();
        let failed = number.is_multiple_of(50);
        let account = json!({
            "accountName": format!("Target {number}"),
            "status": if failed { "failed" } else { "unchanged" },
            "stagingAccounts": staging,
            "reason": failed.then_some("AWS: AccessDenied: AssumeRole"),
            "lastChange": {"tick": "20260202T224500000Z-8f5d2a0c91be", "at": "2026-02-02T22:45:00Z"},
        });
        (format!("{:012}", 100_000_000_000 + u64::from(number)), account)
    };
    json!({
        "format": 1,
        "tick": "20260202T224500000Z-8f5d2a0c91be",
        "at": "2026-02-02T22:45:00Z",
        "durationMs": 20_000,
        "operation": "sync_staging_accounts",
        "dryRun": false,
        "counts": {"totalAccounts": accounts, "accountsProcessed": accounts, "accountsUpdated": 0,
            "accountsSkipped": accounts, "accountsFailed": 0, "accountsHeld": 0},
        "journalFailed": 0,
        "accounts": (0..accounts).map(account).collect::<Map<String, Value>>(),
    })
}
