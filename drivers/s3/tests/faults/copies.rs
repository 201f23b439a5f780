//! Copies by the store: CopyObject and UploadPartCopy.

use std::time::{Duration, Instant};

use bytes::Bytes;
use plugin_registry_core::{ErrorKind, PutMode, Result};
use plugin_registry_drivers_s3::S3Driver;
use plugin_registry_emulator::s3::{Kind, Server};

use crate::support::*;

/// Both ways to copy, by the operation that copies.
async fn drivers(server: &Server) -> [(&'static str, S3Driver); 2] {
    let in_parts = config(server).with_copy_threshold(10);
    [("CopyObject", open(server).await), ("UploadPartCopy", S3Driver::open(in_parts).await.unwrap())]
}

/// A commit to another path than the writer's: the store copies.
async fn copied(driver: &S3Driver) -> Result<()> {
    write_to(driver, "/from", &in_parts(), "/to").await
}

fn errors_inside(code: &str) -> [Kind; 2] {
    [Kind::ErrorInside { code: code.into() }, Kind::ErrorInsideAfter { code: code.into() }]
}

/// U7: status 200 with an error inside, without and with effect.
#[tokio::test]
async fn an_error_inside_of_a_copy_is_no_success() {
    for code in ["InternalError", "SlowDown", "ServiceUnavailable"] {
        for fault in errors_inside(code) {
            let server = server();
            for (operation, driver) in drivers(&server).await {
                server.fault(on(operation, fault.clone()));
                copied(&driver).await.unwrap();
                assert_eq!(stored(&server, "/to").unwrap(), in_parts(), "{operation} {fault:?}");
                assert_eq!(stored(&server, "/from"), None);
                assert!(server.faults_left().is_empty() && server.uploads().is_empty());
                server.clear();
            }
        }
    }
}

/// U7: the source is deleted only after a copy that succeeded, and a stage in parts can be committed again.
#[tokio::test]
async fn a_copy_that_fails_for_ever_keeps_the_source() {
    at_once(["InternalError", "AccessDenied", "Unheard"], async |code| {
        let server = server();
        for (operation, driver) in drivers(&server).await {
            let staged = close(&driver, "/up", &in_parts()).await.unwrap();
            server.fault(on(operation, Kind::ErrorInside { code: code.into() }).forever());
            for (failed, at) in
                [(copied(&driver).await, "/from"), (commit_staged(&driver, &staged, "/to").await, "/up")]
            {
                let error = failure(failed);
                assert!(!error.is_not_found(), "{error}");
                assert_eq!(stored(&server, at).unwrap(), in_parts(), "{operation} {code}");
                assert_eq!(stored(&server, "/to"), None);
                assert!(server.uploads().is_empty(), "{operation} {code}");
            }
            server.clear_faults();
            commit_staged(&driver, &staged, "/to").await.unwrap();
            assert_eq!(stored(&server, "/to").unwrap(), in_parts(), "{operation} {code}");
            assert_eq!(stored(&server, "/up"), None, "{operation} {code}");
            server.clear();
        }
    })
    .await;
}

/// F1, F2, F5: errors and lost answers of a copy.
#[tokio::test]
async fn a_lost_answer_of_a_copy_costs_another_copy() {
    let mut faults = lost_answers().to_vec();
    faults.extend([Kind::error(500, "InternalError"), Kind::error(502, ""), Kind::Close, Kind::Reset]);
    for fault in faults {
        let server = server();
        for (operation, driver) in drivers(&server).await {
            server.fault(on(operation, fault.clone()));
            copied(&driver).await.unwrap();
            assert_eq!(stored(&server, "/to").unwrap(), in_parts(), "{operation} {fault:?}");
            assert_eq!(server.objects().len(), 1, "{operation} {fault:?}");
            server.clear();
        }
    }
}

/// F4: no answer at all, without and with effect. The SDK does not repeat these.
#[tokio::test]
async fn a_copy_without_an_answer_is_sent_once_more() {
    at_once(["CopyObject", "UploadPartCopy"], async |operation| {
        let server = server();
        let threshold = if operation == "CopyObject" { 1 << 20 } else { 10 };
        let config = config(&server).with_copy_threshold(threshold);
        let driver = S3Driver::open(config.with_answer_timeout(Duration::from_millis(100))).await.unwrap();
        server.fault(on(operation, Kind::Hang));
        copied(&driver).await.unwrap();
        assert_eq!(stored(&server, "/to").unwrap(), in_parts(), "{operation}");
        server.forget();
        server.fault(on(operation, Kind::Hang).times(2));
        assert_eq!(kind(copied(&driver).await), ErrorKind::Timeout);
        assert_eq!(server.count_of(operation), 2, "{operation}");
        assert_eq!(stored(&server, "/from").unwrap(), in_parts());
    })
    .await;
}

/// U7, U8: the copy behind a commit to another path.
#[tokio::test]
async fn a_commit_to_another_path_survives_errors_inside() {
    for fault in errors_inside("InternalError") {
        for operation in ["CopyObject", "CompleteMultipartUpload"] {
            let server = server();
            let driver = open(&server).await;
            server.fault(on(operation, fault.clone()));
            write_to(&driver, "/up/data", &in_parts(), "/blobs/data").await.unwrap();
            assert_eq!(stored(&server, "/blobs/data").unwrap(), in_parts(), "{operation} {fault:?}");
            assert_eq!(server.objects().len(), 1);
        }
    }
}

/// The mark of a copy in parts distinguishes it from the earlier object at its target.
#[tokio::test]
async fn a_copy_in_parts_whose_upload_was_ended_is_an_error() {
    let server = server();
    let [_, (_, driver)] = drivers(&server).await;
    let other = vec![7; in_parts().len()];
    server.put_raw(&key("/to"), other.clone());
    server.fault(on("CompleteMultipartUpload", Kind::error(404, "NoSuchUpload")).key("/to"));
    let error = failure(copied(&driver).await);
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(stored(&server, "/to").unwrap(), other);
    assert_eq!(stored(&server, "/from").unwrap(), in_parts());
}

/// A source that vanishes between its completion and its copy.
#[tokio::test]
async fn a_source_that_is_gone_leaves_the_target() {
    let server = server();
    for (operation, driver) in drivers(&server).await {
        put(&driver, "/to", "old", PutMode::Overwrite).await.unwrap();
        server.fault(on(operation, Kind::error(404, "NoSuchKey")).forever());
        let error = failure(copied(&driver).await);
        assert!(error.is_not_found(), "{error}");
        assert_eq!(stored(&server, "/to").unwrap(), "old");
        assert!(server.uploads().is_empty());
        server.clear_faults();
    }
}

/// A copy has the ETag of what was written as its condition. A store that compares it in its own way, or does not know
/// the condition (R2, of parts), is believed by the mark of the object, and is not asked again.
#[tokio::test]
async fn a_store_that_refuses_the_etag_it_gave_copies_by_name() {
    let server = server();
    for (status, code) in [(412, "PreconditionFailed"), (501, "NotImplemented")] {
        for (operation, driver) in drivers(&server).await {
            server.fault(on(operation, Kind::error(status, code)));
            copied(&driver).await.unwrap();
            assert!(server.faults_left().is_empty());
            server.forget();
            copied(&driver).await.unwrap();
            assert_eq!(stored(&server, "/to").unwrap(), in_parts(), "{operation}");
            let sent = server.requests_of(operation);
            let is_asked = |header: &str| sent.iter().any(|it| it.headers.contains_key(header));
            assert!(!sent.is_empty() && !is_asked("x-amz-copy-source-if-match"), "{operation} {code}");
            assert_eq!((server.objects().len(), server.count_of("HeadObject")), (1, 0), "{operation}");
            server.clear();
        }
    }
    let driver = open(&server).await;
    server.forget();
    copied(&driver).await.unwrap();
    assert!(server.requests_of("CopyObject")[0].headers.contains_key("x-amz-copy-source-if-match"));
}

/// An object that another program has put in the place of what was written is not copied for it.
#[tokio::test]
async fn another_object_in_the_place_of_what_was_written_is_not_copied() {
    let server = server();
    for (operation, driver) in drivers(&server).await {
        let other = Bytes::from(vec![7; in_parts().len()]);
        server.fault(on(operation, Kind::Delay(Duration::from_millis(300))));
        let at = Instant::now();
        let (failed, ()) = futures::join!(copied(&driver), async {
            until(|| stored(&server, "/from").is_some()).await;
            server.put_raw(&key("/from"), other.clone());
        });
        assert!(at.elapsed() >= Duration::from_millis(300));
        let error = failure(failed);
        assert_eq!(error.kind(), ErrorKind::Conflict, "{operation}: {error}");
        assert_eq!(stored(&server, "/to"), None, "{operation}");
        assert_eq!(stored(&server, "/from").unwrap(), other, "{operation}");
        assert!(server.uploads().is_empty(), "{operation}");
        server.clear();
    }
}
