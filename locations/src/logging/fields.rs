//! Fields of events and spans, as text.

use std::{collections::BTreeMap, fmt};

use tracing::field::{Field, Visit};

/// A value as it appears in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A number or a Boolean: the same in every form.
    Bare(String),
    /// Anything else, not yet quoted.
    Text(String),
}

/// Fields by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(pub(super) BTreeMap<&'static str, Value>);

impl Fields {
    /// Removes and returns the message of an event.
    pub(super) fn take_message(&mut self) -> String {
        match self.0.remove("message") {
            Some(Value::Bare(text) | Value::Text(text)) => text,
            None => String::new(),
        }
    }

    fn insert(&mut self, field: &Field, value: Value) {
        let name = field.name();
        self.0.insert(name.strip_prefix("r#").unwrap_or(name), value);
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        let text = value.to_string();
        // JSON has no infinity.
        self.insert(field, if value.is_finite() { Value::Bare(text) } else { Value::Text(text) });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, Value::Bare(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, Value::Bare(value.to_string()));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.insert(field, Value::Bare(value.to_string()));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.insert(field, Value::Bare(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, Value::Bare(value.to_string()));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, Value::Text(value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, Value::Text(format!("{value:?}")));
    }
}
