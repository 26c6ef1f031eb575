//! The AWS SDK's own settings: region, credentials and endpoints, found and judged before anything is asked.
//!
//! What is missing is said at once. The SDK alone would look for a region in EC2's metadata service, and on a
//! machine without one wait for it; a bad endpoint it would report with the request, body and all.

use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_runtime_api::client::http::HttpClient;

use super::bound::Bounded;
use super::live::stalled_streams;
use super::sdk_error::reasons;
use super::transport;
use crate::error::{Error, ErrorKind};

/// How long credentials may take to be found: a `credential_process` or a single sign-on needs seconds.
const CREDENTIALS: Duration = Duration::from_secs(60);

/// The endpoints that this host uses.
const ENDPOINTS: [&str; 5] = [
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_DRS",
    "AWS_ENDPOINT_URL_S3",
];

/// The variables that hold credentials, or parts of them.
const CREDENTIALS_VARIABLES: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// Whether a text can be part of a header or a URL: the SDK panics on one that can't.
fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The host's own region, as variables (`AWS_REGION`, `AWS_DEFAULT_REGION`) or the profile have it. An empty variable
/// counts as not set.
pub async fn region() -> Option<String> {
    let mut variables = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().filter_map(|name| std::env::var(name).ok());
    match variables.find(|region| !region.is_empty()) {
        Some(region) => Some(region),
        None => ProfileFileRegionProvider::new().region().await.map(|region| region.to_string()),
    }
}

/// The HTTP client as the environment says, for so many requests at once.
pub(crate) fn http_client(max_concurrency: usize) -> Result<Bounded, Error> {
    transport::client_from_env(max_concurrency).map_err(invalid)
}

/// What the clients of all services are made from.
pub(super) async fn load(
    http: impl HttpClient + 'static,
    retries: RetryConfig,
    timeouts: TimeoutConfig,
) -> Result<SdkConfig, Error> {
    for name in ENDPOINTS {
        if let Some(url) = std::env::var(name).ok().filter(|url| !url.is_empty()) {
            endpoint(&url)
                .map_err(|found| invalid(format!("{name} is {found}: expected a URL like http://127.0.0.1:4566")))?;
        }
    }
    for name in CREDENTIALS_VARIABLES {
        if std::env::var_os(name).is_some_and(|value| !value.to_str().is_some_and(is_printable)) {
            // Its value is a secret, so it isn't repeated.
            return Err(invalid(format!(
                "{name} has a character that no credentials have (a space, a control character like the end of a line, or \
                 one beyond ASCII): set it again, without any around it"
            )));
        }
    }
    let region = region()
        .await
        .map(Region::new)
        .ok_or_else(|| invalid("no AWS region is set: set AWS_REGION to the region of the table"))?;
    let name = region.to_string();
    if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        return Err(invalid(format!(
            "the AWS region is {name:?}: set AWS_REGION, or the profile's region, to one like us-east-1"
        )));
    }
    // The SDK gives up after 5 seconds where nobody says otherwise.
    let identities = IdentityCache::lazy().load_timeout(CREDENTIALS).build();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .identity_cache(identities)
        .region(region)
        .http_client(http)
        .retry_config(retries)
        .timeout_config(timeouts)
        .stalled_stream_protection(stalled_streams())
        .load()
        .await;
    credentials(&config).await.map_err(|found| {
        invalid(format!("no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; {found}"))
    })?;
    Ok(config)
}

fn endpoint(url: &str) -> Result<(), String> {
    let after_scheme = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let host = after_scheme.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    if host.is_empty() || !is_printable(url) { Err(format!("{url:?}")) } else { Ok(()) }
}

async fn credentials(config: &SdkConfig) -> Result<(), String> {
    let Some(provider) = config.credentials_provider() else { return Err("none are configured".into()) };
    match tokio::time::timeout(CREDENTIALS, provider.provide_credentials()).await {
        Ok(Ok(found)) => {
            let sent = [Some(found.access_key_id()), found.session_token()];
            match sent.into_iter().flatten().all(is_printable) {
                true => Ok(()),
                false => Err("those that were found have a character that no credentials have: a space, a control \
                              character like the end of a line, or one beyond ASCII"
                    .into()),
            }
        }
        Ok(Err(error)) => Err(reasons(&error)),
        Err(_) => Err(format!("none were found within {} seconds", CREDENTIALS.as_secs())),
    }
}

fn invalid(problem: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::ConfigurationInvalid, format!("environment: {problem}"))
}
