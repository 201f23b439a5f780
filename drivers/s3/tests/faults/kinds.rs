//! Buckets and stores of other kinds: what is sent to them, and what is left in them. The driver suite runs over each of
//! them as well (`suites.rs`).

use std::time::Duration;

use bytes::Bytes;
use plugin_registry::Registry;
use plugin_registry_core::{ErrorKind, PutMode, StorageDriver};
use plugin_registry_drivers_s3::{Checksums, S3Driver};
use plugin_registry_emulator::s3::{Fault, Kind, Quirks, Request, Server};

use crate::support::*;

fn quirky(change: impl FnOnce(&mut Quirks)) -> Server {
    Server::builder().min_part(1).quirks(change).start()
}

fn header(request: &Request, name: &str) -> bool {
    request.headers.contains_key(name)
}

fn once(operation: &str, status: u16, code: &str) -> Fault {
    on(operation, Kind::Error { status, code: code.into(), retry_after: None })
}

/// One object, one of parts, one of parts that was resumed.
async fn write_all(driver: &S3Driver) {
    put(driver, "/f", "x", PutMode::Overwrite).await.unwrap();
    write(driver, "/g", &in_parts()).await.unwrap();
    close(driver, "/h", &in_parts()).await.unwrap();
    go_on(driver).await;
}

async fn go_on(driver: &S3Driver) {
    resumed(driver, "/h", &in_parts()).await.unwrap().commit(&path("/h")).await.unwrap();
}

/// Every upload has a checksum without a setting, as Velero's have: a bucket with retention takes no other.
#[tokio::test]
async fn a_bucket_with_retention_is_written_by_default() {
    for retention in [true, false] {
        let server = quirky(|quirks| quirks.retention = retention);
        write_all(&open(&server).await).await;
        for operation in ["PutObject", "UploadPart"] {
            let sent = server.requests_of(operation);
            assert!(
                !sent.is_empty() && sent.iter().all(|sent| header(sent, "x-amz-checksum-crc32")),
                "{sent:?}"
            );
            assert!(sent.iter().all(|sent| !header(sent, "x-amz-trailer")), "{sent:?}");
        }
        assert_eq!(stored(&server, "/h").unwrap(), [in_parts(), in_parts()].concat());
    }
}

/// No checksum is sent if the settings turn them off, and a refusal is not worked around.
#[tokio::test]
async fn what_the_settings_say_of_checksums_is_done() {
    let server = quirky(|quirks| quirks.retention = true);
    let driver = S3Driver::open(config(&server).with_checksums(Checksums::Required)).await.unwrap();
    assert_eq!(kind(put(&driver, "/f", "x", PutMode::Overwrite).await), ErrorKind::Other);
    let server = quirky(|quirks| quirks.checksums_refused = true);
    let driver = S3Driver::open(config(&server).with_checksums(Checksums::Supported)).await.unwrap();
    assert_eq!(kind(put(&driver, "/f", "x", PutMode::Overwrite).await), ErrorKind::Other);
    assert_eq!(server.count(), 1);
}

/// Backblaze, Ceph, older MinIO: noticed once.
#[tokio::test]
async fn a_store_that_refuses_checksums_is_noticed_once() {
    let server = quirky(|quirks| quirks.checksums_refused = true);
    let driver = open(&server).await;
    write_all(&driver).await;
    let refused = server.requests().into_iter().filter(|request| request.status == 400).count();
    assert_eq!(refused, 1, "{:?}", server.counts());
    // From a part on as well: an instance whose first upload is a large one.
    server.clear();
    server.forget();
    write(&open(&server).await, "/g", &in_parts()).await.unwrap();
    let refused = server.requests().into_iter().filter(|request| request.status == 400).count();
    assert_eq!(refused, 1, "{:?}", server.counts());
}

/// A store that refuses the newer checksums and wants one: the oldest is known to all.
#[tokio::test]
async fn a_store_that_knows_content_md5_alone_gets_it() {
    let server = quirky(|quirks| (quirks.checksums_refused, quirks.retention) = (true, true));
    write_all(&open(&server).await).await;
    assert_eq!(stored(&server, "/g").unwrap(), in_parts());
    assert!(server.requests_of("UploadPart").iter().all(|sent| header(sent, "content-md5")));
}

/// An upload that was begun without a checksum, by an older release, is finished without.
#[tokio::test]
async fn parts_of_an_older_upload_go_on_as_they_began() {
    let server = quirky(|_| {});
    let older = S3Driver::open(config(&server).with_checksums(Checksums::Required)).await.unwrap();
    close(&older, "/h", &in_parts()).await.unwrap();
    server.forget();
    let driver = open(&server).await;
    go_on(&driver).await;
    let parts = server.requests_of("UploadPart");
    assert!(!parts.is_empty() && parts.iter().all(|sent| !header(sent, "x-amz-checksum-crc32")), "{parts:?}");
    assert_eq!(stored(&server, "/h").unwrap(), [in_parts(), in_parts()].concat());
}

