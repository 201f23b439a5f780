//! What a registry was built with.

/// Which content a manifest may reference although its repository does not have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReferencePolicy {
    /// None: every config, layer and child has to be there first.
    #[default]
    Complete,
    /// Children of an index may be missing, as in a copy of only some platforms.
    SparseIndexes,
    /// Anything may be missing. The registry then cannot promise that an image restores.
    Sparse,
}

/// What to do with a manifest whose layers name URLs. The registry itself never follows one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlPolicy {
    /// Store it.
    #[default]
    Accept,
    /// Refuse it.
    Refuse,
    /// Store it if every URL begins with one of these.
    Prefixes(Vec<String>),
}

/// What a registry was built with.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) read_only: bool,
    pub(crate) delete: bool,
    pub(crate) references: ReferencePolicy,
    pub(crate) urls: UrlPolicy,
    pub(crate) max_page_size: usize,
    pub(crate) automatic_crossmount: bool,
    pub(crate) redirect: bool,
    pub(crate) concurrency: usize,
}
