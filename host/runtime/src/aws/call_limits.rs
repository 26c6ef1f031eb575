//! Limits of calls, concurrent and per second: for each service and region, and in DRS for each account.
//!
//! AWS counts calls by account and by region; which of them a throttled answer is about isn't said. Where the account is
//! throttled in several regions it's the account, where the region throttles several accounts that are well elsewhere it's
//! the region: so one account, or region, that is throttled slows down no other.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::concurrency_limit::{ConcurrencyLimit, Permit};

/// So many of the last answers tell what is throttled.
const RECENT: usize = 32;

/// So many accounts may be known before those are forgotten that there's nothing to know about.
const ACCOUNTS: usize = 1024;

/// All limits of one host.
#[derive(Debug)]
pub struct CallLimits {
    most: usize,
    /// By service, then by region.
    services: Mutex<HashMap<&'static str, Named<Shared>>>,
    accounts: Mutex<Accounts>,
}

/// The limits of accounts that calls are under way for, or that were throttled.
#[derive(Debug)]
struct Accounts {
    known: Named<Own>,
    /// How many there may be before some are forgotten.
    most: usize,
}

/// What is known by a name.
type Named<T> = HashMap<Arc<str>, Arc<T>>;

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
    /// The throttled ones among the last answers, by region.
    throttled: RecentlyThrottled,
    /// Whether it was said that the account is throttled.
    told: AtomicBool,
}

/// From whom the last answers came, and whether they were throttled.
#[derive(Debug, Default)]
struct Recent(Mutex<VecDeque<(Arc<str>, bool)>>);

impl Recent {
    /// Adds an answer.
    fn add(&self, from: &Arc<str>, throttled: bool) -> MutexGuard<'_, VecDeque<(Arc<str>, bool)>> {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_back((Arc::clone(from), throttled));
        if recent.len() > RECENT {
            recent.pop_front();
        }
        recent
    }

    /// Adds a throttled answer. Says how many others there were among the last answers, and how many of these were throttled.
    fn add_throttled(&self, from: &Arc<str>) -> Others {
        let recent = self.add(from, true);
        let count = |throttled_alone: bool| {
            let others = recent.iter().filter(|(other, throttled)| other != from && (*throttled || !throttled_alone));
            others.map(|(other, _)| other).collect::<HashSet<_>>().len()
        };
        Others { others: count(false), others_throttled: count(true) }
    }
}

/// The others among the last answers.
struct Others {
    others: usize,
    others_throttled: usize,
}

/// The throttled ones among the last answers, and where they came from. There is one for each account, so it holds no more.
#[derive(Debug, Default)]
struct RecentlyThrottled(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    /// How many answers there were in all.
    answers: u64,
    /// The throttled ones: where each came from, and its number.
    throttled: Vec<(Arc<str>, u64)>,
}

/// How many of the last answers were throttled: of the same, and how many others.
struct ThrottledAnswers {
    same: usize,
    others: usize,
}

impl RecentlyThrottled {
    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).throttled.is_empty()
    }

    /// Adds an answer that wasn't throttled.
    fn count(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).answers += 1;
    }

    /// Adds a throttled answer, and says how many were.
    fn add(&self, from: &Arc<str>) -> ThrottledAnswers {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Window { answers, throttled } = &mut *known;
        *answers += 1;
        throttled.push((Arc::clone(from), *answers));
        throttled.retain(|(_, number)| answers.saturating_sub(*number) < RECENT as u64);
        let others: HashSet<_> = throttled.iter().map(|(other, _)| other).filter(|other| *other != from).collect();
        ThrottledAnswers { same: throttled.iter().filter(|(other, _)| other == from).count(), others: others.len() }
    }
}

/// The limits of one call.
#[derive(Debug, Clone)]
pub struct CallLimit {
    region: Arc<str>,
    shared: Arc<Shared>,
    account: Option<(Arc<str>, Arc<Own>)>,
}

impl CallLimits {
    /// Limits that start at this number of concurrent calls.
    pub fn new(most: usize) -> Self {
        let accounts = Accounts { known: HashMap::new(), most: ACCOUNTS };
        Self { most, services: Mutex::default(), accounts: Mutex::new(accounts) }
    }

    /// How many calls there may be at once.
    pub fn most(&self) -> usize {
        self.most
    }

    /// The limits of calls to a service, in a region unless it's the host's own, as an account unless it's the host's.
    pub fn of(&self, service: &'static str, region: Option<&str>, account: Option<&str>) -> CallLimit {
        let shared = || Shared { limit: ConcurrencyLimit::new(self.most), recent: Recent::default() };
        let own =
            || Own { limit: ConcurrencyLimit::new(self.most), throttled: Default::default(), told: Default::default() };
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        let (region, shared) = named(services.entry(service).or_default(), region.unwrap_or_default(), shared);
        drop(services);
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let account = account.map(|account| named(&mut accounts.known, account, own));
        accounts.forget();
        CallLimit { region, shared, account }
    }
}

impl Accounts {
    /// Forgets those that there's nothing to know about, where there are many: so memory doesn't grow with the fleet.
    fn forget(&mut self) {
        if self.known.len() > self.most {
            self.known.retain(|_, own| Arc::strong_count(own) > 1 || !own.is_as_new());
            self.most = ACCOUNTS.max(2 * self.known.len());
        }
    }
}

impl Own {
    fn is_as_new(&self) -> bool {
        self.throttled.is_empty() && !self.told.load(Ordering::Relaxed) && self.limit.is_as_new()
    }
}

/// What is known by a name, or else made; names are kept once.
fn named<T>(known: &mut Named<T>, name: &str, make: impl Fn() -> T) -> (Arc<str>, Arc<T>) {
    if let Some((name, found)) = known.get_key_value(name) {
        return (Arc::clone(name), Arc::clone(found));
    }
    let (name, made) = (Arc::<str>::from(name), Arc::new(make()));
    known.insert(Arc::clone(&name), Arc::clone(&made));
    (name, made)
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
        if !throttled {
            own.throttled.count();
            drop(self.shared.recent.add(account, false));
            own.limit.on_response(false);
            return for_all();
        }
        let by_region = own.throttled.add(&self.region);
        let by_account = self.shared.recent.add_throttled(account);
        let several = by_account.others_throttled > 0 && 2 * by_account.others_throttled >= by_account.others;
        if by_region.others > 0 || !several {
            let fewer = own.limit.on_response(true).filter(|_| !own.told.swap(true, Ordering::Relaxed));
            return fewer.map(|fewer| (fewer, Some(&**account)));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn accounts_are_forgotten_but_those_that_were_throttled_or_have_calls_under_way() {
        let limits = CallLimits::new(8);
        let of = |account: usize| limits.of("drs", Some("us-east-1"), Some(&format!("{account:012}")));
        let throttled = of(0);
        throttled.on_response(true);
        drop(throttled);
        let under_way = of(1);
        let permits = under_way.acquire().await;
        for account in 2..10 * ACCOUNTS {
            let limit = of(account);
            drop(limit.acquire().await);
            limit.on_response(false);
        }
        let mut accounts = limits.accounts.lock().expect("no panic");
        assert!(accounts.known.len() <= ACCOUNTS + 1, "{} are known", accounts.known.len());
        accounts.most = 0;
        accounts.forget();
        let mut left: Vec<&str> = accounts.known.keys().map(|account| &**account).collect();
        left.sort();
        assert_eq!(left, ["000000000000", "000000000001"]);
        drop(permits);
    }
}
