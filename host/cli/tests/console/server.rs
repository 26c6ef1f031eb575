//! A running `staging-sync console`, and raw requests to it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use staging_sync_lab::Lab;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a test waits for what never comes.
const BOUND: Duration = Duration::from_secs(120);

pub fn policy() -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/policy.wasm");
    assert!(path.exists(), "{} isn't there: run `make policy` first", path.display());
    path
}

/// The binary, in an environment that has a journal, the default policy and nothing else.
pub fn staging_sync(journal: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_staging-sync"));
    command.env_clear().env("POLICY", policy()).env("JOURNAL", journal).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs a command against a lab to its end.
pub async fn run(lab: &Lab, journal: &Path, arguments: &[&str]) {
    let ran = staging_sync(journal).envs(lab.env()).args(arguments).output().await.expect("the program");
    assert!(ran.status.code().is_some_and(|code| code < 2), "{}", String::from_utf8_lossy(&ran.stderr));
}

pub struct Console {
    _process: Child,
    pub address: String,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Console {
    /// Starts one on a free port.
    pub async fn start(journal: &Path, options: &[&str]) -> Self {
        let mut command = staging_sync(journal);
        command.args(["console", "--listen", "127.0.0.1:0"]).args(options);
        Self::of(command).await
    }

    /// Starts what serves one, and waits until it says where.
    pub async fn of(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().expect("the staging-sync binary");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let address = async {
            while let Some(line) = lines.next_line().await.expect("text") {
                if let Some(address) = line.strip_prefix("http://").and_then(|line| line.strip_suffix('/')) {
                    return address.to_owned();
                }
            }
            panic!("it ended without an address")
        };
        let address = timeout(BOUND, address).await.expect("an address in time");
        Self { address, _process: process }
    }

    pub fn port(&self) -> &str {
        self.address.split(':').nth(1).expect("a port")
    }

    /// Sends bytes as they are and returns all that comes back until the connection ends.
    pub async fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).await.expect("a connection");
        // The server may have ended it before all is sent.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = timeout(BOUND, stream.read_to_end(&mut answer)).await.expect("an end in time");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// One request with these headers beside its own `Host`, unless it's among them.
    pub async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if headers.iter().all(|(name, _)| *name != "host") {
            request += &format!("host: {}\r\n", self.address);
        }
        headers.iter().for_each(|(name, value)| request += &format!("{name}: {value}\r\n"));
        let answer = self.raw(format!("{request}\r\n").as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {answer:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[]).await
    }

    pub async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).await.body).expect("JSON")
    }
}

/// `latest.json` with these accounts.
pub fn latest(accounts: Value) -> Value {
    json!({
        "format": 1,
        "tick": "20260202T224500000Z-8f5d2a0c91be",
        "at": "2026-02-02T22:45:00Z",
        "durationMs": 1234,
        "operation": "sync_staging_accounts",
        "dryRun": false,
        "counts": {"totalAccounts": 1, "accountsProcessed": 1, "accountsUpdated": 0, "accountsSkipped": 1,
            "accountsFailed": 0, "accountsHeld": 0},
        "policy": null,
        "error": null,
        "journalFailed": 0,
        "lastRecord": null,
        "accounts": accounts,
    })
}

/// A folder with a `latest.json`.
pub fn journal(latest: &Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("latest.json"), latest.to_string()).expect("a file");
    folder
}
