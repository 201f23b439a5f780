//! How many requests the registry makes to S3 for one operation. Counts do not depend on the machine, so they
//! are equalities. `cargo test -p plugin-registry-drivers-s3 --test requests -- --nocapture` prints the table.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

mod common;

use std::convert::Infallible;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use plugin_registry::Registry;
use plugin_registry_conformance::registry::{
    Client,
    client::and,
    fixture::{IMAGE, content, digest},
};
use plugin_registry_core::{Descriptor, Digest, MediaType, Reference, StorageDriver, WriteMode};
use plugin_registry_drivers_s3::{Checksums, S3Driver};
use plugin_registry_emulator::s3::Server;

struct Bench {
    server: Server,
    registry: Registry,
    client: Client,
}

async fn registry(server: &Server) -> Registry {
    let driver = S3Driver::open(common::of_server(server)).await.unwrap();
    Registry::builder(driver).delete(true).build()
}

impl Bench {
    async fn new() -> Self {
        let server = Server::start();
        let registry = registry(&server).await;
        let client = Client::new(&registry);
        assert_eq!(server.count(), 0, "opening asks nobody");
        Self { server, registry, client }
    }

    /// Another instance on the same bucket, with nothing remembered.
    async fn cold(self) -> Self {
        let registry = registry(&self.server).await;
        let client = Client::new(&registry);
        Self { registry, client, ..self }
    }

    async fn count(&self, what: &str, expected: usize, aim: usize, work: impl Future<Output = ()>) {
        self.server.forget();
        work.await;
        let count = self.server.count();
        println!("| {what} | {count} | {aim} | {:?} |", self.server.counts());
        assert_eq!(count, expected, "{what}: {:?}", self.server.counts());
        assert!(count <= aim, "{what}: the aim is {aim}");
        assert!(self.server.uploads().is_empty(), "{what} left a multipart upload open");
    }

    async fn push(&self, name: &str, blob: &Bytes) {
        let digest = digest(blob);
        assert_eq!(self.client.probe(format!("/v2/{name}/blobs/{digest}")).await, 404);
        let location = self.client.begin(name).await;
        let put = self.client.put(and(&location, &format!("digest={digest}"))).body(blob.clone());
        let _ = put.send().await.expect(201);
    }

    async fn put(&self, name: &str, tag: &str, manifest: &Bytes) {
        let put = self.client.put(format!("/v2/{name}/manifests/{tag}")).header("content-type", IMAGE);
        let _ = put.body(manifest.clone()).send().await.expect(201);
    }

    async fn pull(&self, uri: &str) -> Bytes {
        self.client.get(uri).send().await.expect(200).body().clone()
    }
}

