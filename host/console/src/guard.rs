//! Who is let in: requests to the address that they came to, by nobody else's page, that only ask.
//!
//! A page of somebody else's can make a browser send requests here. By a name that it makes point here (DNS rebinding)
//! it could even read the answers; but then the request's `Host` is that name, and is refused. Without that, it can only
//! link here: whatever else it embeds or fetches comes with `Sec-Fetch-Site` or `Origin`, and is refused.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use hyper::Request;
use hyper::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, ORIGIN, TRANSFER_ENCODING};
use hyper::http::uri::Authority;
use hyper::{Method, StatusCode};

use crate::reply::Reply;

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The port of addresses that name none.
const HTTP: u16 = 80;

/// A name that clients may use, like `console.example.com` or `localhost:9000`; without a port, with any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost {
    name: Name,
    port: Option<u16>,
}

/// Whose name it is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Address(IpAddr),
    Dns(String),
}

/// How a request that is let in came to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visit {
    /// By this console's own page, by a person who typed the address, or by a program.
    Own,
    /// By a link on somebody else's page.
    Linked,
}

impl FromStr for AllowedHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = authority(text);
        parsed.map(|(name, port)| Self { name, port }).ok_or_else(|| {
            "expected a name or an address, with or without a port, like console.example.com or 10.0.0.5:8080".into()
        })
    }
}

/// Name and port of a `Host`; none if it isn't one, or has more than that.
fn authority(text: &str) -> Option<(Name, Option<u16>)> {
    let authority: Authority = text.parse().ok()?;
    let host = authority.host();
    let port = match text.strip_prefix(host)? {
        "" => None,
        rest => {
            let port = rest.strip_prefix(':')?;
            Some(port.parse().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()))?)
        }
    };
    let is_name = |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let name = match (host.strip_prefix('[').and_then(|host| host.strip_suffix(']')), host.parse()) {
        (Some(host), _) => Name::Address(IpAddr::V6(host.parse().ok()?)),
        (None, Ok(address)) => Name::Address(IpAddr::V4(address)),
        (None, Err(_)) if !host.is_empty() && is_name(host) => Name::Dns(host.to_ascii_lowercase()),
        (None, Err(_)) => return None,
    };
    Some((name, port))
}

/// Lets a request in, or says why not.
pub fn admit<B>(request: &Request<B>, local: SocketAddr, allowed: &[AllowedHost]) -> Result<Visit, Reply> {
    let headers = request.headers();
    has_no_body(headers)?;
    let host = host(request)?;
    let path = request.uri().path();
    let is_health_check = path == "/healthz" && is_local_name(&host.0);
    if !is_health_check && !is_allowed(&host, local, allowed) {
        return Err(Reply::text(
            StatusCode::FORBIDDEN,
            "forbidden: the Host of the request isn't an address of this server: connect to the address that it listens on, or \
             start it with --allow-host NAME\n",
        ));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Reply::text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed: expected GET or HEAD\n"));
    }
    came_from_here(headers, &host)
}

/// A request that has a body is no question, and one that says its length twice means to be read in two ways.
fn has_no_body(headers: &HeaderMap) -> Result<(), Reply> {
    let lengths: Vec<_> = headers.get_all(CONTENT_LENGTH).iter().collect();
    let is_empty = lengths.iter().all(|length| length.as_bytes() == b"0") && lengths.len() <= 1;
    if is_empty && !headers.contains_key(TRANSFER_ENCODING) {
        return Ok(());
    }
    let refused = Reply::text(StatusCode::BAD_REQUEST, "bad request: expected a request without a body\n");
    Err(Reply { close: true, ..refused })
}

/// The one `Host` of a request. An address in its first line has to be the same.
fn host<B>(request: &Request<B>) -> Result<(Name, Option<u16>), Reply> {
    let refused = || {
        let reply = Reply::text(
            StatusCode::BAD_REQUEST,
            "bad request: expected one Host header, a name with or without a port\n",
        );
        Reply { close: true, ..reply }
    };
    let mut hosts = request.headers().get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(refused()) };
    let host = host.to_str().ok().and_then(authority).ok_or_else(refused)?;
    match request.uri().authority() {
        Some(other) if authority(other.as_str()).as_ref() != Some(&host) => Err(refused()),
        _ => Ok(host),
    }
}

