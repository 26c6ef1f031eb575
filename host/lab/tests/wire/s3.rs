//! Objects: conditions, checksums, lists, and who may use the bucket where.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use staging_sync_lab::{Fault, Lab};

use crate::support::*;

const KEY: &str = "production/policy+v1 (ü).wasm";

async fn get(client: &Client, known: Option<&str>) -> Result<Vec<u8>, (u16, String)> {
    let call = client.get_object().bucket(BUCKET).key(KEY).set_if_none_match(known.map(str::to_owned));
    match call.send().await {
        Ok(answer) => Ok(answer.body.collect().await.unwrap().to_vec()),
        error => Err(failure(error)),
    }
}

/// Puts an object; its ETag, or status and code.
async fn put(
    client: &Client,
    body: &'static str,
    if_match: Option<&str>,
    if_none_match: Option<&str>,
) -> Result<String, (u16, String)> {
    let call = client.put_object().bucket(BUCKET).key(KEY).body(body.as_bytes().to_vec().into());
    let call = call.set_if_match(if_match.map(str::to_owned)).set_if_none_match(if_none_match.map(str::to_owned));
    match call.send().await {
        Ok(answer) => Ok(answer.e_tag.unwrap()),
        error => Err(failure(error)),
    }
}

#[tokio::test]
async fn an_object_that_is_known_is_not_sent_again() {
    let lab = lab().await;
    let client = bucket(&lab);
    assert_eq!(get(&client, None).await, Err((404, "NoSuchKey".into())));
    let first = put(&client, "first", None, None).await.unwrap();
    assert_eq!(first, "\"8b04d5e3775d298e78455efc5ca404d5\""); // its MD5
    assert_eq!(get(&client, None).await.unwrap(), b"first");
    assert_eq!(get(&client, Some(&first)).await.unwrap_err().0, 304);
    let second = lab.put_object(KEY, "second");
    assert_ne!(second, first);
    assert_eq!(get(&client, Some(&first)).await.unwrap(), b"second");

    let calls = lab.calls();
    let call = &calls[3];
    assert_eq!((call.service.as_str(), call.operation.as_str()), ("s3", "GetObject"));
    assert_eq!(call.object.as_deref(), Some(format!("{BUCKET}/{KEY}").as_str()));
    assert_eq!((call.conditional, call.status, call.error.as_deref()), (true, Some(304), None));
    assert!(!calls[2].conditional);
}

#[tokio::test]
async fn a_write_is_refused_when_its_condition_fails() {
    let lab = lab().await;
    let client = bucket(&lab);
    let unmet = Err((412, "PreconditionFailed".to_owned()));
    assert_eq!(put(&client, "never", Some("\"0\""), None).await, Err((404, "NoSuchKey".into())));
    let first = put(&client, "first", None, Some("*")).await.unwrap();
    assert_eq!(put(&client, "never", None, Some("*")).await, unmet);
    let second = put(&client, "second", Some(&first), None).await.unwrap();
    assert_eq!(put(&client, "never", Some(&first), None).await, unmet);
    let delete = |etag: &str| client.delete_object().bucket(BUCKET).key(KEY).if_match(etag).send();
    assert_eq!(failure(delete(&first).await), (412, "PreconditionFailed".into()));
    assert_eq!(lab.object(KEY).unwrap(), "second");
    delete(&second).await.unwrap();
    assert_eq!(lab.object(KEY), None);
    client.delete_object().bucket(BUCKET).key(KEY).send().await.unwrap(); // whether or not it's there
}

