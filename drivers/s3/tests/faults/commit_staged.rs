//! Stages that become visible without a writer: copied by the store as they were when they were closed, or made of the
//! parts that it has.

use bytes::Bytes;
use plugin_registry::Registry;
use plugin_registry_conformance::registry::{Client, fixture::digest};
use plugin_registry_core::{ErrorKind, PutMode, StorageDriver};
use plugin_registry_drivers_s3::S3Driver;
use plugin_registry_emulator::s3::{Kind, Server};

use crate::{common, support::*};

const COPY: &str = "CopyObject";
const COMPLETE: &str = "CompleteMultipartUpload";
const UP: &str = "/up/data";
const TO: &str = "/blobs/data";

fn counts(server: &Server) -> Vec<(&'static str, usize)> {
    server.counts().into_iter().collect()
}

/// The same as a whole object that was put, whatever the settings give to it.
#[tokio::test]
async fn a_copied_stage_is_as_one_that_was_put() {
    let server = server();
    let settings = config(&server)
        .with_storage_class("REDUCED_REDUNDANCY")
        .with_object_acl("bucket-owner-full-control")
        .with_encrypt(true)
        .with_key_id("key");
    let driver = S3Driver::open(settings).await.unwrap();
    let staged = close(&driver, UP, &content(700)).await.unwrap();
    server.forget();
    commit_staged(&driver, &staged, TO).await.unwrap();
    assert_eq!(counts(&server), [(COPY, 1)]);
    write(&driver, "/blobs/put", &content(700)).await.unwrap();
    let (copied, put) = (server.object(&key(TO)).unwrap(), server.object(&key("/blobs/put")).unwrap());
    assert_eq!(copied.data, put.data);
    assert_eq!(copied.attributes, put.attributes);
    assert!(put.attributes.storage_class.is_some() && put.attributes.kms_key.is_some());
    // The stage is left and can be committed again, until the caller deletes it.
    commit_staged(&driver, &staged, "/blobs/again").await.unwrap();
    assert_eq!(stored(&server, "/blobs/again").unwrap(), content(700));
    put_started(&driver).await;
    server.forget();
    let report = driver.delete_many(vec![path("/up/startedat")], std::slice::from_ref(&staged)).await;
    report.unwrap().into_result().unwrap();
    assert_eq!(counts(&server), [("DeleteObjects", 1)]);
    let left: Vec<_> = server.objects().into_keys().collect();
    assert_eq!(left, ["/blobs/again", TO, "/blobs/put"].map(key));
    assert_eq!(kind(commit_staged(&driver, &staged, TO).await), ErrorKind::NotFound);
}

async fn put_started(driver: &S3Driver) {
    put(driver, "/up/startedat", "now", PutMode::Overwrite).await.unwrap();
}

/// A look, the stage taken over, the last bytes, and the parts become one; then a copy, where it belongs elsewhere.
#[tokio::test]
async fn parts_become_visible_without_being_sent_again() {
    for (to, more) in [(UP, &["DeleteObject"][..]), (TO, &[COPY, "DeleteObjects"][..])] {
        let server = server();
        let (driver, other) = (open(&server).await, open(&server).await);
        let staged = close(&driver, UP, &in_parts()).await.unwrap();
        server.forget();
        commit_staged(&other, &staged, to).await.unwrap();
        let operations: Vec<_> = server.requests().iter().map(|request| request.operation).collect();
        assert_eq!(operations, [&["GetObject", "PutObject", "UploadPart", COMPLETE], more].concat());
        assert!(server.requests()[1].headers.contains_key("if-match"), "nobody else goes on with it");
        assert_eq!(server.requests_of("UploadPart")[0].bytes_in, 100, "the bytes after the last part");
        assert_eq!(stored(&server, to).unwrap(), in_parts());
        assert_eq!(server.objects().into_keys().collect::<Vec<_>>(), [key(to)], "it is used up");
        assert!(server.uploads().is_empty());
        assert_eq!(kind(commit_staged(&driver, &staged, to).await), ErrorKind::NotFound);
        assert_eq!(stored(&server, to).unwrap(), in_parts());
        forget(&driver, &staged).await;
    }
}

