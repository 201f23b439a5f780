//! What an instance logs, and how.

use std::{collections::BTreeMap, fmt};

use tracing::level_filters::LevelFilter;

use super::source::shown;

/// The section `log` of distribution's configuration, for one instance.
///
/// It takes effect if the host has put a layer of this crate into its subscriber; nothing here sets one up.
/// `Debug` shows no value of a field.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogSettings {
    /// `log.level`; `None` leaves it to the host.
    pub level: Option<LevelFilter>,
    /// `log.formatter`.
    pub formatter: LogFormatter,
    /// `log.fields`: fields in every line of the instance.
    pub fields: BTreeMap<String, String>,
}

/// The form of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormatter {
    /// `text`: `time="…" level=info msg="…" key=value`.
    #[default]
    Text,
    /// `json`: one object per line, with `time`, `level` and `msg`.
    Json,
    /// `logstash`: one object per line, with `@timestamp`, `@version`, `level`, `message` and `type`.
    Logstash,
}

impl fmt::Debug for LogSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: BTreeMap<_, _> =
            self.fields.keys().map(|name| (shown(name), format_args!("…"))).collect();
        f.debug_struct("LogSettings")
            .field("level", &self.level)
            .field("formatter", &self.formatter)
            .field("fields", &fields)
            .finish()
    }
}

impl LogSettings {
    /// Sets [`level`](Self::level).
    #[must_use]
    pub fn with_level(mut self, level: LevelFilter) -> Self {
        self.level = Some(level);
        self
    }

    /// Sets [`formatter`](Self::formatter).
    #[must_use]
    pub fn with_formatter(mut self, formatter: LogFormatter) -> Self {
        self.formatter = formatter;
        self
    }

    /// Adds one of [`fields`](Self::fields).
    #[must_use]
    pub fn with_field(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }
}
