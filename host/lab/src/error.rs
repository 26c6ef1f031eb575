//! Errors: the lab's own, and those that AWS would answer, written in each service's protocol.

use hyper::header::HeaderValue;
use serde_json::json;

use crate::fleet::Service;
use crate::policy::action;
use crate::reply::{Reply, reply};
use crate::xml::{STS_NAMESPACE, escape};

/// Why the lab couldn't do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The fleet isn't what it should be: one line per problem, each with its JSON path.
    #[error("fleet: {0}")]
    Fleet(String),
    /// The address can't be listened on.
    #[error("listening on {address}: {source}")]
    Bind { address: std::net::SocketAddr, source: std::io::Error },
    /// The keys and certificates for TLS couldn't be made.
    #[error("TLS: {0}")]
    Tls(Box<dyn std::error::Error + Send + Sync>),
    /// The table refused an edit.
    #[error("table: {0}")]
    Table(String),
}

/// An error that AWS answers (API reference: Common Errors of each service).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AwsError {
    pub code: String,
    pub message: String,
    /// `None`: the status that the service uses for the code.
    pub status: Option<u16>,
    /// The body, where the table's engine has written it.
    pub body: Option<String>,
}

impl AwsError {
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), status: None, body: None }
    }

    pub fn unknown_operation() -> Self {
        Self::new("UnknownOperationException", "Unknown operation")
    }

    /// `principal` may not do `operation`.
    pub fn access_denied(service: Service, principal: &str, operation: &str, resource: &str, why: &str) -> Self {
        let code = match service {
            Service::Sts | Service::S3 => "AccessDenied",
            Service::Drs | Service::DynamoDb => "AccessDeniedException",
        };
        let action = action(service, operation);
        let resource = if resource.is_empty() { String::new() } else { format!(" on resource: {resource}") };
        let why = if why.is_empty() { String::new() } else { format!(" because {why}") };
        Self::new(code, format!("User: {principal} is not authorized to perform: {action}{resource}{why}"))
    }

    /// STS, S3 and the JSON services name the same failures differently.
    pub fn credentials(service: Service, problem: Credentials) -> Self {
        let (sts, s3, other, message) = match problem {
            Credentials::Missing => (
                "MissingAuthenticationToken",
                "AccessDenied",
                "MissingAuthenticationTokenException",
                "Request is missing Authentication Token",
            ),
            Credentials::Malformed => (
                "IncompleteSignature",
                "AuthorizationHeaderMalformed",
                "IncompleteSignatureException",
                "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters, and \
                 the request an 'X-Amz-Date' header",
            ),
            Credentials::Unknown => (
                "InvalidClientTokenId",
                "InvalidAccessKeyId",
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            ),
            Credentials::Expired => (
                "ExpiredToken",
                "ExpiredToken",
                "ExpiredTokenException",
                "The security token included in the request is expired",
            ),
            Credentials::WrongSignature => (
                "SignatureDoesNotMatch",
                "SignatureDoesNotMatch",
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided. Check your AWS \
                 Secret Access Key and signing method. Consult the service documentation for details.",
            ),
        };
        let code = match service {
            Service::Sts => sts,
            Service::S3 => s3,
            Service::Drs | Service::DynamoDb => other,
        };
        Self::new(code, message)
    }

    /// A signature that can't be right, with the reason.
    pub fn signature(service: Service, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::credentials(service, Credentials::WrongSignature) }
    }

    /// The answer in the protocol of the service; without one, as a JSON service would.
    pub fn reply(&self, service: Option<Service>, request_id: &str) -> Reply {
        let status = self.status.unwrap_or_else(|| default_status(service, &self.code));
        let mut answer = match service {
            Some(Service::Sts) => {
                let side = if status < 500 { "Sender" } else { "Receiver" };
                let (code, message) = (escape(&self.code), escape(&self.message));
                let body = format!(
                    "<ErrorResponse xmlns=\"{}\">\n  <Error>\n    <Type>{side}</Type>\n    <Code>{code}</Code>\n    \
                     <Message>{message}</Message>\n  </Error>\n  <RequestId>{request_id}</RequestId>\n\
                     </ErrorResponse>\n",
                    STS_NAMESPACE,
                );
                reply(status, "text/xml", body)
            }
            Some(Service::S3) => {
                let (code, message) = (escape(&self.code), escape(&self.message));
                let body = format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
                     <Message>{message}</Message><RequestId>{request_id}</RequestId></Error>\n"
                );
                reply(status, "application/xml", body)
            }
            Some(Service::DynamoDb) => {
                let namespace = match self.code.as_str() {
                    "ValidationException" => "com.amazon.coral.validate",
                    "SerializationException"
                    | "UnknownOperationException"
                    | "ThrottlingException"
                    | "UnrecognizedClientException"
                    | "AccessDeniedException"
                    | "ExpiredTokenException"
                    | "InvalidSignatureException"
                    | "MissingAuthenticationTokenException" => "com.amazon.coral.service",
                    _ => "com.amazonaws.dynamodb.v20120810",
                };
                let kind = format!("{namespace}#{}", self.code);
                let written = || json!({ "__type": kind, "message": self.message }).to_string();
                let body = self.body.clone().unwrap_or_else(written);
                reply(status, "application/x-amz-json-1.0", body)
            }
            Some(Service::Drs) | None => {
                reply(status, "application/json", json!({ "message": self.message }).to_string())
            }
        };
        if matches!(service, Some(Service::Drs) | None)
            && let Ok(code) = HeaderValue::from_str(&self.code)
        {
            answer.headers_mut().insert("x-amzn-errortype", code);
        }
        answer
    }
}

/// What is wrong with a request's credentials.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Credentials {
    Missing,
    Malformed,
    Unknown,
    Expired,
    WrongSignature,
}

fn default_status(service: Option<Service>, code: &str) -> u16 {
    let name = code.trim_end_matches("Exception").trim_end_matches("Error");
    match name {
        "InternalServer" | "InternalFailure" | "Internal" => 500,
        "ServiceUnavailable" => 503,
        _ if service == Some(Service::DynamoDb) => 400, // all of DynamoDB's other errors
        "ExpiredToken" if service == Some(Service::S3) => 400,
        "SlowDown" => 503,
        "NotImplemented" => 501,
        "PermanentRedirect" => 301,
        "PreconditionFailed" => 412,
        "Throttling" | "TooManyRequests" if service == Some(Service::Drs) => 429,
        "AccessDenied"
        | "UnrecognizedClient"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "ExpiredToken"
        | "MissingAuthenticationToken"
        | "SignatureDoesNotMatch"
        | "InvalidSignature"
        | "RegionDisabled"
        | "OptInRequired" => 403,
        "UnknownOperation" | "ResourceNotFound" | "NoSuchKey" | "NoSuchBucket" => 404,
        "Conflict" => 409,
        _ => 400,
    }
}
