//! The number of accounts in progress: as many as keep all calls in use, and no more, because each takes memory.
//!
//! How many that are depends on how many calls of an account are under way at once, which differs by regions, by policy and by
//! what is remembered of regions. So the number is found by feedback: whenever an account is done while there was room for
//! another call, more may be in progress from then on; where there was none, fewer.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is added where there is room for calls, and taken away where there's none: one part in three of the time there may be
/// room, which is a call or two of all.
const MORE: usize = 2;
const FEWER: usize = 1;

/// Lets accounts begin, in the order in which they come.
pub(super) struct AccountGate {
    places: Arc<Semaphore>,
    state: Mutex<State>,
    least: usize,
    most: usize,
}

struct State {
    places: usize,
    /// Places to take away when they come free.
    surplus: usize,
}

/// The place of one account.
pub(super) struct Place(OwnedSemaphorePermit);

impl AccountGate {
    /// A gate for accounts that each are asked in so many regions, by so many calls at once in all.
    pub(super) fn new(calls: usize, regions: usize, most: usize) -> Arc<Self> {
        // An account whose calls are all in different regions, and in the first tick one by one before and after.
        let least = calls.div_ceil(regions.max(1)).clamp(1, most);
        let places = (calls * 4).div_ceil(regions + 2).clamp(least, most);
        let state = Mutex::new(State { places, surplus: 0 });
        Arc::new(Self { places: Arc::new(Semaphore::new(places)), state, least, most })
    }

    /// Waits for a place.
    pub(super) async fn enter(&self) -> Option<Place> {
        Arc::clone(&self.places).acquire_owned().await.ok().map(Place) // it's never closed
    }

    /// Gives a place back. `room`: whether another call could be under way.
    pub(super) fn leave(&self, place: Option<Place>, room: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if room {
            let more = MORE.min(self.most - state.places);
            let owed = state.surplus.min(more);
            state.places += more;
            state.surplus -= owed;
            self.places.add_permits(more - owed);
        } else {
            let fewer = FEWER.min(state.places - self.least);
            state.places -= fewer;
            state.surplus += fewer;
        }
        if state.surplus > 0
            && let Some(Place(permit)) = place
        {
            permit.forget();
            state.surplus -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn free(gate: &AccountGate) -> usize {
        gate.places.available_permits()
    }

    proptest! {
        /// Whatever the feedback, there are never fewer places than the least nor more than the most, and none is lost.
        #[test]
        fn places_stay_between_the_least_and_the_most(
            calls in 1_usize..300, regions in 0_usize..40, steps in prop::collection::vec(0_u8..3, 1..300),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let gate = AccountGate::new(calls, regions, calls + calls / 2);
            let mut held = Vec::new();
            for step in steps {
                match step {
                    0 if free(&gate) > 0 => held.push(runtime.block_on(gate.enter())),
                    0 => {}
                    room => if let Some(place) = held.pop() { gate.leave(place, room == 1) },
                }
                prop_assert!(held.len() <= gate.most);
            }
            for place in held {
                gate.leave(place, false);
            }
            let places = gate.state.lock().expect("no panic").places;
            prop_assert!((gate.least..=gate.most).contains(&places));
            prop_assert_eq!(free(&gate), places);
        }
    }

    #[test]
    fn accounts_that_leave_room_for_calls_become_more() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let gate = AccountGate::new(128, 34, 192);
        assert_eq!(free(&gate), 15, "each is expected to make many calls at once");
        for _ in 0..200 {
            let place = runtime.block_on(gate.enter());
            gate.leave(place, true);
        }
        assert_eq!(free(&gate), 192, "they make one each");
    }
}