/// F1, F2, U7: errors, lost answers, and errors inside of a 200, with effect and without.
#[tokio::test]
async fn a_copy_that_fails_once_is_sent_again() {
    let mut faults = lost_answers().to_vec();
    faults.extend([Kind::error(500, "InternalError"), Kind::Close, Kind::Reset, Kind::slow_down(Some(0))]);
    for code in ["InternalError", "SlowDown"] {
        let code = code.to_owned();
        faults.extend([Kind::ErrorInside { code: code.clone() }, Kind::ErrorInsideAfter { code }]);
    }
    for fault in faults {
        for (bytes, operations) in
            [(content(700), &[COPY][..]), (in_parts(), &[COMPLETE, COPY, "UploadPart"])]
        {
            for operation in operations {
                let server = server();
                let driver = open(&server).await;
                let staged = close(&driver, UP, &bytes).await.unwrap();
                if *operation == "UploadPart"
                    && matches!(fault, Kind::ErrorInside { .. } | Kind::ErrorInsideAfter { .. })
                {
                    continue;
                }
                server.fault(on(operation, fault.clone()));
                commit_staged(&driver, &staged, TO).await.unwrap();
                assert!(server.faults_left().is_empty());
                assert_eq!(stored(&server, TO).unwrap(), bytes, "{operation} {fault:?}");
                forget(&driver, &staged).await;
                assert_eq!(server.objects().len(), 1, "{operation} {fault:?}");
            }
        }
    }
}

/// U7: an error for ever is one of the store, nothing is visible, and the stage can be committed later, by any instance.
#[tokio::test]
async fn what_fails_for_ever_keeps_the_stage() {
    for fault in [Kind::ErrorInside { code: "InternalError".into() }, Kind::Close, Kind::error(500, "")] {
        for (bytes, operations) in [(content(700), &[COPY][..]), (in_parts(), &[COMPLETE, COPY])] {
            for operation in operations {
                let server = server();
                let driver = S3Driver::open(config(&server).with_max_attempts(2)).await.unwrap();
                let staged = close(&driver, UP, &bytes).await.unwrap();
                server.fault(on(operation, fault.clone()).forever());
                let failed = kind(commit_staged(&driver, &staged, TO).await);
                assert_eq!(failed, ErrorKind::Unavailable, "{operation} {fault:?}");
                assert_eq!(stored(&server, TO), None);
                server.clear_faults();
                let other = open(&server).await;
                let found = other.find_staged(&path(UP)).await.unwrap();
                assert_eq!(found.id, staged.id);
                commit_staged(&other, &found, TO).await.unwrap();
                assert_eq!(stored(&server, TO).unwrap(), bytes, "{operation} {fault:?}");
                assert_eq!(stored(&server, UP), None, "{operation} {fault:?}");
            }
        }
    }
}

/// A driver that may not or cannot copy reads and writes the bytes instead.
#[tokio::test]
async fn without_copies_the_bytes_are_read_and_written() {
    for refused in
        [Kind::access_denied(), Kind::error(501, "NotImplemented"), Kind::error(400, "InvalidRequest")]
    {
        let server = server();
        let driver = open(&server).await;
        let staged = close(&driver, UP, &content(700)).await.unwrap();
        server.fault(on(COPY, refused.clone()).forever());
        server.forget();
        commit_staged(&driver, &staged, TO).await.unwrap();
        assert_eq!(counts(&server), [(COPY, 1), ("GetObject", 1), ("PutObject", 1)]);
        forget(&driver, &staged).await;
        assert_eq!(server.objects().into_iter().collect::<Vec<_>>(), [(key(TO), content(700))]);
    }
}

