//! The call that the task makes now, as the SDK's hooks know it: its limit, and the session that signs it.
//!
//! One client serves all accounts, because making one for each call costs more than the rest of the SDK's work. What differs
//! from call to call reaches the hooks by the task: the SDK resolves credentials and sends requests in the task of the call.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_smithy_runtime_api::client::connection::CaptureSmithyConnection;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;

use super::call_limits::CallLimit;
use super::{Call, Request};

tokio::task_local! {
    static CURRENT: CurrentCall;
}

/// What is known of a call.
pub(super) struct CurrentCall {
    /// What it waits for, and what learns from its answers.
    pub(super) limit: CallLimit,
    /// The session's credentials, where it isn't the host's own call.
    pub(super) credentials: Option<Credentials>,
    /// How long a page it asks for, if it's the first one of staging accounts.
    pub(super) first_page: Option<i32>,
    attempts: Attempts,
    attempts_itself: AtomicBool,
    received: Mutex<Option<Received>>,
}

/// An answer that is there before the SDK asks, as that to its first attempt.
pub(super) struct Received {
    pub(super) answer: Result<HttpResponse, ConnectorError>,
    /// What the answer came by.
    pub(super) connection: CaptureSmithyConnection,
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
    pub(super) fn new(call: &Call, limit: CallLimit, credentials: Option<Credentials>, attempts: &Attempts) -> Self {
        let first_page = match &call.request {
            Request::ListStagingAccounts { max_results, next_token: None } => Some(*max_results),
            _ => None,
        };
        Self {
            limit,
            credentials,
            first_page,
            attempts: attempts.clone(),
            attempts_itself: AtomicBool::new(false),
            received: Mutex::default(),
        }
    }

    /// Keeps an answer for the SDK.
    pub(super) fn receive(&self, received: Received) {
        *self.received() = Some(received);
    }

    /// What the SDK's next attempt is answered, if that's known.
    pub(super) fn take_received(&self) -> Option<Received> {
        self.received().take()
    }

    /// Whether the SDK's next attempt is answered already.
    pub(super) fn has_received(&self) -> bool {
        self.received().is_some()
    }

    fn received(&self) -> MutexGuard<'_, Option<Received>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
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
    pub(super) fn scope<T>(self, work: impl Future<Output = T>) -> impl Future<Output = T> {
        CURRENT.scope(self, work)
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
