//! The HTTP client of all AWS clients: trusted certificates, proxy, and number of connections.

use std::path::{Path, PathBuf};

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::limited_http_client::LimitedHttpClient;

/// Files that are open for other purposes than connections: policies, the log, the runtime's own.
const OTHER_FILES: u64 = 48;

/// Hosts that connections are kept to: DynamoDB, STS, S3, and DRS in 34 regions.
const HOSTS: usize = 37;

/// A client that goes to one endpoint of somebody's choice, whatever the environment says of proxies and certificates.
pub(crate) fn client(max_concurrency: usize) -> LimitedHttpClient {
    bounded(max_concurrency, nobody(), ProxyConfig::disabled())
}

/// A client as the environment says, and whether it trusts anybody: a bundle (with the setting that names it) is a PEM
/// file of the only certificate authorities to trust; `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, in both cases, name
/// proxies. Fails where the bundle can't be used.
pub(crate) fn client_from_env(
    max_concurrency: usize,
    bundle: Option<(&str, PathBuf)>,
) -> Result<(LimitedHttpClient, bool), String> {
    let (trust, anybody) = match bundle {
        Some((setting, path)) => (Some(trusted(setting, &path)?), true),
        // The SDK's default takes it for granted that the system has some.
        None if !system_has_certificates() => (nobody(), false),
        None => (None, true),
    };
    Ok((bounded(max_concurrency, trust, ProxyConfig::from_env()), anybody))
}

/// Whether the system has certificates. The SDK reads them all when it first needs them, which takes milliseconds of a cold start:
/// so a look at the usual file comes first.
fn system_has_certificates() -> bool {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    let elsewhere = ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|name| std::env::var_os(name).is_some());
    let usual = if elsewhere { None } else { openssl_probe::probe().cert_file };
    usual
        .and_then(|file| std::fs::read(file).ok())
        .is_some_and(|pem| pem.windows(BEGIN.len()).any(|part| part == BEGIN))
        || !rustls_native_certs::load_native_certs().certs.is_empty()
}

/// No authority: for endpoints without TLS.
fn nobody() -> Option<TlsContext> {
    TlsContext::builder().with_trust_store(TrustStore::empty().with_native_roots(false)).build().ok()
}

/// The authorities of a bundle. Those among them that can't be used are left out, as other clients do; the SDK would
/// panic on them.
fn trusted(setting: &str, path: &Path) -> Result<TlsContext, String> {
    let bad = |what: String| format!("{setting} is {}: {what}: expected a PEM file of certificates", path.display());
    let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|error| bad(error.to_string()))?;
    let usable = certificates.iter().filter(|one| RootCertStore::empty().add((*one).clone()).is_ok());
    let mut pem = String::new();
    for certificate in usable {
        let body = aws_smithy_types::base64::encode(certificate);
        pem.push_str(&format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"));
    }
    if pem.is_empty() {
        return Err(bad("it has no certificate that can be used".into()));
    }
    let store = TrustStore::empty().with_native_roots(false).with_pem_certificate(pem);
    TlsContext::builder().with_trust_store(store).build().map_err(|error| bad(error.to_string()))
}

/// So many requests at once, or as many as the process may have files open.
fn bounded(max_concurrency: usize, trust: Option<TlsContext>, proxy: ProxyConfig) -> LimitedHttpClient {
    let files = rlimit::Resource::NOFILE.get_soft().unwrap_or(1_024).saturating_sub(OTHER_FILES);
    let connections = usize::try_from(files).unwrap_or(usize::MAX).max(2);
    let at_once = max_concurrency.min((connections / 2).max(1));
    let idle = (connections - at_once) / HOSTS;
    LimitedHttpClient::new(http(trust, proxy, idle), at_once)
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
