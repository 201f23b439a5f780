//! How much memory a big blob costs: peak resident memory over idle, as the kernel counts it. One test in its
//! own process, because the peak is per process.

#![allow(clippy::unwrap_used, reason = "a test")]

use futures::{TryStreamExt, stream};
use plugin_registry::Registry;
use plugin_registry_core::ByteRange;
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use plugin_registry_testkit::footprint::{MIB, descriptor, peak, pieces};

async fn push_and_pull(size: u64) -> (u64, u64) {
    let directory = tempfile::tempdir().unwrap();
    let driver = FsDriver::open(FsConfig::new(directory.path())).await.unwrap();
    let registry = Registry::builder(driver).build();
    let blobs = registry.repository("big/blob".parse().unwrap()).blobs();
    let (small, descriptor) = (descriptor(4 * MIB), descriptor(size));
    // Warm: threads, buffers, the first pages of everything.
    blobs.push(&small, stream::iter(pieces(4 * MIB).map(Ok::<_, std::io::Error>))).await.unwrap();

    let mib = size / MIB;
    let source = stream::iter(pieces(size).map(Ok::<_, std::io::Error>));
    let (pushed, push) = peak(&format!("push of {mib} MiB"), blobs.push(&descriptor, source)).await;
    pushed.unwrap();
    let (read, pull) = peak(&format!("pull of {mib} MiB"), async {
        let reader = blobs.open(&descriptor.digest, ByteRange::full()).await.unwrap();
        let counted =
            reader.into_stream().try_fold(0, |size, piece| async move { Ok(size + piece.len() as u64) });
        counted.await.unwrap()
    })
    .await;
    assert_eq!(read, size);
    (push, pull)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn big_blobs_need_little_memory() {
    let (push, pull) = push_and_pull(2048 * MIB).await;
    assert!(push < 64 * MIB, "push of 2 GiB: {push} bytes over idle");
    assert!(pull < 64 * MIB, "pull of 2 GiB: {pull} bytes over idle");
    let (_, pull) = push_and_pull(1024 * MIB).await;
    assert!(pull < 32 * MIB, "pull of 1 GiB: {pull} bytes over idle");
}
