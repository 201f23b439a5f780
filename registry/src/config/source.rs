//! Where a setting comes from.

use std::fmt;

/// The longest name that a message repeats.
const MAX_SHOWN: usize = 128;

/// Where a setting was found.
#[derive(Clone, Debug, PartialEq, Eq)]
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
            Self::Named(name) => f.write_str(&shown(name)),
        }
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} is ignored: {}", self.source, self.key, self.reason)
    }
}

/// A name for a message.
pub(super) fn shown(name: &str) -> String {
    name.escape_debug().take(MAX_SHOWN).collect()
}
