//! Directories for tests that prove nothing about durability.

use std::path::Path;

use tempfile::TempDir;

/// Where Linux keeps files in memory.
const MEMORY: &str = "/dev/shm";

/// Makes a new directory in memory if the system has such a place, else in `target`. On a busy disk, calls
/// that wait for it take minutes and prove no more.
#[must_use]
pub fn scratch(target: impl AsRef<Path>) -> TempDir {
    tempfile::tempdir_in(MEMORY).or_else(|_| tempfile::tempdir_in(target)).unwrap()
}