/// How an upload began decides, whatever the settings of who goes on with it.
#[tokio::test]
async fn parts_go_on_as_their_upload_began() {
    use Checksums::{Automatic, Required, Supported};
    for (begins, goes_on, has_sums) in [
        (Automatic, Required, true),
        (Supported, Required, true),
        (Required, Supported, false),
        (Required, Automatic, false),
    ] {
        let server = quirky(|_| {});
        let first = S3Driver::open(config(&server).with_checksums(begins)).await.unwrap();
        close(&first, "/h", &in_parts()).await.unwrap();
        let driver = S3Driver::open(config(&server).with_checksums(goes_on)).await.unwrap();
        go_on(&driver).await;
        for sent in server.requests_of("UploadPart") {
            assert_eq!(header(&sent, "x-amz-checksum-crc32"), has_sums, "{begins:?} {goes_on:?}");
            assert!(!header(&sent, "x-amz-trailer"), "{sent:?}");
        }
        assert_eq!(stored(&server, "/h").unwrap(), [in_parts(), in_parts()].concat());
    }
}

/// A refusal of a part changes neither its upload nor later ones.
#[tokio::test]
async fn parts_keep_their_checksum_after_a_refusal() {
    let server = quirky(|_| {});
    let driver = S3Driver::open(config(&server).with_concurrency(1)).await.unwrap();
    write(&driver, "/f", &in_parts()).await.unwrap();
    server.forget();
    server.fault(once("UploadPart", 400, "InvalidArgument"));
    assert_eq!(kind(write(&driver, "/g", &in_parts()).await), ErrorKind::Other);
    write(&driver, "/g", &in_parts()).await.unwrap();
    let parts = server.requests_of("UploadPart");
    assert!(parts.iter().all(|sent| header(sent, "x-amz-checksum-crc32")), "{parts:?}");
}

/// Two uploads whose requests are under way at once: the second is refused after the first has found out.
#[tokio::test]
async fn uploads_that_begin_at_once_find_out_both() {
    let server = quirky(|quirks| quirks.checksums_refused = true);
    let driver = open(&server).await;
    server.set_latency(Duration::from_millis(200));
    let late = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        put(&driver, "/b", "y", PutMode::Overwrite).await
    };
    let (first, second) = futures::join!(put(&driver, "/a", "x", PutMode::Overwrite), late);
    first.unwrap();
    second.unwrap();
}

/// Codes that say that bytes were damaged on their way.
#[tokio::test]
async fn damage_is_no_refusal_of_checksums() {
    for (code, expected) in [
        ("XAmzContentChecksumMismatch", ErrorKind::Unavailable),
        ("BadDigest", ErrorKind::Unavailable),
        ("IncompleteBody", ErrorKind::Unavailable),
        ("InvalidDigest", ErrorKind::Other),
    ] {
        let server = quirky(|_| {});
        let driver = open(&server).await;
        server.fault(once("PutObject", 400, code));
        assert_eq!(kind(put(&driver, "/a", "x", PutMode::Overwrite).await), expected, "{code}");
        put(&driver, "/a", "x", PutMode::Overwrite).await.unwrap();
        let sent = server.requests_of("PutObject");
        assert_eq!(sent.len(), 2, "{code}");
        assert!(sent.iter().all(|sent| header(sent, "x-amz-checksum-crc32")), "{code}");
    }
}

/// GCS: each batch is tried once for all, and each failure has its key.
#[tokio::test]
async fn a_store_without_batches_is_deleted_from_singly() {
    let server = quirky(|quirks| quirks.no_batches = true);
    let driver = open(&server).await;
    let paths: Vec<_> = (0..20).map(|number| path(&format!("/d/f{number:02}"))).collect();
    paths.iter().for_each(|path| server.put_raw(&key(path.as_str()), "x"));
    server.put_raw(&key("/e/a"), "x");
    server.put_raw(&key("/e/b"), "x");
    let denied = Kind::access_denied();
    server.fault(on("DeleteObject", denied).key("f07").forever());
    let report = driver.delete_many(paths.clone(), &[]).await.unwrap();
    let failed: Vec<_> = report.failed.iter().map(|(path, error)| (path.clone(), error.kind())).collect();
    assert_eq!((report.deleted, failed), (19, vec![(paths[7].clone(), ErrorKind::PermissionDenied)]));
    driver.delete(&path("/e")).await.unwrap();
    assert_eq!(server.objects().into_keys().collect::<Vec<_>>(), [key("/d/f07")]);
    assert_eq!(server.count_of("DeleteObjects"), 1);
}

/// A failure that all keys would share, such as an unreachable store or expired credentials, is not repeated
/// for a thousand keys.
#[tokio::test]
async fn single_deletes_end_with_the_store() {
    for fault in [Kind::error(503, "ServiceUnavailable"), Kind::error(403, "InvalidAccessKeyId")] {
        let server = quirky(|quirks| quirks.no_batches = true);
        let driver = S3Driver::open(config(&server).with_max_attempts(1)).await.unwrap();
        let paths: Vec<_> = (0..500).map(|number| path(&format!("/d/f{number:03}"))).collect();
        paths.iter().for_each(|path| server.put_raw(&key(path.as_str()), "x"));
        server.fault(on("DeleteObject", fault.clone()).forever());
        let report = driver.delete_many(paths, &[]).await.unwrap();
        assert_eq!((report.deleted, report.failed.len()), (0, 500), "{fault:?}");
        assert!(server.count_of("DeleteObject") < 100, "{fault:?}: {}", server.count_of("DeleteObject"));
    }
}

