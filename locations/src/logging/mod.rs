//! Logs of several registries in one process, each at its own level.
//!
//! Everything that a registry does happens in a span with the fields `location` and `instance`
//! ([`RegistryBuilder::identity`](plugin_registry::RegistryBuilder::identity)). An event belongs to the instance of the
//! nearest span around it that has an `instance`, whether it comes from the registry, a driver or an SDK.
//! [`InstanceLogs`] knows the [`LogSettings`] of each instance and turns them into
//!
//! - `InstanceLogs::filter`, for a layer of the host: its form of lines, the instance's level;
//! - `InstanceLogs::layer`, for lines in the form of CNCF distribution.
//!
//! Both need the feature `logging`. Nothing here sets a subscriber, and nothing is global: the host composes
//! its own, and a process may hold several tables.
#![cfg_attr(not(feature = "logging"), doc = "```ignore")]
#![cfg_attr(feature = "logging", doc = "```")]
//! use plugin_registry::Registry;
//! use plugin_registry_locations::{config::LogSettings, logging::InstanceLogs};
//! use plugin_registry_drivers_memory::MemoryDriver;
//! use tracing_subscriber::{filter::LevelFilter, prelude::*};
//!
//! let logs = InstanceLogs::new();
//! let host = tracing_subscriber::fmt::layer().with_filter(logs.filter(LevelFilter::WARN));
//! let subscriber = tracing_subscriber::registry().with(host); // the host calls `.init()`
//! # tracing::subscriber::with_default(subscriber, || {
//!
//! let settings = LogSettings::default().with_level(LevelFilter::DEBUG);
//! let log = logs.insert("registry-memory-1", settings); // as long as it lives
//! let registry = Registry::builder(MemoryDriver::new()).identity("velero/a", "registry-memory-1").build();
//! // …
//! log.set_level(LevelFilter::INFO);
//! # assert_eq!(logs.max_level(), Some(LevelFilter::INFO));
//! # drop((registry, log));
//! # assert_eq!(logs.max_level(), None);
//! # });
//! ```
//!
//! # Levels
//!
//! | The event is | The level is |
//! |---|---|
//! | in a span of an instance that has a level | that level |
//! | in a span of an instance without a level, or of one that is not in the table | the level that the host passed to `filter` |
//! | in no such span, or on a thread or in a task that the span was not carried to | the level that the host passed to `filter` |
//!
//! A span asks the table when it is made, so insert an instance before its registry is used. It asks again only
//! if its `instance` is recorded later. A changed level takes effect at once, also in open spans. Spans that
//! have an `instance` always pass, others as the level around them allows. A span that does not pass is not
//! seen: what happens in it belongs to the spans around it on that thread.
//!
//! # Cost
//!
//! Tracing drops events that are more verbose than any subscriber wants at the cost of one comparison. That
//! stays so: the filter asks for the most verbose of the host's level and those of the instances, and at least
//! for `info`, the level of a registry's spans. For events up to that verbosity, tracing asks each time, in the whole process. That costs a call into the subscriber and a
//! walk over the spans around the event, up to the first that has an instance. So one instance at `debug` makes
//! all `debug` events of the process cost that much, until its level changes or it is removed. With no level
//! above `info`, they cost only the comparison.
//!
//! Each time this most verbose level changes, by an insert, a removal or [`InstanceLog::set_level`], tracing
//! asks all subscribers about all callsites again, twice. That takes time with their number and a lock of the
//! process. Other changes do not cause it, nor does a table from which no filter or layer was ever made.
//!
//! In memory, an instance takes its settings and about 200 bytes.

#[cfg(feature = "logging")]
mod fields;
#[cfg(feature = "logging")]
mod filter;
#[cfg(feature = "logging")]
mod interest;
#[cfg(feature = "logging")]
mod layer;
#[cfg(feature = "logging")]
mod line;
#[cfg(feature = "logging")]
mod quote;
#[cfg(feature = "logging")]
mod scope;
mod table;

use std::sync::Arc;

use tracing::level_filters::LevelFilter;

#[cfg(feature = "logging")]
pub use self::filter::InstanceFilter;
use self::table::{Entry, Table};
use crate::config::LogSettings;

/// The table of instances and how each of them logs. Cloning is cheap and shares everything.
/// See [the module](self).
///
/// A pool fills it, or the host itself. It also exists without the feature `logging`.
#[derive(Clone, Debug, Default)]
pub struct InstanceLogs {
    table: Arc<Table>,
}

/// An instance's place in [`InstanceLogs`]. Dropping it removes the instance. Later events of the instance
/// belong to the host, at the host's level.
#[derive(Debug)]
#[must_use = "dropping it removes the instance"]
pub struct InstanceLog {
    table: Arc<Table>,
    instance: Arc<str>,
    entry: Arc<Entry>,
}