#[tokio::test]
async fn of_writers_at_once_one_wins() {
    let lab = lab().await;
    let client = bucket(&lab);
    let first = lab.put_object(KEY, "first");
    let writers = (0..16).map(|n: usize| {
        let call = client.put_object().bucket(BUCKET).key(KEY).body(vec![b'x'; n].into()).if_match(&first);
        tokio::spawn(call.send())
    });
    let mut won = 0;
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.unwrap() {
            Ok(_) => won += 1,
            lost => assert_eq!(failure(lost).0, 412),
        }
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_head_tells_what_a_get_would() {
    let lab = lab().await;
    let client = bucket(&lab);
    let call = client.put_object().bucket(BUCKET).key(KEY).body(vec![7; 1000].into());
    let put = call.content_type("application/wasm").metadata("author", "somebody").send().await.unwrap();
    let head = client.head_object().bucket(BUCKET).key(KEY).send().await.unwrap();
    assert_eq!((head.content_length(), head.e_tag()), (Some(1000), put.e_tag()));
    assert_eq!(head.content_type(), Some("application/wasm"));
    assert_eq!(head.metadata().unwrap()["author"], "somebody");
    assert!(head.last_modified().is_some());
    let missing = client.head_object().bucket(BUCKET).key("other").send().await.unwrap_err();
    assert!(missing.into_service_error().is_not_found());
    client.head_bucket().bucket(BUCKET).send().await.unwrap();
}

#[tokio::test]
async fn thirty_two_mebibytes_survive_the_way_there_and_back() {
    let lab = lab().await;
    let client = bucket(&lab);
    let body: Vec<u8> = (0..32 * 1024 * 1024_u32).map(|n| (n >> 7) as u8).collect();
    client.put_object().bucket(BUCKET).key(KEY).body(body.clone().into()).send().await.unwrap();
    assert!(get(&client, None).await.unwrap() == body);
}

#[tokio::test]
async fn a_file_is_uploaded_in_chunks() {
    let lab = lab().await;
    let file = ByteStream::from_path(concat!(env!("CARGO_MANIFEST_DIR"), "/fleets/demo.json")).await.unwrap();
    bucket(&lab).put_object().bucket(BUCKET).key(KEY).body(file).send().await.unwrap();
    assert_eq!(lab.object(KEY).unwrap(), include_bytes!("../../fleets/demo.json").as_slice());
}

#[tokio::test]
async fn every_checksum_algorithm_is_verified_on_both_sides() {
    let lab = lab().await;
    let client = bucket(&lab);
    for algorithm in ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] {
        let call = client.put_object().bucket(BUCKET).key(KEY).body(b"body".to_vec().into());
        call.checksum_algorithm(ChecksumAlgorithm::from(algorithm)).send().await.unwrap();
        let answer = client.get_object().bucket(BUCKET).key(KEY).checksum_mode(ChecksumMode::Enabled).send();
        let answer = answer.await.unwrap();
        let checksums = [
            ("CRC32", answer.checksum_crc32()),
            ("CRC32C", answer.checksum_crc32_c()),
            ("CRC64NVME", answer.checksum_crc64_nvme()),
            ("SHA1", answer.checksum_sha1()),
            ("SHA256", answer.checksum_sha256()),
        ];
        for (name, checksum) in checksums {
            assert_eq!(checksum.is_some(), name == algorithm, "{algorithm}: {name}");
        }
        assert_eq!(answer.body.collect().await.unwrap().to_vec(), b"body");
    }
    let wrong = client.put_object().bucket(BUCKET).key(KEY).body(b"other".to_vec().into()).checksum_crc32("AAAAAA==");
    assert_eq!(failure(wrong.send().await), (400, "BadDigest".into()));
    let wrong = client.put_object().bucket(BUCKET).key(KEY).body(b"other".to_vec().into()).content_md5("AAAA");
    assert_eq!(failure(wrong.send().await), (400, "BadDigest".into()));
    assert_eq!(lab.object(KEY).unwrap(), "body");
}

#[tokio::test]
async fn lists_come_in_pages_and_by_prefix() {
    let lab = lab().await;
    let client = bucket(&lab);
    for key in ["a", "b/1", "b/2", "c&d", "e/1/2"] {
        lab.put_object(key, key);
    }
    let list = || client.list_objects_v2().bucket(BUCKET);
    let keys = |answer: &aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output| {
        let objects = answer.contents().iter().map(|object| object.key().unwrap().to_owned());
        let prefixes = answer.common_prefixes().iter().map(|prefix| prefix.prefix().unwrap().to_owned());
        objects.chain(prefixes).collect::<Vec<_>>()
    };
    let whole = list().send().await.unwrap();
    assert_eq!(keys(&whole), ["a", "b/1", "b/2", "c&d", "e/1/2"]);
    assert_eq!(keys(&whole), lab.object_keys());
    let head = client.head_object().bucket(BUCKET).key("b/1").send().await.unwrap();
    assert_eq!((whole.contents()[1].size(), whole.contents()[1].e_tag()), (Some(3), head.e_tag()));
    assert_eq!(keys(&list().prefix("b/").send().await.unwrap()), ["b/1", "b/2"]);
    assert_eq!(keys(&list().start_after("b/1").send().await.unwrap()), ["b/2", "c&d", "e/1/2"]);
    assert_eq!(keys(&list().delimiter("/").send().await.unwrap()), ["a", "c&d", "b/", "e/"]);

    lab.clear_calls();
    for (delimiter, expected) in [
        (None, vec![vec!["a", "b/1"], vec!["b/2", "c&d"], vec!["e/1/2"]]),
        (Some("/"), vec![vec!["a", "b/"], vec!["c&d", "e/"]]),
    ] {
        let mut pages = list().max_keys(2).set_delimiter(delimiter.map(str::to_owned)).into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            found.push(keys(&page.unwrap()));
        }
        assert_eq!(found, expected);
    }
    assert_eq!(lab.calls().iter().filter(|call| call.page_token).count(), 3);
    let garbage = list().continuation_token("garbage").send().await;
    assert_eq!(failure(garbage), (400, "InvalidArgument".into()));
}

