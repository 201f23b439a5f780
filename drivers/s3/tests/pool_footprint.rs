//! The costs of an open bucket at rest, and that closing gives them back. Runs in its own process, because
//! the heap is per process.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use peak_alloc::PeakAlloc;
use plugin_registry_core::{OpenDriver, Result, StorageConfig, StorageDriver};
use plugin_registry_drivers_s3::{S3Config, S3Driver};
use plugin_registry_locations::{Config, Location, RegistryPool};
use tokio::runtime::Handle;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const INSTANCES: usize = 1000;

#[derive(Debug)]
struct S3;

#[async_trait]
impl OpenDriver for S3 {
    async fn open_driver(&self, config: &StorageConfig) -> Result<Arc<dyn StorageDriver>> {
        Ok(Arc::new(S3Driver::open(S3Config::from_parameters(&config.parameters)?).await?))
    }
}

fn location(number: usize) -> Location {
    let bucket = format!("bucket-{number}");
    let config = Config::from_env([
        ("REGISTRY_STORAGE", "s3"),
        ("REGISTRY_STORAGE_S3_BUCKET", &*bucket),
        ("REGISTRY_STORAGE_S3_REGION", "eu-central-1"),
        ("REGISTRY_STORAGE_S3_ACCESSKEY", "id"),
        ("REGISTRY_STORAGE_S3_SECRETKEY", "key"),
    ]);
    Location::new("velero", bucket.clone(), config.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_buckets() {
    let locations: Vec<_> = (0..INSTANCES).map(location).collect();
    let pool = RegistryPool::builder(S3).max_open(INSTANCES + 1).build();
    // Warm: threads, tables.
    pool.get_or_open(&location(INSTANCES)).await.unwrap();
    let (heap, tasks) = (HEAP.current_usage(), Handle::current().metrics().num_alive_tasks());
    let begin = Instant::now();
    for location in &locations {
        pool.get_or_open(location).await.unwrap();
    }
    let opened = begin.elapsed();
    let each = (HEAP.current_usage() - heap) / INSTANCES;
    assert_eq!(pool.stats().open, INSTANCES + 1);
    for location in &locations {
        pool.invalidate(&location.namespace, &location.name).await;
    }
    pool.sweep().await;
    let left = HEAP.current_usage().saturating_sub(heap);
    println!("opening {opened:?} for {INSTANCES}; {each} bytes each, {left} bytes left when closed");
    assert!(each <= 100_000, "{each} bytes each");
    assert!(left <= each * INSTANCES / 10, "{left} bytes left of {each} each");
    assert_eq!(pool.stats().alive, 1);
    assert_eq!(Handle::current().metrics().num_alive_tasks(), tasks);
    // 0.5 ms each is the aim; a busy machine and a build without optimization need more.
    let factor = if cfg!(debug_assertions) { 50 } else { 3 };
    assert!(opened.as_millis() < factor * 500, "{opened:?}");
}
