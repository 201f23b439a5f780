//! Exact numbers of driver calls per operation, against what the project aims at: counts do not
//! depend on the machine, so they are equalities. `cargo test -p plugin-registry --test driver_calls --
//! --nocapture` prints the table.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::{convert::Infallible, future::poll_fn};

use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use plugin_registry::{Body, Registry, layout};
use plugin_registry_core::{
    Descriptor, Digest, MediaType, Reference, RepositoryName, StorageDriver, StorageDriverExt, StoragePath,
};
use plugin_registry_drivers_memory::MemoryDriver;
use tower_service::Service;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

struct Bench {
    store: MemoryDriver,
    registry: Registry,
}

impl Bench {
    fn new() -> Self {
        let store = MemoryDriver::new();
        let registry = open(&store);
        Self { store, registry }
    }

    /// Another instance over the same store, with nothing remembered.
    fn cold(&self) -> Self {
        Self { store: self.store.clone(), registry: open(&self.store) }
    }

    fn calls(&self) -> u64 {
        self.registry.metrics().snapshot().driver_calls()
    }

    async fn send(&self, method: Method, uri: &str, body: Bytes) -> Response<Body> {
        let mut service = self.registry.service();
        poll_fn(|cx| Service::<Request<Full<Bytes>>>::poll_ready(&mut service, cx)).await.unwrap();
        let mut request =
            Request::builder().method(method).uri(uri).header(header::CONTENT_LENGTH, body.len());
        if uri.contains("/manifests/") {
            request = request.header(header::CONTENT_TYPE, MANIFEST);
        }
        let answer: Result<_, Infallible> = service.call(request.body(Full::new(body)).unwrap()).await;
        answer.unwrap()
    }

    async fn start(&self, name: &str) -> String {
        let started = self.send(Method::POST, &format!("/v2/{name}/blobs/uploads/"), Bytes::new()).await;
        assert_eq!(started.status(), StatusCode::ACCEPTED);
        location(&started)
    }

    async fn push_blob(&self, name: &str, content: &Bytes) -> Digest {
        let digest = Digest::sha256(content);
        let head = self.send(Method::HEAD, &format!("/v2/{name}/blobs/{digest}"), Bytes::new()).await;
        assert_eq!(head.status(), StatusCode::NOT_FOUND);
        let place = self.start(name).await;
        let done = self.send(Method::PUT, &format!("{place}&digest={digest}"), content.clone()).await;
        assert_eq!(done.status(), StatusCode::CREATED);
        digest
    }

    async fn push_manifest(&self, name: &str, reference: &str, manifest: Bytes) {
        let put = self.send(Method::PUT, &format!("/v2/{name}/manifests/{reference}"), manifest).await;
        assert_eq!(put.status(), StatusCode::CREATED);
    }

    /// Runs `work` and gives the driver calls it made.
    async fn count<T>(&self, work: impl Future<Output = T>) -> u64 {
        let before = self.calls();
        work.await;
        self.calls() - before
    }
}

fn open(store: &MemoryDriver) -> Registry {
    Registry::builder(store.clone()).delete(true).build()
}

fn location(response: &Response<Body>) -> String {
    response.headers()[header::LOCATION].to_str().unwrap().to_owned()
}

fn content(seed: usize, size: usize) -> Bytes {
    (0..size).map(|i| (i.wrapping_mul(31).wrapping_add(seed.wrapping_mul(7919)) >> 3) as u8).collect()
}

fn manifest(layers: &[Bytes], config: &Bytes) -> Bytes {
    let entry = |bytes: &Bytes, kind: &str| {
        let digest = Digest::sha256(bytes);
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.{kind}","digest":"{digest}","size":{}}}"#,
            bytes.len()
        )
    };
    let layers: Vec<String> = layers.iter().map(|layer| entry(layer, "layer.v1.tar+gzip")).collect();
    let config = entry(config, "config.v1+json");
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{config},"layers":[{}]}}"#,
        layers.join(",")
    )
    .into()
}

fn image(seed: usize, layers: usize) -> (Vec<Bytes>, Bytes, Bytes) {
    let layers: Vec<Bytes> = (0..layers).map(|n| content(seed * 100 + n, 5000 + n)).collect();
    let config = content(seed * 100 + 99, 700);
    let manifest = manifest(&layers, &config);
    (layers, config, manifest)
}

async fn push_image(bench: &Bench, name: &str, seed: usize, layers: usize) -> (Vec<Bytes>, Bytes, Bytes) {
    let (layers, config, manifest) = image(seed, layers);
    for blob in layers.iter().chain([&config]) {
        bench.push_blob(name, blob).await;
    }
    bench.push_manifest(name, "latest", manifest.clone()).await;
    (layers, config, manifest)
}

async fn read(response: Response<Body>) -> Bytes {
    assert_eq!(response.status(), StatusCode::OK);
    http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes()
}