#[tokio::test]
async fn only_the_hub_uses_the_bucket_and_only_in_its_region() {
    let lab = lab().await;
    lab.put_object(KEY, "policy");
    let denied = Err((403, "AccessDenied".to_owned()));
    assert_eq!(get(&s3(&lab, assume(&lab, None).await, "us-east-1"), None).await, denied);
    let elsewhere = get(&s3(&lab, hub(&lab), "eu-west-1"), None).await;
    assert_eq!(elsewhere, Err((301, "PermanentRedirect".into())));
    let other = bucket(&lab).get_object().bucket("other").key(KEY).send().await;
    assert_eq!(failure(other), (404, "NoSuchBucket".into()));
    let known = hub(&lab);
    for (id, code) in [(known.access_key_id(), "SignatureDoesNotMatch"), ("AKIAUNKNOWNUNKNOWN00", "InvalidAccessKeyId")]
    {
        let keys = aws_sdk_s3::config::Credentials::new(id, "wrong", None, None, "test");
        assert_eq!(get(&s3(&lab, keys, "us-east-1"), None).await, Err((403, code.into())));
    }
}

#[tokio::test]
async fn what_the_lab_does_not_do_is_refused() {
    let lab = lab().await;
    lab.put_object(KEY, "policy");
    let client = bucket(&lab);
    let not_implemented = (501, "NotImplemented".to_owned());
    let range = client.get_object().bucket(BUCKET).key(KEY).range("bytes=0-1").send().await;
    assert_eq!(failure(range), not_implemented);
    let version = client.get_object().bucket(BUCKET).key(KEY).version_id("1").send().await;
    assert_eq!(failure(version), not_implemented);
    let multipart = client.create_multipart_upload().bucket(BUCKET).key(KEY).send().await;
    assert_eq!(failure(multipart), not_implemented);
    let copy = client.copy_object().bucket(BUCKET).key("copy").copy_source(format!("{BUCKET}/policy")).send().await;
    assert_eq!(failure(copy), not_implemented);
    let create = client.create_bucket().bucket("another").send().await;
    assert_eq!(failure(create), not_implemented);
    assert_eq!(lab.object_keys(), [KEY]);
    assert_eq!(lab.calls()[0].operation, "GetObject");
}

#[tokio::test]
async fn faults_strike_objects_too() {
    let only = |fault: Fault, operation: &str| Fault {
        service: Some(staging_sync_lab::Service::S3),
        operation: Some(operation.into()),
        times: Some(1),
        ..fault
    };
    let lab = lab_with(|fleet| {
        fleet.faults = vec![
            only(Fault::error("SlowDown"), "GetObject"),
            only(Fault::error("AccessDenied"), "GetObject"),
            only(Fault::body("<html>"), "GetObject"),
            only(Fault::lose_answer(), "PutObject"),
        ];
        fleet.faults[1].after = 1;
        fleet.faults[2].after = 2;
    })
    .await;
    let client = bucket(&lab);
    assert_eq!(put(&client, "policy", None, Some("*")).await.unwrap_err().0, 0);
    assert_eq!(lab.object(KEY).unwrap(), "policy"); // though nobody heard of it
    assert_eq!(get(&client, None).await, Err((503, "SlowDown".into())));
    assert_eq!(get(&client, None).await, Err((403, "AccessDenied".into())));
    assert_eq!(get(&client, None).await.unwrap(), b"<html>");
    assert_eq!(get(&client, None).await.unwrap(), b"policy");
}

async fn changed(
    lab: &Lab,
    when: When,
    change: impl Fn(&mut HttpRequest) + Send + Sync + 'static,
) -> Result<(), (u16, String)> {
    let call = bucket(lab).put_object().bucket(BUCKET).key("changed").body(b"good".to_vec().into());
    match call.customize().interceptor(Alter(when, change)).send().await {
        Ok(_) => Ok(()),
        error => Err(failure(error)),
    }
}

#[tokio::test]
async fn a_body_that_was_signed_cannot_be_changed() {
    let lab = lab().await;
    let refused = changed(&lab, When::Signed, |request| *request.body_mut() = b"evil".as_slice().into()).await;
    assert_eq!(refused, Err((403, "SignatureDoesNotMatch".into())));
    assert_eq!(lab.object("changed"), None);
}

#[tokio::test]
async fn buckets_in_the_host_name_are_understood() {
    let lab = lab().await;
    let moved = changed(&lab, When::BeforeSigning, |request| {
        let path = request.uri().replace(&format!("/{BUCKET}/"), "/");
        request.set_uri(path).unwrap();
        request.headers_mut().insert("host", format!("{BUCKET}.localhost:4566"));
    });
    moved.await.unwrap();
    assert_eq!(lab.object("changed").unwrap(), "good");
}
