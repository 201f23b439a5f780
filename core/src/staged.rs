//! What a closed writer leaves: bytes that nobody sees and somebody may go on with.

use std::{fmt, time::SystemTime};

use crate::{digest::Digest, path::StoragePath};

/// The identity of staged bytes: those of one close, and no others. Whoever remembers something about them, a hash
/// for instance, knows by it whether they are still the same ones (ADR 0039).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StageId(String);

impl StageId {
    /// An identity made of whatever is unique for these bytes in their store. It may be a secret, as an upload
    /// session's URL is: only its hash is kept.
    #[must_use]
    pub fn of(raw: impl AsRef<[u8]>) -> Self {
        Self(Digest::sha256(raw.as_ref()).hex().chars().take(32).collect())
    }

    /// 32 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Staged bytes, as [`FileWriter::close`](crate::FileWriter::close) left them or
/// [`StorageDriver::find_staged`](crate::StorageDriver::find_staged) found them. A value: what is done with it is done
/// with exactly these bytes, or refused. About 200 bytes of memory and the path.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Staged {
    /// The path that they were staged for.
    pub path: StoragePath,
    /// How many there are.
    pub size: u64,
    /// Which ones.
    pub id: StageId,
    /// When they were closed, in the store's clock; `None` where the driver does not know.
    pub modified: Option<SystemTime>,
    state: String,
}

impl Staged {
    /// Staged bytes without any state.
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

    /// Sets what the driver needs to find them again: the name of a file, an ETag. Never shown.
    #[must_use]
    pub fn with_state(mut self, state: impl Into<String>) -> Self {
        self.state = state.into();
        self
    }

    /// What [`with_state`](Self::with_state) set.
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
