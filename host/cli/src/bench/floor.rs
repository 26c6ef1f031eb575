//! The least that the calls of a warm tick cost: the same `ListStagingAccounts` requests by hyper and aws-sigv4 alone.
//!
//! It signs as the SDK does, over connections that are open, and reads the answers; it understands nothing of them, retries
//! nothing and limits nothing. What a tick costs above it is the price of the SDK, the policy and the host.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::child::each_line;
use super::fleet;
use crate::{CommandError, Exit};

/// The calls of one tick, and who makes them.
struct Floor {
    url: Uri,
    regions: Vec<String>,
    accounts: Vec<Credentials>,
    tls: Option<TlsConnector>,
}

/// An open connection.
type Connection = SendRequest<Full<Bytes>>;

/// Makes the calls of so many accounts for each line on stdin, with so many connections.
pub async fn run(accounts: u32, connections: usize) -> Result<Exit, CommandError> {
    let mut floor = Floor {
        url: variable("AWS_ENDPOINT_URL")?.parse().map_err(broken)?,
        regions: variable("DRS_REGIONS")?.split(',').map(str::to_owned).collect(),
        accounts: Vec::new(),
        tls: std::env::var("AWS_CA_BUNDLE").ok().map(|file| trusting(&file)).transpose()?,
    };
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(floor.connect().await?);
    }
    let own = Credentials::new(variable("AWS_ACCESS_KEY_ID")?, variable("AWS_SECRET_ACCESS_KEY")?, None, None, "bench");
    for number in 0..accounts {
        let session = floor.assume(&mut open[0], &own, &fleet::id(number)).await?;
        floor.accounts.push(session);
    }
    let floor = Arc::new(floor);
    each_line(async || {
        let next = Arc::new(AtomicUsize::new(0));
        let mut all = JoinSet::<Result<Connection, CommandError>>::new();
        for mut connection in std::mem::take(&mut open) {
            let (floor, next) = (Arc::clone(&floor), Arc::clone(&next));
            all.spawn(async move {
                while let Some((account, region)) = floor.call(next.fetch_add(1, Ordering::Relaxed)) {
                    floor.list(&mut connection, account, region).await?;
                }
                Ok(connection)
            });
        }
        while let Some(done) = all.join_next().await {
            open.push(done.map_err(broken)??);
        }
        Ok(0)
    })
    .await
}

impl Floor {
    /// A call by its number: account by account, each in all regions.
    fn call(&self, number: usize) -> Option<(&Credentials, &str)> {
        let account = self.accounts.get(number / self.regions.len())?;
        Some((account, &self.regions[number % self.regions.len()]))
    }

    async fn connect(&self) -> Result<Connection, CommandError> {
        let authority = self.url.authority().map(|authority| authority.as_str()).unwrap_or_default();
        let stream = TcpStream::connect(authority).await.map_err(broken)?;
        stream.set_nodelay(true).map_err(broken)?;
        match &self.tls {
            None => talk(TokioIo::new(stream)).await,
            Some(tls) => {
                let host = ServerName::try_from(self.url.host().unwrap_or_default().to_owned()).map_err(broken)?;
                talk(TokioIo::new(tls.connect(host, stream).await.map_err(broken)?)).await
            }
        }
    }

    async fn assume(
        &self,
        connection: &mut Connection,
        own: &Credentials,
        id: &str,
    ) -> Result<Credentials, CommandError> {
        let role = fleet::role_arn(id);
        let body = format!(
            "Action=AssumeRole&Version=2011-06-15&RoleSessionName=bench&RoleArn={}",
            role.replace(':', "%3A").replace('/', "%2F")
        );
        let answer = self.send(connection, own, ("sts", "us-east-1"), (Method::POST, "/"), body.into()).await?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let text = |name: &str| {
            let text = answer.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once("</"));
            text.map(|(text, _)| text.to_owned()).ok_or_else(|| broken(format!("AssumeRole of {role}: {answer}")))
        };
        Ok(Credentials::new(text("AccessKeyId")?, text("SecretAccessKey")?, Some(text("SessionToken")?), None, "bench"))
    }

    async fn list(&self, connection: &mut Connection, account: &Credentials, region: &str) -> Result<(), CommandError> {
        let operation = (Method::GET, "/ListStagingAccounts?maxResults=50");
        self.send(connection, account, ("drs", region), operation, Bytes::new()).await.map(drop)
    }

    async fn send(
        &self,
        connection: &mut Connection,
        by: &Credentials,
        (service, region): (&str, &str),
        (method, path): (Method, &str),
        body: Bytes,
    ) -> Result<Bytes, CommandError> {
        let host = self.url.authority().map(|authority| authority.as_str()).unwrap_or_default();
        let uri = format!("{}://{host}{path}", self.url.scheme_str().unwrap_or_default());
        let identity = by.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(broken)?
            .into();
        let mut headers = vec![("host", host)];
        if method == Method::POST {
            headers.push(("content-type", "application/x-www-form-urlencoded"));
        }
        let signable = SignableRequest::new(method.as_str(), &uri, headers.iter().copied(), SignableBody::Bytes(&body))
            .map_err(broken)?;
        let (signed, _) = sign(signable, &params).map_err(broken)?.into_parts();
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut request = request.body(Full::new(body)).map_err(broken)?;
        signed.apply_to_request_http1x(&mut request);
        connection.ready().await.map_err(broken)?;
        let answer = connection.send_request(request).await.map_err(broken)?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(broken)?.to_bytes();
        match status.is_success() {
            true => Ok(body),
            false => Err(broken(format!("{status}: {}", String::from_utf8_lossy(&body)))),
        }
    }
}

/// Speaks HTTP over a stream.
async fn talk<S>(stream: TokioIo<S>) -> Result<Connection, CommandError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (connection, driver) = http1::handshake(stream).await.map_err(broken)?;
    tokio::spawn(driver);
    Ok(connection)
}

/// TLS by the authorities of a file.
fn trusting(file: &str) -> Result<TlsConnector, CommandError> {
    let mut trusted = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(broken)? {
        trusted.add(certificate.map_err(broken)?).map_err(broken)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().map_err(broken)?;
    Ok(TlsConnector::from(Arc::new(config.with_root_certificates(trusted).with_no_client_auth())))
}

fn variable(name: &str) -> Result<String, CommandError> {
    std::env::var(name).map_err(|_| broken(format!("{name} isn't set")))
}

fn broken(what: impl std::fmt::Display) -> CommandError {
    CommandError(format!("bench: the floor: {what}"))
}
