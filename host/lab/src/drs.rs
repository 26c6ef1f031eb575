//! AWS Elastic Disaster Recovery (API reference: ListStagingAccounts, DescribeSourceServers): the rest-json protocol.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::AwsError;
use crate::fleet::{Account, Region, Servers, SourceServer};

/// The largest page of ListStagingAccounts, and the page of either operation unless the client asks for another.
const PAGE_SIZE: usize = 50;
/// The largest page of DescribeSourceServers.
const SERVERS_PAGE_SIZE: usize = 200;

/// The operation behind a method and path, if it's one of the service's.
pub(crate) fn operation(method: &Method, path: &str) -> Option<&'static str> {
    match (method, path.trim_end_matches('/')) {
        (&Method::GET, "/ListStagingAccounts") => Some("ListStagingAccounts"),
        (&Method::POST, "/DescribeSourceServers") => Some("DescribeSourceServers"),
        _ => None,
    }
}

/// What a client asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Input {
    max_results: Option<i64>,
    pub next_token: Option<String>,
    filters: Filters,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Filters {
    #[serde(rename = "sourceServerIDs")]
    source_server_ids: Vec<String>,
    #[serde(rename = "hardwareId")]
    hardware_id: Option<String>,
    #[serde(rename = "stagingAccountIDs")]
    staging_account_ids: Vec<String>,
}

impl Input {
    pub fn parse(operation: &str, query: &str, body: &[u8]) -> Result<Self, AwsError> {
        if operation == "DescribeSourceServers" {
            let body = if body.is_empty() { b"{}" } else { body };
            return serde_json::from_slice(body).map_err(|e| validation(format!("the body can't be read: {e}")));
        }
        let mut input = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "maxResults" => {
                    let number = value.parse().map_err(|_| validation("maxResults isn't a number"))?;
                    input.max_results = Some(number);
                }
                "nextToken" => input.next_token = Some(value.into_owned()),
                _ => {}
            }
        }
        Ok(input)
    }
}

/// Who asks, where.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub account: &'a str,
    pub region: &'a str,
}

/// Answers one call with the body of a successful answer.
pub(crate) fn answer(
    operation: &str,
    input: &Input,
    place: Place,
    account: Option<&Account>,
) -> Result<String, AwsError> {
    let servers = match account.and_then(|account| account.regions.get(place.region)) {
        None | Some(Region::Uninitialized) => {
            let message = "The account has not been initialized for AWS Elastic Disaster Recovery.";
            return Err(AwsError::new("UninitializedAccountException", message));
        }
        Some(Region::NotOptedIn) => {
            let message = "The security token included in the request is invalid.";
            return Err(AwsError::new("UnrecognizedClientException", message));
        }
        Some(Region::Initialized(servers)) => servers,
    };
    let (list, largest) = match operation {
        "ListStagingAccounts" => ("accounts", PAGE_SIZE),
        "DescribeSourceServers" => ("items", SERVERS_PAGE_SIZE),
        _ => return Err(AwsError::unknown_operation()),
    };
    let asked = match input.max_results {
        None => PAGE_SIZE,
        Some(n) => usize::try_from(n)
            .ok()
            .filter(|n| *n >= 1 && (*n <= largest || operation == "DescribeSourceServers"))
            .ok_or_else(|| validation(format!("maxResults must be between 1 and {largest}")))?,
    };
    let size = asked.min(largest).min(account.and_then(|account| account.page_size).unwrap_or(u32::MAX) as usize);
    let token = match &input.next_token {
        None => Token { page: 1, offset: 0 },
        Some(token) => {
            Token::parse(token, operation, place).ok_or_else(|| validation("the nextToken isn't one of this list's"))?
        }
    };

    let entries: Vec<Value> = match operation {
        "ListStagingAccounts" => {
            staging_accounts(servers, place).into_iter().map(|id| json!({ "accountID": id })).collect()
        }
        _ => describe(servers, place, &input.filters),
    };
    let end = token.offset.saturating_add(size);
    let next = (end < entries.len()).then(|| Token { page: token.page + 1, offset: end }.text(operation, place));
    let page: Vec<Value> = entries.into_iter().skip(token.offset).take(size).collect();
    let mut answer = json!({ list: page });
    if let Some(next) = next {
        answer["nextToken"] = next.into();
    }
    Ok(answer.to_string())
}

