//! The process that makes a measurement's calls: a host, or the floor. It's asked for each tick by a line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;

use staging_sync_lab::Lab;
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::child::Ticked;
use super::fleet::fleet;
use super::ticks::Size;
use crate::CommandError;

/// What is measured.
pub struct Programs {
    /// The program whose ticks are measured.
    pub host: PathBuf,
    pub policy: PathBuf,
}

/// What makes the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// The host, whole ticks.
    Host,
    /// The least: `floor`.
    Floor,
}

/// A process and the lab that it calls.
pub struct Measuring {
    pub lab: Lab,
    process: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    /// The authority of a lab with TLS, for as long as it's needed.
    _authority: Option<NamedTempFile>,
}

impl Measuring {
    /// Starts a lab with a fleet of this size, and a process for it; `before` is a program that runs it, with arguments.
    pub async fn start(
        size: &Size,
        programs: &Programs,
        caller: Caller,
        before: &[OsString],
    ) -> Result<Self, CommandError> {
        let in_lab = |error: staging_sync_lab::Error| CommandError(format!("lab: {error}"));
        let lab = if size.tls { Lab::start_with_tls(fleet(size), 0).await } else { Lab::start(fleet(size)).await };
        let lab = lab.map_err(in_lab)?;
        let authority = lab.authority().map(|pem| -> std::io::Result<NamedTempFile> {
            let file = NamedTempFile::new()?;
            std::fs::write(file.path(), pem)?;
            Ok(file)
        });
        let authority = authority.transpose().map_err(failed)?;
        // The floor is always this program's: an older one may have none.
        let program = match caller {
            Caller::Host => programs.host.clone(),
            Caller::Floor => std::env::current_exe().map_err(failed)?,
        };
        let pinned =
            size.cores.map(|cores| ["taskset".into(), "-c".into(), format!("0-{}", cores.saturating_sub(1)).into()]);
        let mut line =
            pinned.into_iter().flatten().chain(before.iter().cloned()).chain([program.into(), "bench".into()]);
        let mut command = Command::new(line.next().unwrap_or_default());
        command.args(line);
        match caller {
            Caller::Host => command.arg("--child"),
            Caller::Floor => command.args(["--floor", "--accounts", &size.accounts.to_string()]),
        };
        let mut process = command
            .args(["--concurrency", &size.concurrency.to_string()])
            .env_clear()
            .envs(lab.env())
            .env("POLICY", &programs.policy)
            .env("MAX_CONCURRENCY", size.concurrency.to_string())
            .env("MAX_REMOVALS_PERCENT", "100")
            .envs(authority.iter().map(|file| ("AWS_CA_BUNDLE", file.path())))
            .envs(size.journal.then_some(("JOURNAL", "s3://policies/journal/")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| match size.cores {
                Some(_) => CommandError(format!("bench: taskset, which --cores needs: {error}: install util-linux")),
                None => failed(error),
            })?;
        let (Some(stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(CommandError("bench: the process of its ticks has no pipes".into()));
        };
        Ok(Self { lab, process, stdin, lines: BufReader::new(stdout).lines(), _authority: authority })
    }

    /// One tick, which the line says more about. What the lab knows is of it alone afterwards.
    pub async fn tick(&mut self, line: &str) -> Result<Ticked, CommandError> {
        self.lab.clear_calls();
        self.stdin.write_all(format!("{line}\n").as_bytes()).await.map_err(failed)?;
        let answer = self.lines.next_line().await.map_err(failed)?;
        let answer = answer.ok_or_else(|| CommandError("bench: a tick failed; see the message above".into()))?;
        serde_json::from_str(&answer)
            .map_err(|error| CommandError(format!("bench: expected a tick's figures: {error}")))
    }

    /// Waits until the process has ended.
    pub async fn end(self) -> Result<(), CommandError> {
        let Self { lab, mut process, stdin, .. } = self;
        drop(stdin);
        process.wait().await.map_err(failed)?;
        lab.shutdown().await;
        Ok(())
    }
}

fn failed(error: std::io::Error) -> CommandError {
    CommandError(format!("bench: the process of its ticks: {error}"))
}
