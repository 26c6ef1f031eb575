//! `AwsApi` that tapes a tick: makes the calls, and writes each with its answer to a spool, without secrets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::spool::{Spool, Spooled};
use crate::account::Item;
use crate::aws::{AwsApi, AwsError, Call};
use crate::tape::{self, Exchange, Redaction};

/// Tapes the calls of another API while there's a tick under way.
pub(super) struct TapingApi {
    inner: Arc<dyn AwsApi>,
    tape: Mutex<Option<Taping>>,
}

/// A tape that is being made.
struct Taping {
    /// Or why there's none.
    spool: Result<Spool, String>,
    /// What is known of the secrets of each target account under way.
    redactions: HashMap<String, Redaction>,
}

impl TapingApi {
    pub fn new(inner: Arc<dyn AwsApi>) -> Self {
        Self { inner, tape: Mutex::default() }
    }

    /// Another tape of the same API.
    pub fn apart(&self) -> Self {
        Self::new(Arc::clone(&self.inner))
    }

    /// Begins a tape with this line.
    pub fn begin(&self, header: &Value) {
        *self.tape() = Some(Taping { spool: Ok(Spool::new()), redactions: HashMap::new() });
        self.line(header);
    }

    /// Learns the secrets of an account's item before its calls come.
    pub fn learn(&self, account: &str, item: &Item) {
        if let Some(tape) = &mut *self.tape() {
            tape.redactions.entry(account.to_owned()).or_default().learn(&Value::Object(item.clone()));
        }
    }

    /// Forgets the secrets of an account that is done.
    pub fn forget(&self, account: &str) {
        if let Some(tape) = &mut *self.tape() {
            tape.redactions.remove(account);
        }
    }

    /// Adds a line to the tape.
    pub fn line(&self, line: &Value) {
        if let Some(tape) = &mut *self.tape() {
            tape.line(line);
        }
    }

    /// Ends the tape. The error says why there's none.
    pub fn finish(&self) -> Result<Spooled, String> {
        let tape = self.tape().take().ok_or("host: no tape was begun; please report it")?;
        let failed = |error: std::io::Error| format!("the tape can't be kept in a temporary file: {error}");
        tape.spool?.finish().map_err(failed)
    }

    /// Drops the tape, because there's nothing to tell.
    pub fn discard(&self) {
        *self.tape() = None;
    }

    fn tape(&self) -> MutexGuard<'_, Option<Taping>> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taping {
    fn line(&mut self, line: &Value) {
        let Ok(spool) = &mut self.spool else { return };
        if let Err(error) = spool.line(line) {
            self.spool = Err(format!("the tape can't be kept in a temporary file: {error}"));
        }
    }

    fn exchange(&mut self, call: &Call, answer: &Result<Value, AwsError>) {
        if self.spool.is_err() {
            return;
        }
        let mut exchange = Exchange::of(call, answer);
        let target = tape::target(call);
        match &target {
            Some(target) => self.redactions.entry(target.clone()).or_default().apply(&mut exchange),
            None => Redaction::default().apply(&mut exchange), // a page of the table: many accounts, seen once
        }
        self.line(&json!({"target": target, "exchange": exchange}));
    }
}

impl AwsApi for TapingApi {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Value, AwsError>> {
        Box::pin(async move {
            let answer = self.inner.call(call).await;
            if let Some(tape) = &mut *self.tape() {
                tape.exchange(call, &answer);
            }
            answer
        })
    }

    fn has_room(&self) -> bool {
        self.inner.has_room()
    }

    fn now(&self) -> SystemTime {
        self.inner.now()
    }
}
