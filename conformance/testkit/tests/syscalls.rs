//! The system calls of the filesystem driver, counted by strace: read and write calls per GiB, and the fsyncs
//! of one push. Counts do not depend on the machine.
//!
//! The test runs itself again under strace, with one of the ignored tests below as the work.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing, reason = "a test")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use bytes::Bytes;
use futures::{TryStreamExt, stream};
use plugin_registry::Registry;
use plugin_registry_core::{Algorithm, ByteRange, Descriptor, Hasher, MediaType};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};

const GIB: u64 = 1 << 30;
const PIECE: usize = 64 * 1024;
const MARKER: &str = "syscalls-work-directory";

/// The system calls of the work `name`, one line each, those before the work's marker left out.
fn trace(name: &str) -> Option<Vec<String>> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let calls = "trace=read,pread64,readv,preadv,preadv2,write,pwrite64,writev,pwritev,pwritev2,\
                 copy_file_range,sendfile,splice,fsync,fdatasync,sync_file_range,syncfs,openat,openat2,mkdirat,mkdir";
    let run = Command::new("strace")
        .args(["-f", "-y", "-qq", "-e", calls, "-o"])
        .arg(log.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", name, "--test-threads", "1"])
        .output();
    let output = match run {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("SKIPPED syscalls::{name}: strace is not installed");
            return None;
        }
        output => output.unwrap(),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let log = std::fs::read_to_string(log.path()).unwrap();
    Some(log.lines().filter(|line| line.contains(MARKER)).map(str::to_owned).collect())
}

fn count(lines: &[String], calls: &[&str]) -> usize {
    let is_call =
        |line: &str, call: &str| line.split_whitespace().any(|word| word.starts_with(&format!("{call}(")));
    lines.iter().filter(|line| calls.iter().any(|call| is_call(line, call))).count()
}

const READS: &[&str] =
    &["read", "pread64", "readv", "preadv", "preadv2", "copy_file_range", "sendfile", "splice"];
const WRITES: &[&str] = &["write", "pwrite64", "writev", "pwritev", "pwritev2"];
const SYNCS: &[&str] = &["fsync", "fdatasync", "sync_file_range", "syncfs"];

/// A directory whose name marks the calls of the test: strace prints the path of every descriptor.
fn directory() -> tempfile::TempDir {
    tempfile::Builder::new().prefix(MARKER).tempdir().unwrap()
}

async fn open(root: &Path, durable: bool) -> Registry {
    let config = FsConfig::new(root).with_durable(durable);
    Registry::builder(FsDriver::open(config).await.unwrap()).build()
}

fn pieces(size: u64) -> impl Iterator<Item = Bytes> {
    let pattern: Bytes = (0..PIECE).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    (0..size / PIECE as u64).map(move |_| pattern.clone())
}

async fn push(registry: &Registry, name: &str, size: u64) -> Descriptor {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    pieces(size).for_each(|piece| hasher.update(&piece));
    let descriptor = Descriptor::new(MediaType::ImageLayer, hasher.finish(), size);
    let content = stream::iter(pieces(size).map(Ok::<_, std::io::Error>));
    registry.repository(name.parse().unwrap()).blobs().push(&descriptor, content).await.unwrap();
    descriptor
}

#[tokio::test]
#[ignore = "the work of `a_gib_takes_few_calls`"]
async fn work_push_and_pull_a_gib() {
    let directory = directory();
    let registry = open(directory.path(), true).await;
    let descriptor = push(&registry, "a/b", GIB).await;
    let blobs = registry.repository("a/b".parse().unwrap()).blobs();
    let reader = blobs.open(&descriptor.digest, ByteRange::full()).await.unwrap();
    let size: usize =
        reader.into_stream().try_fold(0, |n, piece| async move { Ok(n + piece.len()) }).await.unwrap();
    assert_eq!(size as u64, GIB);
}

