//! Which instances are alive, by name and by configuration.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
};

use super::{
    instance::{Instance, lock},
    location::Key,
};

/// The table of one pool; it keeps nothing alive.
#[derive(Debug, Default)]
pub(super) struct Transports {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    by_name: HashMap<Arc<str>, Weak<Instance>>,
    by_key: HashMap<Key, Weak<Instance>>,
    /// What each location was opened with last.
    current: HashMap<Arc<str>, Key>,
}

impl Transports {
    pub(super) fn insert(&self, instance: &Arc<Instance>) {
        let weak = Arc::downgrade(instance);
        let mut tables = lock(&self.tables);
        tables.by_name.insert(instance.transport.clone(), weak.clone());
        tables.by_key.insert(instance.key.clone(), weak);
        tables.current.insert(instance.key.location.clone(), instance.key.clone());
    }

    /// An instance of the name.
    pub(super) fn named(&self, name: &str) -> Option<Arc<Instance>> {
        // Upgraded with the lock held, dropped without: a drop of the last handle locks as well.
        lock(&self.tables).by_name.get(name).and_then(Weak::upgrade)
    }

    /// The youngest instance of a configuration that is alive; it becomes the current one of its location.
    pub(super) fn alive(&self, key: &Key) -> Option<Arc<Instance>> {
        let mut tables = lock(&self.tables);
        let alive = tables.by_key.get(key).and_then(Weak::upgrade)?;
        tables.current.insert(key.location.clone(), key.clone());
        Some(alive)
    }

    /// Whether its location was opened with another configuration since.
    pub(super) fn is_outdated(&self, key: &Key) -> bool {
        lock(&self.tables).current.get(&key.location).is_some_and(|current| current != key)
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.tables).by_name.len()
    }

    /// Called when the instance is dropped.
    pub(super) fn remove(&self, instance: &Instance) {
        let mut tables = lock(&self.tables);
        tables.by_name.remove(&instance.transport);
        // There may be a younger one.
        let is_last = tables.by_key.get(&instance.key).is_some_and(|weak| weak.strong_count() == 0);
        if is_last {
            tables.by_key.remove(&instance.key);
            if tables.current.get(&instance.key.location) == Some(&instance.key) {
                tables.current.remove(&instance.key.location);
            }
        }
    }
}
