//! The open registries of a host: one for each location, closed when they are no longer needed.

mod builder;
mod instance;
mod location;
mod purge;
mod stats;
mod throttle;
mod transports;

use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream};
use moka::{
    future::Cache,
    ops::compute::{CompResult, Op},
};
use plugin_registry_core::{Error, ErrorKind, OpenDriver, Result};
use tokio::time::{Instant, timeout};
use tracing::Instrument;

use self::{
    builder::Configure,
    instance::{Instance, Slot, transport},
    location::{Key, label},
    purge::Purges,
    stats::{Counters, count},
    throttle::Throttle,
    transports::Transports,
};
pub use self::{
    builder::RegistryPoolBuilder,
    instance::PooledRegistry,
    location::Location,
    purge::{LocationPurge, SweepReport},
    stats::{Eviction, EvictionCause, PoolStats},
};
use crate::{config::FingerprintKey, logging::InstanceLogs};

/// How many locations are purged at once.
const MAX_PURGES: usize = 8;

/// The open registries of a host, by location. Cheap to clone; all clones share one pool.
///
/// While nothing changes, every caller that asks for a location gets the same instance. A changed configuration
/// or a rotated secret makes another instance: the next caller gets the new one, and callers that hold the old
/// one finish with it. An instance that leaves the pool stays open while it is in use, so that no upload and no
/// copy is cut off. Its last user closes it, with its connections.
///
/// The pool starts no task and has no timer. An instance whose time has come leaves when its location is asked
/// for, or at a [`sweep`](Self::sweep), which an idle host calls now and then. It also leaves when another
/// location is opened, if the last such look at all instances is long enough ago: a quarter of the shorter of
/// [`time_to_idle`](RegistryPoolBuilder::time_to_idle) and
/// [`time_to_live`](RegistryPoolBuilder::time_to_live). Time is that of tokio's clock.
///
/// Memory: each instance in the pool takes about what its registry and its driver say. Each location with a
/// purge takes about 100 bytes from its first open on, for at most 10,000 locations. It is forgotten at an open
/// of a new location more than two intervals after its purge was due.
///
/// ```
/// # use std::sync::Arc;
/// use plugin_registry_locations::{Config, Location, RegistryPool};
/// # use plugin_registry_core::{OpenDriver, Result, StorageConfig, StorageDriver};
/// # #[derive(Debug)]
/// # struct Drivers;
/// # #[async_trait::async_trait]
/// # impl OpenDriver for Drivers {
/// #     async fn open_driver(&self, _: &StorageConfig) -> Result<Arc<dyn StorageDriver>> {
/// #         Ok(Arc::new(plugin_registry_drivers_memory::MemoryDriver::new()))
/// #     }
/// # }
/// # futures::executor::block_on(async {
/// // `Drivers` is that of `plugin-registry-drivers`, or the host's own.
/// let pool = RegistryPool::builder(Drivers).max_open(64).build();
/// let config = Config::from_yaml("version: 0.1\nstorage: inmemory\n")?;
/// let location = Location::new("velero", "default", config);
/// let registry = pool.get_or_open(&location).await?;
/// assert_eq!(pool.get_or_open(&location).await?.transport(), registry.transport());
/// # Ok::<(), plugin_registry_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct RegistryPool {
    inner: Arc<Inner>,
}

struct Inner {
    drivers: Box<dyn OpenDriver>,
    configure: Configure,
    cache: Cache<Key, Arc<Slot>>,
    logs: InstanceLogs,
    counters: Arc<Counters>,
    transports: Arc<Transports>,
    key: FingerprintKey,
    /// How often instances were invalidated.
    invalidations: AtomicU64,
    time_to_idle: Duration,
    time_to_live: Duration,
    scan_throttle: Throttle,
    purges: Purges,
    purge_timeout: Duration,
}

impl RegistryPool {
    /// Begins a pool of registries over these drivers.
    #[must_use]
    pub fn builder(drivers: impl OpenDriver) -> RegistryPoolBuilder {
        RegistryPoolBuilder::new(Box::new(drivers))
    }

