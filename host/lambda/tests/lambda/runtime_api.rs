//! A function's invocations, by the Runtime API that the benchmarks have as well.

#[path = "../../../cli/src/bench/runtime_api.rs"]
mod api;

use std::time::Duration;

use api::Asked;
use serde_json::Value;

/// What an invocation came to.
#[derive(Debug)]
pub enum Answer {
    /// The function's return value.
    Response(Value),
    /// What it failed with: `errorType` and `errorMessage`.
    Error(Value),
}

/// A Runtime API for one function.
pub struct RuntimeApi {
    /// `host:port`, for `AWS_LAMBDA_RUNTIME_API`.
    pub address: String,
    api: api::RuntimeApi,
}

impl RuntimeApi {
    /// Serves on a free port, with so much time for every invocation; `None` is a deadline of 1970, as emulators send it.
    pub async fn start(timeout: Option<Duration>) -> Self {
        let api = api::RuntimeApi::start(timeout).await.expect("a free port");
        Self { address: api.address.clone(), api }
    }

    /// Hands out a payload, once the function asks for one.
    pub async fn send(&mut self, payload: impl ToString) {
        match self.api.asked().await.expect("a function") {
            Asked::Next(event) => event.send(payload.to_string()).expect("a function that waits"),
            Asked::Done(answer) => panic!("answered without an event: {answer:?}"),
        }
    }

    /// Invokes the function with a payload, and waits for what it comes to.
    pub async fn invoke(&mut self, payload: impl ToString) -> Answer {
        self.send(payload).await;
        let value =
            |body: hyper::body::Bytes| serde_json::from_slice(&body).unwrap_or_else(|_| panic!("JSON: {body:?}"));
        match self.api.asked().await.expect("an answer") {
            Asked::Done(Ok(body)) => Answer::Response(value(body)),
            Asked::Done(Err(body)) => Answer::Error(value(body)),
            Asked::Next(_) => panic!("asked again, and hasn't answered"),
        }
    }
}
