//! Cold starts of the Lambda's program: from its process to its first event, its first AWS call and its first answer.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::Serialize;
use staging_sync_lab::Lab;
use staging_sync_runtime::activation::proof;
use staging_sync_runtime::policy::cache;
use tokio::process::{Child, Command};

use super::fleet::fleet;
use super::process;
use super::runtime_api::{Asked, RuntimeApi};
use super::ticks::Size;
use crate::CommandError;

/// How long an AWS call takes meanwhile. The program waits then, so that its processor time can be read.
pub const LATENCY_MS: u64 = 80;

/// The time that an invocation has.
const TIMEOUT: Duration = Duration::from_secs(300);

const EVENT: &str = r#"{"operation": "sync_staging_accounts"}"#;

/// No start takes longer, compiling a large policy included.
const LONGEST: Duration = Duration::from_secs(120);

/// Several measurements of one thing, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Times {
    pub best_ms: f64,
    pub median_ms: f64,
}

/// What starts with a precompiled policy beside the program, or without, took.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    pub policy: &'static str,
    /// Until it asked for its first event; wall clock, then its own processor time.
    pub next: Times,
    pub next_cpu: Times,
    /// Until its first AWS call arrived, processor time.
    pub first_call_cpu: Times,
    /// Until it answered; wall clock, then processor time.
    pub summary: Times,
    pub summary_cpu: Times,
    pub peak_memory_bytes: u64,
}

/// One start.
struct Start {
    next: Duration,
    next_cpu: Duration,
    first_call_cpu: Duration,
    summary: Duration,
    summary_cpu: Duration,
    peak_memory: u64,
}

/// Starts a program so often with each way of having its policy.
pub async fn measure(bootstrap: &Path, policy: &Path, starts: u32) -> Result<Vec<Started>, CommandError> {
    let package =
        Package::lay_out(bootstrap, policy).map_err(|error| CommandError(format!("bench: a package: {error}")))?;
    let mut started = Vec::new();
    for (name, precompiled) in [("precompiled", true), ("compiled", false)] {
        let mut all = Vec::new();
        for _ in 0..starts {
            package.clean(precompiled).map_err(|error| CommandError(format!("bench: a package: {error}")))?;
            let start = tokio::time::timeout(LONGEST, start(&package)).await;
            let late = |_| CommandError(format!("{}: no answer in {} seconds", bootstrap.display(), LONGEST.as_secs()));
            all.push(start.map_err(late)??);
        }
        let times = |of: fn(&Start) -> Duration| {
            let mut times: Vec<f64> = all.iter().map(|start| of(start).as_secs_f64() * 1e3).collect();
            times.sort_by(f64::total_cmp);
            let at = |place: usize| times.get(place).copied().unwrap_or_default();
            Times { best_ms: at(0), median_ms: at(times.len() / 2) }
        };
        started.push(Started {
            policy: name,
            next: times(|start| start.next),
            next_cpu: times(|start| start.next_cpu),
            first_call_cpu: times(|start| start.first_call_cpu),
            summary: times(|start| start.summary),
            summary_cpu: times(|start| start.summary_cpu),
            peak_memory_bytes: all.iter().map(|start| start.peak_memory).max().unwrap_or_default(),
        });
    }
    Ok(started)
}

async fn start(package: &Package) -> Result<Start, CommandError> {
    let failed = |error: std::io::Error| CommandError(format!("bench: {}: {error}", package.bootstrap().display()));
    let fleet = fleet(&Size {
        accounts: 1,
        regions: 4,
        latency_ms: LATENCY_MS,
        concurrency: 128,
        journal: false,
        tls: false,
        cores: None,
    });
    let lab = Lab::start(fleet).await.map_err(|error| CommandError(format!("lab: {error}")))?;
    let mut api = RuntimeApi::start(Some(TIMEOUT)).await.map_err(failed)?;
    let began = Instant::now();
    let mut program: Child = Command::new(package.bootstrap())
        .env_clear()
        .envs(lab.env())
        .env("AWS_LAMBDA_RUNTIME_API", &api.address)
        .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("TMPDIR", package.temporary())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let Some(id) = program.id() else { return Err(CommandError("bench: the program ended at once".into())) };
    let ended = || CommandError(format!("{}: ended, or answered without an event", package.bootstrap().display()));

    let asked = tokio::select! {
        asked = api.asked() => asked,
        _ = program.wait() => None,
    };
    let (next, next_cpu) = (began.elapsed(), process::cpu(id));
    let Some(Asked::Next(event)) = asked else { return Err(ended()) };
    let _ = event.send(EVENT.into());
    let mut done = None;
    tokio::select! {
        () = lab.wait_for_calls(|calls| !calls.is_empty()) => {}
        asked = api.asked() => done = asked, // it failed before any call
    }
    let first_call_cpu = process::cpu(id);
    let done = match done {
        None => api.asked().await,
        done => done,
    };
    let (summary, summary_cpu) = (began.elapsed(), process::cpu(id));
    let peak_memory = process::peak_memory(&id.to_string());
    match done {
        Some(Asked::Done(Ok(_))) => {}
        Some(Asked::Done(Err(error))) => {
            let error = String::from_utf8_lossy(&error).into_owned();
            return Err(CommandError(format!("{}: {error}", package.bootstrap().display())));
        }
        _ => return Err(ended()),
    }
    program.kill().await.map_err(failed)?;
    Ok(Start { next, next_cpu, first_call_cpu, summary, summary_cpu, peak_memory })
}

/// The program with its policy beside it, as Lambda unpacks them; removed at the end.
struct Package {
    folder: PathBuf,
    compiled: Vec<u8>,
}

impl Package {
    fn lay_out(bootstrap: &Path, policy: &Path) -> std::io::Result<Self> {
        let bytes = fs::read(policy)?;
        let compiled =
            cache::precompile(&bytes, std::env::consts::ARCH, Some(&proof::id("{}"))).map_err(std::io::Error::other)?;
        let folder = std::env::temp_dir().join(format!("staging-sync-bench-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&folder)?;
        let package = Self { folder, compiled };
        fs::copy(bootstrap, package.bootstrap())?;
        fs::write(package.folder.join("policy.wasm"), bytes)?;
        Ok(package)
    }

    /// As it's unpacked: nothing that an earlier start kept.
    fn clean(&self, precompiled: bool) -> std::io::Result<()> {
        let _ = fs::remove_dir_all(self.temporary()); // the first time there's none
        fs::create_dir(self.temporary())?;
        let file = self.folder.join("policy.cwasm");
        match precompiled {
            true => fs::write(file, &self.compiled),
            false => fs::remove_file(file),
        }
        .or_else(|error| if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
    }

    fn bootstrap(&self) -> PathBuf {
        self.folder.join("bootstrap")
    }

    fn temporary(&self) -> PathBuf {
        self.folder.join("tmp")
    }
}

impl Drop for Package {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
