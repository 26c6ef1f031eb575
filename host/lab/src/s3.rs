//! Amazon S3 (API reference: GetObject, HeadObject, PutObject, DeleteObject, ListObjectsV2, HeadBucket): the rest-xml
//! protocol, with path-style and virtual-hosted addresses.
//!
//! Own code: of the embeddable S3s, s3s-fs reads without conditions and checks those of a write before it, not with
//! it; s3s would bring its own signature check, and twenty crates that nothing else here uses.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, ETAG, HOST, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use percent_encoding::percent_decode_str;

use crate::bucket::{Bucket, Conditions, Object, Reading, no_such_key};
use crate::error::AwsError;
use crate::list::{self, List};
use crate::reply::{Reply, reply};
use crate::upload::Upload;

/// What is refused rather than passed over: an answer without it would be wrong.
const NOT_IMPLEMENTED: [&str; 4] = ["range", "if-modified-since", "if-unmodified-since", "x-amz-copy-source"];

/// What a client asks for. No `Debug`, because the headers hold a token.
pub(crate) struct Input {
    bucket: String,
    /// Empty where the bucket itself is meant.
    key: String,
    list: List,
    headers: HeaderMap,
}

impl Input {
    /// The operation and its input; the error is of an operation that the lab doesn't have.
    pub fn read(parts: &Parts) -> (String, Result<Self, AwsError>) {
        let text = |bytes: &str| percent_decode_str(bytes).decode_utf8_lossy().into_owned();
        let path = parts.uri.path().trim_start_matches('/');
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default();
        let (bucket, key) = match host.strip_suffix(".localhost") {
            Some(bucket) => (bucket, path),
            None => path.split_once('/').unwrap_or((path, "")),
        };
        let (bucket, key) = (text(bucket), text(key));
        let query = parts.uri.query().unwrap_or_default();
        let query: Vec<_> = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "x-id").collect();
        let listing = query.iter().any(|(name, value)| name == "list-type" && value == "2");
        let operation = match (&parts.method, bucket.is_empty(), key.is_empty()) {
            (&Method::GET, false, true) if listing => "ListObjectsV2",
            (&Method::HEAD, false, true) if query.is_empty() => "HeadBucket",
            (&Method::GET, false, false) if query.is_empty() => "GetObject",
            (&Method::HEAD, false, false) if query.is_empty() => "HeadObject",
            (&Method::PUT, false, false) if query.is_empty() => "PutObject",
            (&Method::DELETE, false, false) if query.is_empty() => "DeleteObject",
            _ => {
                let names: Vec<&str> = query.iter().map(|(name, _)| name.as_ref()).collect();
                let asked = format!("{} {}", parts.method, names.join("&"));
                return (asked.trim_end().to_owned(), Err(not_implemented("this operation or parameter")));
            }
        };
        if let Some(header) = NOT_IMPLEMENTED.iter().find(|header| parts.headers.contains_key(**header)) {
            return (operation.to_owned(), Err(not_implemented(header)));
        }
        let list = if listing { List::parse(query) } else { Ok(List::default()) };
        let headers = parts.headers.clone();
        (operation.to_owned(), list.map(|list| Self { bucket, key, list, headers }))
    }

    /// `bucket/key`, of an operation on an object.
    pub fn object(&self) -> Option<String> {
        (!self.key.is_empty()).then(|| format!("{}/{}", self.bucket, self.key))
    }

    pub fn conditional(&self) -> bool {
        ["if-match", "if-none-match"].iter().any(|name| self.headers.contains_key(*name))
    }

    /// The page of a list, from 1.
    pub fn page(&self, operation: &str) -> Option<u32> {
        (operation == "ListObjectsV2").then(|| self.list.page())
    }
}

fn not_implemented(what: &str) -> AwsError {
    let message = format!(
        "The lab's S3 doesn't support {what}: it supports GetObject, HeadObject, PutObject, DeleteObject, ListObjectsV2 and \
         HeadBucket, of whole objects"
    );
    AwsError::new("NotImplemented", message)
}

/// The one bucket that there is.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub bucket: &'a Bucket,
    pub name: &'a str,
    pub region: &'a str,
    pub may_list: bool,
}

