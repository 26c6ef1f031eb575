//! How many calls may be under way, and how many a second: for each service and region, and in DRS for each account.
//!
//! AWS counts calls by account and by region; which of them a throttled answer is about isn't said. It's about the
//! account, unless the region throttles several: so one account that is throttled slows down no other.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::concurrency_limit::{ConcurrencyLimit, Permit};

/// So many of a region's last answers tell whether it throttles one account or several.
const RECENT: usize = 32;

/// All limits of one host.
#[derive(Debug)]
pub struct CallLimits {
    most: usize,
    services: Mutex<HashMap<(&'static str, Option<String>), Arc<Shared>>>,
    accounts: Mutex<HashMap<String, Arc<Own>>>,
}

/// What calls to a service in a region share.
#[derive(Debug)]
struct Shared {
    limit: Arc<ConcurrencyLimit>,
    /// The accounts of the last answers, and whether those were throttled.
    recent: Mutex<VecDeque<(String, bool)>>,
}

/// What calls as one account share.
#[derive(Debug)]
struct Own {
    limit: Arc<ConcurrencyLimit>,
    /// Whether it was said that the account is throttled.
    told: AtomicBool,
}

/// The limits that one call goes by.
#[derive(Debug, Clone)]
pub struct CallLimit {
    shared: Arc<Shared>,
    account: Option<(String, Arc<Own>)>,
}

impl CallLimits {
    /// Limits that begin at so many calls at once.
    pub fn new(most: usize) -> Self {
        Self { most, services: Mutex::default(), accounts: Mutex::default() }
    }

    /// The limits of calls to a service, in a region unless it's the host's own, as an account unless it's the host's.
    pub fn of(&self, service: &'static str, region: Option<&str>, account: Option<&str>) -> CallLimit {
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = services.entry((service, region.map(str::to_owned))).or_insert_with(|| {
            let limit = ConcurrencyLimit::new(self.most);
            Arc::new(Shared { limit, recent: Mutex::default() })
        });
        let shared = Arc::clone(shared);
        drop(services);
        let account = account.map(|account| {
            let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            let own = accounts.entry(account.to_owned()).or_insert_with(|| {
                Arc::new(Own { limit: ConcurrencyLimit::new(self.most), told: AtomicBool::new(false) })
            });
            (account.to_owned(), Arc::clone(own))
        });
        CallLimit { shared, account }
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
        let fewer = own.limit.on_response(throttled).filter(|_| !own.told.swap(true, Ordering::Relaxed));
        let of_account = fewer.map(|fewer| (fewer, Some(account.as_str())));
        let mut recent = self.shared.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_back((account.clone(), throttled));
        if recent.len() > RECENT {
            recent.pop_front();
        }
        let of_others = |was: bool| {
            let of = recent.iter().filter(|(other, throttled)| other != account && (*throttled || !was));
            of.map(|(account, _)| account).collect::<HashSet<_>>().len()
        };
        if throttled && (of_others(true) == 0 || 2 * of_others(true) < of_others(false)) {
            return of_account;
        }
        drop(recent);
        for_all().or(of_account)
    }

    /// For how long there was no answer but throttled ones, from the region or to the account.
    pub fn only_throttled_for(&self) -> Duration {
        let of_account = self.account.as_ref().map(|(_, own)| own.limit.only_throttled_for());
        of_account.unwrap_or_default().max(self.shared.limit.only_throttled_for())
    }
}
