//! Statistics of a pool.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Why an instance left the pool. Its users go on with it; it is closed when the last one is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EvictionCause {
    /// It was not used for [`time_to_idle`](super::RegistryPoolBuilder::time_to_idle).
    Idle,
    /// It was open for [`time_to_live`](super::RegistryPoolBuilder::time_to_live).
    Expired,
    /// More than [`max_open`](super::RegistryPoolBuilder::max_open) were open, and this one was the least
    /// recently used.
    Capacity,
    /// The location was opened with another configuration or secret.
    Replaced,
    /// The host invalidated it.
    Invalidated,
}

/// An instance that left the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Eviction {
    /// `namespace/name` of its location.
    pub location: Arc<str>,
    /// Its transport name.
    pub transport: Arc<str>,
    /// Why it left.
    pub cause: EvictionCause,
}

/// Counts of a pool, since it was made unless stated otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Instances in the pool now.
    pub open: usize,
    /// Instances in memory now: those in the pool, and evicted ones that are still in use.
    pub alive: usize,
    /// Calls that were answered with an instance from the pool.
    pub hits: u64,
    /// Instances opened.
    pub opened: u64,
    /// Opens that failed. Callers that waited for the same open share one.
    pub failed: u64,
    /// Evicted instances that were still in use and were taken back, because a caller asked for them again.
    pub revived: u64,
    /// Evictions of idle instances.
    pub idle: u64,
    /// Evictions of instances at the end of their time.
    pub expired: u64,
    /// Evictions for lack of room.
    pub capacity: u64,
    /// Evictions of outdated instances.
    pub replaced: u64,
    /// Evictions that the host asked for.
    pub invalidated: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) hits: AtomicU64,
    pub(super) opened: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) revived: AtomicU64,
    idle: AtomicU64,
    expired: AtomicU64,
    capacity: AtomicU64,
    replaced: AtomicU64,
    invalidated: AtomicU64,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn evicted(&self, cause: EvictionCause) {
        count(match cause {
            EvictionCause::Idle => &self.idle,
            EvictionCause::Expired => &self.expired,
            EvictionCause::Capacity => &self.capacity,
            EvictionCause::Replaced => &self.replaced,
            EvictionCause::Invalidated => &self.invalidated,
        });
    }

    pub(super) fn stats(&self, open: usize, alive: usize) -> PoolStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PoolStats {
            open,
            alive,
            hits: read(&self.hits),
            opened: read(&self.opened),
            failed: read(&self.failed),
            revived: read(&self.revived),
            idle: read(&self.idle),
            expired: read(&self.expired),
            capacity: read(&self.capacity),
            replaced: read(&self.replaced),
            invalidated: read(&self.invalidated),
        }
    }
}
