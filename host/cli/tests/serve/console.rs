//! The console of a service: its own ticks, with a journal and without one, and what clients can't do to it.

use serde_json::{Value, json};
use staging_sync_lab::Lab;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::seed::seed;
use crate::service::Service;

async fn json(service: &Service, path: &str) -> Value {
    let (status, body) = service.get(path).await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_journal_it_shows_what_the_process_has_seen() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let mut service = Service::start(&lab, &["--every", "1h"], &[]).await;
    service.line("staging account sync completed").await;
    service.health_until(|_, health| health["status"] == "ok").await;
    let (status, page) = service.get("/").await;
    assert!(status == 200 && page.contains("There's no journal (JOURNAL)") && page.contains("111122223333"), "{page}");
    let fleet = json(&service, "/api/v1/fleet").await;
    let account = &fleet["accounts"][0];
    assert_eq!((&account["status"], &account["stagingAccountCount"]), (&json!("updated"), &json!(1)), "{account}");
    assert_eq!(account["lastChange"]["tick"], fleet["tick"]);
    let ticks = json(&service, "/api/v1/ticks").await;
    assert_eq!(
        (&ticks["ticks"][0]["tick"], &ticks["ticks"][0]["recorded"]),
        (&fleet["tick"], &json!(false)),
        "{ticks}"
    );
    assert_eq!(ticks["ticks"][0]["calls"]["drs"]["made"], 4);
    let tick = fleet["tick"].as_str().expect("a tick");
    assert!(service.get(&format!("/ticks/{tick}")).await.1.contains("only the numbers of the tick are known"));
    assert_eq!(service.get("/accounts/111122223333").await.0, 200);
    assert_eq!(json(&service, "/api/v1/policies").await["inUse"][0]["policy"]["name"], "staging-account-sync");
    let simulated = json(&service, "/api/v1/simulate?accounts=10&regions=1").await;
    assert_eq!(simulated["figures"][0]["ticks"][1]["accountsDone"], 10, "{simulated}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_journal_it_shows_what_is_recorded() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let bucket = lab.edit(|fleet| fleet.hub.bucket.clone());
    let journal = format!("s3://{bucket}/journal/");
    let mut service = Service::start(&lab, &["--every", "1h"], &[("JOURNAL", &journal)]).await;
    service.line("staging account sync completed").await;
    service.health_until(|_, health| health["status"] == "ok").await;
    let account = json(&service, "/api/v1/accounts/111122223333").await;
    assert_eq!(account["stagingAccounts"], json!(["777788889999"]), "{account}");
    assert_eq!(account["timeline"][0]["before"], json!(["444455556666"]), "{account}");
    let said = account["explanation"]["observed"]["answers"].as_array().expect("answers");
    assert!(said.iter().any(|answer| answer["said"] == "777788889999"), "{account}");
    let ticks = json(&service, "/api/v1/ticks").await;
    assert_eq!(ticks["ticks"].as_array().map(Vec::len), Some(1), "the same tick, once: {ticks}");
    assert_eq!((&ticks["ticks"][0]["recorded"], &ticks["ticks"][0]["calls"]["drs"]["made"]), (&json!(true), &json!(4)));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_looks_at_the_host_and_health_checks_may_name_an_address() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let service = Service::start(&lab, &["--every", "1h", "--allow-host", "console.example.com"], &[]).await;
    for path in ["/", "/metrics", "/healthz", "/api/v1/fleet"] {
        assert_eq!(service.request_to("evil.example", "GET", path).await.0, 403, "{path}");
        assert_eq!(service.request_to("console.example.com", "GET", path).await.0, 200, "{path}");
    }
    assert_eq!(service.request_to("10.0.0.5:31000", "GET", "/healthz").await.0, 200);
    assert_eq!(service.request_to("10.0.0.5:31000", "GET", "/metrics").await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_are_slow_delay_no_tick() {
    let lab = Lab::start(seed()).await.expect("a lab");
    let mut service = Service::start(&lab, &["--every", "1s", "--timeout", "1m"], &[]).await;
    let mut slow = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(&service.address).await.expect("a connection");
        let whole = format!("GET /api/v1/fleet HTTP/1.1\r\nhost: {}\r\n\r\n", service.address);
        // Half of a request, or answers that nobody reads.
        let request = if number % 2 == 0 { whole[..20].to_owned() } else { whole.repeat(50) };
        let _ = stream.write_all(request.as_bytes()).await; // older ones may have had to make room
        slow.push(stream);
    }
    for _ in 0..3 {
        service.line("staging account sync completed").await;
    }
    assert_eq!(service.get("/healthz").await.0, 200);
    drop(slow);
}