/// In a bucket with versions, each delete of a key that never was would leave a marker.
#[tokio::test]
async fn no_marker_is_made_of_a_key_that_never_was() {
    for retention in [true, false] {
        let server = quirky(|quirks| (quirks.versions, quirks.retention) = (true, retention));
        let registry = Registry::builder(S3Driver::open(crate::common::unsaid(&server)).await.unwrap());
        let registry = registry.delete(true).build();
        let repository = registry.repository("ns/app".parse().unwrap());
        // A push in chunks, one that is given up, a manifest that comes, moves and goes.
        let blob = Bytes::from_static(b"blob");
        let digest = plugin_registry_core::Digest::sha256(&blob);
        let client = plugin_registry_conformance::registry::Client::new(&registry);
        let location = client.begin("ns/app").await;
        let location = client.append(&location, &blob).await;
        let _ = client.finish(&location, &digest.to_string(), "").await.expect(201);
        let given_up = client.begin("ns/app").await;
        let given_up = client.append(&given_up, &blob).await;
        let _ = client.delete(given_up).send().await.expect(204);
        let manifest = |note: &str| -> Bytes {
            format!(
                r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"annotations":{{"n":"{note}"}}}}"#
            )
            .into()
        };
        let manifests = repository.manifests();
        for note in ["a", "b"] {
            drop(manifests.put(&"latest".parse().unwrap(), None, manifest(note)).await.unwrap());
        }
        for note in ["a", "b"] {
            let digest = plugin_registry_core::Digest::sha256(&manifest(note));
            manifests.delete(&digest.to_string().parse().unwrap()).await.unwrap();
        }
        drop(registry.purge_uploads(Duration::ZERO, false).await.unwrap());
        let never: Vec<_> = server.markers().into_iter().filter(|(_, was_there)| !was_there).collect();
        assert_eq!(never, [], "retention: {retention}");
        assert!(!server.markers().is_empty());
    }
}

/// A failing delete or list of the probe does not hinder a write, and the findings stand.
#[tokio::test]
async fn a_question_that_cannot_be_cleared_away_hinders_no_write() {
    for (operation, status, code) in [
        ("DeleteObject", 403, "ObjectUnderRetention"),
        ("DeleteObject", 409, "ObjectUnderRetention"),
        ("DeleteObject", 409, "Unheard"),
        ("DeleteObject", 400, "Unheard"),
        ("DeleteObject", 501, "NotImplemented"),
        ("ListObjectsV2", 400, "Unheard"),
    ] {
        let server = quirky(|_| {});
        let driver = S3Driver::open(crate::common::unsaid(&server)).await.unwrap();
        server.fault(once(operation, status, code).forever());
        put(&driver, "/a", "x", PutMode::Overwrite).await.unwrap();
        let asked = server.count();
        put(&driver, "/b", "x", PutMode::Overwrite).await.unwrap();
        assert_eq!(server.count(), asked + 1, "{operation} {status} {code}");
    }
}

/// A store that is full when the driver asks about its kind may have room later.
#[tokio::test]
async fn a_full_store_is_asked_again() {
    let server = quirky(|quirks| quirks.conditions_ignored = true);
    let driver = S3Driver::open(crate::common::unsaid(&server)).await.unwrap();
    server.fault(once("PutObject", 507, "XMinioStorageFull").times(2));
    assert_eq!(kind(put(&driver, "/a", "x", PutMode::Overwrite).await), ErrorKind::NoSpace);
    put(&driver, "/b", "x", PutMode::CreateOnly).await.unwrap();
    assert_eq!(kind(put(&driver, "/b", "y", PutMode::CreateOnly).await), ErrorKind::AlreadyExists);
}

/// A delete that a retention forbids reports it.
#[tokio::test]
async fn a_delete_that_retention_forbids_is_named() {
    let server = quirky(|quirks| quirks.write_once = true);
    let driver = open(&server).await;
    put(&driver, "/d/f", "x", PutMode::Overwrite).await.unwrap();
    put(&driver, "/d/g", "x", PutMode::Overwrite).await.unwrap();
    for result in [
        driver.delete(&path("/d")).await,
        driver.delete(&path("/d/f")).await,
        driver.delete_many(vec![path("/d/f"), path("/d/g")], &[]).await.unwrap().into_result(),
        put(&driver, "/d/f", "y", PutMode::Overwrite).await,
    ] {
        let error = failure(result);
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::PermissionDenied, false), "{error}");
        assert!(error.to_string().contains("retains this object (Object Lock)"), "{error}");
    }
}