/// A condition that fails though the stage is the same one, as where a store gives another ETag to its bytes.
#[tokio::test]
async fn a_stage_is_looked_at_again_before_it_is_given_up() {
    for refused in [Kind::error(412, "PreconditionFailed"), Kind::error(404, "NoSuchKey")] {
        for times in [1, 10] {
            let server = server();
            let driver = open(&server).await;
            let staged = close(&driver, UP, &content(700)).await.unwrap();
            server.fault(on(COPY, refused.clone()).times(times));
            commit_staged(&driver, &staged, TO).await.unwrap();
            commit_staged(&driver, &staged, TO).await.unwrap();
            forget(&driver, &staged).await;
            assert_eq!(server.objects().into_iter().collect::<Vec<_>>(), [(key(TO), content(700))]);
        }
    }
}

/// U16: what is read instead is read whole or not at all.
#[tokio::test]
async fn a_stage_that_breaks_off_is_not_committed_in_part() {
    use plugin_registry_emulator::s3::Length;
    for length in [Length::Announced, Length::Honest, Length::Chunked] {
        for bytes in [content(700), in_parts()] {
            let server = server();
            let driver = open(&server).await;
            let staged = close(&driver, UP, &bytes).await.unwrap();
            if bytes.len() == 700 {
                server.fault(on(COPY, Kind::access_denied()));
            }
            server.fault(on("GetObject", Kind::Truncated { keep: 90, length }));
            let committed = commit_staged(&driver, &staged, TO).await;
            assert!(server.faults_left().is_empty(), "{length:?}");
            if let Err(error) = committed {
                assert!(!error.is_not_found(), "{length:?}: {error}");
                assert_eq!(stored(&server, TO), None, "{length:?}");
                commit_staged(&driver, &staged, TO).await.unwrap();
            }
            assert_eq!(stored(&server, TO).unwrap(), bytes, "{length:?}");
        }
    }
}

/// Another process was at the stage between the close and the copy.
#[tokio::test]
async fn a_stage_of_another_process_is_never_copied() {
    let server = server();
    let (driver, other) = (open(&server).await, open(&server).await);
    let changes =
        ["replaced", "replaced by as many bytes", "continued", "continued in parts", "closed again"];
    for bytes in [content(700), in_parts()] {
        for change in changes {
            let staged = close(&driver, UP, &bytes).await.unwrap();
            let size = bytes.len();
            if change.starts_with("replaced") {
                forget(&other, &staged).await;
            }
            let theirs = match change {
                "replaced" => close(&other, UP, &content(300)).await,
                "replaced by as many bytes" => close(&other, UP, &Bytes::from(vec![7; size])).await,
                _ => {
                    let more = match change {
                        "continued" => content(10),
                        "continued in parts" => in_parts(),
                        _ => Bytes::new(),
                    };
                    after(&other, &staged, &more).await.unwrap().close().await
                }
            };
            let theirs = theirs.unwrap();
            assert_ne!(theirs.id, staged.id, "{change}");
            match commit_staged(&driver, &staged, TO).await {
                // The same bytes, so that nothing tells them apart.
                Ok(()) => {
                    assert!(change == "closed again" && size == 700, "{change} {size}");
                    assert_eq!(stored(&server, TO).unwrap(), bytes);
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Conflict, "{change} {size}: {error}");
                    assert_eq!(stored(&server, TO), None, "{change} {size}");
                }
            }
            assert_eq!(stored(&server, UP), None, "{change} {size}");
            // Theirs is as it was.
            let found = driver.find_staged(&path(UP)).await.unwrap();
            assert_eq!((found.size, &found.id), (theirs.size, &theirs.id), "{change} {size}");
            commit_staged(&driver, &found, TO).await.unwrap();
            assert_eq!(stored(&server, TO).unwrap().len() as u64, theirs.size, "{change} {size}");
            server.clear();
        }
    }
}

