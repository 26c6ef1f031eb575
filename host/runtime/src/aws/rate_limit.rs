//! A limit of calls per second: none until the service throttles, then found by feedback.
//!
//! The rate begins as what was answered in the second before, falls with throttled answers and grows in seconds without
//! any, so it stays near the service's own limit and few calls are refused.

use std::time::Duration;

use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// So many throttled answers in a second tell of a rate; fewer may be chance, or the trouble of one region.
const TELLING: f64 = 5.0;

/// The least rate: at a lower one a tick would stand still.
const LEAST: f64 = 2.0;

/// What a rate is multiplied by where a call was throttled, and where none was for a second: as long as it's below the
/// rate that was too much, and above it.
const DECREASE: f64 = 0.9;
const INCREASE: f64 = 1.25;
const PROBE: f64 = 1.05;

/// A rate that no service has: from here on calls go without.
const UNLIMITED: f64 = 5_000.0;

/// The rate of calls to one service.
#[derive(Debug)]
pub(super) struct RateLimit {
    per_second: Option<f64>,
    /// The rate that was too much last.
    too_much: f64,
    /// When the next call may be sent.
    next: Instant,
    /// When the rate was last changed.
    changed: Instant,
    answered: Window,
    throttled: Window,
}

impl RateLimit {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let (answered, throttled) = (Window::new(now), Window::new(now));
        Self { per_second: None, too_much: 0.0, next: now, changed: now, answered, throttled }
    }

    /// Takes the next turn: when a call may be sent.
    pub(super) fn turn(&mut self) -> Instant {
        let now = Instant::now();
        let Some(rate) = self.per_second else { return now };
        let turn = self.next.max(now);
        self.next = turn + Duration::from_secs_f64(1.0 / rate);
        turn
    }

    /// Whether there's no limit, and nothing of the last second to tell of one.
    pub(super) fn is_unlimited(&mut self) -> bool {
        self.per_second.is_none() && self.throttled.per_second(Instant::now()) == 0.0
    }

    /// Learns from an answer.
    pub(super) fn on_response(&mut self, throttled: bool) {
        let now = Instant::now();
        if throttled {
            self.throttled.count(now);
            let answered = self.answered.per_second(now);
            self.per_second = match self.per_second {
                None if self.throttled.per_second(now) < TELLING => return,
                None => Some(answered.max(LEAST)),
                // The answers of one second tell once.
                Some(_) if now < self.changed + SECOND => return,
                Some(rate) => {
                    self.too_much = rate;
                    Some((rate.min(answered.max(rate / 2.0)) * DECREASE).max(LEAST))
                }
            };
        } else {
            self.answered.count(now);
            let Some(rate) = self.per_second.filter(|_| now >= self.changed + SECOND) else { return };
            let faster = if rate * INCREASE < self.too_much { INCREASE } else { PROBE };
            self.per_second = Some(rate * faster).filter(|rate| *rate < UNLIMITED);
        }
        self.changed = now;
    }
}

/// Counts events of about the last second.
#[derive(Debug)]
struct Window {
    began: Instant,
    before: u32,
    current: u32,
}

impl Window {
    fn new(now: Instant) -> Self {
        Self { began: now, before: 0, current: 0 }
    }

    fn roll(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.began);
        if elapsed >= 2 * SECOND {
            *self = Self::new(now);
        } else if elapsed >= SECOND {
            *self = Self { began: self.began + SECOND, before: self.current, current: 0 };
        }
    }

    fn count(&mut self, now: Instant) {
        self.roll(now);
        self.current += 1;
    }

    fn per_second(&mut self, now: Instant) -> f64 {
        self.roll(now);
        let share = now.saturating_duration_since(self.began).as_secs_f64();
        f64::from(self.before) * (1.0 - share) + f64::from(self.current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls for a minute to a service that takes so many a second, as fast as the limit lets them; how many were taken
    /// and how many refused.
    async fn minute(quota: f64) -> (u32, u32) {
        let mut limit = RateLimit::new();
        let (began, mut tokens, mut at) = (Instant::now(), quota, Instant::now());
        let (mut taken, mut refused) = (0, 0);
        while began.elapsed() < Duration::from_secs(60) {
            tokio::time::sleep_until(limit.turn()).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
            tokens = (tokens + at.elapsed().as_secs_f64() * quota).min(quota);
            at = Instant::now();
            let throttled = tokens < 1.0;
            limit.on_response(throttled);
            if throttled {
                refused += 1;
            } else {
                tokens -= 1.0;
                taken += 1;
            }
        }
        (taken, refused)
    }

    #[tokio::test(start_paused = true)]
    async fn most_of_a_quota_is_used_and_few_calls_are_refused() {
        for quota in [3.0, 10.0, 50.0, 300.0] {
            let (taken, refused) = minute(quota).await;
            assert!(f64::from(taken) > 0.8 * 60.0 * quota, "{quota}: {taken} taken");
            assert!(f64::from(refused) < 0.25 * f64::from(taken), "{quota}: {refused} refused, {taken} taken");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_refusals_are_chance() {
        let mut limit = RateLimit::new();
        for _ in 0..4 {
            limit.on_response(true);
        }
        assert_eq!(limit.turn(), Instant::now());
        assert_eq!(limit.turn(), Instant::now());
    }
}
