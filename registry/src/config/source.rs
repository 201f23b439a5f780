//! Where a setting comes from.

use std::fmt;

use plugin_registry_core::{shown_name, shown_words};

/// Where a setting was found.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A line of the file, from 1.
    Line(usize),
    /// The name of a variable, or of a place that is neither.
    Named(String),
}

/// A key that changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ignored {
    /// Its path, such as `http.tls`.
    pub key: String,
    /// Where it is.
    pub source: Source,
    /// Why.
    pub reason: &'static str,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            // A variable, or a location with its namespace.
            Self::Named(name) => {
                f.write_str(shown_words(name, "._- /").unwrap_or("a variable that is not named like one"))
            }
        }
    }
}

/// As it is shown: the name of a variable may hold a secret that stands in the wrong place.
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

/// A key for a message, if it is written like one: anything else may be a secret in the wrong place.
pub(super) fn shown(name: &str) -> &str {
    if name.is_empty() { name } else { shown_name(name).unwrap_or("…") }
}
