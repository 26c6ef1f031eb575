//! Pacing of throttled calls: a throttled call is sent again for as long as the service takes any and the tick has time.
//!
//! Throttling is no failure: it uses up none of the tries that other errors have. A call that waits here holds no permit,
//! so a throttled account or region doesn't starve the others.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::call_limits::CallLimit;
use super::calls::THROTTLED;
use super::patience::Patience;
use super::{AwsError, Value};

/// So long before the tick stops a call is given up, so that its account can still say why.
const MARGIN: Duration = Duration::from_millis(250);

/// The longest that one call is paced where nothing else ends it: a tick without a deadline must end as well.
const LONGEST: Duration = Duration::from_secs(600);

tokio::task_local! {
    /// When the tick stops that calls are made for.
    static STOP: Instant;
}

/// Runs a future whose calls are made for a tick that stops at `stop`.
pub async fn until<T>(stop: Instant, work: impl Future<Output = T>) -> T {
    STOP.scope(stop, work).await
}

/// Whether an error is a throttling error.
pub fn is_throttled(error: &AwsError) -> bool {
    THROTTLED.contains(&error.code.as_str()) || error.code == "HTTP429"
}

/// Whether a call that failed was given up because its tick stops: it was throttled, and the wait before it could be sent
/// again would have been longer than the tick.
pub fn is_out_of_time(error: &AwsError, stop: Instant) -> bool {
    is_throttled(error) && Instant::now() + Patience::default().longest_backoff + MARGIN >= stop
}

/// The pace of one call.
pub struct Pacing<'a> {
    patience: &'a Patience,
    tries: u32,
    backoff: Duration,
    give_up: Instant,
}

impl<'a> Pacing<'a> {
    /// The pace of a call that begins now.
    pub fn new(patience: &'a Patience) -> Self {
        let longest = Instant::now() + LONGEST;
        let give_up = STOP.try_with(|stop| stop.checked_sub(MARGIN).unwrap_or(*stop).min(longest)).unwrap_or(longest);
        Self { patience, tries: 0, backoff: patience.first_backoff, give_up }
    }

    /// How long a call that was throttled waits before it's sent again; `random` is a number from 0 to 1. None: it's
    /// given up, because the tick's time ends, or because there was nothing but throttling for a while.
    pub fn next(&mut self, limit: &CallLimit, random: f64) -> Option<Duration> {
        self.tries += 1;
        let wait = self.backoff.mul_f64(0.5 + random / 2.0);
        self.backoff = (self.backoff * 2).min(self.patience.longest_backoff);
        let refused = self.tries >= self.patience.attempts && limit.only_throttled_for() >= self.patience.throttled;
        (!refused && Instant::now() + wait < self.give_up).then_some(wait)
    }
}

/// Makes a call until it's taken, fails for another reason than throttling, or is given up.
pub(super) async fn paced<F>(
    patience: &Patience,
    limit: &CallLimit,
    mut call: impl FnMut() -> F,
) -> Result<Value, AwsError>
where
    F: Future<Output = Result<Value, AwsError>>,
{
    let mut pacing = Pacing::new(patience);
    loop {
        match call().await {
            Err(error) if is_throttled(&error) => {
                let random = RandomState::new().hash_one(0_u8) as f64 / u64::MAX as f64;
                let Some(wait) = pacing.next(limit, random) else { return Err(error) };
                sleep(wait).await;
            }
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::call_limits::CallLimits;
    use serde_json::json;

    fn limit() -> CallLimit {
        CallLimits::new(8).of("drs", Some("us-east-1"), Some("111122223333"))
    }

    fn throttled() -> AwsError {
        AwsError { code: "ThrottlingException".into(), message: String::new(), retryable: true }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_sent_again_as_long_as_the_service_takes_any() {
        let (limit, patience, began) = (limit(), Patience::default(), Instant::now());
        let answer = paced(&patience, &limit, || async {
            limit.on_response(true);
            limit.on_response(false); // another account's
            if began.elapsed() < Duration::from_secs(120) { Err(throttled()) } else { Ok(json!({})) }
        });
        assert_eq!(answer.await, Ok(json!({})));
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_takes_no_call_for_a_while_is_given_up_and_then_at_once() {
        let (limit, patience, began) = (limit(), Patience::default(), Instant::now());
        let call = || async {
            limit.on_response(true);
            Err(throttled())
        };
        assert_eq!(paced(&patience, &limit, call).await, Err(throttled()));
        assert!((15..25).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
        let second = Instant::now();
        assert_eq!(paced(&patience, &limit, call).await, Err(throttled()));
        assert!(second.elapsed() < Duration::from_secs(3), "only its few tries: {:?}", second.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_given_up_before_the_tick_stops() {
        let (limit, patience, stop) = (limit(), Patience::default(), Instant::now() + Duration::from_secs(10));
        let answer = until(
            stop,
            paced(&patience, &limit, || async {
                limit.on_response(true);
                limit.on_response(false);
                Err(throttled())
            }),
        );
        assert_eq!(answer.await, Err(throttled()));
        assert!(Instant::now() < stop);
    }
}
