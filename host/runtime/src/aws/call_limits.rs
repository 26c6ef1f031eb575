//! Limits of calls, concurrent and per second: for each service and region, and in DRS for each account.
//!
//! AWS counts calls by account and by region; which of them a throttled answer is about isn't said. Where the account is
//! throttled in several regions it's the account, where the region throttles several accounts that are well elsewhere it's
//! the region: so one account, or region, that is throttled slows down no other.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::concurrency_limit::{ConcurrencyLimit, Permit};

/// So many of the last answers tell what is throttled.
const RECENT: usize = 32;

/// All limits of one host.
#[derive(Debug)]
pub struct CallLimits {
    most: usize,
    services: Mutex<HashMap<Kind, Arc<Shared>>>,
    accounts: Mutex<HashMap<String, Arc<Own>>>,
}

/// A service and a region.
type Kind = (&'static str, Option<String>);

/// What calls to a service in a region share.
#[derive(Debug)]
struct Shared {
    limit: Arc<ConcurrencyLimit>,
    /// The last answers by account.
    recent: Recent,
}

/// What calls as one account share.
#[derive(Debug)]
struct Own {
    limit: Arc<ConcurrencyLimit>,
    /// The last answers by region.
    recent: Recent,
    /// Whether it was said that the account is throttled.
    told: AtomicBool,
}

/// From whom the last answers came, and whether they were throttled.
#[derive(Debug, Default)]
struct Recent(Mutex<VecDeque<(String, bool)>>);

/// How many were throttled of the last answers.
struct Throttled {
    /// Of those from the same.
    same: usize,
    /// How many others there were, and how many of these were throttled.
    others: usize,
    others_throttled: usize,
}

impl Recent {
    /// Adds an answer.
    fn add(&self, of: &str, throttled: bool) -> Throttled {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_back((of.to_owned(), throttled));
        if recent.len() > RECENT {
            recent.pop_front();
        }
        let of_others = |was: bool| {
            let others = recent.iter().filter(|(other, throttled)| other != of && (*throttled || !was));
            others.map(|(other, _)| other).collect::<HashSet<_>>().len()
        };
        Throttled {
            same: recent.iter().filter(|(other, throttled)| other == of && *throttled).count(),
            others: of_others(false),
            others_throttled: of_others(true),
        }
    }
}

/// The limits of one call.
#[derive(Debug, Clone)]
pub struct CallLimit {
    region: String,
    shared: Arc<Shared>,
    account: Option<(String, Arc<Own>)>,
}

impl CallLimits {
    /// Limits that start at this number of concurrent calls.
    pub fn new(most: usize) -> Self {
        Self { most, services: Mutex::default(), accounts: Mutex::default() }
    }

    /// The limits of calls to a service, in a region unless it's the host's own, as an account unless it's the host's.
    pub fn of(&self, service: &'static str, region: Option<&str>, account: Option<&str>) -> CallLimit {
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = services.entry((service, region.map(str::to_owned))).or_insert_with(|| {
            let limit = ConcurrencyLimit::new(self.most);
            Arc::new(Shared { limit, recent: Recent::default() })
        });
        let shared = Arc::clone(shared);
        drop(services);
        let account = account.map(|account| {
            let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            let own = accounts.entry(account.to_owned()).or_insert_with(|| {
                let (recent, told) = Default::default();
                Arc::new(Own { limit: ConcurrencyLimit::new(self.most), recent, told })
            });
            (account.to_owned(), Arc::clone(own))
        });
        CallLimit { region: region.unwrap_or_default().to_owned(), shared, account }
    }
}

impl CallLimit {
    /// Waits until the call may be sent; it's under way until the permits are dropped. The account's own limit comes
    /// first: who waits there takes nothing from others.
    pub async fn acquire(&self) -> (Option<Permit>, Permit) {
        let of_account = match &self.account {
            Some((_, own)) => Some(own.limit.acquire().await),
            None => None,
        };
        (of_account, self.shared.limit.acquire().await)
    }

    /// Learns what came of a call that reached the service. Says how many may be under way, if that's fewer now, and of
    /// which account, unless it's for all of them: of one account the first time only, for there are many.
    pub fn on_response(&self, throttled: bool) -> Option<(usize, Option<&str>)> {
        let for_all = || self.shared.limit.on_response(throttled).map(|fewer| (fewer, None));
        let Some((account, own)) = &self.account else { return for_all() };
        let by_region = own.recent.add(&self.region, throttled);
        let by_account = self.shared.recent.add(account, throttled);
        if !throttled {
            own.limit.on_response(false);
            return for_all();
        }
        let several = by_account.others_throttled > 0 && 2 * by_account.others_throttled >= by_account.others;
        if by_region.others_throttled > 0 || !several {
            let fewer = own.limit.on_response(true).filter(|_| !own.told.swap(true, Ordering::Relaxed));
            return fewer.map(|fewer| (fewer, Some(account.as_str())));
        }
        // The first time it may still be the account, whose other regions haven't answered yet.
        if by_region.same > 1 { for_all() } else { None }
    }

    /// For how long there was no answer but throttled ones, from the region or to the account.
    pub fn only_throttled_for(&self) -> Duration {
        let of_account = self.account.as_ref().map(|(_, own)| own.limit.only_throttled_for());
        of_account.unwrap_or_default().max(self.shared.limit.only_throttled_for())
    }
}
