//! How much memory a big blob costs: peak resident memory over idle, as the kernel counts it. One test in
//! a process of its own, because the peak is the process's.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test"
)]

use std::{fs, time::Instant};

use bytes::Bytes;
use futures::{TryStreamExt, stream};
use plugin_registry::Registry;
use plugin_registry_core::{Algorithm, ByteRange, Descriptor, Hasher, MediaType};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};

const MIB: u64 = 1 << 20;
const PIECE: usize = 64 * 1024;

fn status(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Runs `work` and gives its result and the peak over what was resident before, in bytes.
async fn peak<T>(label: &str, work: impl Future<Output = T>) -> (T, u64) {
    // Resets the peak to what is resident now.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let idle = status("VmRSS");
    let started = Instant::now();
    let result = work.await;
    let over = status("VmHWM").saturating_sub(idle);
    println!(
        "{label}: peak {:.1} MiB over {:.1} MiB idle, {:.2} s",
        over as f64 / MIB as f64,
        idle as f64 / MIB as f64,
        started.elapsed().as_secs_f64()
    );
    (result, over)
}

/// Pieces in fresh memory each, as they come from a network.
fn pieces(size: u64) -> impl Iterator<Item = Bytes> + Clone {
    let pattern: Bytes = (0..PIECE).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    (0..size / PIECE as u64).map(move |_| Bytes::copy_from_slice(&pattern))
}

fn descriptor(size: u64) -> Descriptor {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    pieces(size).for_each(|piece| hasher.update(&piece));
    Descriptor::new(MediaType::ImageLayer, hasher.finish(), size)
}

async fn push_and_pull(size: u64) -> (u64, u64) {
    let directory = tempfile::tempdir().unwrap();
    let driver = FsDriver::open(FsConfig::new(directory.path())).await.unwrap();
    let registry = Registry::builder(driver).build();
    let blobs = registry.repository("big/blob".parse().unwrap()).blobs();
    let descriptor = descriptor(size);
    // Warm: threads, buffers, the first pages of everything.
    blobs
        .push(&self::descriptor(4 * MIB), stream::iter(pieces(4 * MIB).map(Ok::<_, std::io::Error>)))
        .await
        .unwrap();

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
