//! Stages that are committed without a look at them: copied by the store, as they were when they were closed.

use bytes::Bytes;
use plugin_registry::Registry;
use plugin_registry_conformance::registry::{Client, fixture::digest};
use plugin_registry_core::{ErrorKind, FileWriter, Result, StorageDriver, WriteOptions};
use plugin_registry_drivers_s3::S3Driver;
use plugin_registry_emulator::s3::{Kind, Server};

use crate::{common, support::*};

const COPY: &str = "CopyObject";
const STAGED: &str = "/up/data.staged";

/// Closes a stage of these bytes.
async fn close(driver: &S3Driver, bytes: &Bytes) {
    written(driver, "/up/data", bytes, WriteOptions::create()).await.unwrap().close().await.unwrap();
}

async fn sealed(driver: &S3Driver) -> Result<Box<dyn FileWriter>> {
    driver.writer(&path("/up/data"), WriteOptions::resume().with_sealed()).await
}

async fn commit(driver: &S3Driver) -> Result<()> {
    sealed(driver).await?.commit_to(&path("/blobs/data")).await
}

async fn clean_up(driver: &S3Driver) {
    driver.delete_known(&path("/up"), &["/up/startedat", "/up/data"].map(path)).await.unwrap();
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
    close(&driver, &content(700)).await;
    server.forget();
    commit(&driver).await.unwrap();
    assert_eq!(server.counts().into_iter().collect::<Vec<_>>(), [(COPY, 1)]);
    written(&driver, "/blobs/put", &content(700), WriteOptions::create())
        .await
        .unwrap()
        .commit()
        .await
        .unwrap();
    let (copied, put) =
        (server.object(&key("/blobs/data")).unwrap(), server.object(&key("/blobs/put")).unwrap());
    assert_eq!(copied.data, put.data);
    assert_eq!(copied.attributes, put.attributes);
    assert!(put.attributes.storage_class.is_some() && put.attributes.kms_key.is_some());
    // What is left can be committed again, until whoever asked for it deletes it.
    commit(&driver).await.unwrap();
    server.forget();
    clean_up(&driver).await;
    assert_eq!(server.counts().into_iter().collect::<Vec<_>>(), [("DeleteObjects", 1)]);
    assert_eq!(server.objects().into_keys().collect::<Vec<_>>(), [key("/blobs/data"), key("/blobs/put")]);
    assert_eq!(kind(sealed(&driver).await), ErrorKind::NotFound);
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
        let server = server();
        let driver = open(&server).await;
        close(&driver, &content(700)).await;
        server.fault(on(COPY, fault.clone()));
        commit(&driver).await.unwrap();
        assert!(server.faults_left().is_empty());
        assert_eq!(stored(&server, "/blobs/data").unwrap(), content(700), "{fault:?}");
        clean_up(&driver).await;
        assert_eq!(server.objects().len(), 1, "{fault:?}");
    }
}

/// U7: an error for ever is one of the store, nothing is visible, and the stage can be committed later.
#[tokio::test]
async fn a_copy_that_fails_for_ever_keeps_the_stage() {
    for fault in [Kind::ErrorInside { code: "InternalError".into() }, Kind::Close, Kind::error(500, "")] {
        let server = server();
        let driver = S3Driver::open(config(&server).with_max_attempts(2)).await.unwrap();
        close(&driver, &content(700)).await;
        server.fault(on(COPY, fault.clone()).forever());
        assert_eq!(kind(commit(&driver).await), ErrorKind::Unavailable, "{fault:?}");
        assert_eq!(stored(&server, "/blobs/data"), None);
        server.clear_faults();
        commit(&driver).await.unwrap();
        assert_eq!(stored(&server, "/blobs/data").unwrap(), content(700), "{fault:?}");
    }
}

/// Whoever may not copy, or cannot, reads and writes.
#[tokio::test]
async fn without_copies_the_bytes_are_read_and_written() {
    for refused in
        [Kind::access_denied(), Kind::error(501, "NotImplemented"), Kind::error(400, "InvalidRequest")]
    {
        let server = server();
        let driver = open(&server).await;
        close(&driver, &content(700)).await;
        server.fault(on(COPY, refused.clone()).forever());
        commit(&driver).await.unwrap();
        assert_eq!(server.objects().into_iter().collect::<Vec<_>>(), [(key("/blobs/data"), content(700))]);
    }
}

/// A condition that fails though the stage is the same one, as where a store gives another ETag to its bytes.
#[tokio::test]
async fn a_stage_is_looked_at_again_before_it_is_given_up() {
    for refused in [Kind::error(412, "PreconditionFailed"), Kind::error(404, "NoSuchKey")] {
        let server = server();
        let driver = open(&server).await;
        close(&driver, &content(700)).await;
        server.fault(on(COPY, refused));
        commit(&driver).await.unwrap();
        assert_eq!(server.objects().into_iter().collect::<Vec<_>>(), [(key("/blobs/data"), content(700))]);
    }
}

