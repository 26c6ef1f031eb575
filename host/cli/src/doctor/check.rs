//! A check of the doctor: its subject, status, findings, and what to do next.

use serde_json::{Value, json};
use staging_sync_runtime::text::printable;

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// No problem was found.
    Ok,
    /// Ticks run, but there is a problem.
    Warning,
    /// Ticks fail, or an account fails.
    Failed,
    /// The check couldn't run.
    NotChecked,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::NotChecked => "not checked",
        }
    }
}

/// A check that was made.
#[derive(Debug, Clone)]
pub struct Check {
    name: &'static str,
    /// How it went.
    pub status: Status,
    found: String,
    next: Option<String>,
}

impl Check {
    pub fn ok(name: &'static str, found: impl ToString) -> Self {
        Self { name, status: Status::Ok, found: line(found), next: None }
    }

    pub fn warning(name: &'static str, found: impl ToString, next: impl ToString) -> Self {
        Self { name, status: Status::Warning, found: line(found), next: Some(line(next)) }
    }

    pub fn failed(name: &'static str, found: impl ToString, next: impl ToString) -> Self {
        Self { name, status: Status::Failed, found: line(found), next: Some(line(next)) }
    }

    pub fn not_checked(name: &'static str, reason: impl ToString, next: impl ToString) -> Self {
        Self { name, status: Status::NotChecked, found: line(reason), next: Some(line(next)) }
    }

    /// A check that another one stands in the way of.
    pub fn behind(name: &'static str, other: &'static str) -> Self {
        Self::not_checked(
            name,
            format!("depends on the check of {other}, which didn't succeed"),
            format!("see {other}"),
        )
    }

    /// The check on a line, and what to do next on another one.
    pub fn lines(&self) -> String {
        let line = format!("{:<11}  {:<12}  {}", self.status.name(), self.name, printable(&self.found));
        match &self.next {
            None => line,
            Some(next) => format!("{line}\n{:27}next: {}", "", printable(next)),
        }
    }

    /// The check as JSON.
    pub fn json(&self) -> Value {
        json!({
            "name": self.name,
            "status": self.status.name().replace(' ', "-"),
            "found": self.found,
            "next": self.next,
        })
    }
}

/// A text on one line: the AWS SDK has reasons of several.
fn line(text: impl ToString) -> String {
    let text = text.to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("; ").replace(":; ", ": ")
}
