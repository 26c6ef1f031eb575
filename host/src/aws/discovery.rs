//! DRS: what an account's regions say about its staging accounts, to the last page, and what answers mean.
//!
//! A region without an error was read completely. "Not used by this account" is an empty answer; anything
//! that isn't understood is an error, because unknown is never empty.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::Value;

use super::{Aws, AwsError, Principal, Request};
use crate::account::{AccountId, Role};

/// What is listed, region by region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listing {
    /// `ListStagingAccounts`.
    StagingAccounts,
    /// `DescribeSourceServers`.
    SourceServers,
}

impl Listing {
    /// The action that IAM knows it by.
    pub fn action(self) -> &'static str {
        match self {
            Self::StagingAccounts => "drs:ListStagingAccounts",
            Self::SourceServers => "drs:DescribeSourceServers",
        }
    }
}

/// One region's answer. The entries are true even where there's an error: they are what was read before it.
#[derive(Debug, Clone)]
pub struct RegionAnswer {
    /// The region.
    pub region: String,
    /// The entries of all pages read, as DRS gave them.
    pub entries: Vec<Value>,
    /// Why the answer is incomplete.
    pub error: Option<AwsError>,
    /// Where it comes from.
    pub seen: Seen,
}

/// How it's known what a region says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It was read in this tick.
    Read,
    /// It said in this tick that the account doesn't use it.
    Unused,
    /// It said so in an earlier tick, and wasn't asked in this one.
    Remembered,
}

/// Codes that say that the session's credentials are no longer good.
const EXPIRED: [&str; 3] = ["ExpiredToken", "ExpiredTokenException", "RequestExpired"];

/// The code of a region that the account isn't opted in to, or of bad credentials: see `discover`.
const NOT_OPTED_IN: &str = "UnrecognizedClientException";

impl Aws {
    /// Lists in all regions at once, by the account's role. Fails as a whole if the role can't be assumed, or
    /// if every region says that it doesn't know the credentials.
    ///
    /// Regions that the account didn't use a while ago are left out as long as the answers of the others are
    /// `enough`.
    pub async fn discover(
        &self,
        role: Arc<Role>,
        listing: Listing,
        regions: &[String],
        enough: &(dyn Fn(&[RegionAnswer]) -> bool + Sync),
    ) -> Result<Vec<RegionAnswer>, AwsError> {
        self.assume(&role).await?;
        let (left_out, asked): (Vec<&String>, Vec<&String>) =
            regions.iter().partition(|region| self.unused.skips(&role.account, listing, region));
        let mut answers = self.regions(&role, listing, &asked).await?;
        if !left_out.is_empty() && !answers.iter().all(not_opted_in) && enough(&answers) {
            self.counter.skip(left_out.len());
            let unused = |region: &String| RegionAnswer {
                region: region.clone(),
                entries: Vec::new(),
                error: None,
                seen: Seen::Remembered,
            };
            answers.extend(left_out.into_iter().map(unused));
        } else {
            answers.extend(self.regions(&role, listing, &left_out).await?);
        }
        if answers.iter().all(not_opted_in)
            && let Some(error) = answers.first().and_then(|answer| answer.error.clone())
        {
            return Err(error.while_doing("every region refused the credentials"));
        }
        Ok(self.learned(&role.account, listing, answers))
    }

    /// Asks regions that were left out after all. That others know the credentials is known.
    pub async fn discover_left_out(
        &self,
        role: &Arc<Role>,
        listing: Listing,
        regions: &[&String],
    ) -> Result<Vec<RegionAnswer>, AwsError> {
        let answers = self.regions(role, listing, regions).await?;
        Ok(self.learned(&role.account, listing, answers))
    }

    /// The answers, where a region that doesn't know the credentials is one that the account isn't opted in to, and so
    /// empty; what they tell is kept for later ticks.
    fn learned(&self, account: &AccountId, listing: Listing, mut answers: Vec<RegionAnswer>) -> Vec<RegionAnswer> {
        for answer in &mut answers {
            if not_opted_in(answer) {
                (answer.error, answer.seen) = (None, Seen::Unused);
            }
            if answer.error.is_none() && answer.seen != Seen::Remembered {
                self.unused.learn(account, listing, &answer.region, answer.seen == Seen::Read);
            }
        }
        answers
    }