/// The page that a call asks for, from 1; `None` for a token that isn't one of this list's.
pub(crate) fn page(operation: &str, input: &Input, place: Place) -> Option<u32> {
    match &input.next_token {
        None => Some(1),
        Some(token) => Token::parse(token, operation, place).map(|token| token.page),
    }
}

/// Every account that source servers replicate in, the account itself included as AWS does.
fn staging_accounts<'a>(servers: &'a Servers, place: Place<'a>) -> BTreeSet<&'a str> {
    let extended = servers.source_servers.iter().filter_map(|server| server.staging_account_id.as_deref());
    let any = !servers.staging_accounts.is_empty() || !servers.source_servers.is_empty();
    servers.staging_accounts.iter().map(String::as_str).chain(extended).chain(any.then_some(place.account)).collect()
}

/// The source servers of either form.
fn all(servers: &Servers) -> impl Iterator<Item = Cow<'_, SourceServer>> {
    let implied = servers
        .staging_accounts
        .iter()
        .map(|id| Cow::Owned(SourceServer { staging_account_id: Some(id.clone()), ..SourceServer::default() }));
    servers.source_servers.iter().map(Cow::Borrowed).chain(implied)
}

fn describe(servers: &Servers, place: Place, filters: &Filters) -> Vec<Value> {
    let Place { account, region } = place;
    let mut items = Vec::new();
    for (i, server) in all(servers).enumerate() {
        let staging = server.staging_account_id.as_deref().unwrap_or(account);
        let id = server.source_server_id.clone().unwrap_or_else(|| made_up_id(place, i));
        let hidden = !filters.source_server_ids.is_empty() && !filters.source_server_ids.contains(&id)
            || !filters.staging_account_ids.is_empty() && !filters.staging_account_ids.iter().any(|id| id == staging)
            || filters.hardware_id.is_some();
        if hidden {
            continue;
        }
        let extended = staging != account;
        let status = server.status.as_deref().unwrap_or(if extended { "EXTENDED" } else { "NOT_EXTENDED" });
        let mut staging_area = json!({ "status": status, "stagingAccountID": staging });
        if extended {
            staging_area["stagingSourceServerArn"] = arn(region, staging, &id).into();
        }
        if let Some(message) = &server.error_message {
            staging_area["errorMessage"] = message.as_str().into();
        }
        let hostname = server.hostname.clone().unwrap_or_else(|| format!("server-{}", i + 1));
        items.push(json!({
            "sourceServerID": id,
            "arn": arn(region, account, &id),
            "tags": server.tags,
            "lastLaunchResult": "NOT_STARTED",
            "replicationDirection": "FAILOVER",
            "dataReplicationInfo": {
                "dataReplicationState": server.data_replication_state.as_deref().unwrap_or("CONTINUOUS"),
                "lagDuration": "P0DT0H0M0S",
            },
            "sourceProperties": { "identificationHints": { "hostname": hostname } },
            "stagingArea": staging_area,
        }));
    }
    items
}

fn arn(region: &str, account: &str, id: &str) -> String {
    format!("arn:aws:drs:{region}:{account}:source-server/{id}")
}

fn made_up_id(place: Place, position: usize) -> String {
    format!("s-{:017x}", hash(&("server", place.account, place.region, position)))
}

fn validation(message: impl Into<String>) -> AwsError {
    AwsError::new("ValidationException", message)
}

/// A `nextToken`: opaque to clients, and good for one list only.
struct Token {
    page: u32,
    offset: usize,
}

impl Token {
    fn text(&self, operation: &str, place: Place) -> String {
        format!("{:08x}{:08x}{:016x}", self.page, self.offset, self.seal(operation, place))
    }

    fn parse(text: &str, operation: &str, place: Place) -> Option<Self> {
        let field = |from: usize, to: usize| u64::from_str_radix(text.get(from..to)?, 16).ok();
        let token = Self { page: field(0, 8)?.try_into().ok()?, offset: field(8, 16)?.try_into().ok()? };
        (text.len() == 32 && field(16, 32)? == token.seal(operation, place)).then_some(token)
    }

    fn seal(&self, operation: &str, place: Place) -> u64 {
        hash(&("token", operation, place.account, place.region, self.page, self.offset))
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
