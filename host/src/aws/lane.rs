//! How many calls a service may have under way in a region: as many as it takes without throttling.
//!
//! Additive increase, multiplicative decrease: a throttled answer halves the number, and as many good answers as there
//! are places make it one more. So a service that slows down is found out by a few refused calls, and the others lose
//! no time by it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// The calls to one service in one region.
#[derive(Debug)]
pub struct Lane {
    places: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// How many calls may be under way; a part of one is on its way to the next.
    limit: f64,
    most: f64,
    under_way: usize,
    /// Places to take away when they come free.
    surplus: usize,
    /// Answers to come from calls that were under way at the last throttled one: they tell the same once more.
    known: usize,
    /// Since when there was no answer but throttled ones.
    only_throttled_since: Option<Instant>,
}

/// A call's place; it's free when the value is dropped.
#[derive(Debug)]
pub struct Place {
    lane: Arc<Lane>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Lane {
    /// A lane that begins with as many places as there can be.
    pub fn new(most: usize) -> Arc<Self> {
        let (limit, most_places) = (most as f64, most as f64);
        let (under_way, surplus, known, only_throttled_since) = Default::default();
        let state = State { limit, most: most_places, under_way, surplus, known, only_throttled_since };
        Arc::new(Self { places: Arc::new(Semaphore::new(most)), state: Mutex::new(state) })
    }

    /// Waits for a place.
    pub async fn enter(self: &Arc<Self>) -> Place {
        let permit = Arc::clone(&self.places).acquire_owned().await.ok(); // it's never closed
        self.state().under_way += 1;
        Place { lane: Arc::clone(self), permit }
    }

    /// Hears what came of a call that reached the service. Says how many may be under way, if that's fewer now.
    pub fn heard(&self, throttled: bool) -> Option<usize> {
        let mut state = self.state();
        state.only_throttled_since = throttled.then(|| state.only_throttled_since.unwrap_or_else(Instant::now));
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
            self.places.add_permits(after - before - owed);
        } else {
            let taken = self.places.forget_permits(before - after);
            state.surplus += before - after - taken;
        }
        (after < before).then_some(after)
    }

    /// For how long there was no answer but throttled ones.
    pub fn only_throttled_for(&self) -> Duration {
        self.state().only_throttled_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// How many calls may be under way.
    pub fn limit(&self) -> usize {
        self.state().limit as usize
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.lane.state();
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
    use futures_util::FutureExt;
    use proptest::prelude::*;

    #[tokio::test]
    async fn a_burst_of_throttled_calls_halves_the_places_once() {
        let lane = Lane::new(64);
        let mut places = Vec::new();
        for _ in 0..64 {
            places.push(lane.enter().await);
        }
        for _ in 0..64 {
            lane.heard(true);
            places.pop();
        }
        assert_eq!(lane.limit(), 32);
    }

    #[tokio::test]
    async fn places_grow_back_one_a_round() {
        let lane = Lane::new(8);
        for _ in 0..4 {
            let place = lane.enter().await;
            lane.heard(true);
            drop(place);
        }
        assert_eq!(lane.limit(), 1, "never none");
        let mut answers = 0;
        while lane.limit() < 8 {
            lane.heard(false);
            answers += 1;
        }
        assert!((25..=36).contains(&answers), "about 1 + 2 + … + 7 answers, found {answers}");
        lane.heard(false);
        assert_eq!(lane.limit(), 8, "never more than there may be");
    }

    proptest! {
        /// Whatever comes in whatever order, as many calls can be under way as the limit says once others have ended.
        #[test]
        fn the_limit_is_what_can_be_under_way(steps in proptest::collection::vec(0_u8..4, 1..200)) {
            let lane = Lane::new(16);
            let mut places: Vec<Place> = Vec::new();
            for step in steps {
                match step {
                    0 | 1 => places.extend(lane.enter().now_or_never()),
                    2 => {
                        places.pop();
                        lane.heard(false);
                    }
                    _ => {
                        places.pop();
                        lane.heard(true);
                    }
                }
            }
            places.clear();
            while let Some(place) = lane.enter().now_or_never() {
                places.push(place);
            }
            prop_assert_eq!(places.len(), lane.limit());
        }
    }
}
