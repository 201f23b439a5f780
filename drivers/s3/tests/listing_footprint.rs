//! How much a search for what is staged holds: a page of keys, however many there are. Runs in its own
//! process, because the heap is per process; the server's heap is counted with it.

#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use futures::TryStreamExt;
use peak_alloc::PeakAlloc;
use plugin_registry_core::{StorageDriver, StoragePath, WriteMode};
use plugin_registry_drivers_s3::S3Driver;
use plugin_registry_emulator::s3::Server;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const KEYS: usize = 60_000;

#[tokio::test]
async fn a_search_for_stages_holds_a_page_of_keys() {
    let server = Server::start();
    let driver = S3Driver::open(common::of_server(&server).with_root_directory("root")).await.unwrap();
    let hex = "0123456789abcdef".repeat(4);
    for number in 0..KEYS {
        let key = format!("root/docker/registry/v2/repositories/a/_layers/sha256/{hex}{number:06}/link");
        server.put_raw(&key, "x");
    }
    let staged: StoragePath = "/docker/registry/v2/blobs/sha256/00/data".parse().unwrap();
    driver.writer(&staged, WriteMode::Stage).await.unwrap().close().await.unwrap();
    let search = async || {
        let found: Vec<_> = driver.list_staged(&StoragePath::root()).try_collect().await.unwrap();
        assert_eq!(found.iter().map(|info| &info.path).collect::<Vec<_>>(), [&staged]);
    };
    // Warm: connections, threads.
    search().await;
    HEAP.reset_peak_usage();
    let before = HEAP.current_usage();
    search().await;
    let peak = HEAP.peak_usage() - before;
    println!("{peak} bytes at the most for {KEYS} keys");
    // All keys would be 9 MB, without what grows with them.
    assert!(peak < 5_000_000, "{peak} bytes");
}
