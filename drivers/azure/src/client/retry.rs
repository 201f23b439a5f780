//! How often, and after which waits, a request is sent again.

use async_trait::async_trait;
use azure_core::{
    http::{
        StatusCode,
        headers::{RETRY_AFTER, RETRY_AFTER_MS, X_MS_RETRY_AFTER_MS},
        policies::{RetryHeaders, RetryPolicy},
    },
    time::Duration,
};

/// The longest that the store's `Retry-After` is obeyed.
const MAX_WAIT: std::time::Duration = std::time::Duration::from_secs(30);
const FIRST_WAIT: i64 = 100;

/// Retries what may pass: no answer, or one that asks for another attempt. A request that was given up
/// because it stalled is sent again as well.
#[derive(Debug)]
pub(super) struct Retries {
    attempts: u32,
    headers: RetryHeaders,
}

impl Retries {
    pub(super) fn new(attempts: u32) -> Self {
        let retry_headers = vec![X_MS_RETRY_AFTER_MS, RETRY_AFTER_MS, RETRY_AFTER];
        Self { attempts, headers: RetryHeaders { retry_headers } }
    }
}

#[async_trait]
impl RetryPolicy for Retries {
    fn is_expired(&self, _since: Duration, retries: u32) -> bool {
        retries + 1 >= self.attempts
    }

    fn retry_headers(&self) -> Option<&RetryHeaders> {
        Some(&self.headers)
    }

    /// The SDK's: 408, 429, 500, 502, 503 and 504.
    fn retry_status_codes(&self) -> &[StatusCode] {
        &[]
    }

    fn sleep_duration(&self, retries: u32) -> Duration {
        // Between half of it and all, so that writers that were refused together do not come back together.
        let most = FIRST_WAIT << retries.min(8);
        let spread = i64::from(uuid::Uuid::new_v4().as_fields().0) % (most / 2 + 1);
        Duration::milliseconds(most - spread)
    }

    async fn wait(&self, retries: u32, after: Option<Duration>) {
        let own = self.sleep_duration(retries);
        let wait = after.map_or(own, |after| after.max(own));
        tokio::time::sleep(wait.unsigned_abs().min(MAX_WAIT)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_from_the_first() {
        for attempts in 1..10 {
            let retries = Retries::new(attempts);
            let sent = (0..).find(|retry| retries.is_expired(Duration::ZERO, *retry)).unwrap() + 1;
            assert_eq!(sent, attempts);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_store_may_ask_for_a_longer_wait_but_not_for_any() {
        for (after, least, most) in [(None, 100, 200), (Some(5), 5000, 5000), (Some(3600), 30_000, 30_000)] {
            let began = tokio::time::Instant::now();
            Retries::new(5).wait(1, after.map(Duration::seconds)).await;
            let waited = began.elapsed().as_millis();
            assert!((least..=most + 1).contains(&waited), "{after:?}: {waited} ms");
        }
    }
}
