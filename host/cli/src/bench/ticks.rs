//! Two ticks over a fleet of one size: the first, in which every account changes, and a warm one without a change.

use std::collections::BTreeMap;

use serde::Serialize;
use staging_sync_lab::Lab;
use staging_sync_runtime::aws::sdk_api::PAGE_ITEMS;

use super::child::Ticked;
use super::fleet::changed_bytes;
use super::host::{Caller, Measuring, Programs};
use super::process::Processor;
use crate::CommandError;

/// The most that DynamoDB puts into a page, in bytes. The JSON of items is larger than they are.
const PAGE: usize = 1 << 20;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub accounts: u32,
    pub regions: u8,
    pub latency_ms: u64,
    pub concurrency: u32,
    /// Whether there's a journal.
    pub journal: bool,
    /// Whether calls go over TLS.
    pub tls: bool,
    /// How many processors the host may use; none: all.
    pub cores: Option<u8>,
}

/// One tick.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    pub accounts: u32,
    pub regions: u8,
    pub latency_ms: u64,
    pub max_concurrency: u32,
    pub tick: &'static str,
    pub journal: bool,
    pub tls: bool,
    pub cores: Option<u8>,
    /// How often each operation was called.
    pub calls: BTreeMap<String, usize>,
    /// How often it had to be.
    pub expected_calls: BTreeMap<String, usize>,
    pub peak_concurrency: usize,
    pub seconds: f64,
    /// The least time in which so many calls can be made.
    pub floor_seconds: f64,
    /// How many times its floor the tick took; none without latency.
    pub ratio: Option<f64>,
    pub processor: Processor,
    pub peak_memory_bytes: u64,
    /// The bodies of the writes.
    pub written_bytes: usize,
    /// The entries of lists that differ after the tick, as they are stored.
    pub changed_bytes: usize,
    /// Bytes written for each that changed; none where nothing changed.
    pub write_amplification: Option<f64>,
    pub summary_bytes: usize,
}

impl Measured {
    /// How many calls there were.
    pub fn all_calls(&self) -> usize {
        self.calls.values().sum()
    }

    /// How many items were written.
    pub fn writes(&self) -> usize {
        self.calls.get("UpdateItem").copied().unwrap_or_default()
    }

    /// What is wrong with the calls, if something is.
    pub fn miscounted(&self) -> Option<String> {
        (self.calls != self.expected_calls).then(|| {
            format!(
                "{} accounts in {} regions, {} tick: expected the calls {:?}, found {:?}",
                self.accounts, self.regions, self.tick, self.expected_calls, self.calls
            )
        })
    }
}

/// The ticks by a host in a process of its own, whose memory has nothing of the lab in it.
pub async fn measure(size: &Size, programs: &Programs) -> Result<Vec<Measured>, CommandError> {
    let in_lab = |error: staging_sync_lab::Error| CommandError(format!("lab: {error}"));
    let mut host = Measuring::start(size, programs, Caller::Host, &[]).await?;
    let mut measured = Vec::new();
    for tick in ["first", "warm"] {
        let before = host.lab.items().map_err(in_lab)?;
        let ticked = host.tick("").await?;
        let after = host.lab.items().map_err(in_lab)?;
        measured.push(figures(size, tick, &host.lab, &ticked, [&before, &after]));
    }
    host.end().await?;
    Ok(measured)
}

fn figures(
    size: &Size,
    tick: &'static str,
    lab: &Lab,
    ticked: &Ticked,
    [before, after]: [&[serde_json::Value]; 2],
) -> Measured {
    let received = lab.calls();
    let mut calls = BTreeMap::<String, usize>::new();
    for call in &received {
        *calls.entry(call.operation.clone()).or_default() += 1;
    }
    let table: usize = before.iter().map(|item| item.to_string().len()).sum();
    let (accounts, items) = (size.accounts as usize, usize::from(PAGE_ITEMS));
    let pages = match table / accounts.max(1) * items < PAGE {
        true => accounts / items + 1, // a page that is full leads to another one
        false => calls.get("Scan").copied().unwrap_or(1),
    };
    let floor_seconds = received.len() as f64 / f64::from(size.concurrency) * size.latency_ms as f64 / 1e3;
    let written_bytes = received.iter().filter(|call| call.operation == "UpdateItem").map(|call| call.bytes).sum();
    let changed_bytes = changed_bytes(before, after);
    Measured {
        accounts: size.accounts,
        regions: size.regions,
        latency_ms: size.latency_ms,
        max_concurrency: size.concurrency,
        tick,
        journal: size.journal,
        tls: size.tls,
        cores: size.cores,
        expected_calls: expected(size, tick == "first", pages),
        calls,
        peak_concurrency: lab.peak_concurrency(),
        seconds: ticked.seconds,
        floor_seconds,
        ratio: (floor_seconds > 0.0).then(|| ticked.seconds / floor_seconds),
        processor: ticked.processor,
        peak_memory_bytes: ticked.peak_memory_bytes,
        written_bytes,
        changed_bytes,
        write_amplification: (changed_bytes > 0).then(|| written_bytes as f64 / changed_bytes as f64),
        summary_bytes: ticked.summary_bytes,
    }
}

/// The calls that a tick needs: the pages of the table, one list an account and region; in the first tick also a
/// session of every account, and its write. A journal costs a tick a read of the freezes and a write of `latest.json`; in
/// the first tick also a record of each write, a look for an entry that comes back, `latest.json`, and the tick's record
/// and tape.
fn expected(size: &Size, first: bool, pages: usize) -> BTreeMap<String, usize> {
    let accounts = size.accounts as usize;
    let mut calls = vec![("Scan", pages), ("ListStagingAccounts", accounts * usize::from(size.regions))];
    if first {
        calls.extend([("AssumeRole", accounts), ("UpdateItem", accounts)]);
    }
    if size.journal {
        let (read, put) = if first { (accounts + 2, accounts + 3) } else { (1, 1) };
        calls.extend([("GetObject", read), ("PutObject", put)]);
    }
    calls.into_iter().map(|(operation, count)| (operation.to_owned(), count)).collect()
}
