//! The layer that writes distribution's lines.

use std::{io::Write, sync::Arc};

use jiff::Timestamp;
use tracing::{
    Event, Subscriber,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    fmt::MakeWriter,
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

use super::{fields::Fields, line::Line, scope::nearest, table::Table};

/// Writes the events of instances. The filter in front of it decides at which level.
pub(super) struct Lines<W> {
    table: Arc<Table>,
    writer: W,
}

/// The fields of an open span. They are the same for every such layer of a subscriber.
struct SpanFields(Arc<Fields>);

impl<W> Lines<W> {
    pub(super) fn new(table: Arc<Table>, writer: W) -> Self {
        Self { table, writer }
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().replace(SpanFields(Arc::new(fields)));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        // Values are formatted before the lock is taken, since their code may do anything.
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(SpanFields(known)) = span.extensions_mut().get_mut() {
            Arc::make_mut(known).0.extend(fields.0);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(entry) = nearest(&self.table, context.event_span(event)) else { return };
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.take_message();
        let spans = fields_around(context.event_span(event));
        let mut line = Line::new(Timestamp::now(), *event.metadata().level(), &message);
        let settings = entry.settings();
        line.add_settings(&settings.fields);
        for outer in &spans {
            line.add(outer);
        }
        line.add(&fields);
        let text = line.format(settings.formatter);
        // A log that cannot be written has no place to report that.
        let _ = self.writer.make_writer_for(event.metadata()).write_all(text.as_bytes());
    }
}

/// The fields of the spans, from the root to `span`.
fn fields_around<S>(span: Option<SpanRef<'_, S>>) -> Vec<Arc<Fields>>
where
    S: for<'a> LookupSpan<'a>,
{
    let Some(span) = span else { return Vec::new() };
    let fields = |span: SpanRef<'_, S>| {
        let extensions = span.extensions();
        extensions.get().map(|SpanFields(fields)| fields.clone())
    };
    span.scope().from_root().filter_map(fields).collect()
}
