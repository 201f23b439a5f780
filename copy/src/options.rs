//! How to copy.

/// Settings of a [`copy`](crate::copy()).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyOptions {
    /// Blobs on the way at a time, at least 1. Default: 4. Memory grows with it.
    pub parallel: usize,
    /// Whether what refers to the image (signatures, attestations, SBOMs) comes along. Default: no.
    pub referrers: bool,
    /// Whether children of an index that the source does not have are skipped, as in a copy of only some
    /// platforms. Default: no, they are an error. The destination has to allow sparse indexes then.
    pub sparse: bool,
    /// Whether the children of an index are looked at also when the destination has them, so that content
    /// of theirs that was lost there is brought again. Default: no, what the destination has it is trusted
    /// to have whole. Content that is damaged but of the right size is not found; verify the registry.
    pub repair: bool,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self { parallel: 4, referrers: false, sparse: false, repair: false }
    }
}

impl CopyOptions {
    /// Sets [`parallel`](Self::parallel).
    #[must_use]
    pub fn with_parallel(mut self, blobs: usize) -> Self {
        self.parallel = blobs;
        self
    }

    /// Sets [`referrers`](Self::referrers).
    #[must_use]
    pub fn with_referrers(mut self, yes: bool) -> Self {
        self.referrers = yes;
        self
    }

    /// Sets [`sparse`](Self::sparse).
    #[must_use]
    pub fn with_sparse(mut self, yes: bool) -> Self {
        self.sparse = yes;
        self
    }

    /// Sets [`repair`](Self::repair).
    #[must_use]
    pub fn with_repair(mut self, yes: bool) -> Self {
        self.repair = yes;
        self
    }
}
