//! Writers that end before their commit: what they leave behind.

use std::time::Duration;

use bytes::Bytes;
use plugin_registry::Registry;
use plugin_registry_core::{ErrorKind, PutMode, StorageDriver, WriteMode};
use plugin_registry_emulator::s3::{Kind, Server};

use crate::support::*;

/// A server on which parts take a while.
fn slow_parts(parts: usize) -> Server {
    let server = server();
    server.fault(on("UploadPart", Kind::Delay(Duration::from_millis(200))).times(parts));
    server
}

/// U12: parts are on their way when the writer goes.
#[tokio::test]
async fn a_writer_that_is_dropped_leaves_no_upload() {
    let server = slow_parts(3);
    let driver = open(&server).await;
    for mode in [WriteMode::direct(), WriteMode::Stage] {
        let writer = written(&driver, "/f", &in_parts(), mode).await.unwrap();
        assert_eq!(server.uploads().len(), 1);
        drop(writer);
        no_upload_stays(&server).await;
        assert!(server.objects().is_empty());
        // None of the parts comes after the abort.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(server.uploads().is_empty());
    }
}

/// U12: the same if the store carries out a request that it has read, although the client no longer waits.
#[tokio::test]
async fn a_dropped_writer_leaves_no_upload_where_requests_outlive_their_client() {
    let server = Server::builder().min_part(1).orphans(true).start();
    server.fault(on("UploadPart", Kind::Delay(Duration::from_millis(200))).times(3));
    let driver = open(&server).await;
    drop(written(&driver, "/f", &in_parts(), WriteMode::direct()).await.unwrap());
    no_upload_stays(&server).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(server.uploads().is_empty() && server.objects().is_empty());
}

/// F17: a call that is dropped in the middle.
#[tokio::test]
async fn a_commit_that_is_dropped_is_whole_or_nothing() {
    // The last one is never dropped.
    let (mut whole, mut nothing) = (0, 0);
    for wait in [0, 5, 20, 60, 120, 60_000] {
        for operation in ["UploadPart", "CompleteMultipartUpload"] {
            let server = server();
            let driver = open(&server).await;
            server.fault(on(operation, Kind::Delay(Duration::from_millis(50))).forever());
            let bytes = in_parts();
            let commit = write(&driver, "/f", &bytes);
            let _ = tokio::time::timeout(Duration::from_millis(wait), commit).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            match stored(&server, "/f") {
                Some(found) => {
                    assert_eq!(found, in_parts(), "{operation} {wait}");
                    whole += 1;
                }
                None => nothing += 1,
            }
        }
    }
    assert!(whole >= 2 && nothing >= 2, "{whole} whole, {nothing} times nothing");
}

/// U12: a cancel waits until nothing is left.
#[tokio::test]
async fn a_writer_that_is_cancelled_leaves_no_upload() {
    let server = slow_parts(3);
    let driver = open(&server).await;
    for mode in [WriteMode::direct(), WriteMode::Stage] {
        written(&driver, "/f", &in_parts(), mode).await.unwrap().cancel().await.unwrap();
        assert!(server.uploads().is_empty() && server.objects().is_empty());
    }
}

/// U12: a cancel that failed is an error; the drop after it is not a second error.
#[tokio::test]
async fn a_cancel_that_is_refused_is_an_error() {
    let server = server();
    let driver = open(&server).await;
    let writer = written(&driver, "/f", &in_parts(), WriteMode::direct()).await.unwrap();
    server.deny("AbortMultipartUpload");
    assert_eq!(kind(writer.cancel().await), ErrorKind::PermissionDenied);
}

/// U12: the condition of a close did not hold.
#[tokio::test]
async fn a_close_that_another_stage_refused_leaves_no_upload() {
    let server = server();
    let driver = open(&server).await;
    close(&driver, "/f", &content(100)).await.unwrap();
    assert_eq!(kind(close(&driver, "/f", &in_parts()).await), ErrorKind::Conflict);
    no_upload_stays(&server).await;
    assert_eq!(server.objects().len(), 1);
}

