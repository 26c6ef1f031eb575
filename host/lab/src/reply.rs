//! An HTTP answer of any service, and the end of the lab, which answers wait for.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::sync::watch;

/// Resolves when the lab stops.
#[derive(Clone)]
pub(crate) struct Stop(pub watch::Receiver<bool>);

impl Stop {
    pub async fn stopped(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await; // a lab that is gone has stopped
    }
}

pub(crate) type Reply = Response<Full<Bytes>>;

/// An answer with a body.
pub(crate) fn reply(status: u16, content_type: &'static str, body: String) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}
