//! DRS: the staging accounts of an account's regions, read to the last page, and the meaning of each answer.
//!
//! A region without an error was read completely. "Not used by this account" is an empty answer; anything
//! that isn't understood is an error, because unknown is never empty.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::Value;

use super::{Aws, AwsError, Principal, Request, regions};
use crate::account::{AccountId, Role, Session};

/// The kind of listing, region by region.
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

    /// The call for a page.
    pub fn request(self, next_token: Option<String>) -> Request {
        match self {
            Self::StagingAccounts => Request::ListStagingAccounts { max_results: 50, next_token },
            Self::SourceServers => Request::DescribeSourceServers { max_results: 200, next_token },
        }
    }

    /// The member of a page that has its entries.
    pub fn list(self) -> &'static str {
        match self {
            Self::StagingAccounts => "accounts",
            Self::SourceServers => "items",
        }
    }
}

/// One region's answer. If there's an error, the entries are those that were read before it.
#[derive(Debug, Clone)]
pub struct RegionAnswer {
    /// The region.
    pub region: String,
    /// The entries of all pages read, as DRS gave them.
    pub entries: Vec<Value>,
    /// Why the answer is incomplete.
    pub error: Option<AwsError>,
    /// The origin of the answer.
    pub origin: Origin,
}

/// The origin of a region's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was read in this tick.
    Read,
    /// It said in this tick that the account doesn't use it.
    Unused,
    /// It said so in an earlier tick, and wasn't asked in this one.
    Remembered,
}

/// Codes that say that the session has ended.
const EXPIRED: [&str; 3] = ["ExpiredToken", "ExpiredTokenException", "RequestExpired"];

/// Codes that say that the session's credentials aren't known: AWS has forgotten the session, or the account isn't opted
/// in to the region (`learned`).
const REFUSED: [&str; 2] = [NOT_OPTED_IN, "InvalidClientTokenId"];

/// The code of a region that the account isn't opted in to, of a session that is dead, and of a region at fault.
pub const NOT_OPTED_IN: &str = "UnrecognizedClientException";

impl Aws {
    /// Lists in all regions at once, by the account's role. Fails as a whole if the role can't be assumed, or
    /// if every region refuses the credentials of a new session as well.
    ///
    /// Regions that the account didn't use a while ago are left out as long as the answers of the others are
    /// `enough`. Regions `in_use` are those that a stored entry was discovered from: they can't be unused without
    /// saying so themselves.
    pub async fn discover(
        &self,
        role: &Role,
        listing: Listing,
        regions: &[String],
        in_use: &BTreeSet<String>,
        enough: &(dyn Fn(&[RegionAnswer]) -> bool + Sync),
    ) -> Result<Vec<RegionAnswer>, AwsError> {
        let session = self.session(role);
        self.assume(&session).await?;
        let (left_out, asked): (Vec<&String>, Vec<&String>) =
            regions.iter().partition(|region| self.known.unused.skips(&role.account, listing, region));
        let mut renewals = 1;
        let mut answers = self.regions(&session, listing, &asked, &mut renewals).await?;
        if !left_out.is_empty() && !answers.iter().all(refused) && enough(&answers) {
            self.counter.skip(left_out.len());
            let unused = |region: &String| RegionAnswer {
                region: region.clone(),
                entries: Vec::new(),
                error: None,
                origin: Origin::Remembered,
            };
            answers.extend(left_out.into_iter().map(unused));
        } else {
            answers.extend(self.regions(&session, listing, &left_out, &mut renewals).await?);
        }
        if answers.iter().all(|answer| refused(answer) || denied(answer)) {
            self.drop_session(&session); // whatever it is, the next tick begins with a session of its own
        }
        if answers.iter().all(refused)
            && let Some(error) = answers.first().and_then(|answer| answer.error.clone())
        {
            return Err(error.while_doing("every region refused the credentials, those of a new session as well"));
        }
        Ok(self.learned(&role.account, listing, in_use, answers))
    }

    /// Asks regions that were left out after all. That others know the credentials is known.
    pub async fn discover_left_out(
        &self,
        role: &Role,
        listing: Listing,
        regions: &[&String],
        in_use: &BTreeSet<String>,
    ) -> Result<Vec<RegionAnswer>, AwsError> {
        let answers = self.regions(&self.session(role), listing, regions, &mut 1).await?;
        Ok(self.learned(&role.account, listing, in_use, answers))
    }

    /// The answers, where an opt-in region that doesn't know the credentials is one that the account isn't opted in to,
    /// and so empty, unless a stored entry was discovered from it. What they tell is kept for later ticks.
    fn learned(
        &self,
        account: &AccountId,
        listing: Listing,
        in_use: &BTreeSet<String>,
        mut answers: Vec<RegionAnswer>,
    ) -> Vec<RegionAnswer> {
        for answer in &mut answers {
            let says = |error: &AwsError| is_not_opted_in(error, &answer.region, in_use);
            if answer.entries.is_empty() && answer.error.as_ref().is_some_and(says) {
                (answer.error, answer.origin) = (None, Origin::Unused);
            }
            if answer.error.is_none() && answer.origin != Origin::Remembered {
                self.known.unused.learn(account, listing, &answer.region, answer.origin == Origin::Read);
            }
        }
        answers
    }