#[test]
fn a_gib_takes_few_calls() {
    let Some(lines) = trace("work_push_and_pull_a_gib") else { return };
    let (reads, writes) = (count(&lines, READS), count(&lines, WRITES));
    println!("1 GiB on the filesystem: {writes} write calls to push, {reads} read calls to pull");
    assert!((1..=4300).contains(&reads), "{reads} read calls");
    assert!((1..=4300).contains(&writes), "{writes} write calls");
}

async fn one_push(durable: bool) {
    let directory = directory();
    let registry = open(directory.path(), durable).await;
    push(&registry, "a/b", 128 * 1024).await;
}

#[tokio::test]
#[ignore = "the work of `a_push_syncs_file_directory_and_new_ancestors`"]
async fn work_one_push() {
    one_push(true).await;
}

#[tokio::test]
#[ignore = "the work of `without_durability_nothing_is_synced`"]
async fn work_one_push_not_durable() {
    one_push(false).await;
}

/// The paths, below the root, that were synced.
fn synced(lines: &[String]) -> Vec<PathBuf> {
    let path = |line: &String| {
        let (_, rest) = line.split_once('<')?;
        let (path, _) = rest.split_once('>')?;
        let (_, below) = path.split_once(MARKER)?;
        let below = below.split_once('/').map(|(_, below)| below).unwrap_or_default();
        Some(PathBuf::from(below))
    };
    lines.iter().filter(|line| count(&[(*line).clone()], SYNCS) == 1).filter_map(path).collect()
}

/// An empty root: the blob's data and the link, each file, its directory, and each directory that got a
/// new directory. The data comes first.
#[test]
fn a_push_syncs_file_directory_and_new_ancestors() {
    let Some(lines) = trace("work_one_push") else { return };
    let mut hasher = Hasher::new(Algorithm::Sha256);
    pieces(128 * 1024).for_each(|piece| hasher.update(&piece));
    let hex = hasher.finish().hex();
    let base = "docker/registry/v2";
    let data = format!("{base}/blobs/sha256/{}/{hex}", &hex[..2]);
    let link = format!("{base}/repositories/a/b/_layers/sha256/{hex}");
    let synced = synced(&lines);
    println!("{} fsyncs of one push into an empty root", synced.len());
    for path in &synced {
        println!("  fsync /{}", path.display());
    }
    let directories: Vec<String> = synced.iter().map(|path| path.display().to_string()).collect();
    // `blobs/sha256/aa/hex` makes 6 directories below the root, `repositories/a/b/_layers/sha256/hex` 6 more
    // below `v2`; each new directory's parent is synced once, and each file with its own directory.
    let mut expected: Vec<String> = Vec::new();
    for path in [&data, &link] {
        expected.push(path.clone());
        let mut parent = Path::new(path);
        while let Some(up) = parent.parent() {
            expected.push(up.display().to_string());
            parent = up;
        }
    }
    expected.sort();
    expected.dedup();
    // Ancestors that both share already exist when the link is made; only `v2` gets a second entry.
    let files = directories.iter().filter(|path| path.ends_with(".tmp")).count();
    assert_eq!(files, 2, "each file is synced once: {directories:?}");
    let mut made: Vec<String> = directories.iter().filter(|path| !path.ends_with(".tmp")).cloned().collect();
    assert_eq!(made.iter().filter(|path| **path == base).count(), 2, "`v2` gets `blobs` and `repositories`");
    made.sort();
    made.dedup();
    assert_eq!(made, expected);
    assert_eq!(directories.len(), 2 + expected.len() + 1);
    let first = directories.iter().position(|path| path.starts_with(&data));
    let second = directories.iter().position(|path| path.starts_with(&link));
    assert!(first < second, "data before link: {directories:?}");
}

#[test]
fn without_durability_nothing_is_synced() {
    let Some(lines) = trace("work_one_push_not_durable") else { return };
    assert!(count(&lines, WRITES) >= 2, "the trace saw the work");
    assert_eq!(count(&lines, SYNCS), 0);
}
