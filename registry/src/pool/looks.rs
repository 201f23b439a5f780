//! How often all instances are looked at when one is opened: each look costs as much as there are instances.

use std::{sync::Mutex, time::Duration};

use tokio::time::Instant;

use super::instance::lock;

#[derive(Debug)]
pub(super) struct Looks {
    last: Mutex<Option<Instant>>,
    interval: Duration,
}

impl Looks {
    pub(super) fn every(interval: Duration) -> Self {
        Self { last: Mutex::default(), interval }
    }

    /// Whether it is time; it no longer is then.
    pub(super) fn is_due(&self) -> bool {
        let (mut last, now) = (lock(&self.last), Instant::now());
        let is_due = last.is_none_or(|last| now.duration_since(last) >= self.interval);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}
