//! Logs of several registries in one process, each at its own level. Every subscriber here is scoped.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test: a failed check is a panic of it")]

mod attribution;
mod copies;
mod events;
mod levels;
mod lines;
mod operations;
mod real;
mod spoken;
mod storage;

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use plugin_registry_locations::{
    config::LogSettings,
    logging::{InstanceLog, InstanceLogs},
};
use tracing::{Dispatch, Span, dispatcher};
use tracing_subscriber::{filter::LevelFilter, fmt, prelude::*};

/// The output of the layers.
#[derive(Clone, Debug, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

/// A table, and a host whose own layer has its filter at WARN.
struct Host {
    logs: InstanceLogs,
    output: Output,
    dispatch: Dispatch,
}

impl Output {
    /// The lines so far, which are then gone.
    fn take(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(bytes).unwrap().lines().map(|line| line.trim().to_owned()).collect()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Host {
    /// Lines of the host's own layer, such as `WARN instance{instance="a"}: target: text`.
    fn with_filter() -> Self {
        let (logs, output) = (InstanceLogs::new(), Output::default());
        let writer = output.clone();
        let layer = fmt::layer().with_writer(move || writer.clone()).with_ansi(false).without_time();
        let layer = layer.with_target(false).with_filter(logs.filter(LevelFilter::WARN));
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        Self { logs, output, dispatch }
    }

    /// Lines in distribution's forms.
    fn with_layer() -> Self {
        let (logs, output) = (InstanceLogs::new(), Output::default());
        let writer = output.clone();
        let layer = logs.layer(move || writer.clone());
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        Self { logs, output, dispatch }
    }

    fn insert(&self, instance: &str, level: LevelFilter) -> InstanceLog {
        self.logs.insert(instance, LogSettings::default().with_level(level))
    }

    fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        dispatcher::with_default(&self.dispatch, work)
    }
}

/// The span of an operation, as the registry makes it.
fn operation(instance: &str) -> Span {
    tracing::info_span!("operation", location = "velero/default", instance)
}

/// A line without its time.
fn timeless(line: &str) -> String {
    let (_, rest) = line.strip_prefix("time=\"").and_then(|line| line.split_once("\" ")).unwrap();
    rest.to_owned()
}
