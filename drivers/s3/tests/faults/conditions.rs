//! Conditional writes: whose 412 it is, and what a 409 means.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use plugin_registry_core::{ErrorKind, PutMode, StorageDriver, WriteMode};
use plugin_registry_drivers_s3::S3Driver;
use plugin_registry_emulator::s3::{Kind, Server};

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
    }
}

/// U9: the same of the first close of a stage, also where not one answer comes through.
#[tokio::test]
async fn a_first_close_whose_answer_was_lost_is_success() {
    let all = lost_answers().into_iter().flat_map(|lost| [(lost.clone(), false), (lost, true)]);
    at_once(all, async |(lost, forever)| {
        for bytes in [content(100), in_parts()] {
            let server = server();
            let driver = S3Driver::open(config(&server).with_max_attempts(2)).await.unwrap();
            let fault = on("PutObject", lost.clone());
            server.fault(if forever { fault.forever() } else { fault });
            let staged = close(&driver, "/f", &bytes).await.unwrap();
            let sent = server.requests_of("PutObject");
            assert!(sent.len() <= 2 && sent.iter().all(|it| it.headers.contains_key("if-none-match")));
            server.clear_faults();
            let other = open(&server).await;
            let found = other.find_staged(&path("/f")).await.unwrap();
            assert_eq!((found.size, &found.id), (bytes.len() as u64, &staged.id), "{lost:?} {forever}");
            // The identity that the writer got without an answer works for every call.
            let closed = after(&driver, &staged, &content(10)).await.unwrap().close().await.unwrap();
            commit_staged(&other, &closed, "/f").await.unwrap();
            assert_eq!(stored(&server, "/f").unwrap(), [bytes, content(10)].concat(), "{lost:?} {forever}");
        }
    })
    .await;
}

/// U9: a first close that another's object refuses takes nothing away, whatever became of an attempt before.
#[tokio::test]
async fn a_first_close_that_anothers_stage_refuses_is_a_conflict() {
    let attempts = [
        None,
        Some(Kind::error(500, "InternalError")),
        Some(Kind::Close),
        Some(Kind::conflict()),
        // The store did not carry it out, and says that it did not: 412, as before.
        Some(Kind::error(412, "PreconditionFailed")),
    ];
    for first in attempts {
        for theirs in [content(100), in_parts()] {
            for ours in [content(100), content(200), in_parts()] {
                let server = server();
                let (driver, other) = (open(&server).await, open(&server).await);
                let writer = written(&driver, "/f", &ours, WriteMode::Stage).await.unwrap();
                let staged = close(&other, "/f", &theirs).await.unwrap();
                let uploads: Vec<_> = staged_uploads(&server, theirs.len());
                first.iter().for_each(|kind| server.fault(on("PutObject", kind.clone())));
                assert_eq!(kind(writer.close().await), ErrorKind::Conflict, "{first:?}");
                assert!(server.faults_left().is_empty(), "{first:?}");
                until(|| server.uploads().len() == uploads.len()).await;
                assert_eq!(server.uploads().iter().map(|it| it.id.clone()).collect::<Vec<_>>(), uploads);
                let found = driver.find_staged(&path("/f")).await.unwrap();
                assert_eq!((found.size, &found.id), (theirs.len() as u64, &staged.id), "{first:?}");
                commit_staged(&driver, &staged, "/f").await.unwrap();
                assert_eq!(stored(&server, "/f").unwrap(), theirs, "{first:?}");
            }
        }
    }
}

/// The uploads of a stage of this many bytes: the last one to begin, or none.
fn staged_uploads(server: &Server, size: usize) -> Vec<String> {
    let youngest = server.uploads().into_iter().map(|upload| upload.id).max();
    youngest.into_iter().filter(|_| size > PART).collect()
}

/// U9: not one answer comes through, and the object shows the outcome.
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

