//! Errors of a whole tick, with a stable type for Lambda's `errorType` and for alarms.
//!
//! What goes wrong with a single account is not an error but an outcome (`outcome`).

use lambda_runtime::Diagnostic;

/// The kind of an error, by who has to act. The names are a contract, because alarms rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The event isn't what the host understands. The caller's fault.
    EventInvalid,
    /// The event asks for an operation that the loaded policy doesn't serve. The caller's fault.
    UnknownOperation,
    /// An environment variable is missing or can't be used. The operator's fault.
    ConfigurationInvalid,
    /// The policy's settings were refused by the policy. The operator's fault.
    SettingsInvalid,
    /// The policy isn't there or can't be read. The operator's fault.
    PolicyUnavailable,
    /// The policy isn't one that this host runs: what it imports, its package version, or not a component.
    PolicyRefused,
    /// The policy failed outside any account: in `info`, `validate-settings` or `summarize`.
    PolicyFailed,
    /// The table of target accounts can't be read.
    TableUnavailable,
    /// What segments leave for the merge can't be written, or can't be read.
    OutcomesUnavailable,
}

impl ErrorKind {
    /// The `errorType` that Lambda reports.
    pub fn error_type(self) -> &'static str {
        match self {
            Self::EventInvalid => "EventInvalid",
            Self::UnknownOperation => "UnknownOperation",
            Self::ConfigurationInvalid => "ConfigurationInvalid",
            Self::SettingsInvalid => "SettingsInvalid",
            Self::PolicyUnavailable => "PolicyUnavailable",
            Self::PolicyRefused => "PolicyRefused",
            Self::PolicyFailed => "PolicyFailed",
            Self::TableUnavailable => "TableUnavailable",
            Self::OutcomesUnavailable => "OutcomesUnavailable",
        }
    }
}

/// An error that ended or prevented an invocation.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Its stable type.
    pub kind: ErrorKind,
    /// What happened, doing what, and what to do next.
    pub message: String,
}

impl Error {
    /// The same error, with the location of the settings before its message if it's about settings.
    pub fn of_settings(mut self, place: &str) -> Self {
        if self.kind == ErrorKind::SettingsInvalid {
            self.message = format!("{place}: {}", self.message);
        }
        self
    }

    /// An error of a kind, with its message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Diagnostic { error_type: error.kind.error_type().into(), error_message: error.message }
    }
}
