//! The HTTP client under all AWS clients: whom it trusts, by which proxy it goes, and how many connections it keeps.

use std::path::Path;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::bound::Bounded;

/// Files that are open for other purposes than connections: policies, the log, the runtime's own.
const OTHER_FILES: u64 = 48;

/// Hosts that connections are kept to: DynamoDB, STS, S3, and DRS in 34 regions.
const HOSTS: usize = 37;

/// A client that goes to one endpoint of somebody's choice, whatever the environment says of proxies and certificates.
pub(crate) fn client(max_concurrency: usize) -> Bounded {
    bounded(max_concurrency, None, ProxyConfig::disabled())
}

/// A client as the environment says, with the AWS CLI's variables: `AWS_CA_BUNDLE` is a PEM file of the only certificate
/// authorities to trust; `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, in both cases, name proxies. Fails where the bundle
/// can't be used.
pub(crate) fn client_from_env(max_concurrency: usize) -> Result<Bounded, String> {
    let bundle = std::env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty());
    let trust = bundle.map(|path| trusted(Path::new(&path))).transpose()?;
    Ok(bounded(max_concurrency, trust, ProxyConfig::from_env()))
}

/// The authorities of a bundle.
fn trusted(path: &Path) -> Result<TlsContext, String> {
    let bad =
        |what: String| format!("AWS_CA_BUNDLE is {}: {what}: expected a PEM file of certificates", path.display());
    let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    if certificates.map_err(|error| bad(error.to_string()))?.is_empty() {
        return Err(bad("it has no certificate".into()));
    }
    let store = TrustStore::empty().with_native_roots(false).with_pem_certificate(pem);
    TlsContext::builder().with_trust_store(store).build().map_err(|error| bad(error.to_string()))
}

/// So many requests at once, or as many as the process may have files open.
fn bounded(max_concurrency: usize, trust: Option<TlsContext>, proxy: ProxyConfig) -> Bounded {
    let files = rlimit::Resource::NOFILE.get_soft().unwrap_or(1_024).saturating_sub(OTHER_FILES);
    let connections = usize::try_from(files).unwrap_or(usize::MAX).max(2);
    let at_once = max_concurrency.min((connections / 2).max(1));
    let idle = (connections - at_once) / HOSTS;
    Bounded::new(http(trust, proxy, idle), at_once)
}

fn http(trust: Option<TlsContext>, proxy: ProxyConfig, idle_per_host: usize) -> SharedHttpClient {
    let builder = Builder::new().pool_max_idle_per_host(idle_per_host);
    builder.build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder().proxy_config(proxy.clone()).pool_max_idle_per_host(idle_per_host);
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        let connector = connector.tls_provider(Provider::Rustls(CryptoMode::Ring));
        match &trust {
            Some(trust) => connector.tls_context(trust.clone()).build(),
            None => connector.build(),
        }
    })
}

/// Raises the process's limit of open files as far as it may; a shell's default is far below what is allowed.
pub fn raise_file_limit() {
    if let Ok((soft, hard)) = rlimit::Resource::NOFILE.get()
        && soft < hard
    {
        let _ = rlimit::Resource::NOFILE.set(hard, hard); // where it can't be raised, connections are bounded by what there is
    }
}
