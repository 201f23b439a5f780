//! What a closed writer leaves: invisible bytes that another writer may continue.

use std::{fmt, time::SystemTime};

use crate::{digest::Digest, path::StoragePath};

/// The identity of staged bytes: those of one close, and no others.
///
/// A caller that remembers something about them, such as a hash, knows by it whether they are still the same
/// (ADR 0039).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StageId(String);

impl StageId {
    /// Makes an identity from data that is unique for these bytes in their store.
    ///
    /// The data may be a secret, such as the URL of an upload session: only its hash is kept.
    #[must_use]
    pub fn of(raw: impl AsRef<[u8]>) -> Self {
        Self(Digest::sha256(raw.as_ref()).hex().chars().take(32).collect())
    }

    /// Returns the identity as 32 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Staged bytes, from [`FileWriter::close`](crate::FileWriter::close) or
/// [`StorageDriver::find_staged`](crate::StorageDriver::find_staged).
///
/// It is a value: an operation on it applies to exactly these bytes, or is refused. It takes about 200 bytes of
/// memory and the path.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Staged {
    /// The path that they were staged for.
    pub path: StoragePath,
    /// The number of bytes.
    pub size: u64,
    /// Which bytes they are.
    pub id: StageId,
    /// When they were closed, in the store's clock; `None` if the driver does not know.
    pub modified: Option<SystemTime>,
    state: String,
}

impl Staged {
    /// Creates staged bytes without any state.
    #[must_use]
    pub fn new(path: StoragePath, size: u64, id: StageId) -> Self {
        Self { path, size, id, modified: None, state: String::new() }
    }

    /// Sets [`modified`](Self::modified).
    #[must_use]
    pub fn with_modified(mut self, time: Option<SystemTime>) -> Self {
        self.modified = time;
        self
    }

    /// Sets what the driver needs to find them again: the name of a file, an ETag. It is never shown.
    #[must_use]
    pub fn with_state(mut self, state: impl Into<String>) -> Self {
        self.state = state.into();
        self
    }

    /// Returns what [`with_state`](Self::with_state) set.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staged")
            .field("path", &self.path)
            .field("size", &self.size)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
