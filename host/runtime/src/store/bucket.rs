//! A store of policies in a bucket. No tick needs S3, so it isn't part of `AwsApi`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_config::SdkConfig;
use aws_sdk_s3 as s3;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, SdkBody};

use super::{Content, Fetched, StoreError, When, too_large};
use crate::aws::sdk_api::{self, Endpoint, Patience};
use crate::aws::sdk_error::reasons;
use crate::aws::{environment, transport, unreachable_endpoint};
use crate::error::Error;

/// A way to S3.
pub struct Objects {
    client: s3::Client,
    /// The regions of buckets that are in another one than ours.
    regions: Mutex<HashMap<String, String>>,
}

impl Objects {
    /// Connects as the environment configures, for one request at a time.
    pub async fn from_env() -> Result<Self, Error> {
        Self::concurrent(1).await
    }

    /// As the environment says, for so many requests at once.
    pub async fn concurrent(requests: usize) -> Result<Self, Error> {
        Ok(Self::new(&sdk_api::sdk_from_env(environment::http_client(requests).await?, Patience::default()).await?))
    }

    /// Connects to one endpoint, whatever the environment configures.
    pub fn at(endpoint: Endpoint, patience: Patience) -> Self {
        Self::new(&sdk_api::sdk_at(endpoint, transport::client(1), patience))
    }

    fn new(config: &SdkConfig) -> Self {
        // A bucket's name in the host's name needs DNS, which an endpoint of one's own doesn't have.
        let own = config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
        let config = s3::config::Builder::from(config).force_path_style(own).build();
        Self { client: s3::Client::from_conf(config), regions: Mutex::default() }
    }

    /// Sends a request to where the bucket is; S3 tells it to who asks in another region.
    async fn send<T, E, F>(&self, bucket: &str, request: impl Fn(s3::config::Builder) -> F) -> Result<T, SdkError<E>>
    where
        F: Future<Output = Result<T, SdkError<E>>>,
    {
        let regions = || self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        let known = regions().get(bucket).cloned();
        let at = |region: &String| s3::config::Builder::new().region(s3::config::Region::new(region.clone()));
        let answer = request(known.as_ref().map_or_else(s3::config::Builder::new, at)).await;
        match answer {
            Err(error) if let Some(region) = told_region(&error).filter(|region| known.as_ref() != Some(region)) => {
                regions().insert(bucket.to_owned(), region.clone());
                request(at(&region)).await
            }
            answer => answer,
        }
    }

    /// Fetches an object, if its entity tag isn't `known`.
    pub async fn get(&self, bucket: &str, key: &str, known: Option<&str>, most: u64) -> Result<Fetched, StoreError> {
        let title = format!("s3://{bucket}/{key}");
        let request = self.client.get_object().bucket(bucket).key(key).set_if_none_match(known.map(str::to_owned));
        let sent = self.send(bucket, |config| request.clone().customize().config_override(config).send());
        let mut answer = match sent.await {
            Ok(answer) => answer,
            Err(error) => {
                return match status(&error) {
                    Some(304) => Ok(Fetched::Same),
                    Some(404) if error.code() != Some("NoSuchBucket") => Ok(Fetched::Missing),
                    _ => Err(failed(&title, &error)),
                };
            }
        };
        let Some(version) = answer.e_tag.take() else {
            return Err(StoreError::passing(format!("{title}: came without an entity tag")));
        };
        let mut bytes = Vec::new();
        while let Some(part) = answer.body.next().await {
            let part = part.map_err(|error| StoreError {
                unreachable: true,
                ..StoreError::passing(format!("{title}: broke off: {}", reasons(&error)))
            })?;
            if (bytes.len() + part.len()) as u64 > most {
                return Err(too_large(title, most));
            }
            bytes.extend_from_slice(&part);
        }
        Ok(Fetched::Found { bytes, version })
    }

