//! Types that every module uses: account ids, roles, external ids, and DynamoDB items.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An item in DynamoDB JSON: attribute names to typed values like `{"S": "text"}`.
pub type Item = Map<String, Value>;

/// An AWS account id: 12 digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct AccountId(String);

impl AccountId {
    /// The id, if the text is one.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| Self(text.to_owned()))
    }

    /// Its 12 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AccountId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format_args!("expected an AWS account id of 12 digits, found {text:?}"))
        })
    }
}

/// An external id. It's a shared secret between two accounts, so it has no readable `Debug` and no `Display`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ExternalId(String);

impl ExternalId {
    /// Wraps one.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for STS, and for nothing that is printed.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExternalId(…)")
    }
}

/// A role to assume in a target account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Role {
    /// The account it belongs to.
    pub account: AccountId,
    /// Its ARN.
    pub arn: String,
    /// The external id to assume it with, where one is stored.
    pub external_id: Option<ExternalId>,
}

/// A session of a role: what it may do is the role's permissions narrowed by the session policy, so two sessions
/// of one role with different session policies are different principals.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Session {
    /// The role.
    pub role: Role,
    /// The session policy, an IAM policy document as JSON.
    pub policy: Arc<str>,
}
