//! How much memory a big blob costs: peak resident memory over idle, as the kernel counts it (Linux).
//!
//! The peak is that of the process, so each test of it needs its own process.

use std::{fs, time::Instant};

use bytes::Bytes;
use plugin_registry_core::{Algorithm, Descriptor, Hasher, MediaType};

/// Bytes of a MiB.
pub const MIB: u64 = 1 << 20;
const PIECE: usize = 64 * 1024;

fn status(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Runs `work` and returns its result and the peak over what was resident before, in bytes. Prints the figures.
///
/// # Panics
/// If there is no `/proc`.
#[expect(clippy::print_stdout, reason = "the figures are the test's result")]
pub async fn peak<T>(label: &str, work: impl Future<Output = T>) -> (T, u64) {
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

/// Pieces of 64 KiB, each in fresh memory, as they come from a network. No two are alike.
pub fn pieces(size: u64) -> impl Iterator<Item = Bytes> + Clone {
    let pattern: Vec<u8> = (0..PIECE).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    (0..size / PIECE as u64).map(move |number| {
        let mut piece = pattern.clone();
        piece[..8].copy_from_slice(&number.to_be_bytes());
        piece.into()
    })
}

/// The layer that [`pieces`] make.
#[must_use]
pub fn descriptor(size: u64) -> Descriptor {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    pieces(size).for_each(|piece| hasher.update(&piece));
    Descriptor::new(MediaType::ImageLayer, hasher.finish(), size)
}
