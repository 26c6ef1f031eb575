//! TLS for the endpoint: an authority of the lab's own, made at its start, and a certificate for loopback by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::{self, Ticketer};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{HandshakeKind, ServerConfig};

/// How many TLS connections were made, by the way of their handshakes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Handshakes {
    /// With the whole exchange of certificates and keys.
    pub full: u64,
    /// By the ticket of an earlier connection.
    pub resumed: u64,
}

/// Counts handshakes.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    full: AtomicU64,
    resumed: AtomicU64,
}

impl Counter {
    pub fn count(&self, kind: Option<HandshakeKind>) {
        let counter = if kind == Some(HandshakeKind::Resumed) { &self.resumed } else { &self.full };
        counter.fetch_add(1, Relaxed);
    }

    pub fn count_of(&self) -> Handshakes {
        Handshakes { full: self.full.load(Relaxed), resumed: self.resumed.load(Relaxed) }
    }

    pub fn clear(&self) {
        self.full.store(0, Relaxed);
        self.resumed.store(0, Relaxed);
    }
}

/// What a lab with TLS answers by.
pub(crate) struct Tls {
    /// The authority's certificate, as PEM.
    pub authority: String,
    pub acceptor: TlsAcceptor,
}

impl Tls {
    /// Makes keys and certificates; they live as long as the lab.
    pub fn new() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "staging-sync lab");
        let authority_key = KeyPair::generate()?;
        let authority = params.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(params, authority_key);
        let key = KeyPair::generate()?;
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::try_from(key.serialize_der())?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        // Tickets that are kept by the client alone, as AWS gives them: however many connections there are, each can be resumed.
        config.ticketer = Ticketer::new()?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { authority, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}
