//! What the driver takes.

use std::path::PathBuf;

/// Settings of an [`FsDriver`](crate::FsDriver).
///
/// ```
/// use plugin_registry_drivers_fs::FsConfig;
/// let config = FsConfig::new("/var/lib/registry").with_file_mode(0o640).with_dir_mode(0o750);
/// assert!(config.durable);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FsConfig {
    /// The directory that holds the store. It may be a symbolic link.
    pub root: PathBuf,
    /// Whether a missing root is made when the driver opens, with its parents. Default: true. Otherwise
    /// a missing root is an error, so that an absent mount is not taken for an empty store.
    pub create_root: bool,
    /// Whether writes wait until the disk has them. Default: true.
    ///
    /// Without it the driver makes no fsync at all. A crash of the process still loses nothing, but after a
    /// power cut or a crash of the system, what was written in the last seconds may be missing, empty or
    /// damaged, also where a later write survived.
    pub durable: bool,
    /// Permission bits of each file. Default: `0o600`.
    pub file_mode: u32,
    /// Permission bits of each directory that the driver makes. Default: `0o700`. A set-group-id bit that it
    /// inherits stays.
    pub dir_mode: u32,
    /// Whether the process's umask takes bits from `file_mode` and `dir_mode`. Default: false, they are exact.
    ///
    /// For directories that other programs share, such as OCI layouts: with `0o666` and `0o777` files are as private
    /// as what other programs of this user write.
    pub umask: bool,
    /// The most pieces of blocking work at once, at least 1. Default: 100. Calls beyond it wait their turn.
    pub max_threads: usize,
    /// Whether what the kernel has in its memory anyway is read in the caller's thread, up to 64 KiB a file. Default:
    /// true, which counts on Linux and on filesystems of this machine alone.
    ///
    /// It spares two switches of threads a call, most of what a small read costs. What would have to wait for
    /// the disk, or for another machine, is left to the blocking pool (ADR 0040).
    pub cached_reads: bool,
    /// Bytes of one read.
    pub(crate) read_piece: usize,
    /// Bytes collected for one write.
    pub(crate) write_piece: usize,
}

impl FsConfig {
    /// A store in the directory `root`, everything else at its default.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            create_root: true,
            durable: true,
            file_mode: 0o600,
            dir_mode: 0o700,
            umask: false,
            max_threads: 100,
            cached_reads: true,
            // Measured with several streams at once (ADR 0009): of 1 MiB the end is out of a core's cache before the next
            // station takes it, and below 256 KiB the hops between threads cost more. A GiB is 2048 calls each way.
            read_piece: 512 << 10,
            write_piece: 512 << 10,
        }
    }

    /// Sets [`create_root`](Self::create_root).
    #[must_use]
    pub fn with_create_root(mut self, yes: bool) -> Self {
        self.create_root = yes;
        self
    }

    /// Sets [`durable`](Self::durable).
    #[must_use]
    pub fn with_durable(mut self, yes: bool) -> Self {
        self.durable = yes;
        self
    }

    /// Sets [`file_mode`](Self::file_mode).
    #[must_use]
    pub fn with_file_mode(mut self, mode: u32) -> Self {
        self.file_mode = mode;
        self
    }

    /// Sets [`dir_mode`](Self::dir_mode).
    #[must_use]
    pub fn with_dir_mode(mut self, mode: u32) -> Self {
        self.dir_mode = mode;
        self
    }

    /// Sets [`umask`](Self::umask).
    #[must_use]
    pub fn with_umask(mut self, yes: bool) -> Self {
        self.umask = yes;
        self
    }

    /// Sets [`cached_reads`](Self::cached_reads).
    #[must_use]
    pub fn with_cached_reads(mut self, yes: bool) -> Self {
        self.cached_reads = yes;
        self
    }

    /// Sets [`max_threads`](Self::max_threads).
    #[must_use]
    pub fn with_max_threads(mut self, threads: usize) -> Self {
        self.max_threads = threads;
        self
    }
}