/// U12: the store refuses the parts for good (a part is too small, or its ETag another one).
#[tokio::test]
async fn a_complete_that_was_refused_for_good_leaves_no_upload() {
    for code in ["EntityTooSmall", "InvalidPart", "InvalidPartOrder", "MalformedXML", "AccessDenied"] {
        let server = server();
        let driver = open(&server).await;
        let status = if code == "AccessDenied" { 403 } else { 400 };
        server.fault(on("CompleteMultipartUpload", Kind::error(status, code)));
        let error = failure(write(&driver, "/f", &in_parts()).await);
        assert!(!error.is_retryable(), "{error}");
        no_upload_stays(&server).await;
        assert!(server.objects().is_empty());
    }
}

/// U12: a close that the store refused has promised nothing.
#[tokio::test]
async fn a_close_that_was_refused_leaves_no_upload() {
    let server = server();
    let driver = open(&server).await;
    let writer = written(&driver, "/f", &in_parts(), WriteMode::Stage).await.unwrap();
    server.deny("PutObject");
    assert_eq!(kind(writer.close().await), ErrorKind::PermissionDenied);
    no_upload_stays(&server).await;
    // The bytes of an earlier close stay.
    server.allow("PutObject");
    let staged = close(&driver, "/f", &in_parts()).await.unwrap();
    let writer = after(&driver, &staged, &in_parts()).await.unwrap();
    server.deny("PutObject");
    assert_eq!(kind(writer.close().await), ErrorKind::PermissionDenied);
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.allow("PutObject");
    commit_staged(&driver, &staged, "/f").await.unwrap();
    assert_eq!(stored(&server, "/f").unwrap(), in_parts());
}

/// U12: a write that failed ends its writer.
#[tokio::test]
async fn a_write_that_failed_leaves_no_upload() {
    let server = server();
    let driver = open(&server).await;
    server.fault(on("UploadPart", Kind::access_denied()).nth(2));
    let result = written(&driver, "/f", &content(20 * PART), WriteMode::direct()).await;
    assert_eq!(kind(result.map(drop)), ErrorKind::PermissionDenied);
    no_upload_stays(&server).await;
}

