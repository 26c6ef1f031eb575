//! AWS STS (API reference: AssumeRole, GetCallerIdentity): the query protocol, forms in and XML out.

use std::time::Duration;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use crate::error::AwsError;
use crate::fleet::{Fleet, Service};
use crate::policy::Policy;
use crate::session::{Caller, Grant, Sessions};
use crate::xml::{STS_NAMESPACE, escape};

/// The fields of a form; no `Debug`, because callers send secrets in some.
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    pub fn parse(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// `arn:<partition>:iam::<account>:role/<path and name>`
pub(crate) struct RoleArn<'a> {
    pub partition: &'a str,
    pub account: &'a str,
    pub role: &'a str,
}

impl<'a> RoleArn<'a> {
    pub fn parse(arn: &'a str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let (scheme, partition, service, region) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let (account, role) = (parts.next()?, parts.next()?.strip_prefix("role/")?);
        let iam = scheme == "arn" && service == "iam" && region.is_empty();
        (iam && !partition.is_empty() && !role.is_empty()).then_some(Self { partition, account, role })
    }
}

/// Answers one call with the body of a successful answer.
pub(crate) fn answer(
    operation: &str,
    form: &Form,
    caller: &Caller,
    fleet: &Fleet,
    sessions: &Sessions,
    request_id: &str,
) -> Result<String, AwsError> {
    match operation {
        "AssumeRole" => assume_role(form, caller, fleet, sessions, request_id),
        "GetCallerIdentity" => Ok(get_caller_identity(caller, request_id)),
        _ => {
            let version = form.get("Version").unwrap_or_default();
            Err(AwsError::new("InvalidAction", format!("Could not find operation {operation} for version {version}")))
        }
    }
}

fn assume_role(
    form: &Form,
    caller: &Caller,
    fleet: &Fleet,
    sessions: &Sessions,
    request_id: &str,
) -> Result<String, AwsError> {
    let arn = required(form, "RoleArn", 20..=2048, |c| !c.is_control())?;
    let session_name = required(form, "RoleSessionName", 2..=64, |c| is_word(c) || "+=,.@-".contains(c))?;
    let external_id = match form.get("ExternalId") {
        None => None,
        Some(_) => Some(required(form, "ExternalId", 2..=1224, |c| is_word(c) || "+=,.@:/-".contains(c))?),
    };
    let seconds = match form.get("DurationSeconds") {
        None => 3600,
        Some(text) => text
            .parse()
            .ok()
            .filter(|seconds| (900..=43_200).contains(seconds))
            .ok_or_else(|| invalid("durationSeconds", text, "Member must have value between 900 and 43200"))?,
    };
    let policy = match form.get("Policy") {
        None => None,
        Some(document) if document.len() > 2048 => {
            return Err(invalid("policy", document, "Member must have length less than or equal to 2048"));
        }
        Some(document) => Some(Policy::parse(document).ok_or_else(|| {
            AwsError::new("MalformedPolicyDocument", "Expected Statement with Effect and Action, as JSON")
        })?),
    };
    let policy_size = form.get("Policy").map(|document| 1 + document.len() * 100 / 4096);

    // AWS doesn't say what was wrong: no such account or role, another external id, another principal.
    let denied = || AwsError::access_denied(Service::Sts, caller.arn(), "AssumeRole", arn, "");
    let RoleArn { partition, account, role } =
        RoleArn::parse(arn).ok_or_else(|| AwsError::new("ValidationError", format!("{arn} is invalid")))?;
    let known = fleet.accounts.get(account).and_then(|account| account.roles.get(role)).ok_or_else(denied)?;
    let matches = known.external_id.is_none() || known.external_id.as_deref() == external_id;
    if !matches || !matches!(caller, Caller::Hub { .. }) {
        return Err(denied());
    }

    let lifetime = Duration::from_secs(seconds);
    let session = sessions.issue(Grant { partition, account, role, session_name, lifetime, policy });
    let expiration = DateTime::from_secs(DateTime::from(session.expires).secs()).fmt(Format::DateTime);
    let expiration = expiration.map_err(|e| AwsError::new("InternalFailure", e.to_string()))?;
    let policy_size = policy_size.map(|percent| format!("    <PackedPolicySize>{percent}</PackedPolicySize>\n"));
    Ok(respond(
        "AssumeRole",
        &format!(
            "    <AssumedRoleUser>\n      <AssumedRoleId>{}</AssumedRoleId>\n      <Arn>{}</Arn>\n    \
             </AssumedRoleUser>\n    <Credentials>\n      <AccessKeyId>{}</AccessKeyId>\n      \
             <SecretAccessKey>{}</SecretAccessKey>\n      <SessionToken>{}</SessionToken>\n      \
             <Expiration>{expiration}</Expiration>\n    </Credentials>\n{}",
            escape(&session.id),
            escape(&session.arn),
            session.access_key,
            session.secret_key,
            session.token,
            policy_size.unwrap_or_default(),
        ),
        request_id,
    ))
}

fn get_caller_identity(caller: &Caller, request_id: &str) -> String {
    let id = match caller {
        Caller::Hub { .. } => "AIDALABSTAGINGSYNC000",
        Caller::Session(session) => &session.id,
    };
    let (arn, account) = (escape(caller.arn()), escape(caller.account()));
    respond(
        "GetCallerIdentity",
        &format!("    <Arn>{arn}</Arn>\n    <UserId>{}</UserId>\n    <Account>{account}</Account>\n", escape(id)),
        request_id,
    )
}

fn respond(operation: &str, result: &str, request_id: &str) -> String {
    format!(
        "<{operation}Response xmlns=\"{STS_NAMESPACE}\">\n  <{operation}Result>\n{result}  </{operation}Result>\n  \
         <ResponseMetadata>\n    <RequestId>{request_id}</RequestId>\n  </ResponseMetadata>\n\
         </{operation}Response>\n"
    )
}

/// A parameter that must be there, of a length and of certain characters.
fn required<'a>(
    form: &'a Form,
    name: &str,
    length: std::ops::RangeInclusive<usize>,
    allowed: impl Fn(char) -> bool,
) -> Result<&'a str, AwsError> {
    let camel = format!("{}{}", name[..1].to_ascii_lowercase(), &name[1..]);
    let Some(value) = form.get(name).filter(|value| !value.is_empty()) else {
        return Err(AwsError::new(
            "ValidationError",
            format!(
                "1 validation error detected: Value at '{camel}' failed to satisfy constraint: Member must not be null"
            ),
        ));
    };
    if !length.contains(&value.len()) {
        let (least, most) = (length.start(), length.end());
        return Err(invalid(&camel, value, &format!("Member must have length between {least} and {most}")));
    }
    if !value.chars().all(allowed) {
        return Err(invalid(&camel, value, "Member must satisfy the regular expression pattern of the API reference"));
    }
    Ok(value)
}

fn invalid(member: &str, value: &str, constraint: &str) -> AwsError {
    AwsError::new(
        "ValidationError",
        format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
        ),
    )
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
