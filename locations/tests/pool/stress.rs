//! Many locations, little room, short lives, and rotations at random: no upload fails, and nothing is left.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use plugin_registry_conformance::registry::fixture::content;
use plugin_registry_core::{ByteRange, Descriptor, MediaType};
use plugin_registry_locations::{RegistryPool, pool::PoolStats};
use tokio::{runtime::Handle, task::JoinSet};

use crate::lab::{Lab, secret};

const LOCATIONS: u64 = 1000;
const TASKS: u64 = 64;
const UPLOADS_A_TASK: u64 = 40;

/// Numbers without an order, the same in each run.
fn scattered(seed: u64) -> u64 {
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
}

/// One upload in three pieces with pauses longer than an instance lives, each piece by another look at the pool.
async fn upload(pool: &RegistryPool, bucket: &str, key: &AtomicU64, seed: u64) {
    let location = || secret(bucket, &format!("key {}", key.load(SeqCst)));
    let name = || "ns/app".parse().unwrap();
    let blob = content(seed, 3000);
    let descriptor = Descriptor::of(MediaType::ImageLayer, &blob);
    let piece = |part: std::ops::Range<usize>| stream::iter([Ok::<_, io::Error>(blob.slice(part))]);

    let registry = pool.get_or_open(&location()).await.unwrap();
    let session = registry.repository(name()).uploads().start().unwrap();
    session.append(Some(0), None, piece(0..1000)).await.unwrap();
    let id = session.id();
    // Half of them keep their instance, the others ask again and get the instance of that moment.
    if seed.is_multiple_of(2) {
        drop((session, registry));
        tokio::time::sleep(Duration::from_millis(seed % 7)).await;
        let registry = pool.get_or_open(&location()).await.unwrap();
        let session = registry.repository(name()).uploads().resume(id).await.unwrap();
        session.append(Some(1000), None, piece(1000..2000)).await.unwrap();
    } else {
        tokio::time::sleep(Duration::from_millis(seed % 7)).await;
        session.append(Some(1000), None, piece(1000..2000)).await.unwrap();
        drop((session, registry));
    }
    let registry = pool.get_or_open(&location()).await.unwrap();
    let session = registry.repository(name()).uploads().resume(id).await.unwrap();
    session.finish(Some(2000), None, &descriptor.digest, piece(2000..3000)).await.unwrap();

    let blobs = pool.get_or_open(&location()).await.unwrap().repository(name()).blobs();
    let reader = blobs.open(&descriptor.digest, ByteRange::full()).await.unwrap();
    let read: Vec<Bytes> = reader.into_stream().map(Result::unwrap).collect().await;
    assert_eq!(read.concat(), blob);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_locations_in_a_pool_of_sixteen_that_live_shorter_than_an_upload() {
    let stats = storm(Duration::from_millis(2), Duration::from_millis(5)).await;
    assert!(stats.expired + stats.idle > 500, "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_locations_in_a_pool_of_sixteen_that_live_as_long_as_there_is_room() {
    let stats = storm(Duration::from_secs(60), Duration::from_secs(60)).await;
    assert!(stats.capacity > 500 && stats.replaced > 100 && stats.revived > 10, "{stats:?}");
}

/// Uploads by many tasks; gives what the pool has done before it is closed, after which nothing is left.
async fn storm(time_to_idle: Duration, time_to_live: Duration) -> PoolStats {
    let lab = Lab::default();
    let pool = lab.pool().max_open(16).time_to_idle(time_to_idle).time_to_live(time_to_live).build();
    let before = Handle::current().metrics().num_alive_tasks();
    let keys: Arc<Vec<AtomicU64>> = Arc::new((0..LOCATIONS).map(AtomicU64::new).collect());
    let (done, rotations, begin) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Instant::now());
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (pool, keys) = (pool.clone(), keys.clone());
        let (done, rotations) = (done.clone(), rotations.clone());
        tasks.spawn(async move {
            for turn in 0..UPLOADS_A_TASK {
                let seed = task * UPLOADS_A_TASK + turn;
                // All tasks use some of the locations, so that several uploads share one.
                let range = if seed.is_multiple_of(3) { 8 } else { LOCATIONS };
                let number = scattered(seed) % range;
                let key = &keys[usize::try_from(number).unwrap()];
                if scattered(seed + 1).is_multiple_of(4) {
                    key.fetch_add(LOCATIONS, SeqCst);
                    rotations.fetch_add(1, SeqCst);
                }
                upload(&pool, &format!("bucket-{number}"), key, seed).await;
                done.fetch_add(1, SeqCst);
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    let (stats, took) = (pool.stats(), begin.elapsed());
    println!("{} uploads, {} rotations in {took:?}: {stats:?}", done.load(SeqCst), rotations.load(SeqCst));
    assert_eq!(done.load(SeqCst) as u64, TASKS * UPLOADS_A_TASK);
    assert!(rotations.load(SeqCst) > 500, "{rotations:?}");
    assert!(stats.open <= 16 && stats.failed == 0, "{stats:?}");
    pool.invalidate_all().await;
    let left = pool.stats();
    assert_eq!((left.open, left.alive, lab.alive()), (0, 0, 0));
    // The runtime counts a task a moment longer than its joiner.
    for _ in 0..100 {
        if Handle::current().metrics().num_alive_tasks() > before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    assert_eq!(Handle::current().metrics().num_alive_tasks(), before);
    stats
}
