//! When the uploads of each location are purged.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use plugin_registry::{Result, upload::PurgeReport};
use tokio::time::Instant;
use uuid::Uuid;

use super::instance::lock;

/// The first purge comes at most this long after the first open: many hosts do not live for an interval.
const MAX_FIRST: Duration = Duration::from_secs(3600);

/// What [`RegistryPool::sweep`](super::RegistryPool::sweep) did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct SweepReport {
    /// How many instances left the pool because they were idle, at the end of their time or outdated.
    pub evicted: usize,
    /// The locations that were purged, and those whose purge failed.
    pub purged: Vec<LocationPurge>,
}

/// The purge of one location.
#[derive(Debug)]
#[non_exhaustive]
pub struct LocationPurge {
    /// `namespace/name`.
    pub location: Arc<str>,
    /// The result. After an error, the location is purged again at its next interval.
    pub purged: Result<PurgeReport>,
}

/// How many locations are remembered at most.
const MAX_PLANS: usize = 10_000;

/// When each location is due. A plan begins at the first open of its location and is over two intervals after
/// it was due. Plans that are over are dropped when a location without a plan is opened.
#[derive(Debug, Default)]
pub(super) struct Purges {
    plans: Mutex<HashMap<Arc<str>, Plan>>,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    due: Instant,
    interval: Duration,
}

impl Plan {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.due) > self.interval.saturating_mul(2)
    }
}

impl Purges {
    /// Plans the first purge of a location, unless it has a plan.
    pub(super) fn schedule(&self, location: &Arc<str>, interval: Duration) {
        let mut plans = lock(&self.plans);
        if let Some(plan) = plans.get_mut(location) {
            plan.interval = interval;
            return;
        }
        let now = Instant::now();
        plans.retain(|_, plan| !plan.is_over(now));
        if plans.len() >= MAX_PLANS
            && let Some(oldest) = plans.iter().min_by_key(|(_, plan)| plan.due).map(|(name, _)| name.clone())
        {
            plans.remove(&oldest);
        }
        plans.insert(location.clone(), Plan { due: after(jitter(interval.min(MAX_FIRST))), interval });
    }

    /// Whether a location is due. If so, this call claims the purge, and the location is no longer due.
    pub(super) fn claim(&self, location: &Arc<str>, interval: Duration) -> bool {
        let mut plans = lock(&self.plans);
        // A location that was forgotten while its instance was open is due as well.
        let plan = plans.entry(location.clone()).or_insert_with(|| Plan { due: Instant::now(), interval });
        let is_due = plan.due <= Instant::now();
        if is_due {
            *plan = Plan { due: after(interval.saturating_sub(jitter(interval / 10))), interval };
        }
        is_due
    }
}

/// A random part of a duration.
fn jitter(time: Duration) -> Duration {
    let [first, second, third, fourth, ..] = Uuid::new_v4().into_bytes();
    let random = u32::from_be_bytes([first, second, third, fourth]);
    time.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

fn after(time: Duration) -> Instant {
    let now = Instant::now();
    // A time that the clock cannot represent never comes. Thirty years are as good.
    now.checked_add(time).unwrap_or_else(|| now + Duration::from_secs(86_400 * 365 * 30))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn name(number: usize) -> Arc<str> {
        number.to_string().into()
    }

    #[tokio::test(start_paused = true)]
    async fn plans_of_locations_that_are_gone_are_forgotten() {
        let purges = Purges::default();
        let count = || lock(&purges.plans).len();
        for number in 0..100 {
            purges.schedule(&name(number), HOUR);
        }
        assert_eq!(count(), 100);
        // Still known, as after a pause of the host.
        tokio::time::advance(2 * HOUR).await;
        purges.schedule(&name(100), HOUR);
        assert_eq!(count(), 101);
        assert!(purges.claim(&name(7), HOUR) && !purges.claim(&name(7), HOUR));
        tokio::time::advance(2 * HOUR).await;
        purges.schedule(&name(101), HOUR);
        let left = count();
        assert!((2..=3).contains(&left), "{left} are left: 7, 101 and perhaps 100");
        assert!(purges.claim(&name(7), HOUR));
        // One that an open instance has is due, and planned again.
        assert!(purges.claim(&name(8), HOUR) && !purges.claim(&name(8), HOUR));
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_never_more_plans_than_a_limit() {
        let purges = Purges::default();
        for number in 0..MAX_PLANS + 50 {
            purges.schedule(&name(number), HOUR);
        }
        assert_eq!(lock(&purges.plans).len(), MAX_PLANS);
    }
}
