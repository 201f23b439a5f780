//! When to try again.

use std::time::Duration;

use crate::error::Error;

/// How often and how fast a transient failure is tried again.
///
/// It has exponential steps, full jitter, and a limit on attempts. It only plans: the owner of the clock
/// sleeps. Drivers on an SDK with its own retries do not stack this on top.
///
/// ```
/// use std::time::Duration;
/// use plugin_registry_core::{Error, ErrorKind, RetryPolicy};
/// let policy = RetryPolicy::default();
/// let slow_down = Error::new(ErrorKind::RateLimited);
/// assert_eq!(policy.delay(1, &slow_down, None, 1.0), Some(Duration::from_millis(100)));
/// assert_eq!(policy.delay(5, &slow_down, None, 1.0), None, "five attempts are all");
/// assert_eq!(policy.delay(1, &Error::new(ErrorKind::NotFound), None, 1.0), None);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Attempts in all, including the first. Default 5.
    pub max_attempts: u32,
    /// The longest wait before the second attempt; it doubles from there. Default 100 ms.
    pub base_delay: Duration,
    /// The longest wait before any attempt, even if the store asks for more. Default 20 s.
    pub max_delay: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_attempts: 5, base_delay: Duration::from_millis(100), max_delay: Duration::from_secs(20) }
    }
}

impl RetryPolicy {
    /// Returns a policy that never tries again.
    #[must_use]
    pub fn none() -> Self {
        Self { max_attempts: 1, ..Self::default() }
    }

    /// Sets the number of attempts, including the first.
    #[must_use]
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// Sets the first and the longest wait.
    #[must_use]
    pub fn with_delays(mut self, base: Duration, max: Duration) -> Self {
        self.base_delay = base;
        self.max_delay = max;
        self
    }

    /// Returns how long to wait after attempt number `attempt` (from 1) failed with `error`.
    ///
    /// `None` means to give up. `retry_after` is what the store asked for. `jitter` is a random number in
    /// `0.0..=1.0` that scales the computed step; it never shortens the store's wish.
    #[must_use]
    pub fn delay(
        &self,
        attempt: u32,
        error: &Error,
        retry_after: Option<Duration>,
        jitter: f64,
    ) -> Option<Duration> {
        if attempt >= self.max_attempts || !error.is_retryable() {
            return None;
        }
        let factor = 2u32.saturating_pow(attempt.saturating_sub(1).min(31));
        let step = self.base_delay.saturating_mul(factor).min(self.max_delay).mul_f64(jitter.clamp(0.0, 1.0));
        Some(step.max(retry_after.unwrap_or_default()).min(self.max_delay))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn steps_double_up_to_the_limit() {
        let policy = RetryPolicy::default().with_max_attempts(100);
        let error = Error::new(ErrorKind::Unavailable);
        let steps: Vec<_> =
            (1..=10).map(|n| policy.delay(n, &error, None, 1.0).unwrap().as_millis()).collect();
        assert_eq!(steps, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 20000, 20000]);
        assert_eq!(policy.delay(99, &error, None, 1.0), Some(Duration::from_secs(20)));
    }

    #[test]
    fn the_store_s_wish_counts_within_the_limit() {
        let policy = RetryPolicy::default();
        let error = Error::new(ErrorKind::RateLimited);
        assert_eq!(policy.delay(1, &error, Some(Duration::from_secs(3)), 0.0), Some(Duration::from_secs(3)));
        assert_eq!(
            policy.delay(1, &error, Some(Duration::from_secs(300)), 0.0),
            Some(Duration::from_secs(20))
        );
        assert_eq!(RetryPolicy::none().delay(1, &error, None, 1.0), None);
    }
}
