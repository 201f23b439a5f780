//! A level that rises on a thread without a subscriber, while the only subscriber of the process is scoped to
//! another. Alone in its process: more subscribers would hide what this shows.

#![allow(clippy::unwrap_used, reason = "a test: a failed check is a panic of it")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use plugin_registry_locations::{config::LogSettings, logging::InstanceLogs};
use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, filter::LevelFilter, layer::Context, prelude::*};

#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl<S: Subscriber> Layer<S> for Count {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn the_subscriber_of_another_thread_is_asked_too() {
    let (logs, count) = (InstanceLogs::new(), Count::default());
    let subscriber =
        tracing_subscriber::registry().with(count.clone().with_filter(logs.filter(LevelFilter::WARN)));
    let elsewhere = |level| {
        let insert = || logs.insert("one", LogSettings::default().with_level(level));
        thread::scope(|scope| scope.spawn(insert).join().unwrap())
    };
    let log = |expected: usize| {
        let before = count.0.load(Ordering::Relaxed);
        tracing::info_span!("operation", instance = "one").in_scope(|| {
            tracing::debug!("debug");
            tracing::warn!("warn");
        });
        assert_eq!(count.0.load(Ordering::Relaxed) - before, expected);
    };
    tracing::subscriber::with_default(subscriber, || {
        log(1);
        // Events more verbose than every level and than spans are dropped without asking the filter.
        assert_eq!(LevelFilter::current(), LevelFilter::INFO);
        let one = elsewhere(LevelFilter::DEBUG);
        assert_eq!(LevelFilter::current(), LevelFilter::DEBUG);
        log(2);
        thread::scope(|scope| scope.spawn(|| one.set_level(LevelFilter::ERROR)).join().unwrap());
        assert_eq!(LevelFilter::current(), LevelFilter::INFO);
        log(0);
        one.set_level(LevelFilter::TRACE);
        assert_eq!(LevelFilter::current(), LevelFilter::TRACE);
        log(2);
        thread::scope(|scope| scope.spawn(|| drop(one)).join().unwrap());
        assert_eq!(LevelFilter::current(), LevelFilter::INFO);
        log(1);
    });
}
