//! The hub's bucket: objects in memory, each of which is read and written as a whole and under conditions.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use hyper::header::{HeaderMap, IF_MATCH, IF_NONE_MATCH};
use md5::{Digest, Md5};

use crate::error::AwsError;
use crate::upload::Upload;

/// One object, as it was put.
#[derive(Debug)]
pub(crate) struct Object {
    pub upload: Upload,
    /// The MD5 of the body in hexadecimal digits, in the quotes that are part of an ETag.
    pub etag: String,
    pub modified: SystemTime,
    /// What the client wants to have back: content type and metadata.
    pub headers: HeaderMap,
}

impl Object {
    pub fn new(upload: Upload, headers: HeaderMap) -> Self {
        let md5: String = Md5::digest(&upload.body).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { upload, etag: format!("\"{md5}\""), modified: SystemTime::now(), headers }
    }
}

/// The bucket. A write and the check of its condition are one step.
#[derive(Debug, Default)]
pub(crate) struct Bucket(Mutex<BTreeMap<String, Arc<Object>>>);

impl Bucket {
    pub fn get(&self, key: &str) -> Option<Arc<Object>> {
        self.lock().get(key).cloned()
    }

    pub fn put(&self, key: &str, object: Object, conditions: &Conditions) -> Result<Arc<Object>, AwsError> {
        let object = Arc::new(object);
        let mut objects = self.lock();
        conditions.check_write(objects.get(key).map(Arc::as_ref))?;
        objects.insert(key.to_owned(), object.clone());
        Ok(object)
    }

    /// Puts an object whatever is there.
    pub fn replace(&self, key: &str, object: Object) -> Arc<Object> {
        let object = Arc::new(object);
        self.lock().insert(key.to_owned(), object.clone());
        object
    }

    /// Deletes an object, if it's there.
    pub fn remove(&self, key: &str) {
        self.lock().remove(key);
    }

    /// Deletes an object, if it's there, under conditions.
    pub fn delete(&self, key: &str, conditions: &Conditions) -> Result<(), AwsError> {
        let mut objects = self.lock();
        conditions.check_write(objects.get(key).map(Arc::as_ref))?;
        objects.remove(key);
        Ok(())
    }

    /// The objects whose keys begin with `prefix` and come after `after`, sorted by key.
    pub fn list(&self, prefix: &str, after: &str) -> Vec<(String, Arc<Object>)> {
        let from = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
        let objects = self.lock();
        let listed = objects.range::<str, _>((from, Bound::Unbounded)).take_while(|(key, _)| key.starts_with(prefix));
        listed.map(|(key, object)| (key.clone(), object.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Object>>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// `If-Match` and `If-None-Match`: `*` or ETags.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    if_match: Option<String>,
    if_none_match: Option<String>,
}

impl Conditions {
    pub fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Self { if_match: text(IF_MATCH), if_none_match: text(IF_NONE_MATCH) }
    }

    /// Whether a reader has the object already.
    pub fn check_read(&self, object: &Object) -> Result<Reading, AwsError> {
        if self.if_match.as_deref().is_some_and(|etags| !names(etags, object)) {
            return Err(unmet("If-Match"));
        }
        let known = self.if_none_match.as_deref().is_some_and(|etags| names(etags, object));
        Ok(if known { Reading::NotModified } else { Reading::Whole })
    }

    fn check_write(&self, object: Option<&Object>) -> Result<(), AwsError> {
        match self.if_none_match.as_deref() {
            Some("*") if object.is_some() => return Err(unmet("If-None-Match")),
            None | Some("*") => {}
            Some(_) => return Err(AwsError::new("NotImplemented", "If-None-Match of a write can only be *")),
        }
        match (self.if_match.as_deref(), object) {
            (Some(_), None) => Err(no_such_key()),
            (Some(etags), Some(object)) if !names(etags, object) => Err(unmet("If-Match")),
            _ => Ok(()),
        }
    }
}

/// What a reader gets.
#[derive(Debug, PartialEq)]
pub(crate) enum Reading {
    Whole,
    NotModified,
}

pub(crate) fn no_such_key() -> AwsError {
    AwsError::new("NoSuchKey", "The specified key does not exist.")
}

fn unmet(condition: &str) -> AwsError {
    let message = format!("At least one of the pre-conditions you specified did not hold: {condition}");
    AwsError::new("PreconditionFailed", message)
}

/// Whether a condition names the object's ETag; clients may leave the quotes out.
fn names(etags: &str, object: &Object) -> bool {
    etags.split(',').map(str::trim).any(|etag| etag == "*" || etag.trim_matches('"') == object.etag.trim_matches('"'))
}