    /// Asks these regions, with a new session where it's needed.
    async fn regions(
        &self,
        role: &Arc<Role>,
        listing: Listing,
        regions: &[&String],
    ) -> Result<Vec<RegionAnswer>, AwsError> {
        let mut answers = join_all(regions.iter().map(|region| self.region(role, listing, region))).await;
        let expired =
            |answer: &RegionAnswer| answer.error.as_ref().is_some_and(|error| EXPIRED.contains(&error.code.as_str()));
        if answers.iter().any(expired) {
            self.forget(role);
            self.assume(role).await?;
            let again = answers.iter_mut().filter(|answer| expired(answer));
            join_all(again.map(|answer| async {
                *answer = self.region(role, listing, &answer.region).await;
            }))
            .await;
        }
        Ok(answers)
    }

    async fn region(&self, role: &Arc<Role>, listing: Listing, region: &str) -> RegionAnswer {
        let mut entries = Vec::new();
        let read = self.pages(role, listing, region, &mut entries).await;
        let (_, operation) = request(listing, None).name();
        let (seen, error) = match read {
            Ok(seen) => (seen, None),
            Err(error) => (Seen::Read, Some(error.while_doing(operation))),
        };
        RegionAnswer { region: region.to_owned(), entries, error, seen }
    }

    async fn pages(
        &self,
        role: &Arc<Role>,
        listing: Listing,
        region: &str,
        entries: &mut Vec<Value>,
    ) -> Result<Seen, AwsError> {
        let mut seen = HashSet::new();
        let mut token = None;
        loop {
            let principal = Principal::Role(Arc::clone(role));
            let page = match self.call(Some(region), principal, request(listing, token)).await {
                // DRS isn't set up in this region: the account has no source servers there.
                Err(error) if error.code == "UninitializedAccountException" && entries.is_empty() => {
                    return Ok(Seen::Unused);
                }
                other => other?,
            };
            let list = match listing {
                Listing::StagingAccounts => "accounts",
                Listing::SourceServers => "items",
            };
            let Some(Value::Array(found)) = page.get(list) else {
                return Err(AwsError::malformed(format!("expected a list of {list}")));
            };
            // What is good of a page counts, whatever else is on it.
            let mut bad = Ok(());
            for entry in found {
                match check(listing, entry) {
                    Ok(()) => entries.push(entry.clone()),
                    error => bad = error,
                }
            }
            bad?;
            token = match page.get("nextToken").and_then(Value::as_str) {
                None | Some("") => return Ok(Seen::Read),
                Some(next) if !seen.insert(next.to_owned()) => {
                    return Err(AwsError::malformed("a page that leads back to one that was read"));
                }
                Some(next) => Some(next.to_owned()),
            };
        }
    }
}

fn request(listing: Listing, next_token: Option<String>) -> Request {
    match listing {
        Listing::StagingAccounts => Request::ListStagingAccounts { max_results: 50, next_token },
        Listing::SourceServers => Request::DescribeSourceServers { max_results: 200, next_token },
    }
}

/// Refuses an entry that isn't what DRS documents: an id that isn't 12 digits makes the answer incomplete.
fn check(listing: Listing, entry: &Value) -> Result<(), AwsError> {
    let (name, id) = match listing {
        Listing::StagingAccounts => ("accountID", entry.get("accountID")),
        Listing::SourceServers => {
            if !entry.get("sourceServerID").is_some_and(Value::is_string) {
                return Err(AwsError::malformed("expected a sourceServerID"));
            }
            match entry.get("stagingArea").and_then(|area| area.get("stagingAccountID")) {
                None => return Ok(()), // not an extended source server
                some => ("stagingAccountID", some),
            }
        }
    };
    match id.and_then(Value::as_str) {
        Some(id) if AccountId::parse(id).is_some() => Ok(()),
        Some(id) => Err(AwsError::malformed(format!("{name}: expected 12 digits, found {id:?}"))),
        None => Err(AwsError::malformed(format!("expected an {name}"))),
    }
}

/// Whether a region doesn't know the credentials: it's one that the account isn't opted in to, unless every region says
/// so; then the credentials are bad.
fn not_opted_in(answer: &RegionAnswer) -> bool {
    answer.entries.is_empty() && answer.error.as_ref().is_some_and(|error| error.code == NOT_OPTED_IN)
}

impl RegionAnswer {
    /// The staging accounts named in the answer, sorted.
    pub fn staging_account_ids(&self) -> BTreeSet<String> {
        let id = |entry: &Value| {
            let id = entry.get("accountID").or_else(|| entry.pointer("/stagingArea/stagingAccountID"));
            id.and_then(Value::as_str).map(str::to_owned)
        };
        self.entries.iter().filter_map(id).collect()
    }
}