    /// Puts an object where the condition holds, and returns its entity tag. None: the condition didn't hold.
    pub async fn put(
        &self,
        bucket: &str,
        key: &str,
        content: &Content,
        when: When,
    ) -> Result<Option<String>, StoreError> {
        let title = format!("s3://{bucket}/{key}");
        let (new, old) = match when {
            When::Missing => (Some("*".to_owned()), None),
            When::Is(version) => (None, Some(version)),
            When::Always => (None, None),
        };
        let body = match content {
            Content::Bytes(bytes) => ByteStream::from(bytes.clone()),
            Content::File(path) => {
                let opened = ByteStream::from_path(path).await;
                opened.map_err(|error| StoreError::passing(format!("{}: {}", path.display(), reasons(&error))))?
            }
        };
        let again = || StoreError::passing(format!("host: {title}: can't be sent again; please report it"));
        let body = body.into_inner();
        let request = |body| {
            let request = self.client.put_object().bucket(bucket).key(key).body(ByteStream::new(body));
            request.set_if_none_match(new.clone()).set_if_match(old.clone())
        };
        body.try_clone().ok_or_else(again)?;
        let sent = self.send(bucket, |config| {
            let body = body.try_clone().unwrap_or_else(SdkBody::empty);
            request(body).customize().config_override(config).send()
        });
        match sent.await {
            // Who answers for S3 without storing anything, as a proxy does, doesn't know what it would be known by.
            Ok(answer) => match answer.e_tag {
                Some(version) => Ok(Some(version)),
                None => Err(StoreError::passing(format!("{title}: was answered without an entity tag"))),
            },
            // 409: somebody else's write was under way at the same moment; 404: what was to be replaced is gone.
            Err(error) if matches!(status(&error), Some(409 | 412)) => Ok(None),
            Err(error) if status(&error) == Some(404) && error.code() == Some("NoSuchKey") => Ok(None),
            Err(error) => Err(failed(&title, &error)),
        }
    }

    /// The keys that begin with `prefix`, sorted.
    pub async fn list(&self, bucket: &str, prefix: &str) -> Result<Vec<String>, StoreError> {
        let (mut keys, mut token) = (Vec::new(), None);
        loop {
            let request = self.client.list_objects_v2().bucket(bucket).prefix(prefix).set_continuation_token(token);
            let sent = self.send(bucket, |config| request.clone().customize().config_override(config).send());
            let page = sent.await.map_err(|error| failed(&format!("s3://{bucket}/{prefix}"), &error))?;
            keys.extend(page.contents.into_iter().flatten().filter_map(|object| object.key));
            token = page.next_continuation_token;
            if token.is_none() {
                keys.sort();
                return Ok(keys);
            }
        }
    }
}

/// Where S3 says that a bucket is, when it isn't where it was asked.
fn told_region<E>(error: &SdkError<E>) -> Option<String> {
    let response = error.raw_response().filter(|response| matches!(response.status().as_u16(), 301 | 307 | 400))?;
    response.headers().get("x-amz-bucket-region").map(str::to_owned)
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

fn failed<E>(title: &str, error: &SdkError<E>) -> StoreError
where
    SdkError<E>: ProvideErrorMetadata + std::error::Error + 'static,
{
    let what = match (error.code(), error.message()) {
        (Some(code), message) => format!("{code}: {}", message.unwrap_or("no message")),
        (None, _) => reasons(error),
    };
    let retryable = !matches!(status(error), Some(400..=499)) || matches!(status(error), Some(403 | 404 | 429));
    let unreachable = match error {
        SdkError::DispatchFailure(failure) => failure.is_io() || failure.is_timeout(),
        SdkError::TimeoutError(_) => true,
        _ => false,
    };
    let remedy = if unreachable { format!(": {}", unreachable_endpoint()) } else { String::new() };
    let denied = status(error) == Some(403);
    StoreError { message: format!("AWS: {title}: {what}{remedy}"), retryable, unreachable, denied }
}
