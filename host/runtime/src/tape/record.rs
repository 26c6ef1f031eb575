//! The recording `AwsApi`: makes the calls, and stores requests and answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::exchange::{Exchange, target};
use super::{Tape, secrets};
use crate::aws::{AwsApi, AwsError, Call, Request};

/// Records the calls of another API.
pub struct Recorder {
    inner: Arc<dyn AwsApi>,
    writes: bool,
    calls: Mutex<Vec<Recorded>>,
}

/// A call in the order of beginnings, and how it ended, once it has.
struct Recorded {
    target: Option<String>,
    exchange: Option<Exchange>,
}

impl Recorder {
    /// Records calls through `inner`. Unless `writes`, a write is recorded and answered as done, but not made.
    pub fn new(inner: Arc<dyn AwsApi>, writes: bool) -> Self {
        Self { inner, writes, calls: Mutex::default() }
    }

    /// Puts what was recorded on a tape, without secrets. Fails if there's a call that never ended.
    pub fn finish(&self, tape: &mut Tape) -> Result<(), String> {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner));
        for Recorded { target, exchange } in calls {
            let exchange = exchange.ok_or("a call to AWS was given up before its answer came; record again")?;
            match target {
                None => tape.host.push(exchange),
                Some(target) => tape.targets.entry(target).or_default().push(exchange),
            }
        }
        secrets::remove(tape.host.iter_mut().chain(tape.targets.values_mut().flatten()));
        Ok(())
    }

    async fn answer(&self, call: &Call) -> Result<Value, AwsError> {
        match call.request {
            Request::UpdateItem { .. } if !self.writes => Ok(json!({})),
            _ => self.inner.call(call).await,
        }
    }
}

impl AwsApi for Recorder {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Value, AwsError>> {
        Box::pin(async move {
            let calls = || self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            let place = {
                let mut calls = calls();
                calls.push(Recorded { target: target(call), exchange: None });
                calls.len() - 1
            };
            let answer = self.answer(call).await;
            if let Some(recorded) = calls().get_mut(place) {
                recorded.exchange = Some(Exchange::of(call, &answer));
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
