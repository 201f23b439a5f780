//! Directories that were created but may not yet survive a power cut.

use std::{collections::HashMap, io, sync::PoisonError};

use plugin_registry_core::StoragePath;

// `tests/ancestors.rs` replaces the locks of `std` to try every order of the threads.
use crate::sync::{Mutex, MutexGuard};

/// The directories whose entry in their parent is not synced yet, by path. A commit below one of them syncs the
/// entry, even if another task created the directory: that task may not have got there yet.
///
/// The lock is held over each mkdir and rmdir, so a task that finds a directory on the disk also finds it here.
/// Each creation has its own number, so a sync of an earlier directory of the same name does not count for a
/// later one.
#[derive(Debug, Default)]
pub(crate) struct Ancestors(Mutex<Unsynced>);

#[derive(Debug, Default)]
struct Unsynced {
    makings: u64,
    directories: HashMap<String, u64>,
}

impl Ancestors {
    /// Creates a directory. Returns whether it is new; an existing one is not an error.
    pub(crate) fn make(&self, path: &str, make: impl FnOnce() -> rustix::io::Result<()>) -> io::Result<bool> {
        let mut unsynced = self.lock();
        match make() {
            Ok(()) => {
                unsynced.makings += 1;
                let making = unsynced.makings;
                unsynced.directories.insert(path.to_owned(), making);
                Ok(true)
            }
            Err(rustix::io::Errno::EXIST) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a directory, if it is empty.
    pub(crate) fn remove(&self, path: &str, remove: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut unsynced = self.lock();
        remove()?;
        unsynced.directories.remove(path);
        Ok(())
    }

    /// The unsynced ones among a directory and its ancestors, each with the number of its creation.
    pub(crate) fn unsynced(&self, path: &StoragePath) -> Vec<(StoragePath, u64)> {
        let unsynced = self.lock();
        let mut found = Vec::new();
        let mut at = (!unsynced.directories.is_empty()).then(|| path.clone());
        while let Some(path) = at {
            at = path.parent();
            if let Some(&making) = unsynced.directories.get(path.as_str()) {
                found.push((path, making));
            }
        }
        found
    }

    /// Records that the entry of this creation was synced.
    pub(crate) fn synced(&self, path: &StoragePath, making: u64) {
        let mut unsynced = self.lock();
        if unsynced.directories.get(path.as_str()) == Some(&making) {
            unsynced.directories.remove(path.as_str());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Unsynced> {
        // No step leaves the map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
