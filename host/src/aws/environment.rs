//! The AWS SDK's own settings: region, credentials and endpoints, found and judged before anything is asked.
//!
//! What is missing is said at once. The SDK alone would look for a region in EC2's metadata service, and on a
//! machine without one wait for it; a bad endpoint it would report with the request, body and all.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_runtime_api::client::http::HttpClient;

use super::live::stalled_streams;
use super::sdk_error::reasons;
use crate::error::{Error, ErrorKind};

/// Where credentials may come from is asked for so long, as the SDK does for its calls.
const CREDENTIALS: Duration = Duration::from_secs(5);

/// The endpoints that this host uses.
const ENDPOINTS: [&str; 5] = [
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_DRS",
    "AWS_ENDPOINT_URL_S3",
];

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
    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .region()
        .await
        .ok_or_else(|| invalid("no AWS region is set: set AWS_REGION to the region of the table"))?;
    let config = aws_config::defaults(BehaviorVersion::latest())
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
    if host.is_empty() || url.contains(char::is_whitespace) { Err(format!("{url:?}")) } else { Ok(()) }
}

async fn credentials(config: &SdkConfig) -> Result<(), String> {
    let Some(provider) = config.credentials_provider() else { return Err("none are configured".into()) };
    match tokio::time::timeout(CREDENTIALS, provider.provide_credentials()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(reasons(&error)),
        Err(_) => Err(format!("none were found within {} seconds", CREDENTIALS.as_secs())),
    }
}

fn invalid(problem: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::ConfigurationInvalid, format!("environment: {problem}"))
}
