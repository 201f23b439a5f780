//! A thousand locations in buckets, little room, lives shorter than an upload, 64 tasks, keys that rotate: no upload
//! fails, and tasks, sockets and memory are back afterwards. Runs in its own process, because all of these
//! are per process.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test harness: a failed check is a panic, and its figures are printed"
)]

use std::{
    collections::HashSet,
    fs, io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{TryStreamExt, stream};
use peak_alloc::PeakAlloc;
use plugin_registry_conformance::registry::fixture::content;
use plugin_registry_core::{
    ByteRange, Descriptor, MediaType, OpenDriver, Result, StorageConfig, StorageDriver,
};
use plugin_registry_drivers_s3::{S3Config, S3Driver};
use plugin_registry_emulator::s3::Server;
use plugin_registry_locations::{Config, Location, RegistryPool};
use tokio::{runtime::Handle, task::JoinSet};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const LOCATIONS: u64 = 1000;
const TASKS: u64 = 64;
const UPLOADS_A_TASK: u64 = 8;
/// Pairs of keys that the store knows; a location goes from one to the next.
const KEYS: u64 = 8;

/// Opens one of each at a time, or panics.
#[derive(Debug, Default)]
struct S3(Mutex<HashSet<String>>);

#[async_trait]
impl OpenDriver for S3 {
    async fn open_driver(&self, config: &StorageConfig) -> Result<Arc<dyn StorageDriver>> {
        let parameters = &config.parameters;
        let what = format!("{:?} {:?}", parameters.get("rootdirectory"), parameters.get("accesskey"));
        assert!(self.0.lock().unwrap().insert(what.clone()), "two opens of {what} at the same time");
        tokio::task::yield_now().await;
        let driver = S3Driver::open(S3Config::from_parameters(parameters)?).await;
        self.0.lock().unwrap().remove(&what);
        Ok(Arc::new(driver?))
    }
}

struct Bench {
    pool: RegistryPool,
    endpoint: String,
    bucket: String,
    /// Which keys each location has.
    keys: Vec<AtomicU64>,
    rotations: AtomicU64,
}

impl Bench {
    fn location(&self, number: u64) -> Location {
        let key = self.keys[usize::try_from(number).unwrap()].load(SeqCst) % KEYS;
        let (access, secret, root) =
            (format!("access-{key}"), format!("secret-{key}"), format!("location-{number}"));
        let mut settings = vec![
            ("REGISTRY_STORAGE", "s3"),
            ("REGISTRY_STORAGE_S3_BUCKET", &*self.bucket),
            ("REGISTRY_STORAGE_S3_REGION", "us-east-1"),
            ("REGISTRY_STORAGE_S3_REGIONENDPOINT", &*self.endpoint),
            ("REGISTRY_STORAGE_S3_ACCESSKEY", &*access),
            ("REGISTRY_STORAGE_S3_SECRETKEY", &*secret),
            ("REGISTRY_STORAGE_S3_ROOTDIRECTORY", &*root),
        ];
        // The others are found out about at their first write, as those of most users are.
        if number.is_multiple_of(2) {
            settings.push(("REGISTRY_STORAGE_S3_CONDITIONALWRITES", "true"));
            settings.push(("REGISTRY_STORAGE_S3_DIRECTORIES", "false"));
        }
        Location::new("velero", number.to_string(), Config::from_env(settings).unwrap())
    }

    /// An upload in pieces, each by another look at the pool, with a pause longer than an instance lives.
    async fn upload(&self, number: u64, seed: u64) {
        let name = || "ns/app".parse().unwrap();
        let blob = content(seed, 3000);
        let descriptor = Descriptor::of(MediaType::ImageLayer, &blob);
        let piece = |part: std::ops::Range<usize>| stream::iter([Ok::<_, io::Error>(blob.slice(part))]);
        let registry = self.pool.get_or_open(&self.location(number)).await.unwrap();
        let session = registry.repository(name()).uploads().start().unwrap();
        session.append(Some(0), None, piece(0..2000)).await.unwrap();
        let id = session.id();
        drop((session, registry));
        tokio::time::sleep(Duration::from_millis(seed % 40)).await;
        let registry = self.pool.get_or_open(&self.location(number)).await.unwrap();
        let session = registry.repository(name()).uploads().resume(id).await.unwrap();
        session.finish(Some(2000), None, &descriptor.digest, piece(2000..3000)).await.unwrap();
        let blobs = self.pool.get_or_open(&self.location(number)).await.unwrap().repository(name()).blobs();
        let reader = blobs.open(&descriptor.digest, ByteRange::full()).await.unwrap();
        let read: Vec<Bytes> = reader.into_stream().try_collect().await.unwrap();
        assert_eq!(read.concat(), blob);
    }
}

fn sockets() -> usize {
    let is_socket = |entry: io::Result<fs::DirEntry>| {
        fs::read_link(entry.unwrap().path())
            .is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
    };
    fs::read_dir("/proc/self/fd").unwrap().map(is_socket).filter(|yes| *yes).count()
}

/// Waits until it is so, for some seconds at most: the checks after it say what was not.
async fn settled(so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !so() && begin.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Numbers without an order, the same in each run.
fn scattered(seed: u64) -> u64 {
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_locations_leave_nothing() {
    let server = Server::start();
    for key in 0..KEYS {
        server.add_keys(&format!("access-{key}"), &format!("secret-{key}"), None);
    }
    let pool = RegistryPool::builder(S3::default())
        .max_open(16)
        .time_to_idle(Duration::from_millis(10))
        .time_to_live(Duration::from_millis(20))
        .build();
    let bench = Arc::new(Bench {
        pool,
        endpoint: server.endpoint(),
        bucket: server.bucket().to_owned(),
        keys: (0..LOCATIONS).map(AtomicU64::new).collect(),
        rotations: AtomicU64::new(0),
    });
    // Warm: threads, tables.
    bench.upload(0, 7).await;
    bench.pool.invalidate_all().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.forget();
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let (alive, open, heap, begin) = (tasks(), sockets(), HEAP.current_usage(), Instant::now());

    let mut work = JoinSet::new();
    for task in 0..TASKS {
        let bench = bench.clone();
        work.spawn(async move {
            for turn in 0..UPLOADS_A_TASK {
                let seed = task * UPLOADS_A_TASK + turn;
                // All tasks use some of the locations, so that several uploads share one.
                let number = scattered(seed) % if seed.is_multiple_of(3) { 8 } else { LOCATIONS };
                if scattered(seed + 1).is_multiple_of(4) {
                    bench.rotations.fetch_add(1, SeqCst);
                    bench.keys[usize::try_from(number).unwrap()].fetch_add(1, SeqCst);
                }
                bench.upload(number, seed).await;
            }
        });
    }
    while let Some(task) = work.join_next().await {
        task.unwrap();
    }
    let (stats, took, busy) = (bench.pool.stats(), begin.elapsed(), sockets());
    assert!(stats.opened > 200 && stats.open <= 16 && stats.failed == 0, "{stats:?}");
    assert!(stats.replaced + stats.expired + stats.idle + stats.capacity > 200, "{stats:?}");
    bench.pool.invalidate_all().await;
    // The other ends see it a moment later.
    settled(|| tasks() <= alive && sockets() <= open).await;
    let (requests, rotations) = (server.count(), bench.rotations.load(SeqCst));
    assert!(rotations > 50, "{rotations}");
    // The store's objects and its record of requests belong to the test. The server's threads free them as
    // they end.
    let objects = HEAP.current_usage();
    drop(server);
    settled(|| HEAP.current_usage() < heap + (4 << 20)).await;
    let left = HEAP.current_usage();
    println!(
        "{} uploads, {rotations} rotations in {took:?}, {requests} requests, {stats:?}; {open} sockets before, {busy} when busy, {} after; \
         heap {heap} before, {objects} after, {left} without the store",
        TASKS * UPLOADS_A_TASK,
        sockets(),
    );
    assert_eq!((bench.pool.stats().alive, tasks() <= alive), (0, true));
    assert!(sockets() <= open, "{} sockets, {open} before", sockets());
    assert!(left < heap + (4 << 20), "{left} bytes of heap, {heap} before");
}
