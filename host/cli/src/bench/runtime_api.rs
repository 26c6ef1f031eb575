//! Lambda's Runtime API, which says when it's asked and answered; the tests of `bootstrap` use it too.
//!
//! Source: "Using the Lambda runtime API" in the Lambda developer guide.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// What a function asks of the API.
pub enum Asked {
    /// For the next event, which is what is sent back.
    Next(oneshot::Sender<String>),
    /// To take what the event came to: an answer, or an error.
    Done(Result<Bytes, Bytes>),
}

/// A Runtime API on loopback; it ends with the process.
pub struct RuntimeApi {
    /// `host:port`, for `AWS_LAMBDA_RUNTIME_API`.
    pub address: String,
    asked: mpsc::UnboundedReceiver<Asked>,
}

impl RuntimeApi {
    /// Serves on a free port, with so much time for every invocation; `None` is a deadline of 1970, as emulators send it.
    pub async fn start(timeout: Option<Duration>) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (ask, asked) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let ask = ask.clone();
                let service = service_fn(move |request| serve(request, ask.clone(), timeout));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Ok(Self { address, asked })
    }

    /// What is asked next.
    pub async fn asked(&mut self) -> Option<Asked> {
        self.asked.recv().await
    }
}

async fn serve(
    request: Request<Incoming>,
    ask: mpsc::UnboundedSender<Asked>,
    timeout: Option<Duration>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let reply = |status: u16, body: Bytes| Response::builder().status(status).body(Full::new(body)).unwrap_or_default();
    let path = request.uri().path().to_owned();
    if path.ends_with("/invocation/next") {
        let (answer, event) = oneshot::channel();
        let _ = ask.send(Asked::Next(answer));
        let Ok(event) = event.await else { return Ok(reply(500, Bytes::new())) };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let deadline = timeout.map_or(Duration::from_secs(600), |timeout| now + timeout);
        let response = Response::builder()
            .header("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
            .header("lambda-runtime-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793")
            .header("lambda-runtime-deadline-ms", deadline.as_millis().to_string())
            .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:999988887777:function:sync")
            .body(Full::from(event));
        return Ok(response.unwrap_or_default());
    }
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let _ = ask.send(Asked::Done(if path.ends_with("/response") { Ok(body) } else { Err(body) }));
    Ok(reply(202, Bytes::new()))
}
