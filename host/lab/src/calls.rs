//! The log of calls that the lab received, in the order of their arrival.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};

use serde::Serialize;
use tokio::sync::Notify;

/// One request, as the lab understood it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// `sts`, `drs`, `dynamodb` or `s3`; empty when the request was none of them.
    pub service: String,
    /// As AWS writes it: `ListStagingAccounts`; empty when unknown.
    pub operation: String,
    /// From the credential scope.
    pub region: String,
    /// Whose credentials signed it; `None` when they weren't accepted.
    pub account: Option<String>,
    /// The account concerned: the owner of the assumed role, or the item's key; else like `account`.
    pub target: Option<String>,
    /// Whether it continued a list (`nextToken`, `ExclusiveStartKey`, `continuation-token`).
    pub page_token: bool,
    /// How long its body is, in bytes.
    pub bytes: usize,
    /// `bucket/key` of an S3 object.
    pub object: Option<String>,
    /// Whether it had a condition in its headers (`If-Match`, `If-None-Match`).
    pub conditional: bool,
    /// The HTTP status of the answer; `None` while there is none.
    pub status: Option<u16>,
    /// The error code of the answer.
    pub error: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct CallLog {
    calls: Mutex<Received>,
    arrived: Notify,
    in_flight: AtomicUsize,
    peak: AtomicUsize,
}

#[derive(Debug, Default)]
struct Received {
    /// How many calls were cleared before the first of `calls`.
    cleared: u64,
    calls: Vec<Call>,
}

/// One call in flight; counts as such until dropped, and gets its answer by [`InFlight::answered`].
pub(crate) struct InFlight<'a> {
    log: &'a CallLog,
    /// The number of the call since the lab started.
    pub number: u64,
}

impl CallLog {
    pub fn begin(&self, call: Call) -> InFlight<'_> {
        let now = self.in_flight.fetch_add(1, Relaxed) + 1;
        self.peak.fetch_max(now, Relaxed);
        let number = {
            let mut received = self.lock();
            received.calls.push(call);
            received.cleared + received.calls.len() as u64 - 1
        };
        self.arrived.notify_waiters();
        InFlight { log: self, number }
    }

    pub fn all(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    pub fn clear(&self) {
        let mut received = self.lock();
        received.cleared += received.calls.len() as u64;
        received.calls.clear();
        self.peak.store(self.in_flight.load(Relaxed), Relaxed);
    }

    pub fn peak(&self) -> usize {
        self.peak.load(Relaxed)
    }

    /// Resolves as soon as `condition` holds for the calls so far.
    pub async fn wait_for(&self, condition: impl Fn(&[Call]) -> bool) {
        loop {
            let arrived = self.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable(); // before looking, so that nothing is missed between
            if condition(&self.lock().calls) {
                return;
            }
            arrived.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Received> {
        self.calls.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl InFlight<'_> {
    pub fn answered(self, status: u16, error: Option<String>) {
        let mut received = self.log.lock();
        let call = self.number.checked_sub(received.cleared).and_then(|i| received.calls.get_mut(i as usize));
        if let Some(call) = call {
            (call.status, call.error) = (Some(status), error);
        }
        drop(received);
        self.log.arrived.notify_waiters();
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.log.in_flight.fetch_sub(1, Relaxed);
    }
}
