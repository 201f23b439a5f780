//! Where a setting comes from.

use std::fmt;

use plugin_registry_core::{shown_name, shown_words};

/// Where a setting was found.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A line of the file, counted from 1.
    Line(usize),
    /// The name of a variable, or of a place that is neither line nor variable.
    Named(String),
}

/// A key that has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ignored {
    /// Its path, such as `http.tls`.
    pub key: String,
    /// Where it was found.
    pub source: Source,
    /// Why it is ignored.
    pub reason: &'static str,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            // A variable, or a location with its namespace.
            Self::Named(name) => {
                f.write_str(shown_words(name, "._- /").unwrap_or("a variable whose name is not shown"))
            }
        }
    }
}

/// Shown as by `Display`: the name of a variable may hold a misplaced secret.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} is ignored: {}", self.source, self.key, self.reason)
    }
}

/// Returns a key for a message, if it is written like one: anything else may be a misplaced secret.
pub(crate) fn shown(name: &str) -> &str {
    if name.is_empty() { name } else { shown_name(name).unwrap_or("…") }
}
