//! How much memory a big blob costs on its way to S3: peak resident memory over idle, as the kernel counts
//! it. One test in its own process, because the peak is per process; the store is another process.

#![allow(clippy::unwrap_used, reason = "a test harness: a failed check is a panic of the test")]

mod common;

use std::io;

use futures::{TryStreamExt, future::join_all, stream};
use plugin_registry::Registry;
use plugin_registry_core::{ByteRange, Descriptor};
use plugin_registry_drivers_s3::S3Driver;
use plugin_registry_testkit::footprint::{MIB, descriptor, peak, pieces};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_needs_little_memory() {
    let Some(config) = common::or_skip(common::of_seaweed(), "footprint") else { return };
    let driver = S3Driver::open(common::in_a_directory(config)).await.unwrap();
    let blobs = Registry::builder(driver).build().repository("big/blob".parse().unwrap()).blobs();
    let push = async |size: u64, descriptor: Descriptor| {
        let source = stream::iter(pieces(size).map(Ok::<_, io::Error>));
        blobs.push(&descriptor, source).await.unwrap();
    };
    // Warm: connections, threads, the first pages of everything.
    push(MIB, descriptor(MIB)).await;

    let big = descriptor(1024 * MIB);
    let ((), pushed) = peak("push of 1 GiB", push(1024 * MIB, big.clone())).await;
    let ((), pulled) = peak("pull of 1 GiB", async {
        let reader = blobs.open(&big.digest, ByteRange::full()).await.unwrap();
        let read = reader.into_stream().try_fold(0, async |size, piece| Ok(size + piece.len() as u64));
        assert_eq!(read.await.unwrap(), big.size);
    })
    .await;
    assert!(pushed < 64_000_000, "push: {pushed} bytes over idle");
    assert!(pulled < 32 * MIB, "pull: {pulled} bytes over idle");

    // All blobs of a copy together hold no more: each has parts enough to fill what one may have.
    for at_a_time in [3, 8] {
        let all =
            (1..=at_a_time).map(|n| 128 * MIB + n * (MIB / 16)).map(|size| push(size, descriptor(size)));
        let (_, pushed) = peak(&format!("{at_a_time} pushes at a time"), join_all(all)).await;
        assert!(pushed < 64_000_000, "{at_a_time} pushes: {pushed} bytes over idle");
    }
}
