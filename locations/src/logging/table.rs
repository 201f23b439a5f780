//! The instances and the level of each.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU8, Ordering},
    },
};

use tracing::level_filters::LevelFilter;

use crate::config::LogSettings;

/// The level of an entry whose guard is gone.
const GONE: u8 = u8::MAX;

type Entries = HashMap<Arc<str>, Arc<Entry>>;

/// The state that all clones of a table and its filters share.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: RwLock<Entries>,
    /// The most verbose level in `entries`: read at every event, so not under the lock.
    max: AtomicU8,
    /// Whether anything reads `max`, so that tracing has to know when it changes.
    #[cfg(feature = "logging")]
    filtered: std::sync::atomic::AtomicBool,
}

/// One instance. Open spans hold it, so it outlives its place in the table.
#[derive(Debug)]
pub(super) struct Entry {
    level: AtomicU8,
    settings: LogSettings,
}

impl Table {
    pub(super) fn insert(&self, instance: Arc<str>, settings: LogSettings) -> Arc<Entry> {
        let entry = Arc::new(Entry { level: AtomicU8::new(encode(settings.level)), settings });
        self.change(|entries| {
            entries.insert(instance, entry.clone());
        });
        entry
    }

    /// Removes `entry`, unless another entry has taken its place under that name.
    pub(super) fn remove(&self, instance: &str, entry: &Arc<Entry>) {
        self.change(|entries| {
            entry.level.store(GONE, Ordering::Relaxed);
            if entries.get(instance).is_some_and(|found| Arc::ptr_eq(found, entry)) {
                entries.remove(instance);
            }
        });
    }

    pub(super) fn set_level(&self, entry: &Entry, level: Option<LevelFilter>) {
        self.change(|_| entry.level.store(encode(level), Ordering::Relaxed));
    }

    pub(super) fn get(&self, instance: &str) -> Option<Arc<Entry>> {
        self.read().get(instance).cloned()
    }

    /// Returns the most verbose level of the instances, or `None` if none has a level.
    pub(super) fn max_level(&self) -> Option<LevelFilter> {
        decode(self.max.load(Ordering::SeqCst))
    }

    /// From now on, the table tells tracing when the most verbose level changes.
    ///
    /// Tracing asks for that level when a subscriber is made, which happens after this. Since both are in one
    /// order, either the subscriber sees a change, or the change sees this flag.
    #[cfg(feature = "logging")]
    pub(super) fn set_filtered(&self) {
        self.filtered.store(true, Ordering::SeqCst);
    }

    fn change(&self, change: impl FnOnce(&mut Entries)) {
        let mut entries = self.write();
        change(&mut entries);
        let max = entries.values().map(|entry| entry.level.load(Ordering::Relaxed)).max().unwrap_or(0);
        let has_changed = self.max.swap(max, Ordering::SeqCst) != max;
        // Tracing now asks the filters, which read this table.
        drop(entries);
        if has_changed {
            self.tell();
        }
    }

    #[cfg(feature = "logging")]
    fn tell(&self) {
        if self.filtered.load(Ordering::SeqCst) {
            super::interest::rebuild();
        }
    }

    #[cfg(not(feature = "logging"))]
    fn tell(&self) {}

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    pub(super) fn level(&self) -> Option<LevelFilter> {
        decode(self.level.load(Ordering::Relaxed))
    }

    /// Returns the settings as they were inserted, with the level of that time.
    pub(super) fn settings(&self) -> &LogSettings {
        &self.settings
    }

    #[cfg(feature = "logging")]
    pub(super) fn is_gone(&self) -> bool {
        self.level.load(Ordering::Relaxed) == GONE
    }
}

/// Returns a number that grows with verbosity; no level is the smallest.
fn encode(level: Option<LevelFilter>) -> u8 {
    let Some(level) = level else { return 0 };
    match level.into_level() {
        None => 1,
        Some(tracing::Level::ERROR) => 2,
        Some(tracing::Level::WARN) => 3,
        Some(tracing::Level::INFO) => 4,
        Some(tracing::Level::DEBUG) => 5,
        Some(tracing::Level::TRACE) => 6,
    }
}

fn decode(level: u8) -> Option<LevelFilter> {
    match level {
        1 => Some(LevelFilter::OFF),
        2 => Some(LevelFilter::ERROR),
        3 => Some(LevelFilter::WARN),
        4 => Some(LevelFilter::INFO),
        5 => Some(LevelFilter::DEBUG),
        6 => Some(LevelFilter::TRACE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_ordered_by_verbosity_and_come_back() {
        let levels = [
            None,
            Some(LevelFilter::OFF),
            Some(LevelFilter::ERROR),
            Some(LevelFilter::WARN),
            Some(LevelFilter::INFO),
            Some(LevelFilter::DEBUG),
            Some(LevelFilter::TRACE),
        ];
        assert!(levels.is_sorted_by_key(|level| encode(*level)));
        assert_eq!(levels.map(encode).map(decode), levels);
        assert_eq!(decode(GONE), None);
    }

    #[test]
    fn the_most_verbose_level_follows_every_change() {
        let table = Table::default();
        let settings = |level| LogSettings::default().with_level(level);
        assert_eq!(table.max_level(), None);
        let quiet = table.insert("a".into(), settings(LevelFilter::WARN));
        let loud = table.insert("b".into(), settings(LevelFilter::DEBUG));
        assert_eq!(table.max_level(), Some(LevelFilter::DEBUG));
        table.set_level(&quiet, Some(LevelFilter::TRACE));
        assert_eq!(table.max_level(), Some(LevelFilter::TRACE));
        table.set_level(&quiet, None);
        assert_eq!(table.max_level(), Some(LevelFilter::DEBUG));
        table.remove("b", &loud);
        assert_eq!(table.max_level(), None);
    }
}