fn row(operation: &str, calls: u64, expected: u64, aim: u64) {
    println!("| {operation} | {calls} | {aim} |");
    assert_eq!(calls, expected, "{operation}");
    assert!(calls <= aim, "{operation}: {calls} calls, the aim is {aim}");
}

#[tokio::test]
async fn driver_calls_are_at_or_under_the_aims() {
    println!("| operation | driver calls | aim |\n|---|---|---|");

    for size in [4096, 10 << 20] {
        let bench = Bench::new();
        let calls = bench.count(bench.push_blob("ns/app", &content(1, size))).await;
        row(&format!("push one blob of {size} bytes, HEAD+POST+PUT"), calls, 3, 4);
    }

    let bench = Bench::new();
    let calls = bench
        .count(async {
            let blob = content(1, 10 << 20);
            let place = bench.start("ns/app").await;
            let patched = bench.send(Method::PATCH, &place, blob.clone()).await;
            assert_eq!(patched.status(), StatusCode::ACCEPTED);
            let place = format!("{}&digest={}", location(&patched), Digest::sha256(&blob));
            assert_eq!(bench.send(Method::PUT, &place, Bytes::new()).await.status(), StatusCode::CREATED);
        })
        .await;
    row("push one blob of 10 MiB, POST+PATCH+PUT (the HEAD before: 1 more)", calls, 5, 5);

    let bench = Bench::new();
    let calls = bench.count(bench.push_blob("ns/app", &content(1, 100 << 20))).await;
    row("push one blob of 100 MiB, HEAD+POST+PUT (0 parts)", calls, 3, 4);

    let bench = Bench::new();
    let (layers, config, first) = image(2, 1);
    for blob in layers.iter().chain([&config]) {
        bench.push_blob("ns/app", blob).await;
    }
    let calls = bench.count(bench.push_manifest("ns/app", "latest", first)).await;
    row("manifest PUT, new tag, 1 layer", calls, 5, 5);

    let cold = bench.cold();
    let layer = Digest::sha256(&layers[0]);
    let calls = cold
        .count(async {
            read(cold.send(Method::GET, "/v2/ns/app/manifests/latest", Bytes::new()).await).await;
            read(cold.send(Method::GET, &format!("/v2/ns/app/blobs/{layer}"), Bytes::new()).await).await;
        })
        .await;
    row("manifest by tag and 1 layer, cold", calls, 5, 5);

    let cold = bench.cold();
    let calls = cold.count(cold.send(Method::HEAD, &format!("/v2/ns/app/blobs/{layer}"), Bytes::new())).await;
    row("HEAD blob, cold", calls, 2, 2);

    let cold = bench.cold();
    let mount = format!("/v2/ns/other/blobs/uploads/?mount={layer}&from=ns/app");
    let calls = cold
        .count(async {
            assert_eq!(cold.send(Method::POST, &mount, Bytes::new()).await.status(), StatusCode::CREATED);
        })
        .await;
    row("cross-repository mount, cold", calls, 3, 3);

    let bench = Bench::new();
    let calls = bench.count(push_image(&bench, "ns/app", 3, 12)).await;
    row("fresh 12-layer image", calls, 44, 60);

    let cold = bench.cold();
    let (layers, config, manifest) = image(3, 12);
    let name: RepositoryName = "ns/app".parse().unwrap();
    let latest: Reference = "latest".parse().unwrap();
    let calls = cold
        .count(async {
            cold.registry
                .repository(name.clone())
                .manifests()
                .put(&latest, Some(MANIFEST), manifest.clone())
                .await
                .unwrap()
        })
        .await;
    row("re-push of 12 layers, cold, manifest first", calls, 17, 17);

    let cold = bench.cold();
    let calls = cold
        .count(async {
            for blob in layers.iter().chain([&config]) {
                let digest = Digest::sha256(blob);
                cold.send(Method::HEAD, &format!("/v2/ns/app/blobs/{digest}"), Bytes::new()).await;
            }
            cold.push_manifest("ns/app", "latest", manifest.clone()).await;
        })
        .await;
    row("re-push of 12 layers, cold, a HEAD for each blob (peers: 30)", calls, 30, 30);

    let cold = bench.cold();
    let calls = cold
        .count(async {
            read(cold.send(Method::GET, "/v2/ns/app/manifests/latest", Bytes::new()).await).await;
            for blob in layers.iter().chain([&config]) {
                let uri = format!("/v2/ns/app/blobs/{}", Digest::sha256(blob));
                assert_eq!(read(cold.send(Method::GET, &uri, Bytes::new()).await).await, blob);
            }
        })
        .await;
    row("pull of 12 layers, cold", calls, 29, 30);

    let bench = Bench::new();
    let (_, _, first) = push_image(&bench, "ns/app", 4, 1).await;
    let other = push_image(&bench, "ns/app", 5, 1).await.2;
    let tags: Vec<_> = (0..1000).map(|n| format!("v{n:04}").parse().unwrap()).collect();
    let repository = bench.registry.repository(name.clone());
    repository.manifests().put_tagged(None, &tags, Some(MANIFEST), first).await.unwrap();
    let calls = bench.count(bench.send(Method::GET, "/v2/ns/app/tags/list", Bytes::new())).await;
    row("tags/list of 1001 tags", calls, 1, 2);
    let uri = format!("/v2/ns/app/manifests/{}", Digest::sha256(&other));
    let calls = bench
        .count(async {
            assert_eq!(bench.send(Method::DELETE, &uri, Bytes::new()).await.status(), StatusCode::ACCEPTED);
        })
        .await;
    row("delete a manifest in a repository of 1001 tags", calls, 1006, 1010);

    let bench = Bench::new();
    for n in 0..200 {
        bench.push_blob(&format!("ns/app{n}"), &content(n, 10)).await;
    }
    let calls = bench.count(bench.send(Method::GET, "/v2/_catalog?n=500", Bytes::new())).await;
    row("catalog of 200 repositories", calls, 1, 2);

    let bench = Bench::new();
    let (layers, config, manifest) = image(6, 12);
    let repository = bench.registry.repository(name);
    let calls = bench
        .count(async {
            for blob in layers.iter().chain([&config]) {
                let descriptor = Descriptor::of(MediaType::ImageLayerGzip, blob);
                let stream = futures::stream::iter([Ok::<_, Infallible>(blob.clone())]);
                repository.blobs().push(&descriptor, stream).await.unwrap();
            }
            repository.manifests().put(&latest, Some(MANIFEST), manifest.clone()).await.unwrap();
        })
        .await;
    row("copy of a known image of 13 blobs into a location", calls, 44, 3 * 13 + 5);
}

