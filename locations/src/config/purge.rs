//! When abandoned uploads are deleted.

use std::time::Duration;

/// The section `storage.maintenance.uploadpurging`. An instance has no timer: the host's calls of
/// `RegistryPool::sweep` purge what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PurgeSettings {
    /// `age`: how long an upload must have been unchanged. Default 168 h.
    pub older_than: Duration,
    /// `interval`: how often. Default 24 h.
    pub interval: Duration,
    /// `dryrun`: only report what would be deleted. Default false.
    pub dry_run: bool,
}

impl Default for PurgeSettings {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_secs(3600);
        Self { older_than: 168 * HOUR, interval: 24 * HOUR, dry_run: false }
    }
}
