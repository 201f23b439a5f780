//! Conditional writes: whose 412 it is, and what a 409 means.

use plugin_registry_core::{ErrorKind, PutMode, StorageDriver, WriteOptions};
use plugin_registry_drivers_s3::S3Driver;
use plugin_registry_emulator::s3::Kind;

use crate::support::*;

const COMPLETE: &str = "CompleteMultipartUpload";

/// U9: the first write took effect, its answer was lost, and the second meets 412.
#[tokio::test]
async fn a_412_for_our_own_first_write_is_success() {
    for lost in lost_answers() {
        let server = server();
        let driver = open(&server).await;
        server.fault(on("PutObject", lost.clone()));
        put(&driver, "/f", "mine", PutMode::CreateOnly).await.unwrap();
        assert_eq!(stored(&server, "/f").unwrap(), "mine", "{lost:?}");
        assert_eq!(server.requests_of("PutObject").last().unwrap().status, 412);
        // The same from a writer.
        server.fault(on("PutObject", lost.clone()));
        write(&driver, "/g", &content(10), PutMode::CreateOnly).await.unwrap();
        assert_eq!(stored(&server, "/g").unwrap(), content(10), "{lost:?}");
    }
}

/// U9: some stores check the condition before they see that the upload is gone.
#[tokio::test]
async fn a_412_for_our_own_complete_is_success() {
    let server = server();
    let driver = open(&server).await;
    server.fault(on(COMPLETE, Kind::error_after(500, "InternalError")));
    server.fault(on(COMPLETE, Kind::error(412, "PreconditionFailed")));
    write(&driver, "/f", &in_parts(), PutMode::CreateOnly).await.unwrap();
    assert_eq!(stored(&server, "/f").unwrap(), in_parts());
}

/// U9: not one answer comes through, and the object tells.
#[tokio::test]
async fn a_write_without_any_answer_is_known_by_its_object() {
    for lost in [Kind::error_after(500, "InternalError"), Kind::CloseAfter, Kind::ResetAfter] {
        let server = server();
        let driver = S3Driver::open(config(&server).with_max_attempts(2)).await.unwrap();
        server.fault(on("PutObject", lost).forever());
        put(&driver, "/f", "mine", PutMode::CreateOnly).await.unwrap();
        assert_eq!(stored(&server, "/f").unwrap(), "mine");
    }
}

/// U9: 412 for what another wrote, also after an attempt of ours that had no effect.
#[tokio::test]
async fn a_412_for_the_write_of_another_is_already_exists() {
    for first in [None, Some(Kind::error(500, "InternalError")), Some(Kind::Close)] {
        let server = server();
        let driver = open(&server).await;
        put(&driver, "/f", "theirs", PutMode::CreateOnly).await.unwrap();
        for operation in ["PutObject", COMPLETE] {
            first.iter().for_each(|kind| server.fault(on(operation, kind.clone())));
        }
        assert_eq!(kind(put(&driver, "/f", "mine", PutMode::CreateOnly).await), ErrorKind::AlreadyExists);
        let written = write(&driver, "/f", &content(10), PutMode::CreateOnly).await;
        assert_eq!(kind(written), ErrorKind::AlreadyExists);
        let written = write(&driver, "/f", &in_parts(), PutMode::CreateOnly).await;
        assert_eq!(kind(written), ErrorKind::AlreadyExists);
        assert_eq!(stored(&server, "/f").unwrap(), "theirs");
        no_upload_stays(&server).await;
    }
}

/// U10: 409 while nothing is there: another write was under way, and it failed.
#[tokio::test]
async fn a_409_with_nothing_there_is_tried_again() {
    let server = server();
    let driver = open(&server).await;
    for operation in ["PutObject", COMPLETE] {
        server.fault(on(operation, Kind::conflict()).times(3));
    }
    put(&driver, "/f", "mine", PutMode::CreateOnly).await.unwrap();
    assert_eq!((stored(&server, "/f").unwrap(), server.count_of("PutObject")), ("mine".into(), 4));
    write(&driver, "/g", &in_parts(), PutMode::CreateOnly).await.unwrap();
    assert_eq!((stored(&server, "/g").unwrap(), server.count_of(COMPLETE)), (in_parts(), 4));
}

/// U10: 409 because another write was under way, and it succeeded.
#[tokio::test]
async fn a_409_with_something_there_is_already_exists() {
    let server = server();
    let driver = open(&server).await;
    put(&driver, "/f", "theirs", PutMode::Overwrite).await.unwrap();
    for operation in ["PutObject", COMPLETE] {
        server.fault(on(operation, Kind::conflict()));
    }
    assert_eq!(kind(put(&driver, "/f", "mine", PutMode::CreateOnly).await), ErrorKind::AlreadyExists);
    let written = write(&driver, "/f", &in_parts(), PutMode::CreateOnly).await;
    assert_eq!(kind(written), ErrorKind::AlreadyExists);
    assert_eq!(stored(&server, "/f").unwrap(), "theirs");
}

/// U10: 409 for ever ends.
#[tokio::test]
async fn a_409_for_ever_is_a_conflict() {
    let server = server();
    let driver = open(&server).await;
    for operation in ["PutObject", COMPLETE] {
        server.fault(on(operation, Kind::conflict()).forever());
    }
    let bytes = in_parts();
    let (small, large) = futures::join!(
        put(&driver, "/f", "mine", PutMode::CreateOnly),
        write(&driver, "/g", &bytes, PutMode::CreateOnly)
    );
    for error in [failure(small), failure(large)] {
        assert!(error.kind() == ErrorKind::Conflict && error.is_retryable(), "{error}");
    }
    assert!(server.objects().is_empty() && server.count() < 30);
}

/// U9: a close of a resumed stage writes on a condition as well.
#[tokio::test]
async fn a_close_whose_answer_was_lost_is_success() {
    for lost in lost_answers() {
        let server = server();
        let driver = open(&server).await;
        written(&driver, "/f", &in_parts(), WriteOptions::create()).await.unwrap().close().await.unwrap();
        let writer = written(&driver, "/f", &in_parts(), WriteOptions::resume()).await.unwrap();
        server.fault(on("PutObject", lost.clone()));
        writer.close().await.unwrap();
        assert!(server.faults_left().is_empty());
        let writer = driver.writer(&path("/f"), WriteOptions::resume()).await.unwrap();
        assert_eq!(writer.size(), 2 * in_parts().len() as u64, "{lost:?}");
        writer.commit().await.unwrap();
        assert_eq!(stored(&server, "/f").unwrap(), [in_parts(), in_parts()].concat());
        assert_eq!((server.objects().len(), server.uploads().len()), (1, 0));
    }
}

/// U4, U9: of two that resumed one stage, the second to close is told, and takes nothing from the first.
#[tokio::test]
async fn the_second_close_of_one_stage_is_a_conflict() {
    let server = server();
    let driver = open(&server).await;
    written(&driver, "/f", &content(100), WriteOptions::create()).await.unwrap().close().await.unwrap();
    let first = written(&driver, "/f", &content(50), WriteOptions::resume()).await.unwrap();
    let second = written(&driver, "/f", &content(70), WriteOptions::resume()).await.unwrap();
    first.close().await.unwrap();
    assert_eq!(kind(second.close().await.map(drop)), ErrorKind::Conflict);
    let writer = driver.writer(&path("/f"), WriteOptions::resume()).await.unwrap();
    assert_eq!(writer.size(), 150);
}
