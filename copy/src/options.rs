//! How to copy.

/// Settings of a [`copy`](crate::copy()).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyOptions {
    /// How many blobs are on the way at a time, at least 1. Default: 4. Memory grows with it.
    pub concurrency: usize,
    /// Whether to copy what refers to the image (signatures, attestations, SBOMs). Default: no.
    pub referrers: bool,
    /// Whether to skip children of an index that the source does not have, as in a copy of some platforms.
    ///
    /// Default: no, they are an error. If it is set, the destination has to allow sparse indexes.
    pub sparse: bool,
    /// Whether to read what the destination has of the image, and to replace what is damaged there.
    ///
    /// Default: no, content of the right size is trusted to be whole. With it, the copy looks at every child of an
    /// index and reads every blob at the destination. It moves only blobs that are missing, or that do not hash
    /// to their digest. Once it has succeeded, the image is whole, and so is every other image that shares its
    /// blobs.
    pub repair: bool,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self { concurrency: 4, referrers: false, sparse: false, repair: false }
    }
}

impl CopyOptions {
    /// Sets [`concurrency`](Self::concurrency).
    #[must_use]
    pub fn with_concurrency(mut self, blobs: usize) -> Self {
        self.concurrency = blobs;
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
