//! One open registry and its users.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use plugin_registry::Registry;
use tokio::time::Instant;
use uuid::Uuid;

use super::{location::Key, stats::EvictionCause, transports::Transports};
use crate::{config::PurgeSettings, logging::InstanceLog};

/// An open registry with everything that belongs to it. Dropping the last handle closes it: its driver goes,
/// with its connections, and so do its names.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) key: Key,
    pub(super) transport: Arc<str>,
    pub(super) registry: Registry,
    pub(super) purge: Option<PurgeSettings>,
    pub(super) opened: Instant,
    used: Mutex<Instant>,
    transports: Arc<Transports>,
    /// Its place among the log settings, for as long as it lives.
    _log: InstanceLog,
}

/// The place of an instance in the cache. It is emptied when the instance is evicted, because the cache drops
/// its values only later.
#[derive(Debug)]
pub(super) struct Slot {
    instance: Mutex<Option<Arc<Instance>>>,
    cause: Mutex<Option<EvictionCause>>,
}

/// A registry of a pool. Cheap to clone.
///
/// It stays open as long as a handle, a clone of the registry, or a session or stream of it exists, even after
/// the pool has evicted it.
#[derive(Clone)]
pub struct PooledRegistry {
    instance: Arc<Instance>,
}

impl Instance {
    pub(super) fn new(
        key: Key,
        transport: Arc<str>,
        registry: Registry,
        purge: Option<PurgeSettings>,
        transports: Arc<Transports>,
        log: InstanceLog,
    ) -> Arc<Self> {
        let now = Instant::now();
        let used = Mutex::new(now);
        let instance =
            Arc::new(Self { key, transport, registry, purge, opened: now, used, transports, _log: log });
        instance.transports.insert(&instance);
        instance
    }

    fn touch(&self) {
        *lock(&self.used) = Instant::now();
    }

    /// When the instance was last in use: now, if another reference to it or a part of its registry exists.
    pub(super) fn idle_since(self: &Arc<Self>) -> Instant {
        if Arc::strong_count(self) > 1 || self.registry.is_shared() {
            self.touch();
        }
        *lock(&self.used)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.transports.remove(self);
    }
}

impl Slot {
    pub(super) fn new(instance: Arc<Instance>) -> Arc<Self> {
        Arc::new(Self { instance: Mutex::new(Some(instance)), cause: Mutex::new(None) })
    }

    /// Returns the instance, unless it was evicted.
    pub(super) fn get(&self) -> Option<Arc<Instance>> {
        lock(&self.instance).clone()
    }

    /// Looks at the instance in place, unless it was evicted. This does not count as a use.
    pub(super) fn peek<T>(&self, look: impl FnOnce(&Arc<Instance>) -> T) -> Option<T> {
        lock(&self.instance).as_ref().map(look)
    }

    pub(super) fn empty(&self) -> Option<Arc<Instance>> {
        lock(&self.instance).take()
    }

    /// Records why the instance is about to be evicted.
    pub(super) fn set_cause(&self, cause: EvictionCause) {
        lock(&self.cause).get_or_insert(cause);
    }

    pub(super) fn cause(&self) -> Option<EvictionCause> {
        *lock(&self.cause)
    }
}

impl PooledRegistry {
    pub(super) fn new(instance: Arc<Instance>) -> Self {
        instance.touch();
        Self { instance }
    }

    /// Returns `namespace/name` of the location.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.instance.key.location
    }

    /// Returns the transport name of this instance for image references, such as
    /// `registry-s3-6f0f3c9e-0b1a-4c6e-9b68-0e3a2f1d4c5b`.
    ///
    /// [`RegistryPool::resolve`](super::RegistryPool::resolve) finds it until the instance is closed. It is
    /// unique within the process.
    #[must_use]
    pub fn transport(&self) -> &str {
        &self.instance.transport
    }

    /// Returns the registry.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.instance.registry
    }
}

impl Deref for PooledRegistry {
    type Target = Registry;

    fn deref(&self) -> &Registry {
        &self.instance.registry
    }
}

impl Drop for PooledRegistry {
    fn drop(&mut self) {
        self.instance.touch();
    }
}

impl fmt::Debug for PooledRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledRegistry")
            .field("location", &self.location())
            .field("transport", &self.transport())
            .finish_non_exhaustive()
    }
}

/// The transport name of a new instance.
pub(super) fn transport(driver: &str) -> Arc<str> {
    format!("registry-{}-{}", driver.to_lowercase(), Uuid::new_v4()).into()
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
