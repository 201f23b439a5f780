//! How a driver and its writers are asked, and what they offer.

use crate::digest::Digest;

/// The identity of staged bytes, over all writers that resumed them: whoever remembers something about
/// them, a hash for instance, knows by it whether they are still the same ones (ADR 0014).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StageId(String);

impl StageId {
    /// An identity made of whatever is unique for a stage in its store. It may be a secret, as an upload
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

/// What a driver offers beyond the least that the contract asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Create-only writes are atomic. Where false, two concurrent creators may both succeed.
    pub create_only: bool,
    /// A second resumed writer is refused while the first is open.
    pub exclusive_resume: bool,
    /// What was acknowledged survives a power cut.
    pub durable: bool,
    /// `redirect_url` can give a URL.
    pub redirect: bool,
    /// Directories can be there without a file below them, and a walk looks into each of them: a file system, not an
    /// object store, which lists a thousand keys with their sizes at once.
    pub empty_directories: bool,
    /// Largest file in bytes, where the store has such a limit.
    pub max_file_size: Option<u64>,
    /// What is overwritten or deleted stays as a version, and takes space. Like the two that follow, it is true
    /// once an answer of the store has shown it.
    pub versions: bool,
    /// The store retains what is written (Object Lock): a version cannot be deleted before its time.
    pub retention: bool,
    /// What is missing looks forbidden to these credentials, and costs a second look.
    pub hides_missing: bool,
}

impl Capabilities {
    /// Sets [`create_only`](Self::create_only).
    #[must_use]
    pub fn with_create_only(mut self, yes: bool) -> Self {
        self.create_only = yes;
        self
    }

    /// Sets [`exclusive_resume`](Self::exclusive_resume).
    #[must_use]
    pub fn with_exclusive_resume(mut self, yes: bool) -> Self {
        self.exclusive_resume = yes;
        self
    }

    /// Sets [`durable`](Self::durable).
    #[must_use]
    pub fn with_durable(mut self, yes: bool) -> Self {
        self.durable = yes;
        self
    }

    /// Sets [`redirect`](Self::redirect).
    #[must_use]
    pub fn with_redirect(mut self, yes: bool) -> Self {
        self.redirect = yes;
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

    /// Sets [`max_file_size`](Self::max_file_size).
    #[must_use]
    pub fn with_max_file_size(mut self, bytes: u64) -> Self {
        self.max_file_size = Some(bytes);
        self
    }
}

/// What a write does when a file is already there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PutMode {
    /// Replace it as a whole.
    #[default]
    Overwrite,
    /// Keep it and answer `AlreadyExists`.
    CreateOnly,
}

/// Whether a writer starts anew or goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteMode {
    /// At zero bytes.
    #[default]
    Create,
    /// Where the last closed writer of the path stopped.
    Resume,
}

/// How a writer is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteOptions {
    /// Start anew or go on.
    pub mode: WriteMode,
    /// What commit does with a file that is already there.
    pub put: PutMode,
    /// The final size in bytes, if known: lets a driver choose its part size and refuse at once what
    /// cannot fit. Only a hint; commit makes visible what was written.
    pub expected_size: Option<u64>,
    /// No writer of this path is ever closed: this one is committed or given up. So there is no earlier stage
    /// that a driver would have to look for. Default false.
    pub one_shot: bool,
    /// Of a resumed stage: no more bytes come. Nothing is written; the writer is committed, given up or dropped,
    /// and whoever commits it to another path deletes the stage afterwards, by
    /// [`delete_known`](crate::StorageDriver::delete_known) or `delete`. So a driver may have the store copy the
    /// stage instead of moving it, and may do without a look at a stage that it closed itself. What another
    /// process did to the stage since then may be noticed by the commit alone: `NotFound` where the stage is gone,
    /// `Conflict` where it is another one or has other bytes. Default false.
    pub sealed: bool,
}

impl WriteOptions {
    /// A new file that replaces whatever is there.
    #[must_use]
    pub fn create() -> Self {
        Self::default()
    }

    /// Goes on where the last closed writer stopped.
    #[must_use]
    pub fn resume() -> Self {
        Self { mode: WriteMode::Resume, ..Self::default() }
    }

    /// Sets [`put`](Self::put).
    #[must_use]
    pub fn with_put_mode(mut self, put: PutMode) -> Self {
        self.put = put;
        self
    }

    /// Sets [`expected_size`](Self::expected_size).
    #[must_use]
    pub fn with_expected_size(mut self, bytes: u64) -> Self {
        self.expected_size = Some(bytes);
        self
    }

    /// Sets [`one_shot`](Self::one_shot).
    #[must_use]
    pub fn with_one_shot(mut self) -> Self {
        self.one_shot = true;
        self
    }

    /// Sets [`sealed`](Self::sealed).
    #[must_use]
    pub fn with_sealed(mut self) -> Self {
        self.sealed = true;
        self
    }
}
