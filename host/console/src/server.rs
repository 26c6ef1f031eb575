//! The server: connections that are few and end, requests that come from here, and answers that stay here.

mod connections;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::console::Console;
use crate::guard::{self, AllowedHost, Visit};
use crate::reply::{Extra, Reply};
use crate::routes;
use connections::{Connection, Connections};

/// How long a client may take to send the head of a request, the first one and the next.
const HEAD: Duration = Duration::from_secs(10);

/// How long a connection may last, whatever it does: a page takes less, and a browser makes another.
const LIFE: Duration = Duration::from_secs(60);

/// The size of a request's head, in bytes.
const MAX_HEAD: usize = 16 << 10;

/// So many headers may a request have.
const MAX_HEADERS: usize = 64;

/// How long a page may take to be made.
const PAGE: Duration = Duration::from_secs(45);

/// So many pages are made at once.
const PAGES: usize = 4;

/// What answers requests.
pub struct Server {
    console: Arc<Console>,
    allowed: Vec<AllowedHost>,
    extra: Option<Arc<dyn Extra>>,
    turns: Arc<Semaphore>,
}

impl Server {
    /// Answers what is shown; to clients that use these names beside the address that they connect to; and what is extra,
    /// like the `/healthz` and `/metrics` of a service.
    pub fn new(console: Console, allowed: Vec<AllowedHost>, extra: Option<Arc<dyn Extra>>) -> Self {
        Self { console: Arc::new(console), allowed, extra, turns: Arc::new(Semaphore::new(PAGES)) }
    }

    /// Answers until it's dropped.
    pub async fn serve(self, listener: TcpListener) {
        let (server, connections) = (Arc::new(self), Connections::default());
        loop {
            let (stream, _) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "can't accept a connection");
                    // Out of file descriptors, most likely: it passes when others end.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (server, connection) = (Arc::clone(&server), Connection::default());
            let task = tokio::spawn(connected(stream, server, connection.clone()));
            connections.add(connection, task.abort_handle());
        }
    }

    async fn answer(&self, request: &Request<Incoming>, local: SocketAddr) -> Response<Full<Bytes>> {
        let admitted = guard::admit(request, local, &self.allowed);
        let reply = match admitted {
            Ok(visit) => {
                let path = request.uri().path();
                let extra = self.extra.as_ref().and_then(|extra| extra.answer(path));
                match extra {
                    Some(reply) => reply,
                    None => self.page(path, request.uri().query(), visit).await,
                }
            }
            Err(refused) => refused,
        };
        reply.response()
    }
}

impl Server {
    /// Makes an answer on a thread beside those of ticks, a few at a time: what is read and written for a page of a large
    /// fleet is some work.
    async fn page(&self, path: &str, query: Option<&str>, visit: Visit) -> Reply {
        let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else { return broken() };
        let console = Arc::clone(&self.console);
        let (path, query) = (path.to_owned(), query.map(str::to_owned));
        let runtime = Handle::current();
        let made = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let answer = routes::answer(&console, &path, query.as_deref(), visit);
            runtime.block_on(tokio::time::timeout(PAGE, answer))
        });
        match made.await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => Reply::text(StatusCode::GATEWAY_TIMEOUT, "the journal didn't answer in time: try again\n"),
            Err(_) => broken(),
        }
    }
}

fn broken() -> Reply {
    Reply::text(StatusCode::INTERNAL_SERVER_ERROR, "the page can't be made because of a bug; please report it\n")
}

/// Serves one connection until it ends, or has lasted long enough.
async fn connected(stream: TcpStream, server: Arc<Server>, connection: Connection) {
    let Ok(local) = stream.local_addr() else { return };
    let _ = stream.set_nodelay(true); // answers are written at once
    let service = service_fn(|request| {
        let (server, busy) = (Arc::clone(&server), connection.busy());
        async move {
            let response = server.answer(&request, local).await;
            drop(busy);
            Ok::<_, Infallible>(response)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(LIFE, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection was closed early"),
        Err(_) => tracing::debug!("a connection lasted too long"),
    }
}
