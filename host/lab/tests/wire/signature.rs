//! What the lab makes of requests that aren't signed as they should be, or aren't requests at all.

use aws_sdk_drs::config::Credentials;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use staging_sync_lab::Lab;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::*;

/// What a call comes to whose URI, or a header, is changed after it was signed.
async fn tampered(lab: &Lab, name: &'static str, value: &'static str) -> (u16, String) {
    let tamper = Alter(When::Signed, move |request: &mut HttpRequest| match name {
        "uri" => request.set_uri(format!("{}{value}", request.uri())).unwrap(),
        name => drop(request.headers_mut().insert(name, value)),
    });
    let client = drs(lab, assume(lab, None).await, "eu-west-1");
    failure(client.list_staging_accounts().customize().interceptor(tamper).send().await)
}

#[tokio::test]
async fn what_was_signed_cannot_be_changed() {
    let lab = lab().await;
    let wrong = (403, "InvalidSignatureException".to_owned());
    assert_eq!(tampered(&lab, "uri", "?maxResults=1").await, wrong);
    assert_eq!(tampered(&lab, "x-amz-date", "20200101T000000Z").await, wrong);
    assert_eq!(tampered(&lab, "x-amz-user-agent", "other").await, wrong);
    let unknown = (403, "UnrecognizedClientException".to_owned());
    assert_eq!(tampered(&lab, "x-amz-security-token", "other").await, unknown);
}

#[tokio::test]
async fn wrong_keys_are_refused_in_each_services_words() {
    let lab = lab().await;
    let known = hub(&lab);
    let wrong = Credentials::new(known.access_key_id(), "wrong", None, None, "test");
    let unknown = Credentials::new("AKIAUNKNOWNUNKNOWN00", "wrong", None, None, "test");
    let tokenless = assume(&lab, None).await;
    let tokenless = Credentials::new(tokenless.access_key_id(), tokenless.secret_access_key(), None, None, "test");
    for (keys, sts_code, other_code) in [
        (wrong, "SignatureDoesNotMatch", "InvalidSignatureException"),
        (unknown, "InvalidClientTokenId", "UnrecognizedClientException"),
        (tokenless, "InvalidClientTokenId", "UnrecognizedClientException"),
    ] {
        let identity = sts(&lab, keys.clone(), "us-east-1").get_caller_identity().send().await;
        assert_eq!(failure(identity), (403, sts_code.into()));
        let listed = drs(&lab, keys.clone(), "us-east-1").list_staging_accounts().send().await;
        assert_eq!(failure(listed), (403, other_code.into()));
        let scanned = dynamodb(&lab, keys, "us-east-1").scan().table_name(TABLE).send().await;
        assert_eq!(failure(scanned), (400, other_code.into()));
    }
    assert!(lab.calls().iter().skip(1).all(|call| call.account.is_none()));
}

/// Replaces the body before it's signed.
fn body(body: &'static [u8]) -> Alter<impl Fn(&mut HttpRequest) + Send + Sync + 'static> {
    Alter(When::BeforeSigning, move |request: &mut HttpRequest| {
        request.headers_mut().insert("content-length", body.len().to_string());
        *request.body_mut() = body.into();
    })
}

#[tokio::test]
async fn well_signed_nonsense_is_refused_and_harms_nobody() {
    let lab = lab().await;
    let session = assume(&lab, None).await;
    let known = br#"{"TableName": "drs-orchestration-target-accounts", "Key": {"accountId": {"S": 1}}}"#;
    let bodies = [b"null".as_slice(), b"[]", b"{", b"{\"TableName\": 1}", b"\xff\xfe", &[b'['; 9_000], known];
    for body in bodies {
        let update = table(&lab).update_item().table_name(TABLE).customize().interceptor(self::body(body)).send().await;
        assert_eq!(failure(update).0, 400, "{}", body.escape_ascii());
    }
    for body in [b"null".as_slice(), b"{", b"{\"maxResults\": \"x\"}", b"{\"maxResults\": -1}", b"\xff"] {
        let client = drs(&lab, session.clone(), "eu-west-1");
        let servers = client.describe_source_servers().customize().interceptor(self::body(body)).send().await;
        assert_eq!(failure(servers), (400, "ValidationException".into()), "{}", body.escape_ascii());
    }
    for body in [b"".as_slice(), b"Action=", b"Action=AssumeRole&RoleArn=%ff%zz", b"\xff=&&&=="] {
        let identity = sts(&lab, hub(&lab), "us-east-1").get_caller_identity();
        assert_eq!(failure(identity.customize().interceptor(self::body(body)).send().await).0, 400);
    }
    assert_eq!(table(&lab).scan().table_name(TABLE).send().await.unwrap().count(), 2);
}

/// Sends bytes as they are; the status line and the rest of the answer.
async fn raw(lab: &Lab, request: &str) -> String {
    let mut stream = TcpStream::connect(lab.url().trim_start_matches("http://")).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn every_request_gets_an_answer() {
    let lab = lab().await;
    let scope = |scope: &str| {
        format!(
            "Authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature=00\r\n\
             X-Amz-Date: 20200101T000000Z\r\n"
        )
    };
    let drs = "GET /ListStagingAccounts HTTP/1.1\r\n";
    let sts = "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n";
    let dynamodb = "POST / HTTP/1.1\r\nX-Amz-Target: DynamoDB_20120810.Scan\r\nContent-Length: 0\r\n";
    for (start, headers, expected) in [
        (drs, String::new(), "HTTP/1.1 403 Forbidden"),
        (drs, String::new(), "MissingAuthenticationTokenException"),
        (sts, String::new(), "<Code>MissingAuthenticationToken</Code>"),
        (dynamodb, String::new(), "#MissingAuthenticationTokenException"),
        (drs, "Authorization: Basic eA==\r\n".into(), "IncompleteSignatureException"),
        (drs, "Authorization: AWS4-HMAC-SHA256 \r\n".into(), "IncompleteSignatureException"),
        (drs, scope("A/20200101/eu-west-1/drs"), "IncompleteSignatureException"),
        (drs, scope("A/20200101/eu-west-1/drs/aws4"), "valid terminator: 'aws4_request'"),
        (drs, scope("A/20200101/eu-west-1/sts/aws4_request"), "correct service: 'drs'"),
        (drs, scope("A/20200102/eu-west-1/drs/aws4_request"), "Date in Credential scope"),
        (drs, scope("A/20200101/eu-west-1/drs/aws4_request"), "Signature expired"),
        (drs, scope("A/\u{e9}/eu-west-1/drs/aws4_request"), "HTTP/1.1 403"),
        ("GET /%00%ff?%zz=%&&== HTTP/1.1\r\n", String::new(), "HTTP/1.1 403"),
        (
            "GET /policies/%00%ff HTTP/1.1\r\n",
            scope("A/20200101/us-east-1/s3/aws4_request"),
            "<Code>SignatureDoesNotMatch",
        ),
        (
            "PUT /?&&=%zz HTTP/1.1\r\n",
            scope("A/20200101/us-east-1/s3/aws4"),
            "valid terminator: &apos;aws4_request&apos;",
        ),
        ("OPTIONS * HTTP/1.1\r\n", scope("A/20200101/eu-west-1/drs/aws4_request"), "HTTP/1.1 403"),
    ] {
        let answer = raw(&lab, &format!("{start}{headers}Host: lab\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.contains(expected), "{start}{headers}: {answer}");
    }
    assert_eq!(raw(&lab, "\u{0}\u{1}\r\n\r\n").await.split("\r\n").next(), Some("HTTP/1.1 400 Bad Request"));
}
