//! Clients and other sites' pages that aren't let in, and clients that are slow.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{Console, journal, latest};

const PATHS: [&str; 8] =
    ["/", "/accounts/111122223333", "/ticks", "/policies", "/simulate", "/style.css", "/api/v1/fleet", "/nothing"];

async fn console(options: &[&str]) -> (Console, tempfile::TempDir) {
    let folder = journal(&latest(json!({})));
    (Console::start(folder.path(), options).await, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_was_made_to_point_here_is_refused_everywhere() {
    let (console, _folder) = console(&["--allow-host", "console.example.com"]).await;
    let port = console.port();
    for path in PATHS {
        for host in [
            format!("evil.example:{port}"),
            format!("127.0.0.1.evil.example:{port}"),
            format!("console.example.com.evil.example:{port}"),
            "127.0.0.1".to_owned(),
            "127.0.0.1:1".to_owned(),
            format!("10.0.0.5:{port}"),
        ] {
            let answer = console.request("GET", path, &[("host", &host)]).await;
            assert_eq!(answer.status, 403, "{path} {host}");
            assert!(answer.body.contains("--allow-host"), "{}", answer.body);
        }
        for host in [format!("localhost:{port}"), console.address.clone(), "console.example.com".into()] {
            assert_ne!(console.request("GET", path, &[("host", &host)]).await.status, 403, "{path} {host}");
        }
    }
    assert_eq!(console.request("GET", "http://evil.example/", &[]).await.status, 400);
    let twice = format!("GET / HTTP/1.1\r\nhost: {0}\r\nhost: {0}\r\n\r\n", console.address);
    assert!(console.raw(twice.as_bytes()).await.starts_with("HTTP/1.1 400 "));
    assert!(console.raw(b"GET / HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_sites_page_may_link_here_and_get_nothing() {
    let (console, _folder) = console(&[]).await;
    let cross = ("sec-fetch-site", "cross-site");
    let link = [cross, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    for path in PATHS {
        let embedded = [cross, ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
        assert_eq!(console.request("GET", path, &embedded).await.status, 403, "{path}");
        let fetched = [("origin", "http://evil.example")];
        let answer = console.request("GET", path, &fetched).await;
        assert!(answer.status == 403 && !answer.head.contains("access-control"), "{path} {}", answer.head);
        let framed = [cross, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
        assert_eq!(console.request("GET", path, &framed).await.status, 403, "{path}");
        assert_ne!(console.request("GET", path, &link).await.status, 403, "{path}");
    }
    // What costs something isn't begun by a link.
    assert_eq!(console.request("GET", "/api/v1/simulate?accounts=10", &link).await.status, 403);
    let page = console.request("GET", "/simulate?accounts=10", &link).await;
    assert!(page.status == 200 && !page.body.contains("What came out"), "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_can_be_changed_and_every_answer_says_what_a_browser_may_do_with_it() {
    let (console, _folder) = console(&[]).await;
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
        for path in PATHS {
            let answer = console.request(method, path, &[]).await;
            assert!(
                answer.status == 405 && answer.head.contains("allow: get, head"),
                "{method} {path} {}",
                answer.head
            );
        }
    }
    for path in PATHS {
        let head = console.request("HEAD", path, &[]).await;
        let answer = console.get(path).await;
        assert!(head.body.is_empty() && head.status == answer.status && !answer.body.is_empty(), "{path}");
        for header in [
            "content-security-policy: default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri \
             'none'; frame-ancestors 'none'\r\n",
            "x-content-type-options: nosniff\r\n",
            "referrer-policy: no-referrer\r\n",
            "cache-control: no-store\r\n",
        ] {
            assert!(answer.head.contains(header), "{path}: no {header} in {}", answer.head);
        }
        assert!(
            !answer.body.contains("<script") && !answer.body.contains("style=") && !answer.body.contains(" onload")
        );
    }
}

/// How often a text of answers has the first line of one.
fn answers(text: &str) -> usize {
    text.matches("HTTP/1.1 ").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_can_be_read_in_two_ways_are_answered_once_and_end_the_connection() {
    let (console, _folder) = console(&[]).await;
    let host = &console.address;
    let hidden = format!("GET /api/v1/fleet HTTP/1.1\r\nhost: {host}\r\n\r\n");
    let length = hidden.len();
    for headers in [
        format!("content-length: {length}\r\ntransfer-encoding: chunked"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}"),
        format!("content-length: 0\r\ncontent-length: {length}"),
        format!("content-length: {length}, 0"),
        format!("content-length: {length}"),
        "content-length: -1".to_owned(),
        "content-length: 0x0".to_owned(),
        "transfer-encoding: identity, chunked".to_owned(),
        "transfer-encoding: chunked, chunked".to_owned(),
        "transfer-encoding: xchunked".to_owned(),
        "transfer-encoding : chunked".to_owned(),
        "x: y\r\n transfer-encoding: chunked".to_owned(),
        "x\r\n: y".to_owned(),
        "x: \0".to_owned(),
    ] {
        let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n\r\n0\r\n\r\n{hidden}");
        let answer = console.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answers(&answer) == 1, "{headers:?}: {answer}");
    }
    // Requests one after the other are another matter.
    let last = format!("GET /style.css HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    assert_eq!(answers(&console.raw(format!("{hidden}{last}").as_bytes()).await), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_too_large_are_refused() {
    let (console, _folder) = console(&[]).await;
    let host = &console.address;
    let long = "a".repeat(100_000);
    for request in [
        format!("GET /{long} HTTP/1.1\r\nhost: {host}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: {host}\r\nx: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: {host}\r\n{}\r\n", "x: y\r\n".repeat(100)),
    ] {
        let answer = console.raw(request.as_bytes()).await;
        // All of it needn't have been read, so that the answer may be lost.
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
        assert!(!answer.contains("HTTP/1.1 404"), "{answer}");
    }
    assert_eq!(console.get("/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_send_half_a_request_keep_nobody_out() {
    let (console, _folder) = console(&[]).await;
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(&console.address).await.expect("a connection");
        stream.write_all(b"GET / HTTP/1.1\r\nhost: ").await.expect("half a request");
        slow.push(stream);
    }
    assert_eq!(console.get("/").await.status, 200);
    // The first of them had to make room.
    let mut first = slow.remove(0);
    let mut rest = Vec::new();
    let _ = first.read_to_end(&mut rest).await; // an end or a reset
    assert_eq!(String::from_utf8_lossy(&rest), "");
}
