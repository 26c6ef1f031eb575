//! The operation and service of a request, read before its caller and their permissions are known.

use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;

use crate::dynamodb::Peek;
use crate::error::AwsError;
use crate::fleet::Service;
use crate::signature::Claim;
use crate::sts::{Form, RoleArn};
use crate::{drs, s3};

/// One request, as far as it's understood.
pub(crate) struct Request {
    /// `None` where neither the request's shape nor its signature tells.
    pub service: Option<Service>,
    /// As AWS writes it; of an unknown one, whatever the request calls it.
    pub operation: String,
    pub input: Input,
}

/// The input of an operation, in its protocol.
pub(crate) enum Input {
    Sts(Form),
    Drs(drs::Input),
    /// What's here is only for the log and the faults: the table's engine reads the body itself.
    DynamoDb(Peek),
    S3(s3::Input),
    /// One that the operation refuses.
    Invalid(AwsError),
    /// There is no such operation.
    Unknown,
}

impl Request {
    pub fn read(parts: &Parts, body: &Bytes, claim: Option<&Claim>) -> Self {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
        let known =
            |service, operation: &str, input| Self { service: Some(service), operation: operation.to_owned(), input };
        if let Some((target, operation)) = header("x-amz-target").split_once('.')
            && target.starts_with("DynamoDB")
        {
            return known(Service::DynamoDb, operation, Input::DynamoDb(Peek::at(body)));
        }
        let service = claim.and_then(|claim| Service::from_name(claim.service));
        if service == Some(Service::S3) {
            let (operation, input) = s3::Input::read(parts);
            return known(Service::S3, &operation, input.map_or_else(Input::Invalid, Input::S3));
        }
        if let Some(operation) = drs::operation(&parts.method, path) {
            let input = drs::Input::parse(operation, query, body).map_or_else(Input::Invalid, Input::Drs);
            return known(Service::Drs, operation, input);
        }
        let posted = header(CONTENT_TYPE.as_str()).starts_with("application/x-www-form-urlencoded");
        if path == "/" && (posted || query.contains("Action=")) {
            let form = Form::parse(if posted { body } else { query.as_bytes() });
            let operation = form.get("Action").unwrap_or_default().to_owned();
            return known(Service::Sts, &operation, Input::Sts(form));
        }
        let operation = path.chars().filter(char::is_ascii_alphanumeric).collect();
        Self { service, operation, input: Input::Unknown }
    }

    /// The account concerned, where the request itself says so.
    pub fn target(&self) -> Option<&str> {
        match &self.input {
            Input::Sts(form) => Some(RoleArn::parse(form.get("RoleArn")?)?.account),
            Input::DynamoDb(peek) => peek.item_key(),
            Input::Drs(_) | Input::S3(_) | Input::Invalid(_) | Input::Unknown => None,
        }
    }

    /// Whether it asks for the rest of a list.
    pub fn continues(&self) -> bool {
        match &self.input {
            Input::Drs(input) => input.next_token.is_some(),
            Input::DynamoDb(peek) => peek.continues(),
            Input::S3(input) => input.page(&self.operation).is_some_and(|page| page > 1),
            Input::Sts(_) | Input::Invalid(_) | Input::Unknown => false,
        }
    }

    /// The input of an S3 operation.
    pub fn s3(&self) -> Option<&s3::Input> {
        match &self.input {
            Input::S3(input) => Some(input),
            _ => None,
        }
    }
}