/// U9: 412 for an object that another client wrote, also after our own attempt without an effect.
#[tokio::test]
async fn a_412_for_the_write_of_another_is_already_exists() {
    for first in [None, Some(Kind::error(500, "InternalError")), Some(Kind::Close)] {
        let server = server();
        let driver = open(&server).await;
        put(&driver, "/f", "theirs", PutMode::CreateOnly).await.unwrap();
        first.iter().for_each(|kind| server.fault(on("PutObject", kind.clone())));
        assert_eq!(kind(put(&driver, "/f", "mine", PutMode::CreateOnly).await), ErrorKind::AlreadyExists);
        assert_eq!(stored(&server, "/f").unwrap(), "theirs");
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
    write(&driver, "/g", &in_parts()).await.unwrap();
    assert_eq!((stored(&server, "/g").unwrap(), server.count_of(COMPLETE)), (in_parts(), 4));
    // The first close of a stage.
    server.forget();
    server.fault(on("PutObject", Kind::conflict()).times(3));
    close(&driver, "/h", &content(100)).await.unwrap();
    assert_eq!(server.count_of("PutObject"), 4);
}

/// U10: 409 because another write was under way, and it succeeded.
#[tokio::test]
async fn a_409_with_something_there_is_already_exists() {
    let server = server();
    let driver = open(&server).await;
    put(&driver, "/f", "theirs", PutMode::Overwrite).await.unwrap();
    server.fault(on("PutObject", Kind::conflict()));
    assert_eq!(kind(put(&driver, "/f", "mine", PutMode::CreateOnly).await), ErrorKind::AlreadyExists);
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
    let (bytes, few) = (in_parts(), content(100));
    let (small, large, closed) = futures::join!(
        put(&driver, "/f", "mine", PutMode::CreateOnly),
        write(&driver, "/g", &bytes),
        close(&driver, "/h", &few)
    );
    for error in [failure(small), failure(large)] {
        assert!(error.kind() == ErrorKind::Conflict && error.is_retryable(), "{error}");
    }
    assert_eq!(kind(closed), ErrorKind::Conflict);
    assert!(server.objects().is_empty() && server.count() < 40);
}

/// U9: a close of a resumed stage writes on a condition as well.
#[tokio::test]
async fn a_close_whose_answer_was_lost_is_success() {
    for lost in lost_answers() {
        let server = server();
        let driver = open(&server).await;
        let staged = close(&driver, "/f", &in_parts()).await.unwrap();
        let writer = after(&driver, &staged, &in_parts()).await.unwrap();
        server.fault(on("PutObject", lost.clone()));
        let staged = writer.close().await.unwrap();
        assert!(server.faults_left().is_empty());
        assert_eq!(driver.find_staged(&path("/f")).await.unwrap().id, staged.id);
        let writer = after(&driver, &staged, &Bytes::new()).await.unwrap();
        assert_eq!(writer.size(), 2 * in_parts().len() as u64, "{lost:?}");
        writer.commit(&path("/f")).await.unwrap();
        assert_eq!(stored(&server, "/f").unwrap(), [in_parts(), in_parts()].concat());
        assert_eq!((server.objects().len(), server.uploads().len()), (1, 0));
    }
}

/// U4, U9: if two writers resumed one stage, the second to close gets an error and takes nothing from the
/// first.
#[tokio::test]
async fn the_second_close_of_one_stage_is_a_conflict() {
    let server = server();
    let driver = open(&server).await;
    for bytes in [content(100), in_parts()] {
        let staged = close(&driver, "/f", &bytes).await.unwrap();
        let first = after(&driver, &staged, &content(50)).await.unwrap();
        let second = after(&driver, &staged, &content(70)).await.unwrap();
        let third = after(&driver, &staged, &Bytes::new()).await.unwrap();
        let closed = first.close().await.unwrap();
        assert_eq!(kind(second.close().await), ErrorKind::Conflict);
        assert_eq!(kind(third.close().await), ErrorKind::Conflict, "also without any bytes");
        assert_eq!(kind(after(&driver, &staged, &Bytes::new()).await), ErrorKind::Conflict);
        let found = driver.find_staged(&path("/f")).await.unwrap();
        assert_eq!((found.size, &found.id), (bytes.len() as u64 + 50, &closed.id));
        commit_staged(&driver, &closed, "/f").await.unwrap();
        assert_eq!(stored(&server, "/f").unwrap(), [bytes, content(50)].concat());
        forget(&driver, &closed).await;
        assert_eq!((server.objects().len(), server.uploads().len()), (1, 0));
    }
}

/// The same of a commit: the bytes of the other one are neither hidden nor thrown away.
#[tokio::test]
async fn a_commit_of_an_overtaken_writer_is_refused() {
    const MIB: usize = 1 << 20;
    let cases = [
        ("bytes alone", content(100), content(10)),
        ("bytes, and more in parts", content(100), in_parts()),
        ("bytes as they are", content(100), Bytes::new()),
        ("parts, and the last bytes", in_parts(), Bytes::new()),
        ("parts, and more", in_parts(), in_parts()),
        ("nothing but parts", content(10 * MIB), Bytes::new()),
    ];
    for (what, bytes, more) in cases {
        for change in ["closed", "deleted"] {
            for to in ["/f", "/g"] {
                let server = server();
                let chunk = if bytes.len() > MIB { 5 * MIB } else { PART };
                let driver = S3Driver::open(config(&server).with_chunk_size(chunk as u64)).await.unwrap();
                let staged = close(&driver, "/f", &bytes).await.unwrap();
                let late = after(&driver, &staged, &more).await;
                let closed = match change {
                    "closed" => {
                        Some(after(&driver, &staged, &content(50)).await.unwrap().close().await.unwrap())
                    }
                    _ => None,
                };
                if closed.is_none() {
                    driver
                        .delete_staged(&path("/f"), SystemTime::now() + Duration::from_secs(60))
                        .await
                        .unwrap();
                }
                let what = format!("{what}, {change}, {to}");
                let refused = late.unwrap().commit(&path(to)).await.expect_err(&what).kind();
                assert!(matches!(refused, ErrorKind::Conflict | ErrorKind::NotFound), "{what}: {refused:?}");
                assert_eq!(stored(&server, to), None, "{what}");
                if let Some(closed) = closed {
                    assert_eq!(driver.find_staged(&path("/f")).await.unwrap().id, closed.id, "{what}");
                    commit_staged(&driver, &closed, to).await.unwrap();
                    assert!(stored(&server, to).unwrap() == [bytes.clone(), content(50)].concat(), "{what}");
                }
            }
        }
    }
}
