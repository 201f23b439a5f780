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

pub(crate) struct Memory<K, V> {
    entries: Mutex<Entries<K, V>>,
    capacity: u64,
    rule: Rule<V>,
}

/// When an entry is forgotten.
struct Rule<V> {
    lifetime: Lifetime,
    is_kept: fn(&V) -> bool,
}

/// How long an entry is remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lifetime {
    /// As long as there is room.
    Unlimited,
    /// For this long after it was inserted.
    Inserted(Duration),
    /// For this long after it was used last.
    Used(Duration),
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

impl<K: Hash + Eq + Clone, V: Clone> Memory<K, V> {
    /// Creates a memory for entries with a total weight of up to `capacity`.
    pub(crate) fn new(capacity: u64, lifetime: Lifetime) -> Self {
        let entries = Mutex::new(Entries { lru: LruCache::unbounded(), weight: 0 });
        Self { entries, capacity, rule: Rule { lifetime, is_kept: |_| false } }
    }

    /// Never forgets an entry by itself while `is_kept` is true for it, whatever its age and the room.
    pub(crate) fn keeping(mut self, is_kept: fn(&V) -> bool) -> Self {
        self.rule.is_kept = is_kept;
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

    pub(crate) fn forget(&self, key: &K) {
        self.entries().remove(key);
    }

    fn entries(&self) -> MutexGuard<'_, Entries<K, V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Entries<K, V> {
    fn get(&mut self, key: &K, rule: &Rule<V>) -> Option<V> {
        let entry = self.lru.get_mut(key)?;
        let age = entry.since.elapsed();
        let is_over = match rule.lifetime {
            Lifetime::Unlimited => false,
            Lifetime::Inserted(time) => age >= time,
            Lifetime::Used(time) => {
                entry.since = Instant::now();
                age >= time
            }
        };
        if is_over && !(rule.is_kept)(&entry.value) {
            self.remove(key);
            return None;
        }
        Some(entry.value.clone())
    }

    fn insert(&mut self, key: K, value: V, weight: u64, capacity: u64, rule: &Rule<V>) {
        self.weight += weight;
        if let Some(old) = self.lru.put(key, Entry { value, weight, since: Instant::now() }) {
            self.weight -= old.weight;
        }
        while self.weight > capacity {
            let mut oldest_first = self.lru.iter().rev();
            let forgotten = oldest_first.find(|(_, entry)| !(rule.is_kept)(&entry.value));
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

impl<K, V> fmt::Debug for Memory<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn what_was_used_longest_ago_is_forgotten_first() {
        let memory = Memory::new(3, Lifetime::Unlimited);
        for key in ["a", "b", "c"] {
            memory.insert(key, 1, 1);
        }
        assert_eq!(memory.get(&"a"), Some(1));
        memory.insert("d", 1, 1);
        assert_eq!(["a", "b", "c", "d"].map(|key| memory.get(&key)), [Some(1), None, Some(1), Some(1)]);
    }

    #[test]
    fn weights_count_and_a_value_replaced_weighs_nothing() {
        let memory = Memory::new(10, Lifetime::Unlimited);
        memory.insert("a", 1, 6);
        memory.insert("a", 2, 4);
        memory.insert("b", 3, 6);
        assert_eq!((memory.get(&"a"), memory.get(&"b")), (Some(2), Some(3)));
        memory.forget(&"b");
        memory.insert("c", 4, 6);
        assert_eq!((memory.get(&"a"), memory.get(&"b"), memory.get(&"c")), (Some(2), None, Some(4)));
        memory.insert("d", 5, 11);
        assert_eq!(["a", "c", "d"].map(|key| memory.get(&key)), [None; 3], "too heavy, for itself too");
        assert_eq!(memory.entries().weight, 0);
    }

    #[test]
    fn entries_are_remembered_for_a_time() {
        let none = Memory::new(10, Lifetime::Inserted(Duration::ZERO));
        none.insert("a", 1, 1);
        assert_eq!((none.get(&"a"), none.entries().weight), (None, 0));
        let inserted = Memory::new(10, Lifetime::Inserted(LONG));
        let used = Memory::new(10, Lifetime::Used(LONG));
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
        let memory = Memory::new(2, Lifetime::Used(Duration::ZERO)).keeping(|value| *value > 10);
        for (key, value) in [("a", 11), ("b", 1), ("c", 12), ("d", 13)] {
            memory.insert(key, value, 1);
        }
        assert_eq!(["a", "b", "c", "d"].map(|key| memory.get(&key)), [Some(11), None, Some(12), Some(13)]);
        assert_eq!(memory.entries().weight, 3);
    }

    #[test]
    fn the_first_to_insert_wins() {
        let memory = Memory::new(10, Lifetime::Unlimited);
        assert_eq!((memory.get_or_insert("a", 1, 1), memory.get_or_insert("a", 2, 1)), (1, 1));
        assert_eq!(memory.get(&"a"), Some(1));
    }
}
