//! Warnings about settings.

use std::fmt;

/// A setting that is not a mistake, but probably not what a user wants. The registry still works.
///
/// [`Display`](fmt::Display) says which setting it is, and what it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// What it is about.
    pub kind: WarningKind,
    text: String,
}

/// What a [`Warning`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WarningKind {
    /// The prefix of Velero's own files gets in the way of the images, or the images get in Velero's way.
    Prefix,
    /// The location is read-only, so no backup can be made.
    ReadOnly,
    /// Any certificate is accepted.
    AnyCertificate,
    /// An endpoint is used over http, and it is another machine.
    Cleartext,
    /// The region is missing, without which other software refuses the location.
    NoRegion,
}

impl Warning {
    pub(crate) fn new(kind: WarningKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
