//! The costs of an open location at rest, and that closing gives them back: heap bytes, tasks, open files.
//! Runs in its own process, because the heap is per process.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{fs, time::Instant};

use peak_alloc::PeakAlloc;
use plugin_registry_drivers::Drivers;
use plugin_registry_locations::{Config, Location, RegistryPool};
use tokio::runtime::Handle;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const INSTANCES: usize = 1000;

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn location(root: &std::path::Path, number: usize) -> Location {
    let text = format!(
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: '{}/{number}'\n",
        root.to_str().unwrap()
    );
    Location::new("velero", number.to_string(), Config::from_yaml(&text).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_directories() {
    let root = tempfile::tempdir().unwrap();
    for number in 0..=INSTANCES {
        fs::create_dir(root.path().join(number.to_string())).unwrap();
    }
    let locations: Vec<_> = (0..INSTANCES).map(|number| location(root.path(), number)).collect();
    let pool = RegistryPool::builder(Drivers::new()).max_open(INSTANCES + 1).build();
    // Warm: threads, tables.
    pool.get_or_open(&location(root.path(), INSTANCES)).await.unwrap();
    let (heap, files, tasks) =
        (HEAP.current_usage(), open_files(), Handle::current().metrics().num_alive_tasks());

    let begin = Instant::now();
    for location in &locations {
        pool.get_or_open(location).await.unwrap();
    }
    let opened = begin.elapsed();
    let each = (HEAP.current_usage() - heap) / INSTANCES;
    let begin = Instant::now();
    for location in &locations {
        pool.get_or_open(location).await.unwrap();
    }
    let found = begin.elapsed();
    assert_eq!((pool.stats().open, pool.stats().hits), (INSTANCES + 1, 1000));
    for location in &locations {
        pool.invalidate(&location.namespace, &location.name).await;
    }
    pool.sweep().await;
    let left = HEAP.current_usage().saturating_sub(heap);
    println!(
        "opening {opened:?}, again {found:?} for {INSTANCES}; {each} bytes each, {left} bytes left when closed"
    );
    assert!(each <= 50_000, "{each} bytes each");
    assert!(left <= each * INSTANCES / 10, "{left} bytes left of {each} each");
    assert_eq!((pool.stats().alive, open_files()), (1, files));
    assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks);
    // 0.2 ms each is the aim; a busy machine and a build without optimization need more.
    let factor = if cfg!(debug_assertions) { 50 } else { 3 };
    assert!(opened.as_millis() < factor * 200, "{opened:?}");
}