/// Another process was at the stage between the close and the copy.
#[tokio::test]
async fn a_stage_of_another_process_is_never_copied() {
    let server = server();
    let (driver, other) = (open(&server).await, open(&server).await);
    for change in ["replaced", "replaced by as many bytes", "continued", "in parts", "closed again"] {
        close(&driver, &content(700)).await;
        match change {
            "replaced" => close(&other, &content(300)).await,
            "replaced by as many bytes" => close(&other, &Bytes::from(vec![7; 700])).await,
            "closed again" => {
                let writer = written(&other, "/up/data", &Bytes::new(), WriteOptions::resume()).await;
                writer.unwrap().close().await.unwrap();
            }
            _ => {
                let more = if change == "continued" { content(10) } else { in_parts() };
                let writer = written(&other, "/up/data", &more, WriteOptions::resume()).await.unwrap();
                writer.close().await.unwrap();
            }
        }
        let writer = sealed(&driver).await.unwrap();
        assert_eq!(writer.size(), 700, "no look so far");
        let committed = writer.commit_to(&path("/blobs/data")).await;
        if change == "closed again" {
            committed.unwrap();
            assert_eq!(stored(&server, "/blobs/data").unwrap(), content(700));
        } else {
            assert_eq!(kind(committed), ErrorKind::Conflict, "{change}");
            assert_eq!(stored(&server, "/blobs/data"), None, "{change}");
            // It has looked, so it looks again.
            server.forget();
            sealed(&driver).await.unwrap().cancel().await.unwrap();
            assert_eq!(server.count_of("GetObject"), 1);
            assert!(stages(&driver, "/up").await.unwrap().is_empty(), "{change}");
        }
        let _ = driver.delete(&path("/up")).await;
        server.clear();
    }
}

/// Another process has ended the session.
#[tokio::test]
async fn a_stage_that_is_gone_is_not_found() {
    let server = server();
    let (driver, other) = (open(&server).await, open(&server).await);
    close(&driver, &content(700)).await;
    drop(other.delete(&path("/up")).await);
    assert_eq!(kind(commit(&driver).await), ErrorKind::NotFound);
    assert_eq!(kind(sealed(&driver).await), ErrorKind::NotFound, "forgotten");
    // The same where a visible file is in the way, with bytes and without.
    for (bytes, expected) in [("", ErrorKind::NotFound), ("x", ErrorKind::AlreadyExists)] {
        close(&driver, &content(700)).await;
        server.remove_raw(&key(STAGED));
        server.put_raw(&key("/up/data"), bytes);
        assert_eq!(kind(commit(&driver).await), expected);
        server.clear();
    }
    assert!(server.objects().is_empty());
}

/// F13: a store that ignores the condition of a copy would give whatever is there.
#[tokio::test]
async fn a_store_that_ignores_conditions_of_copies_is_not_asked_to_copy() {
    let server = Server::builder().min_part(1).quirks(|quirks| quirks.copy_conditions_ignored = true).start();
    let settings =
        common::config(&server.endpoint(), server.bucket(), &server.access_key(), &server.secret_key());
    let open = async || S3Driver::open(settings.clone().with_root_directory("root")).await.unwrap();
    let (driver, other) = (open().await, open().await);
    server.forget();
    close(&driver, &content(700)).await;
    close(&other, &content(300)).await;
    let writer = sealed(&driver).await.unwrap();
    assert_eq!(writer.size(), 300, "it looks");
    writer.commit_to(&path("/blobs/data")).await.unwrap();
    assert_eq!(stored(&server, "/blobs/data").unwrap(), content(300));
    assert_eq!((server.objects().len(), server.count_of(COPY)), (1, 0));
}

/// A store that drops metadata gets stages that describe themselves.
#[tokio::test]
async fn a_store_without_metadata_keeps_stages_all_the_same() {
    let server = server();
    let settings =
        common::config(&server.endpoint(), server.bucket(), &server.access_key(), &server.secret_key());
    // The answer to the question at open: a HEAD that fails is one that shows no metadata.
    server.fault(on("HeadObject", Kind::error(403, "")).forever());
    let driver = S3Driver::open(settings.with_root_directory("root")).await.unwrap();
    server.clear_faults();
    close(&driver, &content(700)).await;
    server.change_raw(&key(STAGED), |object| object.attributes.metadata.clear());
    commit(&driver).await.unwrap();
    assert_eq!(server.objects().into_iter().collect::<Vec<_>>(), [(key("/blobs/data"), content(700))]);
}

/// A stage as versions before wrote it, and bytes of a client that look like one.
#[tokio::test]
async fn stages_with_a_description_are_read_and_bytes_are_not_taken_for_one() {
    let server = server();
    let driver = open(&server).await;
    let text = br#"{"id":"one","upload":null,"parts":[],"size":5}"#;
    let mut described = b"plugin-registry stage 1\n".to_vec();
    described.extend((text.len() as u32).to_be_bytes());
    described.extend(text);
    described.extend(b"bytes");
    server.put_raw(&key(STAGED), described.clone());
    assert_eq!(stages(&driver, "/up").await.unwrap(), [("/up/data".to_owned(), 5)]);
    let mut writer = sealed(&driver).await.unwrap();
    assert_eq!(writer.size(), 5);
    writer = written(&driver, "/up/data", &Bytes::from("more"), WriteOptions::resume()).await.unwrap();
    writer.close().await.unwrap();
    commit(&driver).await.unwrap();
    assert_eq!(stored(&server, "/blobs/data").unwrap(), "bytesmore");
    clean_up(&driver).await;

    let described = Bytes::from(described);
    for other in [false, true] {
        close(&driver, &described).await;
        let driver = if other { open(&server).await } else { driver.clone() };
        assert_eq!(stages(&driver, "/up").await.unwrap(), [("/up/data".to_owned(), described.len() as u64)]);
        commit(&driver).await.unwrap();
        assert_eq!(stored(&server, "/blobs/data").unwrap(), described);
        clean_up(&driver).await;
        assert_eq!(server.objects().len(), 1);
    }
}

/// Through the registry: a session that another instance ended, and one that it began anew with as many other bytes.
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
