//! A store in memory, the reference model of the storage driver contract. It is for tests, and for registries
//! that live no longer than their process.
//!
//! [`MemoryDriver`] implements every `# Behavior` bullet of
//! [`StorageDriver`](plugin_registry_core::StorageDriver) exactly. It needs no runtime: no call ever waits.
//!
//! Memory: the stored bytes, plus about 200 bytes for each file and 40 for each chunk it was written in. A
//! chunk is kept as it came, neither copied nor joined, so a slice of a larger buffer keeps that buffer alive.
//! Replaced and deleted bytes stay until their last reader is gone. Reading allocates nothing that grows with
//! the file, except that [`get_content`](plugin_registry_core::StorageDriver::get_content) joins a file of
//! several chunks. [`MemoryDriver::with_capacity_limit`] sets an upper bound.

mod driver;
mod list;
mod store;
mod writer;

use std::fmt;

use self::store::Shared;

/// A store in memory. Clones share the store. It is dropped with the last of them.
///
/// ```
/// use plugin_registry_core::{Checked, StorageDriver, StorageDriverExt};
/// use plugin_registry_drivers_memory::MemoryDriver;
/// # futures::executor::block_on(async {
/// let driver = MemoryDriver::new();
/// driver.put(&"/a/b".parse()?, "content").await?;
/// assert_eq!(driver.clone().get_content(&"/a/b".parse()?, 100).await?, "content");
/// # Ok::<(), plugin_registry_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Default)]
pub struct MemoryDriver {
    store: Shared,
}

impl MemoryDriver {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Fails a write with `NoSpace` if all files, stages and open writers together would hold more than
    /// `bytes`. Applies to all clones.
    #[must_use]
    pub fn with_capacity_limit(self, bytes: u64) -> Self {
        self.store.lock().set_capacity(bytes);
        self
    }
}

impl fmt::Debug for MemoryDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = self.store.lock();
        f.debug_struct("MemoryDriver")
            .field("files", &store.files().len())
            .field("bytes", &store.used())
            .finish_non_exhaustive()
    }
}
