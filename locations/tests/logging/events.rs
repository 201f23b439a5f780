//! Collects events with all that they say, and the spans that they are in.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
};

use futures::executor::block_on;
use plugin_registry_locations::{
    config::LogSettings,
    logging::{InstanceLog, InstanceLogs},
};
use tracing::{
    Dispatch, Event, Level, Subscriber, dispatcher,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{Layer, filter::LevelFilter, layer::Context, prelude::*, registry::LookupSpan};

/// Fields by name.
pub(crate) type Fields = BTreeMap<String, String>;

#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) level: Level,
    pub(crate) target: &'static str,
    pub(crate) fields: Fields,
    /// From the innermost one outwards.
    pub(crate) spans: Vec<(&'static str, Fields)>,
}

/// A subscriber with an instance filter, whose own level is WARN.
pub(crate) struct Listener {
    pub(crate) logs: InstanceLogs,
    dispatch: Dispatch,
    seen: Collected,
}

#[derive(Clone, Default)]
struct Collected {
    events: Arc<Mutex<Vec<Seen>>>,
    loud_spans: Arc<Mutex<Vec<&'static str>>>,
}

#[derive(Default)]
struct Visited(Fields);

impl Listener {
    pub(crate) fn new() -> Self {
        let (logs, seen) = (InstanceLogs::new(), Collected::default());
        let layer = seen.clone().with_filter(logs.filter(LevelFilter::WARN));
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        Self { logs, dispatch, seen }
    }

    pub(crate) fn insert(&self, instance: &str, level: LevelFilter) -> InstanceLog {
        self.logs.insert(instance, LogSettings::default().with_level(level))
    }

    pub(crate) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        dispatcher::with_default(&self.dispatch, || block_on(work))
    }

    /// The events so far, which are then gone.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.events.lock().unwrap())
    }

    /// The spans so far that were more than routine.
    pub(crate) fn loud_spans(&self) -> Vec<&'static str> {
        self.seen.loud_spans.lock().unwrap().clone()
    }
}

impl Seen {
    pub(crate) fn message(&self) -> &str {
        &self.fields["message"]
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Collected {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let mut visited = Visited::default();
        attributes.record(&mut visited);
        span.extensions_mut().insert(visited);
        if *span.metadata().level() < Level::INFO {
            self.loud_spans.lock().unwrap().push(span.name());
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut visited = Visited::default();
        event.record(&mut visited);
        let scope = context.event_scope(event).into_iter().flatten();
        let spans = scope.map(|span| (span.name(), span.extensions().get::<Visited>().unwrap().0.clone()));
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        let seen = Seen { level, target, fields: visited.0, spans: spans.collect() };
        self.events.lock().unwrap().push(seen);
    }
}

impl Visit for Visited {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}