/// Another process has ended the session.
#[tokio::test]
async fn a_stage_that_is_gone_is_not_found() {
    let server = server();
    let (driver, other) = (open(&server).await, open(&server).await);
    for bytes in [content(700), in_parts()] {
        let staged = close(&driver, UP, &bytes).await.unwrap();
        drop(other.delete(&path("/up")).await);
        assert_eq!(kind(commit_staged(&driver, &staged, TO).await), ErrorKind::NotFound);
        assert_eq!(kind(driver.find_staged(&path(UP)).await), ErrorKind::NotFound);
        // The same where a visible file is in its place.
        server.put_raw(&key(UP), bytes.clone());
        assert_eq!(kind(commit_staged(&driver, &staged, TO).await), ErrorKind::NotFound);
        assert_eq!(kind(driver.find_staged(&path(UP)).await), ErrorKind::NotFound);
        assert_eq!(stored(&server, TO), None);
        server.clear();
    }
}

/// The upload of a stage is ended by a lifecycle rule, or its parts are: then there is no stage, whatever describes it.
#[tokio::test]
async fn a_stage_whose_upload_is_gone_is_not_found() {
    let server = server();
    let driver = open(&server).await;
    for to in [UP, TO] {
        for other in [None, Some(vec![7; in_parts().len()])] {
            let staged = close(&driver, UP, &in_parts()).await.unwrap();
            end_uploads(&server);
            other.iter().for_each(|bytes| server.put_raw(&key(UP), bytes.clone()));
            for _ in 0..2 {
                assert_eq!(kind(commit_staged(&driver, &staged, to).await), ErrorKind::NotFound);
            }
            // An object of another program is not a stage.
            assert_eq!(stored(&server, UP), other.map(Bytes::from));
            assert_eq!(stored(&server, TO), None);
            server.clear();
        }
    }
}

/// A second commit finishes one that ended before the object, or between the object and its copy. No writer
/// resumes the stage meanwhile.
#[tokio::test]
async fn a_commit_in_parts_that_was_interrupted_is_finished() {
    for (operation, to) in [("UploadPart", TO), (COMPLETE, TO), (COPY, TO), (COMPLETE, UP)] {
        for by_writer in [true, false] {
            let server = server();
            let (driver, other) = (open(&server).await, open(&server).await);
            let staged = close(&driver, UP, &in_parts()).await.unwrap();
            server.fault(on(operation, Kind::access_denied()));
            let interrupted = match by_writer {
                true => after(&driver, &staged, &Bytes::new()).await.unwrap().commit(&path(to)).await,
                false => commit_staged(&driver, &staged, to).await,
            };
            let case = format!("{operation} {to} {by_writer}");
            assert_eq!(kind(interrupted), ErrorKind::PermissionDenied, "{case}");
            let found = other.find_staged(&path(UP)).await.unwrap();
            assert_eq!(kind(after(&other, &found, &content(10)).await), ErrorKind::NotFound, "{case}");
            commit_staged(&other, &found, to).await.unwrap();
            assert_eq!(server.objects().into_iter().collect::<Vec<_>>(), [(key(to), in_parts())], "{case}");
            assert!(server.uploads().is_empty(), "{case}");
        }
    }
}

/// A writer that has resumed the stage cannot close it after a commit has taken it over: the upload of its
/// parts is gone.
#[tokio::test]
async fn a_writer_does_not_close_what_is_being_committed() {
    let server = server();
    let (driver, other) = (open(&server).await, open(&server).await);
    let staged = close(&driver, UP, &in_parts()).await.unwrap();
    let writers = [
        after(&other, &staged, &Bytes::new()).await.unwrap(),
        after(&other, &staged, &content(10)).await.unwrap(),
        after(&other, &staged, &in_parts()).await.unwrap(),
    ];
    server.fault(on(COMPLETE, Kind::access_denied()));
    assert_eq!(kind(commit_staged(&driver, &staged, TO).await), ErrorKind::PermissionDenied);
    for writer in writers {
        assert_eq!(kind(writer.close().await), ErrorKind::Conflict);
    }
    commit_staged(&driver, &staged, TO).await.unwrap();
    assert_eq!(server.objects().into_iter().collect::<Vec<_>>(), [(key(TO), in_parts())]);
}

