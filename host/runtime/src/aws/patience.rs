//! Timeouts of AWS calls, and the number of attempts.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;

/// A region that keeps failing uses this up (5 a retry, 10 after a time-out; a success gives back): then its
/// calls fail at once, for all accounts. The SDK's default, enough for 100 retries.
pub(super) const RETRY_TOKENS: usize = 500;

/// The timeouts of AWS calls. They are short because a tick runs every five minutes: the next tick repeats what fails
/// in this one.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The maximum number of attempts of a call.
    pub attempts: u32,
    /// The longest wait before the second try; the SDK doubles it for each further one, and waits a random
    /// share of it.
    pub first_backoff: Duration,
    /// The longest wait before any try.
    pub longest_backoff: Duration,
    /// A connection that isn't made in this time won't be.
    pub connect: Duration,
    /// How long an answer may take to begin. DRS answers within a second or two; a page of a scan as well.
    pub read: Duration,
    /// How long a service in a region may answer nothing but throttling, before its calls are given up after `attempts`.
    pub throttled: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 4,
            first_backoff: Duration::from_millis(200),
            longest_backoff: Duration::from_secs(5),
            connect: Duration::from_secs(3),
            read: Duration::from_secs(10),
            throttled: Duration::from_secs(15),
        }
    }
}

impl Patience {
    pub(super) fn retries(&self) -> RetryConfig {
        RetryConfig::standard()
            .with_max_attempts(self.attempts)
            .with_initial_backoff(self.first_backoff)
            .with_max_backoff(self.longest_backoff)
    }

    pub(super) fn timeouts(&self) -> TimeoutConfig {
        TimeoutConfig::builder().connect_timeout(self.connect).read_timeout(self.read).build() // none for an operation or an attempt: they would count the wait for a permit
    }
}

/// A request that waits for its permit sends nothing, and isn't stalled; an answer that stops coming is.
pub(super) fn stalled_streams() -> StalledStreamProtectionConfig {
    StalledStreamProtectionConfig::enabled().upload_enabled(false).build()
}
