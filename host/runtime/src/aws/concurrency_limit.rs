//! A limit of concurrent calls of one kind, which adapts to what the service accepts without throttling.
//!
//! Additive increase, multiplicative decrease: a throttled answer halves the number, and as many good answers as there
//! are permits make it one more. So a service that slows down is found out by a few refused calls, and the others lose
//! no time by it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

use super::rate_limit::RateLimit;

/// An adaptive limit of concurrent calls.
#[derive(Debug)]
pub struct ConcurrencyLimit {
    permits: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// How many calls may be under way; a part of one is on its way to the next.
    limit: f64,
    most: f64,
    under_way: usize,
    /// Permits to take away when they come free.
    surplus: usize,
    /// Answers to come from calls that were under way at the last throttled one: they tell the same once more.
    known: usize,
    /// Since when there was no answer but throttled ones.
    only_throttled_since: Option<Instant>,
    rate: RateLimit,
}

/// Leave for one call; it's given back when the value is dropped.
#[derive(Debug)]
pub struct Permit {
    limit: Arc<ConcurrencyLimit>,
    permit: Option<OwnedSemaphorePermit>,
}

impl ConcurrencyLimit {
    /// A limit that begins at the most that there can be.
    pub fn new(most: usize) -> Arc<Self> {
        let (limit, most_permits) = (most as f64, most as f64);
        let (under_way, surplus, known, only_throttled_since) = Default::default();
        let state = State {
            limit,
            most: most_permits,
            under_way,
            surplus,
            known,
            only_throttled_since,
            rate: RateLimit::new(),
        };
        Arc::new(Self { permits: Arc::new(Semaphore::new(most)), state: Mutex::new(state) })
    }

    /// Waits until a call may be sent.
    pub async fn acquire(self: &Arc<Self>) -> Permit {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok(); // it's never closed
        let turn = {
            let mut state = self.state();
            state.under_way += 1;
            state.rate.turn()
        };
        let permit = Permit { limit: Arc::clone(self), permit };
        if turn > Instant::now() {
            sleep_until(turn).await;
        }
        permit
    }

    /// Records the result of a call that reached the service. Returns the new limit if it's lower now.
    pub fn on_response(&self, throttled: bool) -> Option<usize> {
        let mut state = self.state();
        state.only_throttled_since = throttled.then(|| state.only_throttled_since.unwrap_or_else(Instant::now));
        state.rate.on_response(throttled);
        if state.known > 0 {
            state.known -= 1;
            if throttled {
                return None;
            }
        }
        let before = state.limit as usize;
        state.limit = if throttled {
            state.known = state.under_way.saturating_sub(1);
            (state.limit / 2.0).max(1.0)
        } else {
            (state.limit + 1.0 / state.limit).min(state.most)
        };
        let after = state.limit as usize;
        if after > before {
            let owed = state.surplus.min(after - before);
            state.surplus -= owed;
            self.permits.add_permits(after - before - owed);
        } else {
            let taken = self.permits.forget_permits(before - after);
            state.surplus += before - after - taken;
        }
        (after < before).then_some(after)
    }

    /// For how long there was no answer but throttled ones.
    pub fn only_throttled_for(&self) -> Duration {
        self.state().only_throttled_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Whether a new limit would be like this one: no call is under way, and none was throttled that still counts.
    pub fn is_as_new(&self) -> bool {
        let mut state = self.state();
        let idle = state.under_way == 0 && state.surplus == 0 && state.known == 0;
        idle && state.limit >= state.most && state.only_throttled_since.is_none() && state.rate.is_unlimited()
    }

    /// How many calls may be under way.
    #[cfg(test)]
    pub fn limit(&self) -> usize {
        self.state().limit as usize
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.limit.state();
        state.under_way = state.under_way.saturating_sub(1);
        if state.surplus > 0
            && let Some(permit) = self.permit.take()
        {
            state.surplus -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[tokio::test]
    async fn a_burst_of_throttled_calls_halves_the_places_once() {
        let limit = ConcurrencyLimit::new(64);
        let mut permits = Vec::new();
        for _ in 0..64 {
            permits.push(limit.acquire().await);
        }
        for _ in 0..64 {
            limit.on_response(true);
            permits.pop();
        }
        assert_eq!(limit.limit(), 32);
    }

    #[tokio::test]
    async fn places_grow_back_one_a_round() {
        let limit = ConcurrencyLimit::new(8);
        for _ in 0..4 {
            let place = limit.acquire().await;
            limit.on_response(true);
            drop(place);
        }
        assert_eq!(limit.limit(), 1, "never none");
        let mut answers = 0;
        while limit.limit() < 8 {
            limit.on_response(false);
            answers += 1;
        }
        assert!((25..=36).contains(&answers), "about 1 + 2 + … + 7 answers, found {answers}");
        limit.on_response(false);
        assert_eq!(limit.limit(), 8, "never more than there may be");
    }

    proptest! {
        /// Whatever comes in whatever order, as many calls can be under way as the limit says once others have ended.
        #[test]
        fn the_limit_is_what_can_be_under_way(steps in proptest::collection::vec(0_u8..4, 1..200)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.expect("a runtime").block_on(async {
                let limit = ConcurrencyLimit::new(16);
                let acquire = async || tokio::time::timeout(Duration::from_secs(5), limit.acquire()).await.ok();
                let mut permits: Vec<Permit> = Vec::new();
                for step in steps {
                    match step {
                        0 | 1 => permits.extend(acquire().await),
                        2 => {
                            permits.pop();
                            limit.on_response(false);
                        }
                        _ => {
                            permits.pop();
                            limit.on_response(true);
                        }
                    }
                }
                permits.clear();
                while let Some(permit) = acquire().await {
                    permits.push(permit);
                }
                prop_assert_eq!(permits.len(), limit.limit());
                Ok(())
            })?;
        }
    }
}
