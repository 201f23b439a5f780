//! Limits how often an open looks at all instances, since each look costs as much as there are instances.

use std::{sync::Mutex, time::Duration};

use tokio::time::Instant;

use super::instance::lock;

#[derive(Debug)]
pub(super) struct Throttle {
    last: Mutex<Option<Instant>>,
    interval: Duration,
}

impl Throttle {
    pub(super) fn every(interval: Duration) -> Self {
        Self { last: Mutex::default(), interval }
    }

    /// Whether a look is due. If so, this call takes it, and it is no longer due.
    pub(super) fn is_due(&self) -> bool {
        let (mut last, now) = (lock(&self.last), Instant::now());
        let is_due = last.is_none_or(|last| now.duration_since(last) >= self.interval);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}
