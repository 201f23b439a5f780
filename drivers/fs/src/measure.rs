//! A measurement to run by hand, rather than a test:
//! `cargo test --release -p plugin-registry-drivers-fs --lib measure -- --ignored --nocapture`,
//! under `strace -f -c` for the number of calls.

use std::time::Instant;

use bytes::Bytes;
use futures::TryStreamExt;
use plugin_registry_core::{ByteRange, StorageDriver, StoragePath, WriteMode};

use crate::{FsConfig, FsDriver};

const GIB: usize = 1 << 30;

async fn one_gib(piece: usize, chunk: usize, hash: bool) {
    let directory = tempfile::tempdir().unwrap();
    let mut config = FsConfig::new(directory.path());
    (config.read_piece, config.write_piece) = (piece, piece);
    let driver = FsDriver::open(config).await.unwrap();
    let path: StoragePath = "/blob".parse().unwrap();
    let chunk = Bytes::from(vec![7; chunk]);
    let algorithm = plugin_registry_core::Algorithm::Sha256;

    let started = Instant::now();
    let mut hasher = plugin_registry_core::Hasher::new(algorithm);
    let mut writer = driver.writer(&path, WriteMode::direct()).await.unwrap();
    for _ in 0..GIB / chunk.len() {
        if hash {
            hasher.update(&chunk);
        }
        writer.write(chunk.clone()).await.unwrap();
    }
    let written = started.elapsed();
    writer.commit(&path).await.unwrap();
    let committed = started.elapsed();

    let started = Instant::now();
    let mut stream = driver.reader(&path, ByteRange::full()).await.unwrap().into_stream();
    let mut size = 0;
    while let Some(piece) = stream.try_next().await.unwrap() {
        size += piece.len();
        if hash {
            hasher.update(&piece);
        }
    }
    assert_eq!(size, GIB);
    println!(
        "piece {:4} KiB, hash {hash:5}: write {:.3} s + commit {:.3} s, read {:.3} s",
        piece >> 10,
        written.as_secs_f64(),
        (committed - written).as_secs_f64(),
        started.elapsed().as_secs_f64()
    );
}

#[tokio::test]
#[ignore = "on demand: a measurement"]
async fn measure_once() {
    one_gib(1 << 20, 64 << 10, false).await;
}

#[tokio::test]
#[ignore = "on demand: a measurement"]
async fn measure_pieces() {
    for _ in 0..3 {
        for hash in [false, true] {
            for piece in [256 << 10, 512 << 10, 1 << 20] {
                one_gib(piece, 64 << 10, hash).await;
            }
        }
    }
}

#[tokio::test]
#[ignore = "on demand: a measurement"]
async fn measure_small_calls() {
    let directory = tempfile::tempdir().unwrap();
    let driver = FsDriver::open(FsConfig::new(directory.path())).await.unwrap();
    let path: StoragePath = "/docker/registry/v2/blobs/sha256/ab/abcdef/data".parse().unwrap();
    driver.put_content(&path, vec![7; 4096].into(), Default::default()).await.unwrap();
    let cpu = || {
        let usage = std::fs::read_to_string("/proc/self/stat").unwrap();
        let fields: Vec<u64> = usage
            .rsplit_once(") ")
            .unwrap()
            .1
            .split(' ')
            .skip(11)
            .take(2)
            .map(|t| t.parse().unwrap())
            .collect();
        fields.iter().sum::<u64>() * 10_000
    };
    let calls = 50_000_u32;
    for name in ["stat", "get_content", "reader"] {
        let (started, used) = (Instant::now(), cpu());
        for _ in 0..calls {
            match name {
                "stat" => drop(driver.stat(&path).await.unwrap()),
                "get_content" => drop(driver.get_content(&path, 1 << 20).await.unwrap()),
                _ => {
                    let reader = driver.reader(&path, ByteRange::full()).await.unwrap();
                    drop(reader.into_stream().try_collect::<Vec<_>>().await.unwrap());
                }
            }
        }
        println!(
            "{name}: {:.1} us wall, {} us CPU",
            started.elapsed().as_secs_f64() * 1e6 / f64::from(calls),
            (cpu() - used) / u64::from(calls)
        );
    }
}

#[tokio::test]
#[ignore = "on demand: a measurement"]
async fn measure_listings() {
    let directory = tempfile::tempdir().unwrap();
    let driver = FsDriver::open(FsConfig::new(directory.path()).with_durable(false)).await.unwrap();
    for at in 0..1000 {
        let path: StoragePath = format!("/tags/v{at}/current/link").parse().unwrap();
        driver.put_content(&path, "x".into(), Default::default()).await.unwrap();
        let path: StoragePath = format!("/tags/v{at}/index/link").parse().unwrap();
        driver.put_content(&path, "x".into(), Default::default()).await.unwrap();
    }
    let tags: StoragePath = "/tags".parse().unwrap();
    for _ in 0..3 {
        let started = Instant::now();
        assert_eq!(driver.list(&tags, None).try_collect::<Vec<_>>().await.unwrap().len(), 1000);
        let listed = started.elapsed();
        assert_eq!(driver.walk(&tags, None).try_collect::<Vec<_>>().await.unwrap().len(), 2000);
        println!("list 1000 directories {listed:?}, walk their 2000 files {:?}", started.elapsed() - listed);
    }
}