impl InstanceLogs {
    /// Makes a table without instances.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an instance under the name that its spans have in the field `instance`.
    ///
    /// Names are unique. Of two instances with the same name the later one counts, and dropping the earlier one
    /// changes nothing.
    pub fn insert(&self, instance: impl Into<Arc<str>>, settings: LogSettings) -> InstanceLog {
        let instance = instance.into();
        let entry = self.table.insert(instance.clone(), settings);
        InstanceLog { table: self.table.clone(), instance, entry }
    }

    /// Returns how an instance logs now, or `None` if there is none of this name.
    #[must_use]
    pub fn get(&self, instance: &str) -> Option<LogSettings> {
        let entry = self.table.get(instance)?;
        let mut settings = entry.settings().clone();
        settings.level = entry.level();
        Some(settings)
    }

    /// Returns the most verbose level of the instances, or `None` if none has a level.
    #[must_use]
    pub fn max_level(&self) -> Option<LevelFilter> {
        self.table.max_level()
    }

    /// Makes a filter for a layer of the host.
    ///
    /// `host` is the level of everything that belongs to no instance, and of instances without their own level.
    /// Use the filter whole: joined by `and` with a filter that drops the spans of instances, it cannot tell
    /// which instance an event belongs to.
    #[cfg(feature = "logging")]
    #[must_use]
    pub fn filter(&self, host: impl Into<LevelFilter>) -> InstanceFilter {
        InstanceFilter::new(self.table.clone(), host.into())
    }

    /// Makes a layer that writes the lines of instances in the form of CNCF distribution.
    ///
    /// Each instance's lines follow its [`formatter`](LogSettings::formatter). Events of no instance are left
    /// to other layers. An instance without a level logs from `info` on, as distribution does.
    ///
    /// A line has the fields of the event, of the spans around it and of [`LogSettings::fields`], in the order
    /// of their names. Of equal names the event's wins, then the innermost span's. A field whose name is one of
    /// the line's own (`time`, `level`, `msg`, `logrus_error`; `@timestamp`, `@version`, `level`, `message`)
    /// gets the prefix `fields.`. Times are UTC with nine digits of the second. Characters that could begin a
    /// line or control a terminal are escaped, in names as in values.
    ///
    /// Each line is one write to the writer, made on the thread of the event, which waits for it. A line is
    /// held in memory as a whole. A write that fails is lost silently. The fields of an open span are held as
    /// text until it ends.
    #[cfg(feature = "logging")]
    pub fn layer<S, W>(
        &self,
        writer: W,
    ) -> impl tracing_subscriber::Layer<S> + Send + Sync + 'static + use<S, W>
    where
        S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
        W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
    {
        let filter = InstanceFilter::new(self.table.clone(), LevelFilter::INFO);
        tracing_subscriber::Layer::with_filter(layer::Lines::new(self.table.clone(), writer), filter)
    }
}

impl InstanceLog {
    /// Returns the name.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Returns the level; `None` leaves it to the host.
    #[must_use]
    pub fn level(&self) -> Option<LevelFilter> {
        self.entry.level()
    }

    /// Changes the level. It takes effect at once, also in open spans.
    pub fn set_level(&self, level: impl Into<Option<LevelFilter>>) {
        self.table.set_level(&self.entry, level.into());
    }
}

impl Drop for InstanceLog {
    fn drop(&mut self) {
        self.table.remove(&self.instance, &self.entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_there_as_long_as_its_guard() {
        let logs = InstanceLogs::new();
        let settings = LogSettings::default().with_level(LevelFilter::WARN).with_field("cluster", "a");
        let log = logs.clone().insert("one", settings.clone());
        assert_eq!(logs.get("one"), Some(settings.clone()));
        assert_eq!((log.instance(), log.level()), ("one", Some(LevelFilter::WARN)));
        log.set_level(LevelFilter::TRACE);
        assert_eq!(logs.get("one"), Some(settings.with_level(LevelFilter::TRACE)));
        log.set_level(None);
        assert_eq!((log.level(), logs.max_level()), (None, None));
        drop(log);
        assert_eq!(logs.get("one"), None);
    }

    #[test]
    fn of_two_with_one_name_the_later_counts() {
        let logs = InstanceLogs::new();
        let earlier = logs.insert("one", LogSettings::default().with_level(LevelFilter::DEBUG));
        let later = logs.insert("one", LogSettings::default().with_level(LevelFilter::WARN));
        assert_eq!(logs.max_level(), Some(LevelFilter::WARN));
        drop(earlier);
        assert_eq!(logs.get("one").unwrap().level, Some(LevelFilter::WARN));
        drop(later);
        assert_eq!(logs.get("one"), None);
    }
}