/// U8: the answer to the completion of a stage is lost, once or for ever: the object shows the outcome.
#[tokio::test]
async fn a_lost_completion_of_a_stage_is_found_out() {
    let all = lost_answers().into_iter().flat_map(|lost| [(lost.clone(), false), (lost, true)]);
    at_once(all, async |(lost, forever)| {
        for to in [UP, TO] {
            let server = server();
            let driver = S3Driver::open(config(&server).with_max_attempts(2)).await.unwrap();
            let staged = close(&driver, UP, &in_parts()).await.unwrap();
            let fault = on(COMPLETE, lost.clone());
            server.fault(if forever { fault.forever() } else { fault });
            commit_staged(&driver, &staged, to).await.unwrap();
            assert_eq!(stored(&server, to).unwrap(), in_parts(), "{lost:?} {forever}");
            assert!(server.uploads().is_empty());
        }
    })
    .await;
}

/// F13: a store that ignores the condition of a copy would give whatever is there.
#[tokio::test]
async fn a_store_that_ignores_conditions_of_copies_is_not_asked_to_copy() {
    let server = Server::builder().min_part(1).quirks(|quirks| quirks.copy_conditions_ignored = true).start();
    let settings =
        common::config(&server.endpoint(), server.bucket(), &server.access_key(), &server.secret_key());
    let open = async || S3Driver::open(settings.clone().with_root_directory("root")).await.unwrap();
    let (driver, other) = (open().await, open().await);
    let staged = close(&driver, UP, &content(700)).await.unwrap();
    forget(&other, &staged).await;
    let theirs = close(&other, UP, &content(300)).await.unwrap();
    server.forget();
    assert_eq!(kind(commit_staged(&driver, &staged, TO).await), ErrorKind::Conflict);
    assert_eq!(stored(&server, TO), None);
    for driver in [&driver, &other] {
        commit_staged(driver, &theirs, TO).await.unwrap();
        assert_eq!(stored(&server, TO).unwrap(), content(300));
    }
    assert_eq!(server.count_of(COPY), 0);
}

/// A store that drops metadata gets stages that describe themselves.
#[tokio::test]
async fn a_store_without_metadata_keeps_stages_all_the_same() {
    for bytes in [content(700), in_parts()] {
        let server = server();
        let settings =
            common::config(&server.endpoint(), server.bucket(), &server.access_key(), &server.secret_key());
        // The answer to the question before the first write: a HEAD that fails counts as one without
        // metadata.
        server.fault(on("HeadObject", Kind::error(403, "")).forever());
        let settings = settings.with_root_directory("root").with_chunk_size(PART as u64);
        let driver = S3Driver::open(settings).await.unwrap();
        let staged = close(&driver, UP, &bytes).await.unwrap();
        server.clear_faults();
        server.change_raw(&key("/up/data.staged"), |object| object.attributes.metadata.clear());
        commit_staged(&driver, &staged, TO).await.unwrap();
        forget(&driver, &staged).await;
        assert_eq!(server.objects().into_iter().collect::<Vec<_>>(), [(key(TO), bytes)]);
    }
}

