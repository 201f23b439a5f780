//! The level of each instance, as a filter.

use std::sync::Arc;

use tracing::{
    Event, Metadata, Subscriber,
    field::Visit,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};
use tracing_subscriber::{
    layer::{Context, Filter},
    registry::{LookupSpan, SpanRef},
};

use super::{
    scope::{InstanceName, nearest},
    table::Table,
};

/// Lets through what an instance's level allows and, for everything else, what the host's level allows.
///
/// Made by [`InstanceLogs::filter`](super::InstanceLogs::filter); see [the module](super) for its cost. It may
/// be used on several layers of one subscriber, also with different host levels.
#[derive(Clone, Debug)]
pub struct InstanceFilter {
    table: Arc<Table>,
    host: LevelFilter,
}

impl InstanceFilter {
    pub(super) fn new(table: Arc<Table>, host: LevelFilter) -> Self {
        table.set_filtered();
        Self { table, host }
    }

    fn max_level(&self) -> LevelFilter {
        self.table.max_level().map_or(self.host, |level| level.max(self.host))
    }

    /// Returns the level that applies in `span`.
    fn level_in<S>(&self, span: Option<SpanRef<'_, S>>) -> LevelFilter
    where
        S: for<'a> LookupSpan<'a>,
    {
        nearest(&self.table, span).and_then(|entry| entry.level()).unwrap_or(self.host)
    }

    fn mark<S>(&self, id: &Id, context: &Context<'_, S>, record: impl FnOnce(&mut dyn Visit))
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Some(span) = context.span(id) else { return };
        if InstanceName::is_in(span.metadata()) {
            let mut name = InstanceName::default();
            record(&mut name);
            name.mark(&span, &self.table);
        }
    }
}

impl<S> Filter<S> for InstanceFilter
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        if !metadata.is_span() {
            // The instance depends on the parent that the event may name, which only `event_enabled` knows.
            return *metadata.level() <= self.max_level();
        }
        // A parent that a new span names is not known here either, so the level is that of the current span. At
        // worst, lines lack the fields of a span or have them needlessly.
        InstanceName::is_in(metadata) || *metadata.level() <= self.level_in(context.lookup_current())
    }

    /// Never cached: instances of different levels share a callsite.
    fn callsite_enabled(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn event_enabled(&self, event: &Event<'_>, context: &Context<'_, S>) -> bool {
        *event.metadata().level() <= self.level_in(context.event_span(event))
    }

    /// At least the level of the spans of registries, which have to be made for whatever is heard in them.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.max_level().max(LevelFilter::INFO))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.mark(id, &context, |visitor| attributes.record(visitor));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.mark(id, &context, |visitor| values.record(visitor));
    }
}
