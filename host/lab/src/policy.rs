//! Session policies: which actions the Allow statements name (IAM User Guide: policy elements, reduced to Action).

use serde::Deserialize;

use crate::fleet::Service;

/// An inline session policy (STS AssumeRole, `Policy`). Only Effect and Action are evaluated; Resource and
/// Condition are read over.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Policy {
    statement: OneOrMany<Statement>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    effect: Effect,
    action: OneOrMany<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    Many(Vec<T>),
    One(T),
}

impl<T> OneOrMany<T> {
    fn as_slice(&self) -> &[T] {
        match self {
            Self::Many(values) => values,
            Self::One(value) => std::slice::from_ref(value),
        }
    }
}

impl Policy {
    pub fn parse(document: &str) -> Option<Self> {
        serde_json::from_str(document).ok()
    }

    /// Whether an action such as `drs:ListStagingAccounts` is allowed, and not denied.
    pub fn allows(&self, action: &str) -> bool {
        let names = |effect: Effect| {
            let mut statements = self.statement.as_slice().iter().filter(|statement| statement.effect == effect);
            statements.any(|statement| any_matches(statement.action.as_slice(), action))
        };
        names(Effect::Allow) && !names(Effect::Deny)
    }
}

/// The action that an operation needs.
pub(crate) fn action(service: Service, operation: &str) -> String {
    let name = match (service, operation) {
        (Service::S3, "HeadObject") => "GetObject",
        (Service::S3, "ListObjectsV2" | "HeadBucket") => "ListBucket",
        _ => operation,
    };
    format!("{}:{name}", service.name())
}

/// Whether one of the patterns names the action. `*` stands for any text; letter case doesn't count.
pub(crate) fn any_matches(patterns: &[String], action: &str) -> bool {
    patterns.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase()))
}

fn matches(pattern: &str, text: &str) -> bool {
    let Some((prefix, rest)) = pattern.split_once('*') else { return pattern == text };
    text.strip_prefix(prefix).is_some_and(|text| {
        let mut ends = text.char_indices().map(|(i, _)| i).chain([text.len()]);
        ends.any(|i| matches(rest, &text[i..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_matched_as_iam_matches_them() {
        let policy = Policy::parse(
            r#"{"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": ["drs:List*", "DRS:DescribeSourceServers"], "Resource": "*"},
                {"Effect": "Deny", "Action": "drs:*Tags*", "Resource": "*"}]}"#,
        )
        .unwrap();
        assert!(policy.allows("drs:ListStagingAccounts"));
        assert!(policy.allows("drs:DescribeSourceServers"));
        assert!(!policy.allows("drs:ListTagsForResource"));
        assert!(!policy.allows("drs:DescribeJobs"));
    }

    #[test]
    fn a_document_without_statements_is_malformed() {
        assert!(Policy::parse("{}").is_none());
        assert!(Policy::parse("Allow").is_none());
    }
}
