//! The AWS SDK's own settings: region, credentials and endpoints, checked before the first call.
//!
//! What is missing is said at once. The SDK alone would look for a region in EC2's metadata service, and on a
//! machine without one wait for it; a bad endpoint it would report with the request, body and all.

use std::path::PathBuf;
use std::sync::Arc;

use aws_config::identity::IdentityCache;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::{self, ProfileFileRegionProvider, ProfileSet};
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};
use tokio::sync::OnceCell;

use super::keychain::{Keychain, LONGEST};
use super::limited_http_client::LimitedHttpClient;
use super::patience::stalled_streams;
use super::sdk_error::reasons;
use super::transport;
use crate::error::{Error, ErrorKind};

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

/// The profiles of the AWS CLI's files; none where there are no such files, or where they can't be read: whoever wants
/// credentials from them says why.
async fn profiles() -> Option<ProfileSet> {
    profile::load(&Fs::real(), &Env::real(), &EnvConfigFiles::default(), None).await.ok()
}

/// A setting of the profile that is in use.
async fn of_profile(name: &str) -> Option<String> {
    profiles().await?.get(name).filter(|value| !value.is_empty()).map(str::to_owned)
}

/// The file of the only authorities to trust, with the setting that names it, if there's one.
async fn bundle() -> Option<(&'static str, PathBuf)> {
    match std::env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty()) {
        Some(path) => Some(("AWS_CA_BUNDLE", path.into())),
        None => of_profile("ca_bundle").await.map(|path| ("the profile's ca_bundle", path.into())),
    }
}

/// Whether an endpoint of one's own does without TLS, which needs certificates.
fn is_plain() -> bool {
    std::env::var("AWS_ENDPOINT_URL").is_ok_and(|url| url.starts_with("http://"))
}

/// A description of the certificates that connections trust. Fails if there are none, as the start of a host does.
pub async fn certificates() -> Result<String, Error> {
    http_client(1).await?;
    Ok(match bundle().await {
        Some((setting, path)) => format!("only those of {setting}, {}", path.display()),
        None if is_plain() => "not needed: AWS_ENDPOINT_URL has no TLS".into(),
        None => "those of this machine".into(),
    })
}

/// The HTTP client as the environment and the profile say, for so many requests at once.
pub(crate) async fn http_client(max_concurrency: usize) -> Result<LimitedHttpClient, Error> {
    let (http, trusts_anybody) = transport::client_from_env(max_concurrency, bundle().await).map_err(invalid)?;
    match is_plain() || trusts_anybody {
        true => Ok(http),
        false => Err(invalid(
            "this machine has no CA certificates, which connections to AWS need: install them (Debian and Ubuntu: `apt-get install ca-certificates`, Alpine: `apk add ca-certificates`, \
             Amazon Linux: `dnf install ca-certificates`), or set AWS_CA_BUNDLE to a PEM file that contains them",
        )),
    }
}

/// The host's own region. Fails if the region or an endpoint can't be used.
pub async fn region_and_endpoints() -> Result<String, Error> {
    for name in ENDPOINTS {
        if let Some(url) = std::env::var(name).ok().filter(|url| !url.is_empty()) {
            endpoint(&url)
                .map_err(|found| invalid(format!("{name} is {found}: expected a URL like http://127.0.0.1:4566")))?;
        }
    }
    let name =
        region().await.ok_or_else(|| invalid("no AWS region is set: set AWS_REGION to the region of the table"))?;
    if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        return Err(invalid(format!(
            "the AWS region is {name:?}: set AWS_REGION, or the profile's region, to one like us-east-1"
        )));
    }
    Ok(name)
}

