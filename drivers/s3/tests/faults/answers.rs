//! Answers to CompleteMultipartUpload: what they say, and what is true.

use std::collections::BTreeSet;

use bytes::Bytes;
use plugin_registry_core::{ErrorKind, PutMode, StorageDriver, WriteMode};
use plugin_registry_drivers_s3::S3Driver;
use plugin_registry_emulator::s3::Kind;

use crate::support::*;

const COMPLETE: &str = "CompleteMultipartUpload";

/// U7: status 200, and an error in the body.
#[tokio::test]
async fn an_error_inside_of_a_complete_is_no_success() {
    for code in ["InternalError", "ServiceUnavailable", "SlowDown"] {
        let server = server();
        let driver = open(&server).await;
        server.fault(on(COMPLETE, Kind::ErrorInside { code: code.into() }));
        write(&driver, "/f", &in_parts()).await.unwrap();
        assert_eq!(stored(&server, "/f").unwrap(), in_parts(), "{code}");
        assert_eq!(server.count_of(COMPLETE), 2, "{code}");
        assert!(server.uploads().is_empty());
    }
}

/// U7, U8: the same, after the object was made.
#[tokio::test]
async fn an_error_inside_of_a_complete_that_took_effect_is_found_out() {
    for code in ["InternalError", "ServiceUnavailable", "SlowDown"] {
        let server = server();
        let driver = open(&server).await;
        server.fault(on(COMPLETE, Kind::ErrorInsideAfter { code: code.into() }));
        write(&driver, "/f", &in_parts()).await.unwrap();
        assert_eq!(stored(&server, "/f").unwrap(), in_parts(), "{code}");
    }
}

/// U7: an error of a kind that another attempt will not change.
#[tokio::test]
async fn an_error_inside_that_stays_is_an_error() {
    at_once(["AccessDenied", "InternalError", "Unheard"], async |code| {
        let server = server();
        let driver = S3Driver::open(config(&server).with_max_attempts(1)).await.unwrap();
        server.fault(on(COMPLETE, Kind::ErrorInside { code: code.into() }).forever());
        let error = failure(write(&driver, "/f", &in_parts()).await);
        assert!(!error.is_not_found() && error.kind() != ErrorKind::AlreadyExists, "{error}");
        assert_eq!(stored(&server, "/f"), None);
    })
    .await;
}

/// U8: the answer is lost, and the repeated request meets NoSuchUpload.
#[tokio::test]
async fn no_such_upload_after_a_lost_answer_is_success() {
    for lost in lost_answers() {
        let server = server();
        let driver = open(&server).await;
        server.fault(on(COMPLETE, lost.clone()));
        write(&driver, "/f", &in_parts()).await.unwrap();
        assert_eq!(stored(&server, "/f").unwrap(), in_parts(), "{lost:?}");
        assert!(server.uploads().is_empty());
    }
}

/// U8: every answer is lost; the object shows the outcome.
#[tokio::test]
async fn a_complete_without_any_answer_is_known_by_its_object() {
    for lost in lost_answers() {
        let server = server();
        let driver = S3Driver::open(config(&server).with_max_attempts(2)).await.unwrap();
        server.fault(on(COMPLETE, lost.clone()).forever());
        write(&driver, "/f", &in_parts()).await.unwrap();
        assert_eq!(stored(&server, "/f").unwrap(), in_parts(), "{lost:?}");
    }
}

/// U8: NoSuchUpload because the upload was ended, by another client or by a lifecycle rule.
#[tokio::test]
async fn an_upload_that_somebody_aborted_is_a_clear_error() {
    let server = server();
    let driver = open(&server).await;
    let writer = written(&driver, "/f", &in_parts(), WriteMode::direct()).await.unwrap();
    server.clear();
    let error = failure(writer.commit(&path("/f")).await);
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.to_string().contains("aborted") && !error.is_retryable(), "{error}");
    assert!(server.objects().is_empty());
}

/// U8: the attempt's mark decides, since another object may well have the same size.
#[tokio::test]
async fn an_object_of_the_same_size_is_not_taken_for_ours() {
    for lost in [true, false] {
        let server = server();
        let driver = open(&server).await;
        let writer = written(&driver, "/f", &in_parts(), WriteMode::direct()).await.unwrap();
        server.clear();
        let other = vec![7; in_parts().len()];
        server.put_raw(&key("/f"), other.clone());
        if lost {
            server.fault(on(COMPLETE, Kind::error(500, "InternalError")));
        }
        let error = failure(writer.commit(&path("/f")).await);
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert_eq!(stored(&server, "/f").unwrap(), other);
    }
}