    /// Returns the registry of a location, and opens it if it is not in the pool.
    ///
    /// If several callers ask for the same registry at the same time, one of them opens it. The others wait and
    /// get the same instance, or the same error. A failed open is not remembered. Without an open, the call
    /// takes microseconds and makes no driver call.
    ///
    /// Dropping the future is safe: if other callers wait for the same open, one of them starts it again.
    ///
    /// # Errors
    /// Fails with the errors of the driver's `open`, after the location's name.
    pub async fn get_or_open(&self, location: &Location) -> Result<PooledRegistry> {
        let inner = &self.inner;
        let key = location.key(&inner.key);
        // A caller whose instance is evicted before it sees it looks again, and finds the instance alive.
        loop {
            if let Some(slot) = inner.cache.get(&key).await {
                if let Some(Some(cause)) = slot.peek(|instance| inner.expiry_cause(instance)) {
                    inner.evict(&key, &slot, cause).await;
                }
                if let Some(instance) = slot.get() {
                    count(&inner.counters.hits);
                    return Ok(PooledRegistry::new(instance));
                }
            }
            let mut mine = None;
            let invalidations = inner.invalidations.load(Ordering::Acquire);
            let opened = inner
                .cache
                .try_get_with(key.clone(), async {
                    let instance = inner.open(&key, location).await?;
                    mine = Some(PooledRegistry::new(instance.clone()));
                    Ok(Slot::new(instance))
                })
                .await;
            let slot = opened.map_err(|cause| failed(location, &cause))?;
            if let Some(mine) = mine {
                if inner.invalidations.load(Ordering::Acquire) != invalidations {
                    // The instance may predate the invalidation of its location: only this caller gets it.
                    inner.transports.detach(Some(&key.location));
                    inner.evict(&key, &slot, EvictionCause::Invalidated).await;
                }
                inner.make_room(&key).await;
                return Ok(mine);
            }
            if let Some(instance) = slot.get() {
                return Ok(PooledRegistry::new(instance));
            }
        }
    }

    /// Finds an instance by its transport name, even after it left the pool, as long as it is in use.
    #[must_use]
    pub fn resolve(&self, transport: &str) -> Option<PooledRegistry> {
        self.inner.transports.named(transport).map(PooledRegistry::new)
    }

    /// Takes the instances of a location out of the pool and returns how many there were.
    ///
    /// The next caller opens the location again, even if an old instance is still in use or being opened.
    pub async fn invalidate(&self, namespace: &str, name: &str) -> usize {
        let location = label(namespace, name);
        self.inner.detach(Some(&location));
        let is_meant = |instance: &Arc<Instance>| *instance.key.location == *location;
        self.inner.evict_where(|instance| is_meant(instance).then_some(EvictionCause::Invalidated)).await
    }

    /// Takes all instances out of the pool and returns how many there were. For a host that ends or goes to
    /// sleep.
    pub async fn invalidate_all(&self) -> usize {
        self.inner.detach(None);
        self.inner.evict_where(|_| Some(EvictionCause::Invalidated)).await
    }

    /// Closes instances that are no longer needed, and purges uploads where a purge is due.
    ///
    /// A location is purged if its configuration has [`purge`](crate::config::Config::purge) and its time has
    /// come. A host calls this now and then, say every minute. Without a purge it makes no driver call.
    ///
    /// The first purge of a location comes within its interval, but at most an hour after the pool opened it.
    /// Further purges follow every interval. Both are spread at random, so that the locations of many hosts are
    /// not purged at once. An instance that is not in the pool is not purged.
    ///
    /// Instances leave first. Then up to 8 locations are purged side by side, so that one that does not answer
    /// does not stop the others. Each purge has [`purge_timeout`](RegistryPoolBuilder::purge_timeout) and fails
    /// after that. Dropping the future stops the purges midway. The rest waits for the next interval.
    pub async fn sweep(&self) -> SweepReport {
        let inner = &self.inner;
        let evicted = inner.evict_where(|instance| inner.eviction_cause(instance)).await;
        inner.cache.run_pending_tasks().await;
        let purged = |instance: &Arc<Instance>| instance.purge.is_some();
        let open: Vec<_> = inner.cache.iter().filter_map(|(_, slot)| slot.get()).filter(purged).collect();
        let purged = stream::iter(open)
            .map(|instance| inner.purge(instance))
            .buffer_unordered(MAX_PURGES)
            .filter_map(ready)
            .collect();
        SweepReport { evicted, purged: purged.await }
    }

    /// Returns the statistics of the pool.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        let open = self.inner.cache.iter().filter(|(_, slot)| slot.peek(|_| ()).is_some()).count();
        self.inner.counters.stats(open, self.inner.transports.len())
    }
}

impl Inner {
    /// Purges an instance's location, if it is due.
    async fn purge(&self, instance: Arc<Instance>) -> Option<LocationPurge> {
        let settings = instance.purge?;
        let location = instance.key.location.clone();
        if !self.purges.claim(&location, settings.interval) {
            return None;
        }
        let purge = instance.registry.purge_uploads(settings.older_than, settings.dry_run);
        // Boxed, since many of these futures exist at once.
        let purged = timeout(self.purge_timeout, Box::pin(purge)).await.unwrap_or_else(|_| {
            let message = format!("the purge did not finish within {} s", self.purge_timeout.as_secs());
            let error = Error::new(ErrorKind::Timeout).with_message(message);
            // Any other failure is reported by the registry.
            tracing::warn!(location = &*location, %error, "uploads could not be purged");
            Err(error.into())
        });
        Some(LocationPurge { location, purged })
    }