/// The bytes of a close stay, whatever happens to the writers that resume it.
#[tokio::test]
async fn what_was_closed_survives_writers_that_are_dropped() {
    let server = server();
    let driver = open(&server).await;
    for bytes in [content(100), in_parts()] {
        let staged = close(&driver, "/f", &bytes).await.unwrap();
        for _ in 0..3 {
            drop(after(&driver, &staged, &in_parts()).await.unwrap());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let found = driver.find_staged(&path("/f")).await.unwrap();
        assert_eq!((found.size, &found.id), (bytes.len() as u64, &staged.id));
        let writer = after(&driver, &staged, &Bytes::new()).await.unwrap();
        assert_eq!(writer.size(), bytes.len() as u64);
        writer.commit(&path("/f")).await.unwrap();
        assert_eq!(stored(&server, "/f").unwrap(), bytes);
        assert_eq!((server.objects().len(), server.uploads().len()), (1, 0));
    }
}

/// U12: a cancel of a resumed writer takes the stage along.
#[tokio::test]
async fn a_cancel_of_a_resumed_writer_leaves_nothing() {
    let server = server();
    let driver = open(&server).await;
    for bytes in [content(100), in_parts()] {
        let staged = close(&driver, "/f", &bytes).await.unwrap();
        after(&driver, &staged, &in_parts()).await.unwrap().cancel().await.unwrap();
        assert!(server.objects().is_empty() && server.uploads().is_empty());
        assert_eq!(kind(driver.find_staged(&path("/f")).await), ErrorKind::NotFound);
        assert_eq!(kind(after(&driver, &staged, &Bytes::new()).await), ErrorKind::NotFound);
        assert_eq!(kind(commit_staged(&driver, &staged, "/f").await), ErrorKind::NotFound);
    }
}

/// U12: a directory goes, and with it the uploads that were promised below it.
#[tokio::test]
async fn a_deleted_directory_leaves_no_promised_upload() {
    let server = server();
    let driver = open(&server).await;
    for at in ["/up/a/data", "/up/b/data", "/up/data"] {
        close(&driver, at, &in_parts()).await.unwrap();
    }
    put(&driver, "/up/startedat", "now", PutMode::Overwrite).await.unwrap();
    driver.delete(&path("/up")).await.unwrap();
    assert!(server.objects().is_empty() && server.uploads().is_empty());
}

/// A writer of a whole file neither looks for a stage of its path nor removes one.
#[tokio::test]
async fn a_direct_commit_keeps_what_was_staged() {
    let server = server();
    let driver = open(&server).await;
    for staged in [content(100), in_parts()] {
        for bytes in [content(10), in_parts()] {
            let kept = close(&driver, "/f", &staged).await.unwrap();
            let uploads = server.uploads().len();
            server.forget();
            write(&driver, "/f", &bytes).await.unwrap();
            assert_eq!(server.count_of("GetObject") + server.count_of("HeadObject"), 0);
            assert_eq!((server.objects().len(), server.uploads().len()), (2, uploads));
            assert_eq!(stored(&server, "/f").unwrap(), bytes);
            after(&driver, &kept, &content(5)).await.unwrap().commit(&path("/f")).await.unwrap();
            assert_eq!(stored(&server, "/f").unwrap(), [staged.clone(), content(5)].concat());
            assert_eq!((server.objects().len(), server.uploads().len()), (1, 0));
        }
    }
}

/// A commit of a resumed writer, and a cancel, take along what it resumed; also where it wrote elsewhere.
#[tokio::test]
async fn a_commit_of_a_resumed_writer_leaves_no_stage() {
    for staged in [content(100), in_parts()] {
        for more in [Bytes::new(), content(10), in_parts()] {
            for to in ["/f", "/g"] {
                let server = server();
                let driver = open(&server).await;
                let closed = close(&driver, "/f", &staged).await.unwrap();
                after(&driver, &closed, &more).await.unwrap().commit(&path(to)).await.unwrap();
                let whole = Bytes::from([&staged[..], &more[..]].concat());
                assert_eq!(server.objects().into_iter().collect::<Vec<_>>(), [(key(to), whole)]);
                assert!(server.uploads().is_empty());
            }
        }
    }
}

/// Without a runtime the upload cannot be aborted; the drop does not panic.
#[test]
fn a_drop_outside_of_a_runtime_is_no_panic() {
    let server = server();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let writer = runtime.block_on(async {
        written(&open(&server).await, "/f", &in_parts(), WriteMode::direct()).await.unwrap()
    });
    drop(writer);
    drop(runtime);
    assert_eq!(server.uploads().len(), 1, "a purge finds it");
}

/// I6: an upload session whose process was killed before its first close, and what is left of one that is gone.
#[tokio::test]
async fn a_purge_ends_the_uploads_of_killed_sessions() {
    let server = server();
    let registry = Registry::builder(open(&server).await).build();
    let session = |id: &str| format!("/docker/registry/v2/repositories/ns/app/_uploads/{id}");
    let whole = session("0198c0de-0000-7000-8000-000000000001");
    server.put_raw(&key(&format!("{whole}/startedat")), "2026-01-02T03:04:05Z");
    for directory in [&whole, &session("0198c0de-0000-7000-8000-000000000002")] {
        let data = key(&format!("{directory}/data"));
        let id = server.begin_raw(&data);
        server.put_part_raw(&data, &id, 1, "part");
    }
    tokio::time::sleep(Duration::from_millis(2100)).await;

    let dry = registry.purge_uploads(Duration::from_millis(1), true).await.unwrap();
    assert_eq!((dry.uploads.len(), dry.staged.len(), server.uploads().len()), (1, 1, 2));
    let young = registry.purge_uploads(Duration::from_secs(3600), false).await.unwrap();
    assert_eq!((young.kept, server.uploads().len()), (1, 2));

    let purged = registry.purge_uploads(Duration::from_millis(1), false).await.unwrap();
    assert_eq!((purged.uploads.len(), purged.staged.len()), (1, 1));
    assert!(server.uploads().is_empty() && server.objects().is_empty(), "{:?}", server.uploads());
}
