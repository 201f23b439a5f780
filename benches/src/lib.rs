//! Content, stores and images for the benchmarks.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a harness: whatever fails ends the benchmark"
)]

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use futures::{Stream, TryStreamExt, stream};
use plugin_registry::Registry;
use plugin_registry_core::{
    ByteRange, Descriptor, Digest, Hasher, MediaType, Reference, RepositoryName, StorageDriver,
};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use plugin_registry_drivers_memory::MemoryDriver;

/// The media type of [`push_image`]'s manifests.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A store under test, and what keeps it alive.
pub struct Store {
    /// A name for reports.
    pub name: &'static str,
    /// The driver.
    pub driver: Arc<dyn StorageDriver>,
    _directory: Option<tempfile::TempDir>,
}

impl Store {
    /// A store in memory.
    #[must_use]
    pub fn memory() -> Self {
        Self { name: "memory", driver: Arc::new(MemoryDriver::new()), _directory: None }
    }

    /// A store in a fresh directory, with or without fsync.
    pub async fn filesystem(durable: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = FsConfig::new(directory.path()).with_durable(durable);
        let driver = Arc::new(FsDriver::open(config).await.unwrap());
        let name = if durable { "filesystem" } else { "filesystem-not-durable" };
        Self { name, driver, _directory: Some(directory) }
    }

    /// A registry over the store.
    #[must_use]
    pub fn registry(&self) -> Registry {
        Registry::builder(self.driver.clone()).delete(true).build()
    }
}

/// The repository that all benchmarks use.
#[must_use]
pub fn repository() -> RepositoryName {
    "bench/app".parse().unwrap()
}

/// A stream of `size` bytes, and its descriptor.
///
/// The bytes do not repeat within a piece and differ by `seed`. The pieces share one buffer, so the stream
/// itself needs no memory.
pub fn content(
    seed: u64,
    size: u64,
    piece: usize,
) -> (Descriptor, impl Stream<Item = Result<Bytes, Infallible>> + Unpin + Send + use<>) {
    let pattern: Bytes =
        (0..piece as u64).map(|i| ((i ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    let pieces = move || {
        let pattern = pattern.clone();
        (0..size.div_ceil(piece as u64)).map(move |n| {
            let length = (size - n * piece as u64).min(piece as u64);
            pattern.slice(..usize::try_from(length).unwrap())
        })
    };
    let mut hasher = Hasher::new(plugin_registry_core::Algorithm::Sha256);
    pieces().for_each(|piece| hasher.update(&piece));
    let descriptor = Descriptor::new(MediaType::ImageLayer, hasher.finish(), size);
    (descriptor, stream::iter(pieces().map(Ok)))
}

/// Pushes one blob.
pub async fn push(registry: &Registry, seed: u64, size: u64) -> Descriptor {
    let (descriptor, stream) = content(seed, size, 64 * 1024);
    registry.repository(repository()).blobs().push(&descriptor, stream).await.unwrap();
    descriptor
}

/// Reads one blob to its end, verified, and returns its size.
pub async fn pull(registry: &Registry, digest: &Digest) -> u64 {
    let reader = registry.repository(repository()).blobs().open(digest, ByteRange::full()).await.unwrap();
    let stream = reader.into_stream();
    stream.try_fold(0, |size, piece| async move { Ok(size + piece.len() as u64) }).await.unwrap()
}

/// Pushes an image of one small layer under a tag.
pub async fn push_image(registry: &Registry, tag: &str) {
    let config = push(registry, 1, 500).await;
    let layer = push(registry, 2, 4096).await;
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":{}}}]}}"#,
        config.digest, config.size, layer.digest, layer.size
    );
    let tag: Reference = tag.parse().unwrap();
    registry.repository(repository()).manifests().put(&tag, Some(MANIFEST), manifest.into()).await.unwrap();
}