fn manifest(layers: &[Bytes], config: &Bytes) -> Bytes {
    let entry = |bytes: &Bytes, kind: &str| {
        let (digest, size) = (digest(bytes), bytes.len());
        format!(r#"{{"mediaType":"application/vnd.oci.image.{kind}","digest":"{digest}","size":{size}}}"#)
    };
    let layers: Vec<String> = layers.iter().map(|layer| entry(layer, "layer.v1.tar+gzip")).collect();
    let (layers, config) = (layers.join(","), entry(config, "config.v1+json"));
    format!(r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","config":{config},"layers":[{layers}]}}"#).into()
}

fn image(seed: u64, layers: u64) -> (Vec<Bytes>, Bytes, Bytes) {
    let layers: Vec<Bytes> = (0..layers).map(|n| content(seed * 100 + n, 5000 + n as usize)).collect();
    let config = content(seed * 100 + 99, 700);
    let manifest = manifest(&layers, &config);
    (layers, config, manifest)
}

#[tokio::test]
async fn pushes_of_one_blob() {
    for size in [4096, 10 << 20] {
        let bench = Bench::new().await;
        let what = format!("push one blob of {size} bytes, HEAD+POST+PUT");
        bench.count(&what, 3, 4, bench.push("ns/app", &content(1, size))).await;
    }
    let bench = Bench::new().await;
    // 10 parts of 10 MiB.
    bench
        .count(
            "push one blob of 100 MiB, HEAD+POST+PUT (n = 10 parts)",
            14,
            14,
            bench.push("ns/app", &content(1, 100 << 20)),
        )
        .await;
}

#[tokio::test]
async fn a_push_by_patch() {
    let bench = Bench::new().await;
    let blob = content(1, 10 << 20);
    let push = async {
        let location = bench.client.begin("ns/app").await;
        let location = bench.client.append(&location, &blob).await;
        let _ = bench.client.finish(&location, &digest(&blob), "").await.expect(201);
    };
    // Bytes that PATCH acknowledged are durable, and any instance can resume them. PATCH writes `startedat`
    // and the stage. PUT has the store copy the stage, writes the link, and deletes `startedat` and the
    // stage.
    bench.count("push one blob of 10 MiB, POST+PATCH+PUT", 5, 5, push).await;
    let operations: Vec<_> = bench.server.requests().iter().map(|request| request.operation).collect();
    assert_eq!(operations, ["PutObject", "PutObject", "CopyObject", "PutObject", "DeleteObjects"]);
    assert!(bench.server.requests()[2].bytes_in < 1000, "the bytes are sent once");
    let keys = bench.server.objects().into_keys();
    assert!(keys.into_iter().all(|key| !key.contains("/_uploads/")), "nothing of the session is left");
}

/// Whatever cannot be foreseen is looked at, and is as right.
#[tokio::test]
async fn pushes_by_patch_in_other_ways() {
    let blob = content(1, 10 << 20);
    // Another instance finishes: the stage is copied inside of the upload and read, since that instance has
    // not hashed it.
    let bench = Bench::new().await;
    let location = bench.client.begin("ns/app").await;
    let location = bench.client.append(&location, &blob).await;
    let bench = bench.cold().await;
    let finish = async { drop(bench.client.finish(&location, &digest(&blob), "").await.expect(201)) };
    bench.count("PUT after a PATCH elsewhere, 10 MiB", 9, 9, finish).await;
    // Two PATCHes: the second one looks.
    let bench = Bench::new().await;
    let push = async {
        let location = bench.client.begin("ns/app").await;
        let location = bench.client.append(&location, &blob.slice(..4 << 20)).await;
        let location = bench.client.append(&location, &blob.slice(4 << 20..)).await;
        let _ = bench.client.finish(&location, &digest(&blob), "").await.expect(201);
    };
    bench.count("push one blob of 10 MiB, POST+PATCH+PATCH+PUT", 7, 7, push).await;
    // The last bytes come with the PUT: sent together with those before.
    let bench = Bench::new().await;
    let push = async {
        let location = bench.client.begin("ns/app").await;
        let location = bench.client.append(&location, &blob.slice(..4 << 20)).await;
        let _ = bench.client.finish(&location, &digest(&blob), blob.slice(4 << 20..)).await.expect(201);
    };
    bench.count("push one blob of 10 MiB, POST+PATCH+PUT with a body", 8, 8, push).await;
}

#[tokio::test]
async fn images() {
    let bench = Bench::new().await;
    let (layers, config, first) = image(2, 1);
    for blob in layers.iter().chain([&config]) {
        bench.push("ns/app", blob).await;
    }
    bench.count("manifest PUT, new tag, 1 layer", 5, 5, bench.put("ns/app", "latest", &first)).await;

    let bench = bench.cold().await;
    let layer = format!("/v2/ns/app/blobs/{}", digest(&layers[0]));
    let pull = async {
        bench.pull("/v2/ns/app/manifests/latest").await;
        bench.pull(&layer).await;
    };
    bench.count("manifest by tag and 1 layer, cold", 5, 5, pull).await;

    let bench = bench.cold().await;
    bench.count("HEAD blob, cold", 2, 2, async { assert_eq!(bench.client.probe(&layer).await, 200) }).await;

    let bench = bench.cold().await;
    let mount = format!("/v2/ns/other/blobs/uploads/?mount={}&from=ns/app", digest(&layers[0]));
    let mount = async { drop(bench.client.post(mount).send().await.expect(201)) };
    bench.count("cross-repository mount, cold", 3, 3, mount).await;

    let bench = Bench::new().await;
    let (layers, config, manifest) = image(3, 12);
    let push = async {
        for blob in layers.iter().chain([&config]) {
            bench.push("ns/app", blob).await;
        }
        bench.put("ns/app", "latest", &manifest).await;
    };
    bench.count("fresh 12-layer image", 44, 60, push).await;

    let bench = bench.cold().await;
    let latest: Reference = "latest".parse().unwrap();
    let put = async {
        let manifests = bench.registry.repository("ns/app".parse().unwrap()).manifests();
        drop(manifests.put(&latest, Some(IMAGE), manifest.clone()).await.unwrap());
    };
    bench.count("re-push of 12 layers, cold, manifest first", 17, 17, put).await;

    let bench = bench.cold().await;
    let pull = async {
        bench.pull("/v2/ns/app/manifests/latest").await;
        for blob in layers.iter().chain([&config]) {
            assert_eq!(bench.pull(&format!("/v2/ns/app/blobs/{}", digest(blob))).await, blob);
        }
    };
    bench.count("pull of 12 layers, cold", 29, 30, pull).await;

    let bench = Bench::new().await;
    let copy = async {
        let repository = bench.registry.repository("ns/app".parse().unwrap());
        stream::iter(layers.iter().chain([&config]))
            .map(Ok)
            .try_for_each_concurrent(4, async |blob: &Bytes| {
                let descriptor = Descriptor::of(MediaType::ImageLayerGzip, blob);
                let stream = stream::iter([Ok::<_, Infallible>(blob.clone())]);
                repository.blobs().push(&descriptor, stream).await.map(drop)
            })
            .await
            .unwrap();
        drop(repository.manifests().put(&latest, Some(IMAGE), manifest.clone()).await.unwrap());
    };
    bench.count("copy of an image of 13 known blobs", 44, 3 * 13 + 5, copy).await;
}

#[tokio::test]
async fn lists() {
    let bench = Bench::new().await;
    let mut pushed = Vec::new();
    for seed in [4, 5] {
        let (layers, config, manifest) = image(seed, 1);
        for blob in layers.iter().chain([&config]) {
            bench.push("ns/app", blob).await;
        }
        bench.put("ns/app", "latest", &manifest).await;
        pushed.push(manifest);
    }
    let tags: Vec<_> = (0..1000).map(|n| format!("v{n:04}").parse().unwrap()).collect();
    let manifests = bench.registry.repository("ns/app".parse().unwrap()).manifests();
    drop(manifests.put_tagged(None, &tags, Some(IMAGE), pushed[0].clone()).await.unwrap());
    let list = async {
        let tags = bench.client.get("/v2/ns/app/tags/list").send().await.json();
        assert_eq!(tags["tags"].as_array().unwrap().len(), 1001);
    };
    bench.count("tags/list of 1001 tags", 2, 2, list).await;
    let delete = async {
        let uri = format!("/v2/ns/app/manifests/{}", Digest::sha256(&pushed[1]));
        drop(bench.client.delete(uri).send().await.expect(202));
    };
    bench.count("delete a manifest in a repository of 1001 tags", 1008, 1010, delete).await;

    let bench = Bench::new().await;
    for n in 0..200 {
        bench.push(&format!("ns/app{n}"), &content(n, 10)).await;
    }
    let list = async {
        let names = bench.client.get("/v2/_catalog?n=500").send().await.json();
        assert_eq!(names["repositories"].as_array().unwrap().len(), 200);
    };
    bench.count("catalog of 200 repositories", 1, 2, list).await;

    let exists = async { assert!(bench.registry.exists().await.unwrap()) };
    bench.count("whether there is a registry", 1, 1, exists).await;
    let bench = Bench::new().await;
    let absent = async { assert!(!bench.registry.exists().await.unwrap()) };
    bench.count("whether there is a registry, in an empty bucket", 1, 1, absent).await;
}

/// With a checksum on each upload, S3 needs its algorithm when the upload begins, and the checksums of all
/// parts when the upload is completed.
#[tokio::test]
async fn checksums_of_parts_are_said_again() {
    let server = Server::builder().min_part(1).start();
    let config = common::of_server(&server).with_chunk_size(100_000).with_checksums(Checksums::Supported);
    let driver = S3Driver::open(config).await.unwrap();
    let blob = content(1, 450_000);
    let (file, elsewhere) = ("/dir/file".parse().unwrap(), "/dir/other".parse().unwrap());
    let mut writer = driver.writer(&file, WriteMode::Stage).await.unwrap();
    writer.write(blob.slice(..250_000)).await.unwrap();
    let _ = writer.close().await.unwrap();
    // Also those of parts that another process has sent.
    let staged = driver.find_staged(&file).await.unwrap();
    let mut writer = driver.writer(&file, WriteMode::Resume(staged)).await.unwrap();
    writer.write(blob.slice(250_000..)).await.unwrap();
    writer.commit(&elsewhere).await.unwrap();
    assert_eq!(driver.get_content(&elsewhere, 1 << 20).await.unwrap(), blob);
    let begun = server.requests_of("CreateMultipartUpload");
    assert_eq!(begun[0].headers.get("x-amz-checksum-algorithm").unwrap(), "CRC32");
    for part in server.requests_of("UploadPart") {
        assert!(part.headers.contains_key("x-amz-checksum-crc32"), "{:?}", part.headers);
    }
}
