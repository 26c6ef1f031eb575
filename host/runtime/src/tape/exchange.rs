//! An exchange: one call and its answer, its account, and its differences from another exchange.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::difference::differing_leaves;
use super::placeholder::{self, EXTERNAL_ID};
use crate::aws::{AwsError, Call, Principal, Request};

/// A call to AWS and what came back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Exchange {
    /// The service's signing name, like `drs`.
    pub service: String,
    /// The operation, like `ListStagingAccounts`.
    pub operation: String,
    /// The region, unless it's the host's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The request, as the service's API reference has it.
    pub request: Value,
    /// The answer.
    #[serde(flatten)]
    pub answer: Answer,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// The response, as the service's API reference has it.
    Response(Value),
    /// The error.
    Error(Failure),
}

/// An error as a tape has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// AWS's code, or one of the host's own.
    pub code: String,
    /// What AWS or the network said.
    #[serde(default)]
    pub message: String,
    /// Whether the same call may succeed later.
    #[serde(default)]
    pub retryable: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    service: String,
    operation: String,
    region: Option<String>,
    request: Value,
    response: Option<Value>,
    error: Option<Failure>,
}

impl TryFrom<Raw> for Exchange {
    type Error = &'static str;

    fn try_from(raw: Raw) -> Result<Self, Self::Error> {
        let Raw { service, operation, region, request, .. } = raw;
        let answer = match (raw.response, raw.error) {
            (Some(response), None) => Answer::Response(response),
            (None, Some(error)) => Answer::Error(error),
            (None, None) => return Err("expected a response or an error, found none"),
            (Some(_), Some(_)) => return Err("expected either a response or an error, found both"),
        };
        Ok(Self { service, operation, region, request, answer })
    }
}

impl Failure {
    /// An error with its code, what was said, and whether the same call may succeed later.
    pub fn of(code: &str, message: &str, retryable: bool) -> Self {
        Self { code: code.into(), message: message.into(), retryable }
    }
}

impl Exchange {
    /// A call with its answer, as a tape has it.
    pub(crate) fn of(call: &Call, answer: &Result<Value, AwsError>) -> Self {
        let (service, operation) = call.request.name();
        let mut request = serde_json::to_value(&call.request).unwrap_or_default();
        // The SDK gives an item's attributes in no order.
        request.sort_all_objects();
        let answer = match answer {
            Ok(response) => {
                let mut response = response.clone();
                response.sort_all_objects();
                Answer::Response(response)
            }
            Err(AwsError { code, message, retryable }) => {
                Answer::Error(Failure { code: code.clone(), message: message.clone(), retryable: *retryable })
            }
        };
        Self { service: service.into(), operation: operation.into(), region: call.region.clone(), request, answer }
    }

    /// The answer as the host gets it.
    pub(super) fn given(&self) -> Result<Value, AwsError> {
        match &self.answer {
            Answer::Response(response) => Ok(response.clone()),
            Answer::Error(Failure { code, message, retryable }) => {
                Err(AwsError { code: code.clone(), message: message.clone(), retryable: *retryable })
            }
        }
    }

    /// The error that came back, if one did.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.answer {
            Answer::Response(_) => None,
            Answer::Error(failure) => Some(failure),
        }
    }

    /// Whether this asks for a change.
    pub fn is_write(&self) -> bool {
        self.operation == "UpdateItem"
    }

    /// The call in one line, like `drs:ListStagingAccounts in eu-west-1 {"maxResults":50}`.
    pub fn title(&self) -> String {
        format!("{} {}", self.name(), self.request)
    }

    /// Operation and region.
    pub fn name(&self) -> String {
        let region = self.region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default();
        format!("{}:{}{region}", self.service, self.operation)
    }

    /// In what a call differs from this one; in nothing, if it's the same call.
    pub fn differences(&self, asked: &Exchange) -> Vec<String> {
        let key = |of: &Exchange| json!({"operation": format!("{}:{}", of.service, of.operation), "region": of.region, "request": of.request});
        differences(&key(self), &key(asked))
    }
}

/// The target account that a call is about. None: it's about the table.
pub(crate) fn target(call: &Call) -> Option<String> {
    match (&call.principal, &call.request) {
        (Principal::Role(session), _) => Some(session.role.account.to_string()),
        (_, Request::AssumeRole { role_arn, .. }) => role_arn.split(':').nth(4).map(str::to_owned),
        (_, Request::GetItem { key, .. } | Request::UpdateItem { key, .. }) => {
            Some(key.get("accountId")?.get("S")?.as_str()?.to_owned())
        }
        _ => None,
    }
}

/// Where two values differ, and in what: `request.maxResults: 50 on the tape, 20 asked for`. An external id that
/// a tape doesn't hold is equal to any.
pub fn differences(recorded: &Value, asked: &Value) -> Vec<String> {
    let mut found = Vec::new();
    differing_leaves(recorded, asked, &mut |path, recorded, asked| {
        let mut members = path.split(['.', '[']);
        let unknown = recorded.as_str().is_some_and(placeholder::is_placeholder) && asked.is_string();
        if !(unknown && members.any(|member| member == EXTERNAL_ID)) {
            found.push(format!("{path}: {} on the tape, {} asked for", shown(recorded), shown(asked)));
        }
    });
    found
}

fn shown(value: &Value) -> String {
    if value.is_null() { "nothing".into() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named_by_path_and_an_unknown_external_id_is_none() {
        let recorded = json!({"a": [1, {"externalId": {"S": "external-id-3"}, "x": {"S": "external-id-3"}}], "b": "c"});
        let asked = json!({"a": [1, {"externalId": {"S": "any"}, "x": {"S": "any"}}, 2]});
        assert_eq!(
            differences(&recorded, &asked),
            [
                "a[1].x.S: \"external-id-3\" on the tape, \"any\" asked for",
                "a[2]: nothing on the tape, 2 asked for",
                "b: \"c\" on the tape, nothing asked for",
            ]
        );
    }
}
