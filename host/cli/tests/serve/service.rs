//! A running `staging-sync serve`: its log lines, its endpoint, its end.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use staging_sync_lab::Lab;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// How long a test waits for what never comes.
const BOUND: Duration = Duration::from_secs(120);

pub fn policy() -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/policy.wasm");
    assert!(path.exists(), "{} isn't there: run `make policy` first", path.display());
    path
}

/// The binary, in an environment that has the lab, the default policy and nothing else.
pub fn staging_sync(lab: &Lab) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_staging-sync"));
    command.env_clear().env("POLICY", policy()).envs(lab.env()).stdin(Stdio::null()).kill_on_drop(true);
    command
}

pub struct Service {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub address: String,
}

impl Service {
    /// Starts it on a free port.
    pub async fn start(lab: &Lab, options: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = staging_sync(lab);
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(options).envs(variables.iter().copied());
        let mut process = command.stdout(Stdio::piped()).spawn().expect("the staging-sync binary");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let mut service = Self { process, lines, address: String::new() };
        service.address = service.line("serving").await["address"].as_str().expect("an address").to_owned();
        service
    }

    /// Waits for the next log line with a message.
    pub async fn line(&mut self, message: &str) -> Value {
        let found = async {
            while let Some(line) = self.lines.next_line().await.expect("text") {
                let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not a JSON line: {line}"));
                if line["message"] == message {
                    return line;
                }
            }
            panic!("it ended without a line {message:?}");
        };
        timeout(BOUND, found).await.unwrap_or_else(|_| panic!("no line {message:?}"))
    }

    /// Status and body of an answer.
    pub async fn request(&self, method: &str, path: &str) -> (u16, String) {
        self.request_to(&self.address, method, path).await
    }

    /// The same with another `Host`.
    pub async fn request_to(&self, host: &str, method: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).await.expect("a connection");
        let request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("a request");
        let mut answer = String::new();
        timeout(BOUND, stream.read_to_string(&mut answer)).await.expect("an answer").expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, body.to_owned())
    }

    pub async fn get(&self, path: &str) -> (u16, String) {
        self.request("GET", path).await
    }

    /// Asks /healthz until status and body are as expected.
    pub async fn health_until(&self, expected: impl Fn(u16, &Value) -> bool) -> Value {
        let mut last = String::new();
        let found = async {
            loop {
                let (status, body) = self.get("/healthz").await;
                let health = serde_json::from_str(&body).expect("JSON");
                if expected(status, &health) {
                    return health;
                }
                last = body;
            }
        };
        let found = timeout(BOUND, found).await;
        found.unwrap_or_else(|_| panic!("/healthz still says {last}"))
    }

    pub fn pid(&self) -> u32 {
        self.process.id().expect("a running process")
    }

    /// Sends a signal, as `kill` names it.
    pub async fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().await.expect("kill");
        assert!(sent.success());
    }

    /// Waits for its end.
    pub async fn exit_code(&mut self) -> Option<i32> {
        timeout(BOUND, self.process.wait()).await.expect("an end").expect("a process").code()
    }
}