    /// Asks these regions. A session that has ended, that no region knows, or that every region denies after it was
    /// accepted before (it was revoked) is assumed anew, as often as there are `renewals` left, and they are asked again.
    async fn regions(
        &self,
        session: &Arc<Session>,
        listing: Listing,
        regions: &[&String],
        renewals: &mut usize,
    ) -> Result<Vec<RegionAnswer>, AwsError> {
        let mut answers = join_all(regions.iter().map(|region| self.region(session, listing, region))).await;
        let all = |test: fn(&RegionAnswer) -> bool| !answers.is_empty() && answers.iter().all(test);
        let dead: fn(&RegionAnswer) -> bool = if answers.iter().any(expired) {
            expired
        } else if all(refused) {
            refused
        } else if all(|answer| refused(answer) || denied(answer)) && self.was_accepted(session) {
            |answer| refused(answer) || denied(answer)
        } else {
            |_| false
        };
        if *renewals > 0 && answers.iter().any(dead) {
            *renewals -= 1;
            self.drop_session(session);
            self.assume(session).await?;
            let again = answers.iter_mut().filter(|answer| dead(answer));
            join_all(again.map(|answer| async {
                *answer = self.region(session, listing, &answer.region).await;
            }))
            .await;
        }
        if answers.iter().any(|answer| answer.error.is_none()) {
            self.accepted(session);
        }
        Ok(answers)
    }

    async fn region(&self, session: &Arc<Session>, listing: Listing, region: &str) -> RegionAnswer {
        let mut entries = Vec::new();
        let read = self.pages(session, listing, region, &mut entries).await;
        let (_, operation) = listing.request(None).name();
        let (origin, error) = match read {
            Ok(origin) => (origin, None),
            Err(error) => (Origin::Read, Some(error.while_doing(operation))),
        };
        RegionAnswer { region: region.to_owned(), entries, error, origin }
    }

    async fn pages(
        &self,
        session: &Arc<Session>,
        listing: Listing,
        region: &str,
        entries: &mut Vec<Value>,
    ) -> Result<Origin, AwsError> {
        let mut origin = HashSet::new();
        let mut token = None;
        loop {
            let principal = Principal::Role(Arc::clone(session));
            let mut page = match self.call(Some(region), principal, listing.request(token)).await {
                Err(error) if is_not_initialized(&error) && entries.is_empty() => return Ok(Origin::Unused),
                other => other?,
            };
            let list = listing.list();
            let Some(Value::Array(found)) = page.get_mut(list).map(Value::take) else {
                return Err(AwsError::malformed(format!("expected a list of {list}")));
            };
            // What is good of a page counts, whatever else is on it.
            let mut bad = Ok(());
            for entry in found {
                match check(listing, &entry) {
                    Ok(()) => entries.push(entry),
                    error => bad = error,
                }
            }
            bad?;
            token = match page.get("nextToken").and_then(Value::as_str) {
                None | Some("") => return Ok(Origin::Read),
                Some(next) if !origin.insert(next.to_owned()) => {
                    return Err(AwsError::malformed("a page that leads back to one that was read"));
                }
                Some(next) => Some(next.to_owned()),
            };
        }
    }
}

/// Whether a region says that the account has never set up DRS there: it has no source servers.
pub fn is_not_initialized(error: &AwsError) -> bool {
    error.code == "UninitializedAccountException"
}

/// Whether a region that refuses the credentials is one that the account isn't opted in to: an opt-in region, and none
/// that it's known to use. A default region can't be left, so one that refuses what others accept is at fault.
pub fn is_not_opted_in(error: &AwsError, region: &str, in_use: &BTreeSet<String>) -> bool {
    error.code == NOT_OPTED_IN && regions::is_opt_in(region) && !in_use.contains(region)
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

fn has_code(answer: &RegionAnswer, codes: &[&str]) -> bool {
    answer.error.as_ref().is_some_and(|error| codes.contains(&error.code.as_str()))
}

fn expired(answer: &RegionAnswer) -> bool {
    has_code(answer, &EXPIRED)
}

/// Whether a region doesn't know the credentials.
fn refused(answer: &RegionAnswer) -> bool {
    answer.entries.is_empty() && has_code(answer, &REFUSED)
}

/// Whether a region knows the credentials and lets them do nothing: a missing permission, or a revoked session.
fn denied(answer: &RegionAnswer) -> bool {
    answer.entries.is_empty() && answer.error.as_ref().is_some_and(|error| error.code.starts_with("AccessDenied"))
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
