//! Stores by name that outlive the drivers opened over them, and everything counted.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use plugin_registry_conformance::registry::Wrapped;
use plugin_registry_core::{Error, ErrorKind, OpenDriver, Result, StorageConfig, StorageDriver};
use plugin_registry_drivers_memory::MemoryDriver;
use plugin_registry_locations::{
    Config, Location, RegistryPool,
    pool::{EvictionCause, RegistryPoolBuilder},
};

/// The test's record of the drivers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lab(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    stores: Mutex<HashMap<String, MemoryDriver>>,
    opened: AtomicUsize,
    alive: AtomicUsize,
    calls: AtomicUsize,
    /// Whether every call fails.
    down: AtomicBool,
    /// Stores that do not answer, and calls that wait for them.
    silent: Mutex<HashSet<String>>,
    waiting: AtomicUsize,
    /// Opens on their way, by bucket and key.
    opening: Mutex<HashMap<String, usize>>,
}

/// Lives as long as its driver.
struct Guard(Lab);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.alive.fetch_sub(1, SeqCst);
    }
}

impl Lab {
    /// Drivers opened so far.
    pub(crate) fn opened(&self) -> usize {
        self.0.opened.load(SeqCst)
    }

    /// Drivers in memory.
    pub(crate) fn alive(&self) -> usize {
        self.0.alive.load(SeqCst)
    }

    /// Driver calls so far.
    pub(crate) fn calls(&self) -> usize {
        self.0.calls.load(SeqCst)
    }

    /// From now on every driver call fails.
    pub(crate) fn break_down(&self) {
        self.0.down.store(true, SeqCst);
    }

    /// From now on the store does not answer.
    pub(crate) fn silence(&self, bucket: &str) {
        self.0.silent.lock().unwrap().insert(bucket.to_owned());
    }

    /// Calls so far that a silent store did not answer.
    pub(crate) fn unanswered(&self) -> usize {
        self.0.waiting.load(SeqCst)
    }

    /// A pool over these stores that records what leaves it.
    pub(crate) fn pool(&self) -> RegistryPoolBuilder {
        RegistryPool::builder(self.clone())
    }
}

#[async_trait]
impl OpenDriver for Lab {
    /// Opens a store by its `bucket`, after `wait` milliseconds; the key `wrong` is refused.
    async fn open_driver(&self, config: &StorageConfig) -> Result<Arc<dyn StorageDriver>> {
        let mut reader = config.parameters.reader();
        let bucket = reader.required("bucket");
        let key = reader.text("secretkey").unwrap_or_default();
        let wait = reader.number("wait", 0..=60_000).unwrap_or_default();
        reader.finish()?;
        self.0.opened.fetch_add(1, SeqCst);
        let opening = Opening::begin(self, format!("{bucket} {key}"));
        if wait > 0 {
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        drop(opening);
        if key == "wrong" {
            return Err(Error::new(ErrorKind::Unauthenticated).with_driver("lab"));
        }
        let store = self.0.stores.lock().unwrap().entry(bucket.clone()).or_default().clone();
        self.0.alive.fetch_add(1, SeqCst);
        let guard = Guard(self.clone());
        let silent = self.clone();
        let stall = move |_| {
            let is_silent = silent.0.silent.lock().unwrap().contains(&bucket);
            silent.0.waiting.fetch_add(usize::from(is_silent), SeqCst);
            is_silent
        };
        let driver = Wrapped::new(Arc::new(store)).stalling(stall).failing(move |_| {
            guard.0.0.calls.fetch_add(1, SeqCst);
            guard.0.0.down.load(SeqCst).then_some(ErrorKind::Unavailable)
        });
        Ok(Arc::new(driver))
    }
}

/// An open on its way; there is never more than one of the same.
struct Opening(Lab, String);

impl Opening {
    fn begin(lab: &Lab, what: String) -> Self {
        let mut opening = lab.0.opening.lock().unwrap();
        let count = opening.entry(what.clone()).or_default();
        *count += 1;
        assert_eq!(*count, 1, "two opens of {what} at the same time");
        drop(opening);
        Self(lab.clone(), what)
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.0.opening.lock().unwrap().remove(&self.1);
    }
}

/// The location of a bucket; each has its own store.
pub(crate) fn location(bucket: &str) -> Location {
    with(bucket, "")
}

/// The same with more lines of its driver.
pub(crate) fn with(bucket: &str, lines: &str) -> Location {
    let text = format!("version: 0.1\nstorage:\n  lab:\n    bucket: {bucket}\n{lines}");
    Location::new("velero", bucket, Config::from_yaml(&text).unwrap())
}

/// The same with a secret.
pub(crate) fn secret(bucket: &str, key: &str) -> Location {
    with(bucket, &format!("    secretkey: '{key}'\n"))
}

/// The instances that left a pool, and why.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evictions(Arc<Mutex<Vec<(String, EvictionCause)>>>);

impl Evictions {
    pub(crate) fn of(&self, pool: RegistryPoolBuilder) -> RegistryPoolBuilder {
        let list = self.0.clone();
        pool.on_evict(move |eviction| {
            list.lock().unwrap().push((eviction.location.to_string(), eviction.cause));
        })
    }

    /// The entries since the last call.
    pub(crate) fn take(&self) -> Vec<(String, EvictionCause)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}