/// U8: a server that fails for ever.
#[tokio::test]
async fn a_complete_that_fails_for_ever_is_an_error_with_nothing_visible() {
    let kinds = [Kind::error(500, "InternalError"), Kind::error(503, "SlowDown"), Kind::Close, Kind::Reset];
    at_once(kinds, async |kind| {
        let server = server();
        let driver = S3Driver::open(config(&server).with_max_attempts(2)).await.unwrap();
        put(&driver, "/f", "old", PutMode::Overwrite).await.unwrap();
        server.fault(on(COMPLETE, kind.clone()).forever());
        let error = failure(write(&driver, "/f", &in_parts()).await);
        assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::RateLimited), "{kind:?}: {error}");
        assert!(error.is_retryable());
        assert_eq!(stored(&server, "/f").unwrap(), "old", "{kind:?}");
        assert!(server.count_of(COMPLETE) <= 14, "bounded");
        // The same again, once the store is well.
        server.clear_faults();
        write(&driver, "/f", &in_parts()).await.unwrap();
        assert_eq!(driver.stat(&path("/f")).await.unwrap().size, in_parts().len() as u64);
    })
    .await;
}

/// U11: a part that failed is never left out.
#[tokio::test]
async fn a_part_that_failed_is_never_left_out() {
    for nth in 1..=4 {
        let server = server();
        let driver = open(&server).await;
        server.fault(on("UploadPart", Kind::access_denied()).nth(nth));
        let error = failure(write(&driver, "/f", &in_parts()).await);
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        assert_eq!((stored(&server, "/f"), server.count_of(COMPLETE)), (None, 0));
        no_upload_stays(&server).await;
    }
}

/// Two writers that resumed one stage each begin an upload. The object of one is not taken for the other's,
/// although both have the same stage and the same size.
#[tokio::test]
async fn an_object_of_another_writer_of_the_stage_is_not_taken_for_ours() {
    let (ours, theirs) = (in_parts(), Bytes::from(vec![7; in_parts().len()]));
    for fault in [Kind::error(500, "InternalError"), Kind::Close, Kind::error(404, "NoSuchUpload")] {
        let server = server();
        let driver = S3Driver::open(config(&server).with_max_attempts(1)).await.unwrap();
        let staged = close(&driver, "/f", &content(100)).await.unwrap();
        let first = after(&driver, &staged, &theirs).await.unwrap();
        let second = after(&driver, &staged, &ours).await.unwrap();
        let marks: BTreeSet<_> = server.uploads().iter().map(|it| format!("{:?}", it.attributes)).collect();
        assert_eq!((server.uploads().len(), marks.len()), (2, 2), "each upload has a mark: {marks:?}");
        first.commit(&path("/f")).await.unwrap();
        server.fault(on(COMPLETE, fault.clone()).forever());
        let error = failure(second.commit(&path("/f")).await);
        assert_ne!(error.kind(), ErrorKind::AlreadyExists, "{error}");
        assert_eq!(stored(&server, "/f").unwrap(), [content(100), theirs.clone()].concat(), "{fault:?}");
    }
}

/// The same where both are closed: the stage is the first one's, and the upload of the second is given up.
#[tokio::test]
async fn of_two_uploads_for_one_stage_one_is_kept() {
    let server = server();
    let (driver, other) = (open(&server).await, open(&server).await);
    let staged = close(&driver, "/f", &content(100)).await.unwrap();
    let first = after(&driver, &staged, &in_parts()).await.unwrap();
    let second = after(&other, &staged, &Bytes::from(vec![7; in_parts().len()])).await.unwrap();
    let closed = first.close().await.unwrap();
    assert_eq!(kind(second.close().await), ErrorKind::Conflict);
    until(|| server.uploads().len() == 1).await;
    commit_staged(&other, &closed, "/f").await.unwrap();
    assert_eq!(stored(&server, "/f").unwrap(), [content(100), in_parts()].concat());
    assert!(server.uploads().is_empty());
}
