//! How much memory a big blob costs on its way to S3: peak resident memory over idle, as the kernel counts it. One
//! test in a process of its own, because the peak is the process's; the store is another process.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

mod common;

use std::{fs, io, time::Instant};

use bytes::Bytes;
use futures::{TryStreamExt, stream};
use plugin_registry::Registry;
use plugin_registry_core::{Algorithm, ByteRange, Descriptor, Hasher, MediaType};
use plugin_registry_drivers_s3::S3Driver;

const MIB: u64 = 1 << 20;
const PIECE: usize = 64 * 1024;

fn status(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Runs `work` and gives the peak over what was resident before, in bytes.
async fn peak(what: &str, work: impl Future<Output = ()>) -> u64 {
    // Resets the peak to what is resident now.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let (idle, begin) = (status("VmRSS"), Instant::now());
    work.await;
    let over = status("VmHWM").saturating_sub(idle);
    println!(
        "{what}: peak {} MiB over {} MiB, {:.1} s",
        over / MIB,
        idle / MIB,
        begin.elapsed().as_secs_f64()
    );
    over
}

/// Pieces in fresh memory each, as they come from a network.
fn pieces(size: u64) -> impl Iterator<Item = Bytes> {
    let pattern: Bytes = (0..PIECE).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    (0..size / PIECE as u64).map(move |n| {
        let mut piece = pattern.to_vec();
        piece[..8].copy_from_slice(&n.to_be_bytes());
        piece.into()
    })
}

fn descriptor(size: u64) -> Descriptor {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    pieces(size).for_each(|piece| hasher.update(&piece));
    Descriptor::new(MediaType::ImageLayer, hasher.finish(), size)
}

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
    let pushed = peak("push of 1 GiB", push(1024 * MIB, big.clone())).await;
    let pulled = peak("pull of 1 GiB", async {
        let reader = blobs.open(&big.digest, ByteRange::full()).await.unwrap();
        let read = reader.into_stream().try_fold(0, async |size, piece| Ok(size + piece.len() as u64));
        assert_eq!(read.await.unwrap(), big.size);
    })
    .await;
    assert!(pushed < 64_000_000, "push: {pushed} bytes over idle");
    assert!(pulled < 32 * MIB, "pull: {pulled} bytes over idle");
}
