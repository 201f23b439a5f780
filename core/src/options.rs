//! Options of a driver and its writers, and what drivers offer.

use crate::staged::Staged;

/// The features of a driver beyond the minimum of the contract, and how its store differs from others.
///
/// Everything that the suite can prove on one store and not on another is a flag here, and nowhere else. The
/// default promises nothing. A driver sets a flag once the suite passes against the real service, or against an
/// emulator that is known to behave like it. If a flag depends on the server (some accept a condition and
/// ignore it), the driver asks the server instead of assuming it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Create-only writes are atomic. If false, two concurrent creators may both succeed.
    pub create_only: bool,
    /// Directories can exist without a file below them, and a walk looks into each of them.
    ///
    /// This holds for a file system, or for an object store that keeps its keys in directories. The registry
    /// then lists names and reads the links. Otherwise it walks, because an object store lists a thousand keys
    /// with their sizes at once (ADR 0019).
    pub empty_directories: bool,
    /// Overwritten or deleted content stays as a version, and takes space.
    ///
    /// Like the two that follow, this is true once an answer of the store has shown it.
    pub versions: bool,
    /// The store retains what is written (Object Lock): a version cannot be deleted before its time.
    pub retention: bool,
    /// A missing file looks forbidden to these credentials, and costs a second look.
    pub hides_missing: bool,
    /// The location has names in two forms. This driver reads both and writes one; older software finds the
    /// names of one form only.
    pub two_forms: bool,
}

impl Capabilities {
    /// Sets [`create_only`](Self::create_only).
    #[must_use]
    pub fn with_create_only(mut self, yes: bool) -> Self {
        self.create_only = yes;
        self
    }

    /// Sets [`empty_directories`](Self::empty_directories).
    #[must_use]
    pub fn with_empty_directories(mut self, yes: bool) -> Self {
        self.empty_directories = yes;
        self
    }

    /// Sets [`versions`](Self::versions).
    #[must_use]
    pub fn with_versions(mut self, yes: bool) -> Self {
        self.versions = yes;
        self
    }

    /// Sets [`retention`](Self::retention).
    #[must_use]
    pub fn with_retention(mut self, yes: bool) -> Self {
        self.retention = yes;
        self
    }

    /// Sets [`hides_missing`](Self::hides_missing).
    #[must_use]
    pub fn with_hides_missing(mut self, yes: bool) -> Self {
        self.hides_missing = yes;
        self
    }

    /// Sets [`two_forms`](Self::two_forms).
    #[must_use]
    pub fn with_two_forms(mut self, yes: bool) -> Self {
        self.two_forms = yes;
        self
    }
}

/// What a write does when a file is already there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PutMode {
    /// Replaces it as a whole.
    #[default]
    Overwrite,
    /// Keeps it and fails with `AlreadyExists`.
    CreateOnly,
}

/// What a writer is opened for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// Writes a file in one go: the writer is committed or cancelled, and never closed.
    Direct {
        /// The final size in bytes, if known. It lets a driver choose its part size, and refuse at once what
        /// cannot fit. It is only a hint: commit makes visible what was written.
        size: Option<u64>,
    },
    /// Writes the first bytes of a stage.
    Stage,
    /// Writes more bytes after exactly these.
    Resume(Staged),
}

impl WriteMode {
    /// Returns [`Direct`](Self::Direct) with an unknown size.
    #[must_use]
    pub fn direct() -> Self {
        Self::Direct { size: None }
    }
}
