//! The endpoint: HTTP/1.1 connections on loopback, each of which can be reset instead of answered.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::reply::{Reply, Stop, reply};
use crate::world::{Cut, World};

/// The largest body that DynamoDB takes, and more than the others do.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// The largest upload to S3: more than a policy may have, so that one that is too large can be put.
const LARGEST_UPLOAD: usize = 128 * 1024 * 1024;

/// How long a stopping lab waits for clients that are in the middle of sending a request.
const LONGEST_FAREWELL: Duration = Duration::from_secs(2);

/// Serves until `stop` says so; then answers what is being processed, and ends what faults hold back.
pub(crate) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, world: Arc<World>, mut stop: Stop) {
    let mut connections = JoinSet::new();
    let stopped = stop.clone();
    loop {
        tokio::select! {
            () = stop.stopped() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, tls.clone(), world.clone(), stopped.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "can't accept a connection");
                    // Out of file descriptors, most likely: it passes when others end.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LONGEST_FAREWELL, ended).await; // what is left is cut, as the set is dropped
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, world: Arc<World>, mut stop: Stop) {
    let _ = stream.set_nodelay(true); // only costs time when it fails
    let reset = Arc::new(AtomicBool::new(false));
    let socket = Socket { stream, reset: reset.clone() };
    let Some(tls) = tls else { return answer(socket, reset, world, stop).await };
    let accepted = tokio::select! {
        accepted = tls.accept(socket) => accepted,
        () = stop.stopped() => return,
    };
    match accepted {
        Ok(stream) => {
            world.handshakes.count(stream.get_ref().1.handshake_kind());
            answer(stream, reset, world, stop).await
        }
        Err(error) => tracing::debug!(%error, "the TLS handshake failed"),
    }
}

/// Answers the requests of a connection; one that a fault resets sets `reset`.
async fn answer<S>(stream: S, reset: Arc<AtomicBool>, world: Arc<World>, mut stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stopped = stop.clone();
    let service = service_fn(move |request| {
        let (world, reset, stop) = (world.clone(), reset.clone(), stopped.clone());
        async move {
            let answer = handle(&world, request, stop).await;
            reset.store(answer.as_ref().err() == Some(&Cut::Reset), Relaxed);
            answer
        }
    });
    let served = http1::Builder::new().header_read_timeout(None).serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stop.stopped() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

async fn handle(world: &World, request: Request<Incoming>, mut stop: Stop) -> Result<Reply, Cut> {
    let (parts, body) = request.into_parts();
    let largest = if parts.method == Method::PUT { LARGEST_UPLOAD } else { LARGEST_BODY };
    match Limited::new(body, largest).collect().await {
        Ok(body) => world.answer(&parts, body.to_bytes(), &mut stop).await,
        Err(_) => Ok(reply(413, "application/json", r#"{"message":"Request body is too large or incomplete"}"#.into())),
    }
}

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Self::Reset => "reset by a fault",
            Self::Stopped => "the lab stops",
        })
    }
}

impl std::error::Error for Cut {}

/// A connection that is reset when it closes, if `reset` says so: the client sees ECONNRESET, not an end.
struct Socket {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.load(Relaxed) {
            let _ = self.stream.set_zero_linger(); // failing, it's a close, which clients survive as well
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context, buffer: &mut ReadBuf) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context,
        slices: &[io::IoSlice],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context) -> Poll<io::Result<()>> {
        if self.reset.load(Relaxed) {
            return Poll::Ready(Ok(())); // an orderly end would come before the reset
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
