//! Limits how many large manifests are in memory at a time.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Manifests up to this size, as nearly all are, do not wait.
pub(crate) const SMALL_MANIFEST: u64 = 256 * 1024;

/// Large manifests that are parsed at a time, each up to 36 MiB with its bytes.
const PARSED: usize = 4;
/// Large manifests that are read from clients at a time, each up to 12 MiB while it grows.
const RECEIVED: usize = 8;

/// The turns of one registry. They are taken in order. A manifest is received before it is parsed, and a holder
/// of the second turn never waits for the first.
#[derive(Debug)]
pub(crate) struct ManifestLimiter {
    parsed: Semaphore,
    received: Semaphore,
}

impl ManifestLimiter {
    pub(crate) fn new() -> Self {
        Self { parsed: Semaphore::new(PARSED), received: Semaphore::new(RECEIVED) }
    }

    /// Waits until a manifest of `size` bytes may be parsed. The permit is held as long as its parsed form.
    pub(crate) async fn parse(&self, size: u64) -> Option<SemaphorePermit<'_>> {
        if size <= SMALL_MANIFEST {
            return None;
        }
        // Never closed.
        self.parsed.acquire().await.ok()
    }

    /// Waits until a body over [`SMALL_MANIFEST`] bytes may be received. The permit is held as long as its bytes.
    pub(crate) async fn receive(&self) -> Option<SemaphorePermit<'_>> {
        self.received.acquire().await.ok()
    }
}
