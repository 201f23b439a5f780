//! Locations of one process, each with its own credentials, certificates and log, through the pool.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{TryStreamExt, future::join_all, stream};
use plugin_registry_conformance::registry::fixture::content;
use plugin_registry_core::{
    ByteRange, Descriptor, MediaType, OpenDriver, Result, StorageConfig, StorageDriver,
};
use plugin_registry_drivers_s3::{S3Config, S3Driver};
use plugin_registry_emulator::s3::Server;
use plugin_registry_locations::{
    BackupStorageLocation, Config, Location, LocationCredentials, PooledRegistry, RegistryPool,
    logging::InstanceLogs,
};
use tokio::runtime::Handle;
use tracing_subscriber::prelude::*;

use crate::support::{Authority, Face, Front};

/// The drivers of this test.
#[derive(Debug)]
pub(crate) struct S3;

#[async_trait]
impl OpenDriver for S3 {
    async fn open_driver(&self, config: &StorageConfig) -> Result<Arc<dyn StorageDriver>> {
        Ok(Arc::new(S3Driver::open(S3Config::from_parameters(&config.parameters)?).await?))
    }
}

/// A bucket behind an end of TLS, with keys and an authority that no other has.
struct Bench {
    name: &'static str,
    server: Server,
    authority: Authority,
    front: Front,
}

impl Bench {
    async fn new(name: &'static str) -> Self {
        let (server, authority) = (Server::start(), Authority::new());
        server.rotate_keys(&format!("access-{name}"), &format!("secret-{name}"));
        let front = Front::start(&authority, Face::default(), server.address()).await;
        Self { name, server, authority, front }
    }

    /// The location as Velero has it, which trusts this authority and no other.
    fn location(&self, authority: &Authority, level: &str) -> Location {
        let location = BackupStorageLocation::new("velero", self.name, "aws", self.server.bucket())
            .with_config("region", "us-east-1")
            .with_config("s3Url", self.front.endpoint())
            .with_config("s3ForcePathStyle", "true")
            .with_ca_cert(base64(&authority.pem()));
        let secret = format!(
            "[default]\naws_access_key_id={}\naws_secret_access_key={}\n",
            self.server.access_key(),
            self.server.secret_key()
        );
        let config =
            Config::from_backup_location(&location, &LocationCredentials::from_contents(secret)).unwrap();
        let variables = [
            ("REGISTRY_LOG_LEVEL", level),
            ("REGISTRY_STORAGE_S3_CONDITIONALWRITES", "true"),
            ("REGISTRY_STORAGE_S3_DIRECTORIES", "false"),
            ("REGISTRY_STORAGE_S3_MAXATTEMPTS", "1"),
        ];
        Location::new("velero", self.name, config.merge_env(variables).unwrap())
    }
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// A blob in and out again; and a manifest that is not there, which is worth a line of debug.
async fn use_it(registry: &PooledRegistry, seed: u64) {
    let repository = registry.repository("ns/app".parse().unwrap());
    let blob = content(seed, 4096);
    let descriptor = Descriptor::of(MediaType::ImageLayer, &blob);
    let pieces = stream::iter([Ok::<_, io::Error>(blob.clone())]);
    repository.blobs().push(&descriptor, pieces).await.unwrap();
    let reader = repository.blobs().open(&descriptor.digest, ByteRange::full()).await.unwrap();
    let read: Vec<Bytes> = reader.into_stream().try_collect().await.unwrap();
    assert_eq!(read.concat(), blob);
    assert!(!repository.manifests().exists(&"none".parse().unwrap()).await.unwrap());
}

/// Where lines of the log go.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn two_locations_at_once_mix_nothing() {
    let (lines, logs) = (Lines::default(), InstanceLogs::new());
    let writer = lines.clone();
    let subscriber = tracing_subscriber::registry().with(logs.layer(move || writer.clone()));
    let _guard = tracing::subscriber::set_default(subscriber);
    let (loud, quiet) = (Bench::new("loud").await, Bench::new("quiet").await);
    let pool = RegistryPool::builder(S3).logs(&logs).build();
    let (a, b) = (loud.location(&loud.authority, "debug"), quiet.location(&quiet.authority, "error"));
    for round in 0..20 {
        let (first, second) = futures::join!(pool.get_or_open(&a), pool.get_or_open(&b));
        let (first, second) = (first.unwrap(), second.unwrap());
        futures::join!(use_it(&first, round), use_it(&second, 1000 + round));
    }
    assert_eq!(pool.stats().opened, 2);
    let text = lines.text();
    let of = |name: &str| text.lines().filter(|line| line.contains(&format!("velero/{name}"))).count();
    assert!(of("loud") > 20, "{text}");
    assert_eq!(of("quiet"), 0, "{text}");
    for bench in [&loud, &quiet] {
        assert!(!text.contains(&format!("secret-{}", bench.name)));
    }
    // No other location's certificates.
    let wrong = pool.get_or_open(&loud.location(&quiet.authority, "debug")).await.unwrap();
    let error = wrong.catalog(None, 10).await.unwrap_err().to_string();
    assert!(error.contains("invalid peer certificate"), "{error}");
    use_it(&pool.get_or_open(&b).await.unwrap(), 5000).await;
}

#[tokio::test]
async fn nothing_is_left_of_locations_that_are_closed() {
    // Each connection has a task here, and one at its other end.
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let benches = join_all(["a", "b", "c", "d"].map(Bench::new)).await;
    let pool = RegistryPool::builder(S3).build();
    let locations: Vec<_> = benches.iter().map(|bench| bench.location(&bench.authority, "error")).collect();
    let alive = tasks();
    for _ in 0..3 {
        let open = join_all(locations.iter().map(|location| pool.get_or_open(location))).await;
        let open: Vec<_> = open.into_iter().map(Result::unwrap).collect();
        join_all(open.iter().zip(0..).map(|(registry, seed)| use_it(registry, seed))).await;
        assert!(tasks() > alive, "there are connections");
        pool.invalidate_all().await;
        drop(open);
        assert_eq!(pool.stats().alive, 0);
    }
    // The other ends see it a moment later.
    for _ in 0..100 {
        if tasks() > alive {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert_eq!(tasks(), alive);
}
