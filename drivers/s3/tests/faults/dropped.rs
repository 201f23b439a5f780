//! Writers that end before their commit: what they leave behind.

use std::time::Duration;

use plugin_registry::Registry;
use plugin_registry_core::{ErrorKind, PutMode, StorageDriver, WriteOptions};
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
    let writer = written(&driver, "/f", &in_parts(), WriteOptions::create()).await.unwrap();
    assert_eq!(server.uploads().len(), 1);
    drop(writer);
    no_upload_stays(&server).await;
    assert!(server.objects().is_empty());
    // None of the parts comes after the abort.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(server.uploads().is_empty());
}

/// U12: the same where the store carries out what it has read, although nobody waits any more.
#[tokio::test]
async fn a_dropped_writer_leaves_no_upload_where_requests_outlive_their_client() {
    let server = Server::builder().min_part(1).orphans(true).start();
    server.fault(on("UploadPart", Kind::Delay(Duration::from_millis(200))).times(3));
    let driver = open(&server).await;
    drop(written(&driver, "/f", &in_parts(), WriteOptions::create()).await.unwrap());
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
            let commit = write(&driver, "/f", &bytes, PutMode::Overwrite);
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
    let writer = written(&driver, "/f", &in_parts(), WriteOptions::create()).await.unwrap();
    writer.cancel().await.unwrap();
    assert!(server.uploads().is_empty() && server.objects().is_empty());
}

/// U12: a cancel that failed says so; the drop behind it is no second error.
#[tokio::test]
async fn a_cancel_that_is_refused_is_an_error() {
    let server = server();
    let driver = open(&server).await;
    let writer = written(&driver, "/f", &in_parts(), WriteOptions::create()).await.unwrap();
    server.deny("AbortMultipartUpload");
    assert_eq!(kind(writer.cancel().await), ErrorKind::PermissionDenied);
}

/// U12: the condition of a commit did not hold.
#[tokio::test]
async fn a_commit_that_was_refused_leaves_no_upload() {
    let server = server();
    let driver = open(&server).await;
    put(&driver, "/f", "first", PutMode::Overwrite).await.unwrap();
    let refused = write(&driver, "/f", &in_parts(), PutMode::CreateOnly).await;
    assert_eq!(kind(refused), ErrorKind::AlreadyExists);
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
        let error = failure(write(&driver, "/f", &in_parts(), PutMode::Overwrite).await);
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
    let writer = written(&driver, "/f", &in_parts(), WriteOptions::create()).await.unwrap();
    server.deny("PutObject");
    assert_eq!(kind(writer.close().await.map(drop)), ErrorKind::PermissionDenied);
    no_upload_stays(&server).await;
}

/// U12: a write that failed ends its writer.
#[tokio::test]
async fn a_write_that_failed_leaves_no_upload() {
    let server = server();
    let driver = open(&server).await;
    server.fault(on("UploadPart", Kind::access_denied()).nth(2));
    let result = written(&driver, "/f", &content(20 * PART), WriteOptions::create()).await;
    assert_eq!(kind(result.map(drop)), ErrorKind::PermissionDenied);
    no_upload_stays(&server).await;
}

/// What a close has promised stays, whatever becomes of those who resume it.
#[tokio::test]
async fn what_was_closed_survives_writers_that_are_dropped() {
    let server = server();
    let driver = open(&server).await;
    written(&driver, "/f", &in_parts(), WriteOptions::create()).await.unwrap().close().await.unwrap();
    for _ in 0..3 {
        drop(written(&driver, "/f", &in_parts(), WriteOptions::resume()).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let writer = driver.writer(&path("/f"), WriteOptions::resume()).await.unwrap();
    assert_eq!(writer.size(), in_parts().len() as u64);
    writer.commit().await.unwrap();
    assert_eq!(stored(&server, "/f").unwrap(), in_parts());
}

/// U12: a cancel of a resumed writer takes the stage along.
#[tokio::test]
async fn a_cancel_of_a_resumed_writer_leaves_nothing() {
    let server = server();
    let driver = open(&server).await;
    written(&driver, "/f", &in_parts(), WriteOptions::create()).await.unwrap().close().await.unwrap();
    written(&driver, "/f", &in_parts(), WriteOptions::resume()).await.unwrap().cancel().await.unwrap();
    assert!(server.objects().is_empty() && server.uploads().is_empty());
    assert_eq!(kind(driver.writer(&path("/f"), WriteOptions::resume()).await.map(drop)), ErrorKind::NotFound);
}

/// U12: a directory goes, and with it the uploads that were promised below it.
#[tokio::test]
async fn a_deleted_directory_leaves_no_promised_upload() {
    let server = server();
    let driver = open(&server).await;
    for at in ["/up/a/data", "/up/b/data", "/up/data"] {
        written(&driver, at, &in_parts(), WriteOptions::create()).await.unwrap().close().await.unwrap();
    }
    put(&driver, "/up/startedat", "now", PutMode::Overwrite).await.unwrap();
    driver.delete(&path("/up")).await.unwrap();
    assert!(server.objects().is_empty() && server.uploads().is_empty());
}

/// U12: a new writer of a path replaces what an earlier one has closed.
#[tokio::test]
async fn a_commit_forgets_the_upload_of_an_earlier_close() {
    let server = server();
    let driver = open(&server).await;
    written(&driver, "/f", &in_parts(), WriteOptions::create()).await.unwrap().close().await.unwrap();
    write(&driver, "/f", &content(10), PutMode::Overwrite).await.unwrap();
    assert_eq!((server.objects().len(), server.uploads().len()), (1, 0));
}

/// Without a runtime nobody can abort; that is no panic.
#[test]
fn a_drop_outside_of_a_runtime_is_no_panic() {
    let server = server();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let writer = runtime.block_on(async {
        written(&open(&server).await, "/f", &in_parts(), WriteOptions::create()).await.unwrap()
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
