//! Finds the instance of an event by marks on the spans that have a field `instance`.

use std::{fmt, sync::Arc};

use tracing::{
    Metadata,
    field::{Field, Visit},
};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::table::{Entry, Table};

const INSTANCE: &str = "instance";

/// A subscriber's tables' data about a span. Usually there is one table.
struct Marks(Vec<Mark>);

struct Mark {
    table: Arc<Table>,
    /// `None` if the table has no such instance.
    entry: Option<Arc<Entry>>,
}

/// The text of the field `instance`, if it has one.
#[derive(Default)]
pub(super) struct InstanceName(Option<String>);

impl InstanceName {
    /// Whether spans of this callsite can have an instance.
    pub(super) fn is_in(metadata: &Metadata<'_>) -> bool {
        metadata.fields().field(INSTANCE).is_some()
    }

    /// Marks `span`. A field without a value, as in a registry without a name, counts as no field.
    pub(super) fn mark<S>(self, span: &SpanRef<'_, S>, table: &Arc<Table>)
    where
        S: for<'a> LookupSpan<'a>,
    {
        let Some(name) = self.0 else { return };
        let mark = Mark { table: table.clone(), entry: table.get(&name) };
        let mut extensions = span.extensions_mut();
        match extensions.get_mut::<Marks>() {
            None => extensions.insert(Marks(vec![mark])),
            Some(Marks(marks)) => {
                // The filters of one table share the mark.
                marks.retain(|other| !Arc::ptr_eq(&other.table, table));
                marks.push(mark);
            }
        }
    }
}

impl Visit for InstanceName {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == INSTANCE {
            self.0 = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == INSTANCE {
            self.0 = Some(format!("{value:?}"));
        }
    }
}

/// Returns the instance of the nearest span that has one, from `span` outwards, if the table has it.
pub(super) fn nearest<S>(table: &Arc<Table>, span: Option<SpanRef<'_, S>>) -> Option<Arc<Entry>>
where
    S: for<'a> LookupSpan<'a>,
{
    span?.scope().find_map(|span| {
        let extensions = span.extensions();
        let Marks(marks) = extensions.get()?;
        let mark = marks.iter().find(|mark| Arc::ptr_eq(&mark.table, table))?;
        Some(mark.entry.clone().filter(|entry| !entry.is_gone()))
    })?
}