/// Answers one call that is signed for `region`.
pub(crate) fn answer(operation: &str, input: &Input, body: &Bytes, region: &str, at: Place) -> Result<Reply, AwsError> {
    if input.bucket != at.name {
        return Err(AwsError::new("NoSuchBucket", "The specified bucket does not exist"));
    }
    if region != at.region {
        let message = format!(
            "The bucket you are attempting to access must be addressed using the specified endpoint: it is in {}",
            at.region
        );
        return Err(AwsError::new("PermanentRedirect", message));
    }
    let conditions = Conditions::of(&input.headers);
    match operation {
        "GetObject" | "HeadObject" => {
            let missing = || if at.may_list { no_such_key() } else { may_not_list() };
            let object = at.bucket.get(&input.key).ok_or_else(missing)?;
            read(&object, &conditions, &input.headers)
        }
        "PutObject" => {
            let object = Object::new(Upload::read(&input.headers, body)?, kept(&input.headers));
            let object = at.bucket.put(&input.key, object, &conditions)?;
            let mut reply = empty(StatusCode::OK);
            insert(&mut reply, ETAG, &object.etag);
            add_checksum(&mut reply, &object);
            Ok(reply)
        }
        "DeleteObject" => {
            at.bucket.delete(&input.key, &conditions)?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        "ListObjectsV2" if !at.may_list => Err(may_not_list()),
        "ListObjectsV2" => Ok(reply(200, "application/xml", list::answer(&input.list, at.name, at.bucket))),
        "HeadBucket" => {
            let mut reply = empty(StatusCode::OK);
            tell_region(&mut reply, at.region);
            Ok(reply)
        }
        _ => Err(AwsError::unknown_operation()),
    }
}

fn may_not_list() -> AwsError {
    let message = "User is not authorized to perform: s3:ListBucket because no identity-based policy allows the \
                   s3:ListBucket action";
    AwsError::new("AccessDenied", message)
}

fn read(object: &Object, conditions: &Conditions, asked: &HeaderMap) -> Result<Reply, AwsError> {
    let mut reply = match conditions.check_read(object)? {
        Reading::NotModified => empty(StatusCode::NOT_MODIFIED),
        Reading::Whole => {
            let mut reply = Response::new(Full::new(object.upload.body.clone()));
            reply.headers_mut().extend(object.headers.clone());
            if asked.get("x-amz-checksum-mode").is_some_and(|mode| mode.as_bytes().eq_ignore_ascii_case(b"enabled")) {
                add_checksum(&mut reply, object);
            }
            reply
        }
    };
    insert(&mut reply, ETAG, &object.etag);
    if let Ok(modified) = DateTime::from(object.modified).fmt(Format::HttpDate) {
        insert(&mut reply, LAST_MODIFIED, &modified);
    }
    Ok(reply)
}

/// The headers of an upload that readers get back.
fn kept(headers: &HeaderMap) -> HeaderMap {
    let theirs = headers.iter().filter(|(name, _)| name.as_str().starts_with("x-amz-meta-") || *name == CONTENT_TYPE);
    let mut kept: HeaderMap = theirs.map(|(name, value)| (name.clone(), value.clone())).collect();
    kept.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("binary/octet-stream"));
    kept
}

/// What the lab itself puts is kept like an upload without headers.
pub(crate) fn object(body: Bytes) -> Object {
    Object::new(Upload::of(body), kept(&HeaderMap::new()))
}

/// Says where the bucket is.
pub(crate) fn tell_region(reply: &mut Reply, region: &str) {
    insert(reply, HeaderName::from_static("x-amz-bucket-region"), region);
}

fn empty(status: StatusCode) -> Reply {
    let mut reply = Reply::default();
    *reply.status_mut() = status;
    reply
}

fn insert(reply: &mut Reply, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
}

fn add_checksum(reply: &mut Reply, object: &Object) {
    let (name, value) = object.upload.checksum.clone();
    reply.headers_mut().insert(name, value);
    insert(reply, HeaderName::from_static("x-amz-checksum-type"), "FULL_OBJECT");
}