/// A driver that uses stages of the other kind still reads a stage that describes itself. Bytes of a client
/// that look like such a stage are not taken for one.
#[tokio::test]
async fn stages_with_a_description_are_read_and_bytes_are_not_taken_for_one() {
    let server = server();
    let driver = open(&server).await;
    let describing = S3Driver::open(config(&server).with_conditional_writes(false)).await.unwrap();
    close(&describing, UP, &Bytes::from("bytes")).await.unwrap();
    server.change_raw(&key("/up/data.staged"), |object| object.attributes.metadata.clear());
    let described = stored(&server, "/up/data.staged").unwrap();
    assert!(described.starts_with(b"plugin-registry stage ") && described.ends_with(b"bytes"));
    assert_eq!(stages(&driver, "/up").await.unwrap(), [(UP.to_owned(), 5)]);
    let closed = resumed(&driver, UP, &Bytes::from("more")).await.unwrap().close().await.unwrap();
    commit_staged(&driver, &closed, TO).await.unwrap();
    assert_eq!(stored(&server, TO).unwrap(), "bytesmore");
    forget(&driver, &closed).await;

    for elsewhere in [false, true] {
        let staged = close(&driver, UP, &described).await.unwrap();
        let driver = if elsewhere { open(&server).await } else { driver.clone() };
        assert_eq!(stages(&driver, "/up").await.unwrap(), [(UP.to_owned(), described.len() as u64)]);
        let found = driver.find_staged(&path(UP)).await.unwrap();
        assert_eq!((found.size, &found.id), (described.len() as u64, &staged.id));
        commit_staged(&driver, &found, TO).await.unwrap();
        assert_eq!(stored(&server, TO).unwrap(), described);
        let closed = after(&driver, &found, &Bytes::from("more")).await.unwrap().close().await.unwrap();
        assert_eq!(closed.size, described.len() as u64 + 4);
        forget(&driver, &closed).await;
        assert_eq!(server.objects().len(), 1);
    }
}

/// Through the registry: a session that another instance ended, and one that it started again with the same
/// number of other bytes.
#[tokio::test]
async fn a_session_that_another_instance_was_at_is_not_finished_with_its_bytes() {
    let server = server();
    let config = common::of_server(&server);
    let registry = async || {
        let registry = Registry::builder(S3Driver::open(config.clone()).await.unwrap()).delete(true).build();
        Client::new(&registry)
    };
    let (first, second) = (registry().await, registry().await);
    let (blob, other) = (content(5_000), Bytes::from(vec![7; 5_000]));
    for again in [false, true] {
        let begin = first.begin("ns/app").await;
        let location = first.append(&begin, &blob).await;
        drop(second.delete(&location).send().await.expect(204));
        if again {
            // The second one would know that it has ended.
            drop(registry().await.append(&begin, &other).await);
        }
        let answer = first.finish(&location, &digest(&blob), "").await;
        assert!([400, 404, 416].contains(&answer.status()), "{again}: {}", answer.status());
        let visible = server.objects().into_keys().any(|key| key.contains("/blobs/"));
        assert!(!visible, "{again}");
    }
}

/// A crash between the blob and its link: the session is still there, and finishes at another instance.
#[tokio::test]
async fn a_session_whose_link_failed_is_finished_again() {
    let server = server();
    let registry = async || {
        Client::new(
            &Registry::builder(S3Driver::open(common::of_server(&server)).await.unwrap())
                .delete(true)
                .build(),
        )
    };
    for elsewhere in [false, true] {
        let first = registry().await;
        let blob = content(5_000 + usize::from(elsewhere));
        let location = first.append(&first.begin("ns/app").await, &blob).await;
        server.fault(on("PutObject", Kind::access_denied()).key("/_layers/"));
        let failed = first.finish(&location, &digest(&blob), "").await;
        assert!(failed.status() >= 400);
        let next = if elsewhere { registry().await } else { first };
        drop(next.finish(&location, &digest(&blob), "").await.expect(201));
        assert_eq!(next.probe(format!("/v2/ns/app/blobs/{}", digest(&blob))).await, 200);
        assert!(server.objects().into_keys().all(|key| !key.contains("/_uploads/")), "{elsewhere}");
    }
}
