//! Reading never writes: every call that reads, on a store of which nothing is known, makes requests that read.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use plugin_registry::{Registry, verify::VerifyScope};
use plugin_registry_conformance::registry::Client;
use plugin_registry_core::{ByteRange, Digest, StorageDriver, StorageDriverExt, StoragePath};
use plugin_registry_drivers_s3::S3Driver;
use plugin_registry_emulator::s3::{Quirks, Server};

use crate::{common, support::*};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn index(note: &str) -> Bytes {
    format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[],"annotations":{{"n":"{note}"}}}}"#)
        .into()
}

async fn registry(server: &Server, read_only: bool) -> Registry {
    let driver = S3Driver::open(common::unsaid(server)).await.unwrap();
    Registry::builder(driver).read_only(read_only).build()
}

/// A repository with a tag, a blob, and an upload on its way; gives the digests.
async fn filled(server: &Server) -> (Digest, Digest) {
    let registry = registry(server, false).await;
    let client = Client::new(&registry);
    let (blob, manifest) = (Bytes::from_static(b"blob"), index("a"));
    let digest = Digest::sha256(&blob);
    let location = client.begin("ns/app").await;
    let location = client.append(&location, &blob).await;
    let _ = client.finish(&location, &digest.to_string(), "").await.expect(201);
    let _ = client.append(&client.begin("ns/app").await, &blob).await;
    let put = client.put("/v2/ns/app/manifests/latest").header("content-type", INDEX);
    let _ = put.body(manifest.clone()).send().await.expect(201);
    (digest, Digest::sha256(&manifest))
}

/// Everything that only reads, over HTTP and by the API.
async fn read_everything(registry: &Registry, blob: &Digest, manifest: &Digest) {
    let client = Client::new(registry);
    let none = Digest::sha256(b"none");
    for (uri, status) in [
        ("/v2/".to_owned(), 200),
        ("/v2/_catalog".to_owned(), 200),
        ("/v2/ns/app/tags/list".to_owned(), 200),
        ("/v2/none/tags/list".to_owned(), 404),
        ("/v2/ns/app/manifests/latest".to_owned(), 200),
        ("/v2/ns/app/manifests/none".to_owned(), 404),
        (format!("/v2/ns/app/manifests/{manifest}"), 200),
        (format!("/v2/ns/app/manifests/{none}"), 404),
        (format!("/v2/ns/app/blobs/{blob}"), 200),
        (format!("/v2/ns/app/blobs/{none}"), 404),
        (format!("/v2/ns/app/referrers/{manifest}"), 200),
    ] {
        assert_eq!(client.get(uri.as_str()).send().await.status(), status, "GET {uri}");
        if uri.contains("/manifests/") || uri.contains("/blobs/") {
            assert_eq!(client.head(uri.as_str()).send().await.status(), status, "HEAD {uri}");
        }
    }
    let report = registry.verify(VerifyScope::All, |_| {}).await.unwrap();
    assert!(report.is_sound());
    let purged = registry.purge_uploads(Duration::ZERO, true).await.unwrap();
    assert!(purged.unknown.is_empty());
    drop(registry.catalog(None, 10).await.unwrap());
}

async fn read_the_driver(server: &Server) {
    let driver = S3Driver::open(common::unsaid(server)).await.unwrap();
    let root = StoragePath::root();
    let files: Vec<_> = driver.walk(&root, None).try_collect().await.unwrap();
    assert!(!files.is_empty());
    for file in &files {
        assert_eq!(driver.stat(&file.path).await.unwrap().size, file.size);
        driver.get_content(&file.path, u64::MAX).await.unwrap();
        let reader = driver.reader(&file.path, ByteRange::full()).await.unwrap();
        let pieces: Vec<Bytes> = reader.into_stream().try_collect().await.unwrap();
        assert_eq!(pieces.concat().len() as u64, file.size);
        assert!(driver.redirect_url(&file.path, &http::Method::GET).await.unwrap().is_some());
    }
    assert!(driver.list(&root, None).try_next().await.unwrap().is_some());
    assert!(driver.find_directories(&root, "_", None).try_next().await.unwrap().is_some());
    let staged = driver.list_staged(&root).try_next().await.unwrap().unwrap();
    assert_eq!(driver.find_staged(&staged.path).await.unwrap().size, staged.size);
    assert!(!driver.exists(&path("/none")).await.unwrap());
}

#[tokio::test]
async fn nothing_that_reads_makes_a_write() {
    for quirks in [
        Quirks::default(),
        Quirks { missing_is_forbidden: true, ..Quirks::default() },
        Quirks { versions: true, ..Quirks::default() },
        Quirks { server: Some("SeaweedFS 30GB 4.48"), ..Quirks::default() },
    ] {
        let server = Server::builder().page_size(3).with_quirks(quirks.clone()).start();
        let (blob, manifest) = filled(&server).await;
        server.forget();
        for read_only in [true, false] {
            read_everything(&registry(&server, read_only).await, &blob, &manifest).await;
        }
        read_the_driver(&server).await;
        assert!(server.count() > 50);
        assert_eq!(server.writes(), [""; 0], "{quirks:?}");
    }
}

/// A read-only registry never writes to find out about its store, whatever its caller does; nor does its
/// check.
#[tokio::test]
async fn a_read_only_registry_never_asks() {
    let server = server();
    let (blob, manifest) = filled(&server).await;
    server.forget();
    let registry = registry(&server, true).await;
    let report = plugin_registry_locations::probe(&registry).await;
    assert!(report.can_read(), "{report}");
    let client = Client::new(&registry);
    for call in [
        client.post("/v2/ns/app/blobs/uploads/"),
        client.put("/v2/ns/app/manifests/next").header("content-type", INDEX).body(index("b")),
        client.delete(format!("/v2/ns/app/manifests/{manifest}")),
        client.delete(format!("/v2/ns/app/blobs/{blob}")),
        client.post(format!("/v2/other/blobs/uploads/?mount={blob}&from=ns/app")),
    ] {
        assert!(call.send().await.status() >= 400);
    }
    registry.purge_uploads(Duration::ZERO, false).await.unwrap_err();
    assert_eq!(server.writes(), [""; 0]);
}