/// Whether a `Host` is the address that the client connected to, a name of loopback if that is one, or an allowed name.
fn is_allowed((name, port): &(Name, Option<u16>), local: SocketAddr, allowed: &[AllowedHost]) -> bool {
    let is_local = match name {
        Name::Address(address) => *address == local.ip().to_canonical(),
        Name::Dns(name) => name == "localhost" && local.ip().to_canonical().is_loopback(),
    };
    let is_here = is_local && port.unwrap_or(HTTP) == local.port();
    is_here || allowed.iter().any(|one| one.name == *name && one.port.is_none_or(|known| Some(known) == *port))
}

/// Whether no name server has a say in it: health checks through a translation of addresses can't know ours, and a page
/// that means to rebind needs a name of its own.
fn is_local_name(name: &Name) -> bool {
    match name {
        Name::Address(_) => true,
        Name::Dns(name) => name == "localhost",
    }
}

/// Whether no other page makes the request, unless it's a person who follows a link.
fn came_from_here(headers: &HeaderMap, host: &(Name, Option<u16>)) -> Result<Visit, Reply> {
    let refused = || Reply::text(StatusCode::FORBIDDEN, "forbidden: another site's page asks for this\n");
    let is =
        |name: &HeaderName, value: &str| headers.get(name).is_some_and(|found| found.as_bytes() == value.as_bytes());
    let mut origins = headers.get_all(ORIGIN).iter();
    if let Some(origin) = origins.next() {
        let origin = origin.to_str().ok();
        let own = origin.and_then(|origin| origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")));
        if own.and_then(authority).as_ref() != Some(host) || origins.next().is_some() {
            return Err(refused());
        }
    }
    if !headers.contains_key(SITE) || is(&SITE, "same-origin") || is(&SITE, "none") {
        return Ok(Visit::Own);
    }
    if is(&MODE, "navigate") && is(&DEST, "document") { Ok(Visit::Linked) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(path: &str, local: &str, headers: &[(&str, &str)], allowed: &[&str]) -> u16 {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let allowed: Vec<AllowedHost> = allowed.iter().map(|name| name.parse().expect("a name")).collect();
        let request = request.body(()).expect("a request");
        match admit(&request, local.parse().expect("an address"), &allowed) {
            Ok(Visit::Own) => 200,
            Ok(Visit::Linked) => 201,
            Err(reply) => reply.status.as_u16(),
        }
    }

    #[test]
    fn a_host_is_the_address_that_was_connected_to_or_allowed() {
        let loopback = "127.0.0.1:8080";
        for (host, local, allowed, expected) in [
            ("127.0.0.1:8080", loopback, &[][..], 200),
            ("localhost:8080", loopback, &[], 200),
            ("LOCALHOST:8080", loopback, &[], 200),
            ("[::1]:8080", "[::1]:8080", &[], 200),
            ("127.0.0.1:8080", "[::ffff:127.0.0.1]:8080", &[], 200),
            ("127.0.0.1", "127.0.0.1:80", &[], 200),
            ("10.0.0.5:8080", "10.0.0.5:8080", &[], 200),
            ("console.example.com", loopback, &["console.example.com"], 200),
            ("console.example.com:9000", loopback, &["Console.Example.com"], 200),
            ("localhost:9000", loopback, &["localhost:9000"], 200),
            ("localhost:9001", loopback, &["localhost:9000"], 403),
            ("127.0.0.1:8081", loopback, &[], 403),
            ("127.0.0.1", loopback, &[], 403),
            ("localhost:8080", "10.0.0.5:8080", &[], 403),
            ("10.0.0.6:8080", "10.0.0.5:8080", &[], 403),
            ("127.0.0.1.evil.example:8080", loopback, &[], 403),
            ("localhost.evil.example:8080", loopback, &["localhost"], 403),
            ("evil.example:8080", loopback, &["console.example.com"], 403),
            ("xconsole.example.com", loopback, &["console.example.com"], 403),
            ("localhost.:8080", loopback, &[], 403),
            ("0177.0.0.1:8080", loopback, &[], 403),
            ("2130706433:8080", loopback, &[], 403),
            ("evil.example@127.0.0.1:8080", loopback, &[], 400),
            ("127.0.0.1:8080/", loopback, &[], 400),
            ("127.0.0.1:8080:8080", loopback, &[], 400),
            ("127.0.0.1:+8080", loopback, &[], 400),
            ("", loopback, &[], 400),
        ] {
            assert_eq!(status("/", local, &[("host", host)], allowed), expected, "{host} at {local}, {allowed:?}");
        }
        assert_eq!(status("/", loopback, &[], &[]), 400, "no Host");
        assert_eq!(status("/", loopback, &[("host", loopback), ("host", loopback)], &[]), 400, "two");
        assert_eq!(
            status("http://evil.example/", loopback, &[("host", loopback)], &[]),
            400,
            "another in the first line"
        );
        assert_eq!(status("http://127.0.0.1:8080/", loopback, &[("host", loopback)], &[]), 200, "the same");
    }

    #[test]
    fn health_checks_may_name_an_address_that_isnt_known_here_but_no_name() {
        let local = "172.17.0.2:8080";
        for (path, host, expected) in [
            ("/healthz", "10.0.0.5:31000", 200),
            ("/healthz", "localhost", 200),
            ("/healthz", "evil.example:8080", 403),
            ("/metrics", "10.0.0.5:31000", 403),
            ("/", "10.0.0.5:31000", 403),
            ("/", "localhost", 403),
        ] {
            assert_eq!(status(path, local, &[("host", host)], &[]), expected, "{path} {host}");
        }
    }

    #[test]
    fn other_sites_may_link_and_nothing_else() {
        let host = ("host", "127.0.0.1:8080");
        let of = |headers: &[(&str, &str)]| status("/", "127.0.0.1:8080", &[&[host], headers].concat(), &[]);
        let site = |site| ("sec-fetch-site", site);
        let (navigate, document) = (("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"));
        assert_eq!(of(&[site("same-origin")]), 200);
        assert_eq!(of(&[site("none"), navigate, document]), 200);
        assert_eq!(of(&[site("cross-site"), navigate, document]), 201);
        assert_eq!(of(&[site("same-site"), navigate, document]), 201);
        assert_eq!(of(&[site("same-site"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")]), 403);
        assert_eq!(of(&[site("cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")]), 403);
        assert_eq!(of(&[site("cross-site"), navigate, ("sec-fetch-dest", "iframe")]), 403);
        assert_eq!(of(&[site("cross-site")]), 403);
        assert_eq!(of(&[("origin", "http://127.0.0.1:8080")]), 200);
        for origin in [
            "http://evil.example",
            "null",
            "http://127.0.0.1:8081",
            "127.0.0.1:8080",
            "http://127.0.0.1:8080.evil.example",
        ] {
            assert_eq!(of(&[("origin", origin)]), 403, "{origin}");
        }
    }

    #[test]
    fn a_request_has_no_body_and_asks() {
        let local = "127.0.0.1:8080";
        let of = |headers: &[(&str, &str)]| status("/", local, &[&[("host", local)], headers].concat(), &[]);
        assert_eq!(of(&[("content-length", "0")]), 200);
        assert_eq!(of(&[("content-length", "1")]), 400);
        assert_eq!(of(&[("content-length", "0"), ("content-length", "0")]), 400);
        assert_eq!(of(&[("transfer-encoding", "chunked")]), 400);
        let post = Request::builder().method("POST").uri("/").header("host", local).body(()).expect("a request");
        let refused = admit(&post, local.parse().expect("an address"), &[]).expect_err("a change");
        assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
    }
}
