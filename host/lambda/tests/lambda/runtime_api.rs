//! Lambda's Runtime API, as far as a runtime client uses it: it hands out invocations and takes the answers.
//!
//! Source: "Using the Lambda runtime API" in the Lambda developer guide.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};

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
    events: mpsc::UnboundedSender<String>,
    answers: mpsc::UnboundedReceiver<Answer>,
}

impl RuntimeApi {
    /// Serves on a free port, with so much time for every invocation; `None` is a deadline of 1970, as emulators send it.
    pub async fn start(timeout: Option<Duration>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let (events, waiting) = mpsc::unbounded_channel::<String>();
        let (answered, answers) = mpsc::unbounded_channel();
        let waiting = Arc::new(Mutex::new(waiting));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (waiting, answered) = (Arc::clone(&waiting), answered.clone());
                let service =
                    service_fn(move |request| serve(request, Arc::clone(&waiting), answered.clone(), timeout));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { address, events, answers }
    }

    /// Hands out a payload, and waits for nothing.
    pub fn send(&self, payload: impl ToString) {
        self.events.send(payload.to_string()).expect("a server");
    }

    /// Invokes the function with a payload, and waits for what it comes to.
    pub async fn invoke(&mut self, payload: impl ToString) -> Answer {
        self.send(payload);
        self.answers.recv().await.expect("an answer")
    }
}

async fn serve(
    request: Request<Incoming>,
    waiting: Arc<Mutex<mpsc::UnboundedReceiver<String>>>,
    answered: mpsc::UnboundedSender<Answer>,
    timeout: Option<Duration>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    if path.ends_with("/invocation/next") {
        let event = waiting.lock().await.recv().await.expect("the test holds the other end");
        let deadline = match timeout {
            Some(timeout) => (SystemTime::now() + timeout).duration_since(SystemTime::UNIX_EPOCH).expect("after 1970"),
            None => Duration::from_secs(600),
        };
        let response = Response::builder()
            .header("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
            .header("lambda-runtime-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793")
            .header("lambda-runtime-deadline-ms", deadline.as_millis().to_string())
            .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:999988887777:function:sync")
            .body(Full::from(event))
            .expect("a response");
        return Ok(response);
    }
    let body = request.into_body().collect().await.expect("a body").to_bytes();
    let value = serde_json::from_slice(&body).unwrap_or_else(|_| panic!("JSON at {path}: {body:?}"));
    let answer = if path.ends_with("/response") { Answer::Response(value) } else { Answer::Error(value) };
    answered.send(answer).expect("the test holds the other end");
    Ok(Response::builder().status(202).body(Full::default()).expect("a response"))
}