/// What the clients of all services are made from.
pub(super) async fn load(
    http: LimitedHttpClient,
    retries: RetryConfig,
    timeouts: TimeoutConfig,
) -> Result<SdkConfig, Error> {
    let region = Region::new(region_and_endpoints().await?);
    for name in CREDENTIALS_VARIABLES {
        if std::env::var_os(name).is_some_and(|value| !value.to_str().is_some_and(is_printable)) {
            // Its value is a secret, so it isn't repeated.
            return Err(invalid(format!(
                "{name} contains a character that is invalid in credentials (a space, a control character such as a newline, or one \
             beyond ASCII): set it again without that character"
            )));
        }
    }
    let loader = {
        let region = region.clone();
        move |http: LimitedHttpClient| {
            aws_config::defaults(BehaviorVersion::latest())
                .region(region.clone())
                .http_client(http)
                .retry_config(retries.clone())
                .timeout_config(timeouts.clone())
                .stalled_stream_protection(stalled_streams())
        }
    };
    let keychain = keychain(http.clone(), loader.clone()).await;
    // Credentials are kept by the keychain, which sees when their files change.
    let shared = SharedCredentialsProvider::from(Arc::clone(&keychain) as Arc<dyn ProvideCredentials>);
    let config = loader(http).identity_cache(IdentityCache::no_cache()).credentials_provider(shared).load().await;
    possible(&config).map_err(invalid)?;
    credentials(&keychain).await.map_err(|found| {
        invalid(format!("no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; {found}"))
    })?;
    Ok(config)
}

/// The process's keychain: a `credential_process` runs once for a start, however many clients there are.
async fn keychain(
    http: LimitedHttpClient,
    loader: impl Fn(LimitedHttpClient) -> aws_config::ConfigLoader + Send + Sync + 'static,
) -> Arc<Keychain> {
    static KEYCHAIN: OnceCell<Arc<Keychain>> = OnceCell::const_new();
    let make = async || {
        Arc::new(Keychain::new(Box::new(move || {
            let config = loader(http.clone());
            Box::pin(async move { config.load().await.credentials_provider() })
        })))
    };
    Arc::clone(KEYCHAIN.get_or_init(make).await)
}

/// Settings that each are right and together ask for an endpoint that doesn't exist: the SDK would say so with every
/// request.
fn possible(config: &SdkConfig) -> Result<(), String> {
    let mut own = ENDPOINTS.into_iter().filter(|name| std::env::var(name).is_ok_and(|url| !url.is_empty()));
    let own = own.next().or(config.endpoint_url().map(|_| "the profile's endpoint_url"));
    let Some(own) = own else { return Ok(()) };
    for (set, variable, what) in [
        (config.use_fips(), "AWS_USE_FIPS_ENDPOINT", "FIPS"),
        (config.use_dual_stack(), "AWS_USE_DUALSTACK_ENDPOINT", "dual-stack"),
    ] {
        if set == Some(true) {
            return Err(format!(
                "{what} endpoints are asked for (by {variable} or the profile), and so is a custom endpoint (by {own}): they can't be combined; unset one of them, or set {variable}=false"
            ));
        }
    }
    Ok(())
}

fn endpoint(url: &str) -> Result<(), String> {
    let after_scheme = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let host = after_scheme.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    if host.is_empty() || !is_printable(url) { Err(format!("{url:?}")) } else { Ok(()) }
}

async fn credentials(keychain: &Keychain) -> Result<(), String> {
    match keychain.provide_credentials().await {
        Ok(found) => {
            let sent = [Some(found.access_key_id()), found.session_token()];
            match sent.into_iter().flatten().all(is_printable) {
                true => Ok(()),
                false => Err("the ones that were found contain a character that is invalid in credentials: a space, a control character such as a \
                 newline, or one beyond ASCII"
                    .into()),
            }
        }
        Err(CredentialsError::ProviderTimedOut(_)) => {
            Err(format!("none were found within {} seconds", LONGEST.as_secs()))
        }
        Err(error) => Err(unsupported(&reasons(&error)).await.unwrap_or_else(|| reasons(&error))),
    }
}

/// What to do about a profile that wants what this program wasn't built with; the SDK speaks of its crates then.
async fn unsupported(reasons: &str) -> Option<String> {
    if !reasons.contains("cargo feature") {
        return None;
    }
    let profiles = profiles().await?;
    let (name, login) = (profiles.selected_profile(), profiles.get("login_session").is_some());
    let what = if login { "signs in by `aws login`" } else { "signs in in a way" };
    Some(format!(
        "the profile {name} {what}, which this program doesn't support: let the AWS CLI sign in, with `eval \"$(aws configure \
         export-credentials --profile {name} --format env)\"`, or permanently with a profile that has `credential_process = \
         aws configure export-credentials --profile {name} --format process`"
    ))
}

fn invalid(problem: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::ConfigurationInvalid, format!("environment: {problem}"))
}
