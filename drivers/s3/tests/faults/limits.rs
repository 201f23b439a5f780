//! Limits of S3, scaled down, and the headers that every new object gets.

use plugin_registry_core::{ErrorKind, PutMode, StorageDriver, WriteMode};
use plugin_registry_drivers_s3::{S3Config, S3Driver};
use plugin_registry_emulator::s3::Server;

use crate::support::*;

const COPY: u64 = 4_000;

fn of_copies() -> Server {
    Server::builder().min_part(1).limits(|limits| limits.copy_source = COPY).start()
}

fn decorated(server: &Server) -> S3Config {
    config(server)
        .with_encrypt(true)
        .with_key_id("arn:aws:kms:eu-central-1:1:key/k")
        .with_storage_class("STANDARD_IA")
        .with_object_acl("bucket-owner-full-control")
}

fn is_decorated(server: &Server, at: &str) {
    let attributes = server.object(&key(at)).unwrap().attributes;
    assert_eq!(attributes.encryption.as_deref(), Some("aws:kms"), "{at}");
    assert_eq!(attributes.kms_key.as_deref(), Some("arn:aws:kms:eu-central-1:1:key/k"), "{at}");
    assert_eq!(attributes.storage_class.as_deref(), Some("STANDARD_IA"), "{at}");
    assert_eq!(attributes.acl.as_deref(), Some("bucket-owner-full-control"), "{at}");
}

/// U25: at the limit of a single copy, one below, one above.
#[tokio::test]
async fn a_copy_above_the_single_copy_limit_goes_in_parts() {
    for (size, in_parts) in [(COPY - 1, false), (COPY, false), (COPY + 1, true), (3 * COPY, true)] {
        let server = of_copies();
        let driver = S3Driver::open(config(&server).with_copy_threshold(COPY)).await.unwrap();
        let bytes = content(usize::try_from(size).unwrap());
        write_to(&driver, "/a", &bytes, "/b").await.unwrap();
        assert_eq!(stored(&server, "/b").unwrap(), bytes, "{size}");
        assert_eq!(server.count_of("UploadPartCopy") > 0, in_parts, "{size}");
        assert!(server.uploads().is_empty());
    }
}

/// U25: several parts, the last one shorter, of a writer and of a stage.
#[tokio::test]
async fn a_copy_in_several_parts_is_whole() {
    const MIB: usize = 1 << 20;
    let server = Server::start();
    let config =
        config(&server).with_chunk_size(5 << 20).with_copy_chunk_size(5 << 20).with_copy_threshold(0);
    let driver = S3Driver::open(config).await.unwrap();
    let bytes = content(12 * MIB + 1);
    write_to(&driver, "/w", &bytes, "/b").await.unwrap();
    assert_eq!((stored(&server, "/b").unwrap(), server.count_of("UploadPartCopy")), (bytes.clone(), 3));
    let staged = close(&driver, "/w", &bytes).await.unwrap();
    commit_staged(&driver, &staged, "/c").await.unwrap();
    assert_eq!((stored(&server, "/c").unwrap(), server.count_of("UploadPartCopy")), (bytes, 6));
}

/// The headers of a new object, whichever way it is made.
#[tokio::test]
async fn key_class_and_access_are_on_every_object() {
    for threshold in [0, 1 << 20] {
        let server = server();
        let driver = S3Driver::open(decorated(&server).with_copy_threshold(threshold)).await.unwrap();
        put(&driver, "/put", "x", PutMode::CreateOnly).await.unwrap();
        write(&driver, "/small", &content(10)).await.unwrap();
        write(&driver, "/parts", &in_parts()).await.unwrap();
        let staged = close(&driver, "/up", &content(700)).await.unwrap();
        is_decorated(&server, "/up.staged");
        commit_staged(&driver, &staged, "/copied").await.unwrap();
        write_to(&driver, "/w", &in_parts(), "/moved").await.unwrap();
        let staged = close(&driver, "/resumed", &in_parts()).await.unwrap();
        is_decorated(&server, "/resumed.staged");
        let writer = after(&driver, &staged, &in_parts()).await.unwrap();
        // The numbers of its parts are reserved in another object of the same name.
        is_decorated(&server, "/resumed.staged");
        writer.commit(&path("/resumed")).await.unwrap();
        for at in ["/put", "/small", "/parts", "/copied", "/moved", "/resumed"] {
            is_decorated(&server, at);
        }
        assert_eq!(server.count_of("UploadPartCopy") > 0, threshold == 0);
    }
}

/// Only configured headers are sent: some stores refuse headers that they do not know.
#[tokio::test]
async fn no_header_is_sent_unasked() {
    let server = Server::builder().min_part(1).quirks(|quirks| quirks.trailers_refused = true).start();
    let driver = open(&server).await;
    write(&driver, "/f", &in_parts()).await.unwrap();
    put(&driver, "/g", "x", PutMode::CreateOnly).await.unwrap();
    let staged = close(&driver, "/up", &content(700)).await.unwrap();
    commit_staged(&driver, &staged, "/h").await.unwrap();
    let files = ["/f", "/g", "/h"].map(path).to_vec();
    driver.delete_many(files, &[staged]).await.unwrap().into_result().unwrap();
    for request in server.requests() {
        let unasked = ["x-amz-acl", "x-amz-storage-class", "x-amz-server-side-encryption", "x-amz-trailer"];
        assert!(unasked.iter().all(|name| !request.headers.contains_key(*name)), "{request:?}");
    }
    assert!(server.objects().is_empty());
}

/// U26: what no object can hold is refused before a byte is sent.
#[tokio::test]
async fn a_declared_size_above_the_largest_object_is_refused_at_once() {
    const LARGEST: u64 = 5 << 40;
    let server = server();
    let driver = open(&server).await;
    let of = |size| WriteMode::Direct { size: Some(size) };
    driver.writer(&path("/f"), of(LARGEST)).await.unwrap().cancel().await.unwrap();
    let refused = driver.writer(&path("/f"), of(LARGEST + 1)).await;
    assert_eq!(kind(refused.map(drop)), ErrorKind::TooLarge);
    assert_eq!(server.count(), 0);
}

/// U26: more parts than the store takes: an error, and nothing of it stays.
#[tokio::test]
async fn one_part_too_many_is_an_error() {
    for (parts, fits) in [(9, true), (10, true), (11, false)] {
        let server = Server::builder().min_part(1).limits(|limits| limits.max_parts = 10).start();
        let driver = open(&server).await;
        let bytes = content(parts * PART);
        let result = write(&driver, "/f", &bytes).await;
        if fits {
            result.unwrap();
            assert_eq!(stored(&server, "/f").unwrap(), bytes);
        } else {
            assert!(!failure(result).is_not_found());
            assert_eq!(stored(&server, "/f"), None);
        }
        no_upload_stays(&server).await;
    }
}

/// The store's own limit of a part or of an object.
#[tokio::test]
async fn what_is_too_large_for_the_store_is_too_large() {
    let server = Server::builder().limits(|limits| (limits.single_put, limits.max_part) = (500, 500)).start();
    let driver = open(&server).await;
    for bytes in [content(600), in_parts()] {
        let refused = write(&driver, "/f", &bytes).await;
        assert_eq!(kind(refused), ErrorKind::TooLarge);
        no_upload_stays(&server).await;
    }
    assert!(server.objects().is_empty());
}
