//! When the uploads of which location are purged.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;
use uuid::Uuid;

use super::instance::lock;
use crate::{error::Result, upload::PurgeReport};

/// The first purge comes no later than this after the first open: many hosts do not live for an interval.
const MAX_FIRST: Duration = Duration::from_secs(3600);

/// What [`RegistryPool::sweep`](super::RegistryPool::sweep) did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct SweepReport {
    /// How many instances left the pool because they were idle or at the end of their time.
    pub evicted: usize,
    /// The locations that were purged, or that should have been.
    pub purged: Vec<LocationPurge>,
}

/// The purge of one location.
#[derive(Debug)]
#[non_exhaustive]
pub struct LocationPurge {
    /// `namespace/name`.
    pub location: Arc<str>,
    /// What came of it. After an error the location is purged again at its next interval.
    pub purged: Result<PurgeReport>,
}

/// When each location is due. An entry outlives its instances.
#[derive(Debug, Default)]
pub(super) struct Purges {
    due: Mutex<HashMap<Arc<str>, Instant>>,
}

impl Purges {
    /// Plans the first purge of a location, unless it has a plan.
    pub(super) fn expect(&self, location: &Arc<str>, interval: Duration) {
        let mut due = lock(&self.due);
        due.entry(location.clone()).or_insert_with(|| after(share(interval.min(MAX_FIRST))));
    }

    /// Whether a location is due; it is no longer then.
    pub(super) fn claim(&self, location: &Arc<str>, interval: Duration) -> bool {
        let mut due = lock(&self.due);
        let Some(time) = due.get_mut(location) else { return false };
        let is_due = *time <= Instant::now();
        if is_due {
            *time = after(interval.saturating_sub(share(interval / 10)));
        }
        is_due
    }
}

/// Some part of a time, at random.
fn share(time: Duration) -> Duration {
    let [first, second, third, fourth, ..] = Uuid::new_v4().into_bytes();
    let random = u32::from_be_bytes([first, second, third, fourth]);
    time.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

fn after(time: Duration) -> Instant {
    let now = Instant::now();
    // A time that the clock has no number for never comes: in thirty years, say.
    now.checked_add(time).unwrap_or_else(|| now + Duration::from_secs(86_400 * 365 * 30))
}
