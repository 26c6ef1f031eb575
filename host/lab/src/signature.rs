//! The signature check (AWS General Reference: Signature Version 4), over the headers that were signed.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as Keys;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use bytes::Bytes;
use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::http::request::Parts;

use crate::error::{AwsError, Credentials};
use crate::fleet::Service;
use crate::upload::CONTENT_SHA256;

/// How far a request's time may be from the lab's, as in AWS.
const CLOCK_SKEW: Duration = Duration::from_secs(15 * 60);

/// What an `Authorization` header claims; nothing of it is checked yet. No `Debug`, because it holds a token.
pub(crate) struct Claim<'a> {
    pub access_key: &'a str,
    pub date: &'a str,
    pub region: &'a str,
    pub service: &'a str,
    pub terminator: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
    /// `20260202T224500Z`
    amz_date: &'a str,
    pub session_token: Option<&'a str>,
}

/// Reads the claim of a request.
pub(crate) fn claim(headers: &HeaderMap) -> Result<Claim<'_>, Credentials> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let authorization = text(AUTHORIZATION.as_str()).ok_or(Credentials::Missing)?;
    let parameters = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or(Credentials::Malformed)?;
    let parameter = |name: &str| {
        let mut parts = parameters.split(',').map(str::trim);
        parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).ok_or(Credentials::Malformed)
    };
    let mut scope = parameter("Credential")?.rsplitn(5, '/');
    let mut from_the_right = || scope.next().ok_or(Credentials::Malformed);
    let (terminator, service, region) = (from_the_right()?, from_the_right()?, from_the_right()?);
    let (date, access_key) = (from_the_right()?, from_the_right()?);
    Ok(Claim {
        access_key,
        date,
        region,
        service,
        terminator,
        signed_headers: parameter("SignedHeaders")?,
        signature: parameter("Signature")?,
        amz_date: text("x-amz-date").ok_or(Credentials::Malformed)?,
        session_token: text("x-amz-security-token"),
    })
}

impl Claim<'_> {
    /// Whether the scope is the one for this service, and of the request's day and hour, by a clock that says `now`.
    pub fn check_scope(&self, service: Service, now: SystemTime) -> Result<(), AwsError> {
        let wrong = |message: String| Err(AwsError::signature(service, message));
        if self.terminator != "aws4_request" {
            return wrong("Credential should be scoped with a valid terminator: 'aws4_request'.".into());
        }
        if self.service != service.name() {
            return wrong(format!("Credential should be scoped to correct service: '{}'.", service.name()));
        }
        let Some(time) = self.time() else {
            return Err(AwsError::credentials(service, Credentials::Malformed));
        };
        if !self.amz_date.starts_with(self.date) || self.date.len() != 8 {
            return wrong(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != \
                 '{}'.",
                self.date, self.amz_date
            ));
        }
        if now > time + CLOCK_SKEW {
            return wrong(format!("Signature expired: {} is more than 15 minutes ago.", self.amz_date));
        }
        if time > now + CLOCK_SKEW {
            return wrong(format!("Signature not yet current: {} is more than 15 minutes ahead.", self.amz_date));
        }
        Ok(())
    }

    /// Whether the request was signed with this key.
    pub fn verify(&self, keys: Keys, service: Service, request: &Parts, body: &Bytes) -> Result<(), AwsError> {
        if self.recompute(keys, service, request, body).is_some_and(|signature| same(&signature, self.signature)) {
            Ok(())
        } else {
            Err(AwsError::credentials(service, Credentials::WrongSignature))
        }
    }

    /// The signature that the request should have; `None` where it can't have any.
    fn recompute(&self, keys: Keys, service: Service, request: &Parts, body: &Bytes) -> Option<String> {
        let mut headers = Vec::new();
        for name in self.signed_headers.split(';') {
            for value in request.headers.get_all(name) {
                headers.push((name, value.to_str().ok()?));
            }
        }
        // The signer would add these two; a client has to have signed them.
        if !["host", "x-amz-date"].iter().all(|must| headers.iter().any(|(name, _)| name == must)) {
            return None;
        }
        let mut settings = SigningSettings::default();
        settings.excluded_headers = None; // exactly what was signed
        if service == Service::S3 {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let identity = keys.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(self.time()?)
            .settings(settings)
            .build()
            .ok()?
            .into();
        // Only path and query count here: the host is among the headers.
        let uri = format!("http://lab{}", request.uri.path_and_query()?);
        // S3 may have the body left out, or signed chunk by chunk; the header then says so instead of naming its hash.
        let how = request.headers.get(CONTENT_SHA256).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let apart = service == Service::S3 && (how == "UNSIGNED-PAYLOAD" || how.starts_with("STREAMING-"));
        let body = if apart { SignableBody::Precomputed(how.to_owned()) } else { SignableBody::Bytes(body) };
        let signable = SignableRequest::new(request.method.as_str(), uri, headers.into_iter(), body).ok()?;
        Some(sign(signable, &parameters).ok()?.into_parts().1)
    }

    fn time(&self) -> Option<SystemTime> {
        let text = self.amz_date;
        if text.len() != 16 || !text.is_ascii() {
            return None;
        }
        let (date, time) = text.split_at(8);
        let (year, month, day) = (&date[..4], &date[4..6], &date[6..]);
        let iso = format!("{year}-{month}-{day}{}:{}:{}", &time[..3], &time[3..5], &time[5..]);
        DateTime::from_str(&iso, Format::DateTime).ok()?.try_into().ok()
    }
}

/// Compares all of both, as one does with secrets.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
