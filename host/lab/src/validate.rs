//! Checks of a fleet that its types can't express; every message names the path and what is expected there.

use std::collections::HashSet;

use crate::fault::Fault;
use crate::fleet::{Account, Fleet, Region, Service};
use crate::{Error, item};

impl Fleet {
    /// Reports everything that is wrong, one line each.
    pub fn validate(&self) -> Result<(), Error> {
        let mut problems = Problems(Vec::new());
        problems.account_id("hub.account", &self.hub.account);
        problems.filled("hub.region", &self.hub.region);
        problems.check(
            (3..=255).contains(&self.hub.table.len())
                && self.hub.table.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)),
            "hub.table",
            "3 to 255 letters, digits, `_`, `.` or `-`",
        );
        problems.check(
            (3..=63).contains(&self.hub.bucket.len())
                && self.hub.bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b)),
            "hub.bucket",
            "3 to 63 lower-case letters, digits, `-` or `.`",
        );
        for (i, region) in self.regions.iter().enumerate() {
            problems.filled(&format!("regions[{i}]"), region);
        }
        self.validate_targets(&mut problems);
        for (id, account) in &self.accounts {
            problems.account_id(&format!("accounts.{id}"), id);
            account.validate(&format!("accounts.{id}"), &mut problems);
        }
        for (i, fault) in self.faults.iter().enumerate() {
            fault.validate(&format!("faults[{i}]"), &mut problems);
            fault.validate_filters(&format!("faults[{i}]"), &mut problems);
        }
        problems.into_result()
    }

    fn validate_targets(&self, problems: &mut Problems) {
        let mut seen = HashSet::new();
        for (i, target) in self.targets.iter().enumerate() {
            let path = format!("targets[{i}]");
            match target.get("accountId").and_then(|id| id.as_str()) {
                Some(id) if !id.is_empty() => {
                    problems.check(seen.insert(id), &format!("{path}.accountId"), "an id that no other target has");
                }
                _ => problems.check(false, &format!("{path}.accountId"), "the table's key, text that isn't empty"),
            }
            if let Err(problem) = item::to_dynamodb(target) {
                problems.0.push(format!("{path}.{problem}"));
            }
        }
    }
}

impl Account {
    fn validate(&self, path: &str, problems: &mut Problems) {
        problems.check(self.page_size != Some(0), &format!("{path}.pageSize"), "a number from 1");
        for name in self.roles.keys() {
            problems.check(
                !name.is_empty() && !name.starts_with('/') && !name.ends_with('/') && !name.starts_with("arn:"),
                &format!("{path}.roles.{name}"),
                "what follows `role/` in the role's ARN",
            );
        }
        for (region, contents) in &self.regions {
            let Region::Initialized(servers) = contents else { continue };
            let path = format!("{path}.regions.{region}");
            for (i, id) in servers.staging_accounts.iter().enumerate() {
                problems.account_id(&format!("{path}.stagingAccounts[{i}]"), id);
            }
            for (i, server) in servers.source_servers.iter().enumerate() {
                problems.check(
                    matches!(server.status.as_deref(), None | Some("NOT_EXTENDED" | "EXTENDED" | "EXTENSION_ERROR")),
                    &format!("{path}.sourceServers[{i}].status"),
                    "NOT_EXTENDED, EXTENDED or EXTENSION_ERROR",
                );
            }
        }
    }
}

impl Fault {
    fn validate(&self, path: &str, problems: &mut Problems) {
        let effects = [
            self.error.is_some(),
            self.hang,
            self.reset,
            self.body.is_some(),
            self.lose_answer,
            self.expire_session,
            self.mutate.is_some(),
        ];
        let count = effects.into_iter().filter(|effect| *effect).count();
        let delays = self.latency_ms.is_some() || self.jitter_ms > 0;
        problems.check(
            count == 1 || count == 0 && delays,
            path,
            "one effect: error, latencyMs, hang, reset, body, loseAnswer, expireSession or mutate",
        );
        problems.check(self.page != Some(0), &format!("{path}.page"), "a number from 1");
        if let Some(error) = &self.error {
            problems.filled(&format!("{path}.error.code"), &error.code);
            problems.check(
                error.status.is_none_or(|status| (400..=599).contains(&status)),
                &format!("{path}.error.status"),
                "an HTTP status from 400 to 599",
            );
        }
        if let Some(mutate) = &self.mutate {
            let edits = !mutate.set.is_empty() || !mutate.remove.is_empty();
            problems.check(
                edits != mutate.delete,
                &format!("{path}.mutate"),
                "either attributes to set or remove, or delete",
            );
            problems.check(
                !mutate.set.contains_key("accountId") && !mutate.remove.iter().any(|name| name == "accountId"),
                &format!("{path}.mutate"),
                "other attributes than the key",
            );
            if let Err(problem) = item::to_dynamodb(&mutate.set) {
                problems.0.push(format!("{path}.mutate.set.{problem}"));
            }
        }
    }
}

/// The operations that a fault can name: those that the lab answers, by service.
const OPERATIONS: [(Service, &[&str]); 4] = [
    (Service::Sts, &["AssumeRole", "GetCallerIdentity"]),
    (Service::Drs, &["ListStagingAccounts", "DescribeSourceServers"]),
    (
        Service::DynamoDb,
        &[
            "Scan",
            "Query",
            "GetItem",
            "PutItem",
            "UpdateItem",
            "DeleteItem",
            "BatchGetItem",
            "BatchWriteItem",
            "TransactGetItems",
            "TransactWriteItems",
            "DescribeTable",
            "ListTables",
        ],
    ),
    (Service::S3, &["GetObject", "PutObject", "HeadObject", "DeleteObject", "HeadBucket", "ListObjectsV2"]),
];

impl Fault {
    /// A filter that matches no call makes a fault that never strikes, and a test that can't fail.
    fn validate_filters(&self, path: &str, problems: &mut Problems) {
        if let Some(account) = &self.account {
            problems.account_id(&format!("{path}.account"), account);
        }
        if let Some(region) = &self.region {
            let named_well = region.split('-').count() >= 3
                && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            problems.check(
                named_well,
                &format!("{path}.region"),
                &format!("a region like eu-west-1, found {region:?}"),
            );
        }
        if let Some(operation) = &self.operation {
            let of_service = |service: &Service| self.service.is_none_or(|wanted| wanted == *service);
            let of_service = OPERATIONS.iter().filter(|(service, _)| of_service(service));
            let known: Vec<&str> = of_service.flat_map(|(_, operations)| operations.iter().copied()).collect();
            let expected = format!("one of {}, found {operation:?}", known.join(", "));
            problems.check(known.contains(&operation.as_str()), &format!("{path}.operation"), &expected);
        }
    }
}

struct Problems(Vec<String>);

impl Problems {
    fn check(&mut self, fine: bool, path: &str, expected: &str) {
        if !fine {
            self.0.push(format!("{path}: expected {expected}"));
        }
    }

    fn account_id(&mut self, path: &str, id: &str) {
        let fine = id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit());
        self.check(fine, path, &format!("an account id of 12 digits, found {id:?}"));
    }

    fn filled(&mut self, path: &str, text: &str) {
        self.check(!text.is_empty(), path, "text that isn't empty");
    }

    fn into_result(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Fleet(self.0.join("\n"))) }
    }
}
