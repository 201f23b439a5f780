//! A bounded memory, which forgets the least recently used entry first.
//!
//! Empty, it takes no more than a few hundred bytes, because a host may have many idle registries.

use std::{
    fmt,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use lru::LruCache;

pub(crate) struct Cache<K, V> {
    entries: Mutex<Entries<K, V>>,
    capacity: u64,
    rule: EvictionRule<V>,
}

/// When an entry is forgotten.
struct EvictionRule<V> {
    lifetime: Expiry,
    is_pinned: fn(&V) -> bool,
}

/// How long an entry is remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expiry {
    /// As long as there is room.
    Never,
    /// For this long after it was inserted.
    TimeToLive(Duration),
    /// For this long after it was used last.
    TimeToIdle(Duration),
}

struct Entries<K, V> {
    lru: LruCache<K, Entry<V>>,
    weight: u64,
}

struct Entry<V> {
    value: V,
    weight: u64,
    since: Instant,
}

impl<K: Hash + Eq + Clone, V: Clone> Cache<K, V> {
    /// Creates a memory for entries with a total weight of up to `capacity`.
    pub(crate) fn new(capacity: u64, lifetime: Expiry) -> Self {
        let entries = Mutex::new(Entries { lru: LruCache::unbounded(), weight: 0 });
        Self { entries, capacity, rule: EvictionRule { lifetime, is_pinned: |_| false } }
    }

    /// Never forgets an entry by itself while `is_pinned` is true for it, whatever its age and the room.
    pub(crate) fn pinned_if(mut self, is_pinned: fn(&V) -> bool) -> Self {
        self.rule.is_pinned = is_pinned;
        self
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.entries().get(key, &self.rule)
    }

    pub(crate) fn insert(&self, key: K, value: V, weight: u64) {
        self.entries().insert(key, value, weight, self.capacity, &self.rule);
    }

    /// Returns the existing value, or else inserts and returns `value`.
    pub(crate) fn get_or_insert(&self, key: K, value: V, weight: u64) -> V {
        let mut entries = self.entries();
        if let Some(found) = entries.get(&key, &self.rule) {
            return found;
        }
        entries.insert(key, value.clone(), weight, self.capacity, &self.rule);
        value
    }

    pub(crate) fn remove(&self, key: &K) {
        self.entries().remove(key);
    }

    fn entries(&self) -> MutexGuard<'_, Entries<K, V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Entries<K, V> {
    fn get(&mut self, key: &K, rule: &EvictionRule<V>) -> Option<V> {
        let entry = self.lru.get_mut(key)?;
        let age = entry.since.elapsed();
        let is_over = match rule.lifetime {
            Expiry::Never => false,
            Expiry::TimeToLive(time) => age >= time,
            Expiry::TimeToIdle(time) => {
                entry.since = Instant::now();
                age >= time
            }
        };
        if is_over && !(rule.is_pinned)(&entry.value) {
            self.remove(key);
            return None;
        }
        Some(entry.value.clone())
    }

    fn insert(&mut self, key: K, value: V, weight: u64, capacity: u64, rule: &EvictionRule<V>) {
        self.weight += weight;
        if let Some(old) = self.lru.put(key, Entry { value, weight, since: Instant::now() }) {
            self.weight -= old.weight;
        }
        while self.weight > capacity {
            let mut oldest_first = self.lru.iter().rev();
            let forgotten = oldest_first.find(|(_, entry)| !(rule.is_pinned)(&entry.value));
            let Some(key) = forgotten.map(|(key, _)| key.clone()) else { return };
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &K) {
        if let Some(removed) = self.lru.pop(key) {
            self.weight -= removed.weight;
        }
    }
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn what_was_used_longest_ago_is_forgotten_first() {
        let memory = Cache::new(3, Expiry::Never);
        for key in ["a", "b", "c"] {
            memory.insert(key, 1, 1);
        }
        assert_eq!(memory.get(&"a"), Some(1));
        memory.insert("d", 1, 1);
        assert_eq!(["a", "b", "c", "d"].map(|key| memory.get(&key)), [Some(1), None, Some(1), Some(1)]);
    }

    #[test]
    fn weights_count_and_a_value_replaced_weighs_nothing() {
        let memory = Cache::new(10, Expiry::Never);
        memory.insert("a", 1, 6);
        memory.insert("a", 2, 4);
        memory.insert("b", 3, 6);
        assert_eq!((memory.get(&"a"), memory.get(&"b")), (Some(2), Some(3)));
        memory.remove(&"b");
        memory.insert("c", 4, 6);
        assert_eq!((memory.get(&"a"), memory.get(&"b"), memory.get(&"c")), (Some(2), None, Some(4)));
        memory.insert("d", 5, 11);
        assert_eq!(["a", "c", "d"].map(|key| memory.get(&key)), [None; 3], "too heavy, for itself too");
        assert_eq!(memory.entries().weight, 0);
    }

    #[test]
    fn entries_are_remembered_for_a_time() {
        let none = Cache::new(10, Expiry::TimeToLive(Duration::ZERO));
        none.insert("a", 1, 1);
        assert_eq!((none.get(&"a"), none.entries().weight), (None, 0));
        let inserted = Cache::new(10, Expiry::TimeToLive(LONG));
        let used = Cache::new(10, Expiry::TimeToIdle(LONG));
        for memory in [&inserted, &used] {
            memory.insert("a", 1, 1);
            // As if it had been so long ago.
            let back = |ago| memory.entries().lru.get_mut(&"a").unwrap().since -= ago;
            back(LONG / 2);
            assert_eq!(memory.get(&"a"), Some(1));
            back(LONG / 2);
        }
        assert_eq!((inserted.get(&"a"), used.get(&"a")), (None, Some(1)));
    }

    #[test]
    fn what_is_kept_is_not_forgotten() {
        let memory = Cache::new(2, Expiry::TimeToIdle(Duration::ZERO)).pinned_if(|value| *value > 10);
        for (key, value) in [("a", 11), ("b", 1), ("c", 12), ("d", 13)] {
            memory.insert(key, value, 1);
        }
        assert_eq!(["a", "b", "c", "d"].map(|key| memory.get(&key)), [Some(11), None, Some(12), Some(13)]);
        assert_eq!(memory.entries().weight, 3);
    }

    #[test]
    fn the_first_to_insert_wins() {
        let memory = Cache::new(10, Expiry::Never);
        assert_eq!((memory.get_or_insert("a", 1, 1), memory.get_or_insert("a", 2, 1)), (1, 1));
        assert_eq!(memory.get(&"a"), Some(1));
    }
}
