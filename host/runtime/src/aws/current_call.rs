//! The call that the task makes now, as the SDK's hooks know it: its limit, and the session that signs it.
//!
//! One client serves all accounts, because making one for each call costs more than the rest of the SDK's work. What differs
//! from call to call reaches the hooks by the task: the SDK resolves credentials and sends requests in the task of the call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};

use super::call_limits::CallLimit;

tokio::task_local! {
    static CURRENT: CurrentCall;
}

/// What is known of a call.
pub(super) struct CurrentCall {
    /// What it waits for, and what learns from its answers.
    pub(super) limit: CallLimit,
    /// The session's credentials, where it isn't the host's own call.
    credentials: Option<Credentials>,
    attempts: Attempts,
    attempts_itself: AtomicBool,
}

/// How many attempts of calls are being made: those that wait for a permit count, those that wait to be made again don't.
#[derive(Debug, Clone, Default)]
pub(super) struct Attempts(Arc<AtomicUsize>);

impl Attempts {
    pub(super) fn number(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl CurrentCall {
    /// A call whose attempts are counted here.
    pub(super) fn new(limit: CallLimit, credentials: Option<Credentials>, attempts: &Attempts) -> Self {
        Self { limit, credentials, attempts: attempts.clone(), attempts_itself: AtomicBool::new(false) }
    }

    /// An attempt begins or has ended.
    pub(super) fn attempts(&self, begins: bool) {
        match (self.attempts_itself.swap(begins, Ordering::Relaxed), begins) {
            (false, true) => self.attempts.0.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.attempts.0.fetch_sub(1, Ordering::Relaxed),
            _ => return,
        };
    }

    /// Does the work of this call.
    pub(super) async fn scope<T>(self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self, work).await
    }

    /// Looks at the call of the task, if it makes one.
    pub(super) fn with<T>(look: impl FnOnce(&Self) -> T) -> Option<T> {
        CURRENT.try_with(look).ok()
    }
}

impl Drop for CurrentCall {
    fn drop(&mut self) {
        self.attempts(false); // it may be dropped in the middle of one
    }
}

/// Gives each call the credentials of its own session.
#[derive(Debug)]
pub(super) struct OfCurrentCall;

impl ProvideCredentials for OfCurrentCall {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let credentials = CurrentCall::with(|call| call.credentials.clone()).flatten();
        future::ProvideCredentials::ready(
            credentials.ok_or_else(|| CredentialsError::not_loaded("the role wasn't assumed")),
        )
    }
}
