//! The settings of the driver.

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
    /// Whether the driver creates a missing root, with its parents, when it opens. Default: true. Otherwise a
    /// missing root is an error, so that an absent mount is not mistaken for an empty store.
    pub create_root: bool,
    /// Whether a write waits until the disk has it. Default: true.
    ///
    /// If false, the driver makes no fsync at all. A crash of the process still loses nothing. After a power
    /// cut or a system crash, data written in the last seconds may be missing, empty or damaged, even if a
    /// later write survived.
    pub durable: bool,
    /// Permission bits of each file. Default: `0o600`.
    pub file_mode: u32,
    /// Permission bits of each directory that the driver creates. Default: `0o700`. An inherited set-group-id
    /// bit stays.
    pub dir_mode: u32,
    /// Whether the process's umask removes bits from `file_mode` and `dir_mode`. Default: false, the modes are
    /// exact.
    ///
    /// For directories that are shared with other programs, such as OCI layouts: with `0o666` and `0o777`,
    /// files are as private as those that other programs of this user write.
    pub umask: bool,
    /// The most pieces of blocking work at once, at least 1. Default: 100. Further calls wait their turn.
    pub max_threads: usize,
    /// Whether data that the kernel has in memory is read in the caller's thread, up to 64 KiB a file. Default:
    /// true. It only has an effect on Linux and on local filesystems.
    ///
    /// It saves two thread switches a call, which are most of the cost of a small read. Reads that would have
    /// to wait for the disk or for another machine are left to the blocking pool (ADR 0040).
    pub cached_reads: bool,
    /// Bytes in one read.
    pub(crate) read_piece: usize,
    /// Bytes collected for one write.
    pub(crate) write_piece: usize,
}

impl FsConfig {
    /// Settings for a store in the directory `root`, with defaults for everything else.
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
            // Measured with several streams at once (ADR 0009). The end of a 1 MiB piece is out of a core's
            // cache before the next stage takes it. Below 256 KiB the hops between threads cost more. A GiB is
            // 2048 calls each way.
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
