//! Which instances are alive, by name and by configuration.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, Weak},
};

use super::{
    instance::{Instance, lock},
    location::Key,
};

/// The table of one pool. It does not keep instances alive.
#[derive(Debug, Default)]
pub(super) struct Transports {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    by_name: HashMap<Arc<str>, Weak<Instance>>,
    by_key: HashMap<Key, Weak<Instance>>,
    /// The keys of `by_key`, by location.
    by_location: HashMap<Arc<str>, Vec<Key>>,
    /// The configuration that each location was opened with last.
    current: HashMap<Arc<str>, Key>,
}

impl Transports {
    /// Adds an instance and makes it the current one of its location.
    pub(super) fn insert(&self, instance: &Arc<Instance>) {
        let weak = Arc::downgrade(instance);
        let mut tables = lock(&self.tables);
        tables.by_name.insert(instance.transport.clone(), weak.clone());
        if tables.by_key.insert(instance.key.clone(), weak).is_none() {
            let keys = tables.by_location.entry(instance.key.location.clone()).or_default();
            keys.push(instance.key.clone());
        }
        tables.current.insert(instance.key.location.clone(), instance.key.clone());
    }

    /// Finds a live instance by its name.
    pub(super) fn named(&self, name: &str) -> Option<Arc<Instance>> {
        // Upgraded under the lock but dropped without it: dropping the last handle takes the lock too.
        lock(&self.tables).by_name.get(name).and_then(Weak::upgrade)
    }

    /// Finds the youngest live instance of a configuration and makes it the current one of its location.
    pub(super) fn alive(&self, key: &Key) -> Option<Arc<Instance>> {
        let mut tables = lock(&self.tables);
        let alive = tables.by_key.get(key).and_then(Weak::upgrade)?;
        tables.current.insert(key.location.clone(), key.clone());
        Some(alive)
    }

    /// Whether the location was opened with another configuration since then.
    pub(super) fn is_outdated(&self, key: &Key) -> bool {
        lock(&self.tables).current.get(&key.location).is_some_and(|current| current != key)
    }

    /// The live configurations of a location, except the current one.
    pub(super) fn outdated(&self, current: &Key) -> Vec<Key> {
        let tables = lock(&self.tables);
        let keys = tables.by_location.get(&current.location).into_iter().flatten();
        keys.filter(|key| *key != current).cloned().collect()
    }

    /// From now on, no caller gets the instances in use of a location, or of all locations. Their names stay.
    pub(super) fn detach(&self, location: Option<&str>) {
        let mut tables = lock(&self.tables);
        let is_meant = |key: &&Key| location.is_none_or(|location| *key.location == *location);
        let keys: Vec<Key> = tables.by_key.keys().filter(is_meant).cloned().collect();
        keys.iter().for_each(|key| tables.forget(key));
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.tables).by_name.len()
    }

    /// Called when the instance is dropped.
    pub(super) fn remove(&self, instance: &Instance) {
        let mut tables = lock(&self.tables);
        tables.by_name.remove(&instance.transport);
        shrink(&mut tables.by_name);
        // A younger instance may have the same key.
        let is_last = tables.by_key.get(&instance.key).is_some_and(|weak| weak.strong_count() == 0);
        if is_last {
            tables.forget(&instance.key);
        }
    }
}

impl Tables {
    fn forget(&mut self, key: &Key) {
        self.by_key.remove(key);
        if self.current.get(&key.location) == Some(key) {
            self.current.remove(&key.location);
        }
        if let Some(keys) = self.by_location.get_mut(&key.location) {
            keys.retain(|other| other != key);
            if keys.is_empty() {
                self.by_location.remove(&key.location);
            }
        }
        shrink(&mut self.by_key);
        shrink(&mut self.current);
        shrink(&mut self.by_location);
    }
}

/// Gives back the room that many entries needed.
fn shrink<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    if map.capacity() > 64 && map.len() < map.capacity() / 8 {
        map.shrink_to(map.len() * 2);
    }
}