/// A page of a listing holds about 1000 links. Where a page had few of the wanted ones, the rest are read one by one.
#[tokio::test]
async fn links_are_listed_while_that_is_cheaper_than_to_read_them() {
    let bench = Bench::new();
    let name: RepositoryName = "ns/app".parse().unwrap();
    let mut blobs: Vec<Descriptor> =
        (0..2500).map(|n| Descriptor::of(MediaType::ImageLayerGzip, &content(n, 10 + n))).collect();
    blobs.sort_by_key(|blob| blob.digest);
    for blob in &blobs {
        bench.store.put(&layout::layer_link(&name, &blob.digest), blob.digest.to_string()).await.unwrap();
    }
    let every = |step: usize| blobs.iter().step_by(step).cloned().collect::<Vec<_>>();
    // All: 1 listing, and each blob's data. Every 100th: the first page has 10 of 25, so 15 are read. Every 50th:
    // each page has 20.
    for (wanted, expected) in [(every(1), 1 + 2500), (every(100), 1 + 15 + 25), (every(50), 1 + 50)] {
        let cold = bench.cold();
        let blobs = cold.registry.repository(name.clone()).blobs();
        let calls = cold.count(async { assert_eq!(blobs.missing(&wanted).await.unwrap(), wanted) }).await;
        assert_eq!(calls, expected, "{} of 2500 links", wanted.len());
    }
}

/// Whether there is a registry is one listing, which writes nothing, whatever the store holds.
#[tokio::test]
async fn a_registry_exists_once_it_has_content() {
    let root = layout::ROOT;
    let id = "6f0f3c9e-0b1a-4c6e-9b68-0e3a2f1d4c5b";
    for (files, exists) in [
        (vec![], false),
        // A directory of another program, and names that only begin or end like ours.
        (vec!["/backups/one/x".to_owned(), "/docker/registry/v22/blobs/x".to_owned()], false),
        (vec!["/prefix/docker/registry/v2/blobs/x".to_owned()], false),
        (vec![format!("{root}/blobs"), format!("{root}/note"), format!("{root}/repositories-old/x")], false),
        // What a probe or a purge that was killed has left.
        (vec![format!("{root}/gc/probe/{id}/object"), format!("{root}/gc/clock/{id}")], false),
        (vec![format!("{root}/blobs/sha256/00/0/data")], true),
        (vec![format!("{root}/repositories/a/_uploads/{id}/startedat")], true),
        (vec![format!("{root}/gc/clock/{id}"), format!("{root}/repositories/a/_layers/sha256/0/link")], true),
    ] {
        let bench = Bench::new();
        for file in &files {
            bench.store.put(&file.parse().unwrap(), "x").await.unwrap();
        }
        let registry = Registry::builder(bench.store.clone()).read_only(true).build();
        assert_eq!(registry.exists().await.unwrap(), exists, "{files:?}");
        assert_eq!(registry.metrics().snapshot().driver_calls(), 1, "{files:?}");
        assert_eq!(bench.store.walk(&StoragePath::root(), None).count().await, files.len());
    }
    let bench = Bench::new();
    bench.push_blob("ns/app", &content(1, 10)).await;
    let calls = bench.count(async { assert!(bench.registry.exists().await.unwrap()) }).await;
    row("whether there is a registry", calls, 1, 1);
}
