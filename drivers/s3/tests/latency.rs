//! The cost of a round trip: 10 ms are added to each request, and independent requests run side by side.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

mod common;

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use plugin_registry::Registry;
use plugin_registry_conformance::registry::fixture::{IMAGE, content, descriptor, document};
use plugin_registry_core::{ByteRange, Descriptor, MediaType, Reference};
use plugin_registry_drivers_s3::S3Driver;
use plugin_registry_emulator::s3::Server;
use serde_json::json;

const LATENCY: Duration = Duration::from_millis(10);

async fn timed(what: &str, aim: Duration, work: impl Future<Output = ()>) {
    let begin = Instant::now();
    work.await;
    let took = begin.elapsed();
    println!("| {what} | {:.3} s | {:.2} s |", took.as_secs_f64(), aim.as_secs_f64());
    // Builds without optimization hash slowly, and the machine may be busy; a round trip too many in a row
    // would cost more than that.
    assert!(took < aim * 3, "{what} took {took:?}");
}

/// The layers of a typical image, 155 MB; zeros compress nothing here and are quick to make.
fn layers() -> Vec<Bytes> {
    let sizes = [30, 28, 25, 20, 16, 12, 9, 7, 4, 2, 1, 1];
    (1..).zip(sizes).map(|(seed, mib)| content(seed, mib * 1_000_000)).collect()
}

/// A blob whose digest is known, as a copy has it.
type Known = (Descriptor, Bytes);

fn known(blob: &Bytes) -> Known {
    (Descriptor::of(MediaType::ImageLayerGzip, blob), blob.clone())
}

/// As a copy pushes: some blobs at a time.
async fn push(registry: &Registry, blobs: &[Known]) {
    let repository = registry.repository("ns/app".parse().unwrap());
    stream::iter(blobs)
        .map(Ok)
        .try_for_each_concurrent(8, async |(descriptor, blob): &Known| {
            let pieces: Vec<Bytes> = blob.chunks(1 << 20).map(|piece| blob.slice_ref(piece)).collect();
            let pieces = stream::iter(pieces.into_iter().map(Ok::<_, Infallible>));
            repository.blobs().push(descriptor, pieces).await.map(drop)
        })
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn round_trips_are_few_and_side_by_side() {
    // The server shares the processors with what is measured.
    let server = Server::builder().opaque_etags(true).start();
    let driver = S3Driver::open(common::of_server(&server)).await.unwrap();
    let registry = Registry::builder(driver).build();
    // Connections are there already, as in a plugin that copies.
    push(&registry, &[100, 101, 102, 103].map(|seed| known(&content(seed, 1000)))).await;
    server.set_latency(LATENCY);

    let one = [known(&content(200, 10_000_000))];
    timed("push one blob of 10 MB", Duration::from_millis(80), push(&registry, &one)).await;

    let (layers, config) = (layers(), content(99, 7000));
    let entry = |bytes: &Bytes, kind: &str| descriptor(&format!("application/vnd.oci.image.{kind}"), bytes);
    let manifest = document(&json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": entry(&config, "config.v1+json"),
        "layers": layers.iter().map(|layer| entry(layer, "layer.v1.tar+gzip")).collect::<Vec<_>>(),
    }));
    let latest: Reference = "latest".parse().unwrap();
    let blobs: Vec<Known> = layers.iter().chain([&config]).map(known).collect();
    timed("push an image of 12 layers, 155 MB", Duration::from_millis(500), async {
        push(&registry, &blobs).await;
        let manifests = registry.repository("ns/app".parse().unwrap()).manifests();
        drop(manifests.put(&latest, Some(IMAGE), manifest.clone()).await.unwrap());
    })
    .await;
    timed("pull it", Duration::from_millis(200), async {
        let repository = registry.repository("ns/app".parse().unwrap());
        let pulled = repository.manifests().get(&latest).await.unwrap();
        assert_eq!(pulled.bytes(), &manifest);
        stream::iter(&blobs)
            .map(Ok)
            .try_for_each_concurrent(8, async |(descriptor, blob): &Known| {
                let reader = repository.blobs().open(&descriptor.digest, ByteRange::full()).await?;
                let size =
                    reader.into_stream().try_fold(0, async |size, piece| Ok(size + piece.len())).await?;
                assert_eq!(size, blob.len());
                Ok::<_, plugin_registry::RegistryError>(())
            })
            .await
            .unwrap();
    })
    .await;
}
