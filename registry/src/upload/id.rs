//! The names of upload sessions.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// The identifier of an upload session: a UUID in its canonical form. Ours are of version 7. Those of other
/// programs (version 4 of distribution 2.8) are read too.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId(Uuid);

/// Text that is not the identifier of an upload session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an upload session is identified by a UUID in lower case with hyphens")]
pub struct UploadIdError;

impl UploadId {
    /// Generates a new identifier.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl FromStr for UploadId {
    type Err = UploadIdError;

    fn from_str(text: &str) -> Result<Self, UploadIdError> {
        // Accept only the spelling that paths use: no braces, no upper case.
        let id = Uuid::try_parse(text).ok().filter(|id| id.as_hyphenated().to_string() == text);
        id.map(Self).ok_or(UploadIdError)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0.as_hyphenated(), f)
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