    async fn open(&self, key: &Key, location: &Location) -> Result<Arc<Instance>> {
        if let Some(alive) = self.transports.alive(key)
            && self.expiry_cause(&alive).is_none()
        {
            count(&self.counters.revived);
            return Ok(alive);
        }
        let config = &location.config;
        let instance = transport(&config.driver);
        // Before the span is made, which asks for the settings only once.
        let log = self.logs.insert(instance.clone(), config.log.clone());
        let span = tracing::info_span!("open", location = &*key.location, instance = &*instance);
        let opened = async {
            let driver = self.drivers.open_driver(&config.storage()).await?;
            let builder = config.builder(driver).identity(key.location.clone(), instance.clone());
            Ok::<_, Error>((self.configure)(location, builder).build())
        };
        // Boxed, since a driver's set-up is a large future.
        let registry =
            Box::pin(opened.instrument(span)).await.inspect_err(|_| count(&self.counters.failed))?;
        count(&self.counters.opened);
        // A registry that may not write could never purge.
        let purge = config.purge.filter(|purge| purge.dry_run || !registry.is_read_only());
        if let Some(settings) = &purge {
            self.purges.schedule(&key.location, settings.interval);
        }
        Ok(Instance::new(key.clone(), instance, registry, purge, self.transports.clone(), log))
    }

    fn detach(&self, location: Option<&str>) {
        self.invalidations.fetch_add(1, Ordering::AcqRel);
        self.transports.detach(location);
    }

    /// After an open, removes the outdated instances of its location, those over the limit and, now and then,
    /// all others whose time has come.
    async fn make_room(&self, opened: &Key) {
        for key in self.transports.outdated(opened) {
            if let Some(slot) = self.cache.get(&key).await {
                self.evict(&key, &slot, EvictionCause::Replaced).await;
            }
        }
        if self.scan_throttle.is_due() {
            self.evict_where(|instance| self.eviction_cause(instance)).await;
        }
        self.cache.run_pending_tasks().await;
    }

    /// Why an instance must no longer be given out, if there is a reason. It may or may not be in a slot.
    fn expiry_cause(&self, instance: &Arc<Instance>) -> Option<EvictionCause> {
        let now = Instant::now();
        if now.duration_since(instance.opened) >= self.time_to_live {
            return Some(EvictionCause::Expired);
        }
        let is_idle = now.duration_since(instance.idle_since()) >= self.time_to_idle;
        is_idle.then_some(EvictionCause::Idle)
    }

    /// Why an instance has to leave, if it has to. Unlike with [`expiry_cause`](Self::expiry_cause), no caller has asked for it.
    fn eviction_cause(&self, instance: &Arc<Instance>) -> Option<EvictionCause> {
        let is_outdated = self.transports.is_outdated(&instance.key);
        if is_outdated { Some(EvictionCause::Replaced) } else { self.expiry_cause(instance) }
    }

    async fn evict_where(&self, cause: impl Fn(&Arc<Instance>) -> Option<EvictionCause>) -> usize {
        let mut evicted = 0;
        for (key, slot) in &self.cache {
            if let Some(Some(cause)) = slot.peek(&cause) {
                evicted += usize::from(self.evict(&key, &slot, cause).await);
            }
        }
        evicted
    }

    /// Removes exactly this slot. A newer slot under the same key stays.
    async fn evict(&self, key: &Key, slot: &Arc<Slot>, cause: EvictionCause) -> bool {
        let removed = self
            .cache
            .entry_by_ref(key)
            .and_compute_with(|entry| {
                let is_same = entry.is_some_and(|entry| Arc::ptr_eq(entry.value(), slot));
                if is_same {
                    slot.set_cause(cause);
                }
                ready(if is_same { Op::Remove } else { Op::Nop })
            })
            .await;
        matches!(removed, CompResult::Removed(_))
    }
}

impl Drop for Inner {
    /// Empties the slots, because the cache drops its values only later.
    fn drop(&mut self) {
        for (_, slot) in &self.cache {
            drop(slot.empty());
        }
    }
}

fn failed(location: &Location, cause: &Arc<Error>) -> Error {
    Error::clone(cause).with_context(format!("location `{location}` cannot be opened"))
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryPool")
            .field("drivers", &self.drivers)
            .field("time_to_idle", &self.time_to_idle)
            .field("time_to_live", &self.time_to_live)
            .finish_non_exhaustive()
    }
}
