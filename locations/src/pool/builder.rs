//! The builder of a pool.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use moka::{future::Cache, notification::RemovalCause, policy::EvictionPolicy};
use plugin_registry::RegistryBuilder;
use plugin_registry_core::OpenDriver;

use super::{
    Inner, RegistryPool,
    instance::Slot,
    location::{Key, Location},
    purge::Purges,
    stats::{Counters, Eviction, EvictionCause},
    throttle::Throttle,
    transports::Transports,
};
use crate::{config::FingerprintKey, logging::InstanceLogs};

pub(super) type Configure = Box<dyn Fn(&Location, RegistryBuilder) -> RegistryBuilder + Send + Sync>;
type OnEvict = Box<dyn Fn(&Eviction) + Send + Sync>;

/// Builds a [`RegistryPool`]. Building cannot fail and opens nothing.
pub struct RegistryPoolBuilder {
    drivers: Box<dyn OpenDriver>,
    max_open: u64,
    time_to_idle: Duration,
    time_to_live: Duration,
    purge_timeout: Duration,
    configure: Configure,
    on_evict: OnEvict,
    logs: InstanceLogs,
}

impl RegistryPoolBuilder {
    pub(super) fn new(drivers: Box<dyn OpenDriver>) -> Self {
        Self {
            drivers,
            max_open: 64,
            time_to_idle: Duration::from_secs(10 * 60),
            time_to_live: Duration::from_secs(60 * 60),
            purge_timeout: Duration::from_secs(10 * 60),
            configure: Box::new(|_, builder| builder),
            on_evict: Box::new(|_| {}),
            logs: InstanceLogs::new(),
        }
    }

    /// Sets how many instances the pool holds at most. At least 1. Default 64. When there are more, the least
    /// recently used one leaves.
    #[must_use]
    pub fn max_open(mut self, instances: usize) -> Self {
        self.max_open = u64::try_from(instances.max(1)).unwrap_or(u64::MAX);
        self
    }

    /// Sets how long an unused instance stays in the pool. Default 10 minutes. An instance is unused if no
    /// caller asks for it and no handle, session or stream of it exists.
    #[must_use]
    pub fn time_to_idle(mut self, time: Duration) -> Self {
        self.time_to_idle = time;
        self
    }

    /// Sets how long an instance is given out, used or not. Default 1 hour. After that, the driver is opened
    /// again and rereads what it reads only then, such as certificates.
    #[must_use]
    pub fn time_to_live(mut self, time: Duration) -> Self {
        self.time_to_live = time;
        self
    }

    /// Sets how long the purge of one location may take in a [`sweep`](RegistryPool::sweep). Default 10
    /// minutes. The rest waits for the next interval.
    #[must_use]
    pub fn purge_timeout(mut self, time: Duration) -> Self {
        self.purge_timeout = time;
        self
    }

    /// Sets a function that each registry's builder passes through after its configuration.
    #[must_use]
    pub fn configure(
        mut self,
        configure: impl Fn(&Location, RegistryBuilder) -> RegistryBuilder + Send + Sync + 'static,
    ) -> Self {
        self.configure = Box::new(configure);
        self
    }

    /// Sets a function to call for each instance that leaves the pool. The call that removes the instance runs
    /// it, so it has to be quick and must not panic. It does not run for instances that are in the pool when
    /// the pool is dropped.
    #[must_use]
    pub fn on_evict(mut self, call: impl Fn(&Eviction) + Send + Sync + 'static) -> Self {
        self.on_evict = Box::new(call);
        self
    }

    /// Sets the table that lists each open instance with the [`log`](crate::config::Config::log) of its
    /// configuration. It serves the [filter or the layer](crate::logging) that the host has made from it.
    #[must_use]
    pub fn logs(mut self, logs: &InstanceLogs) -> Self {
        self.logs = logs.clone();
        self
    }

    /// Builds the pool.
    #[must_use]
    pub fn build(self) -> RegistryPool {
        let counters = Arc::new(Counters::default());
        let cache = Cache::builder()
            .max_capacity(self.max_open)
            .eviction_policy(EvictionPolicy::lru())
            .eviction_listener(eviction_listener(counters.clone(), self.on_evict))
            .build();
        RegistryPool {
            inner: Arc::new(Inner {
                drivers: self.drivers,
                configure: self.configure,
                cache,
                logs: self.logs,
                counters,
                transports: Arc::new(Transports::default()),
                key: FingerprintKey::random(),
                invalidations: AtomicU64::new(0),
                time_to_idle: self.time_to_idle,
                time_to_live: self.time_to_live,
                scan_throttle: Throttle::every(self.time_to_idle.min(self.time_to_live) / 4),
                purges: Purges::default(),
                purge_timeout: self.purge_timeout,
            }),
        }
    }
}

/// Returns the listener that runs when a slot leaves the cache.
fn eviction_listener(
    counters: Arc<Counters>,
    on_evict: OnEvict,
) -> impl Fn(Arc<Key>, Arc<Slot>, RemovalCause) + Send + Sync {
    move |_, slot, removal| {
        let Some(instance) = slot.empty() else { return };
        let cause = slot.cause().unwrap_or(match removal {
            RemovalCause::Size => EvictionCause::Capacity,
            _ => EvictionCause::Invalidated,
        });
        counters.evicted(cause);
        let eviction = Eviction {
            location: instance.key.location.clone(),
            transport: instance.transport.clone(),
            cause,
        };
        tracing::debug!(
            location = &*eviction.location,
            instance = &*eviction.transport,
            ?cause,
            "an instance left the pool"
        );
        on_evict(&eviction);
    }
}

impl fmt::Debug for RegistryPoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryPoolBuilder")
            .field("drivers", &self.drivers)
            .field("max_open", &self.max_open)
            .field("time_to_idle", &self.time_to_idle)
            .field("time_to_live", &self.time_to_live)
            .finish_non_exhaustive()
    }
}
