//! What the driver finds out about a store, and when: before the first write, and never before a read.

use bytes::Bytes;
use plugin_registry_core::{ErrorKind, PutMode, Result, StorageDriver};
use plugin_registry_drivers_s3::{S3Config, S3Driver};
use plugin_registry_emulator::s3::{Fault, Kind, Quirks, Server};

use crate::{common, support::*};

/// Settings that say nothing about the kind of store.
fn unsaid(server: &Server) -> S3Config {
    common::unsaid(server).with_root_directory("root").with_chunk_size(PART as u64)
}

/// Opens a driver and lets it ask.
async fn asked(config: S3Config) -> Result<S3Driver> {
    let driver = S3Driver::open(config).await?;
    driver.put_content(&path("/first"), "".into(), PutMode::Overwrite).await?;
    driver.delete(&path("/first")).await?;
    Ok(driver)
}

/// Opening makes no request. Until the first write, what is safe for any store is assumed.
#[tokio::test]
async fn nothing_is_asked_to_open() {
    let server = server();
    let driver = S3Driver::open(unsaid(&server)).await.unwrap();
    assert!(driver.capabilities().create_only && driver.capabilities().empty_directories);
    assert_eq!(server.count(), 0);
}

/// A store like AWS is taken for one, by 5 requests before the first write of an instance, and nothing is left of them.
#[tokio::test]
async fn an_ordinary_store_is_known() {
    let server = server();
    let driver = S3Driver::open(unsaid(&server)).await.unwrap();
    let writes = ["/a", "/b", "/c"].map(|at| put(&driver, at, "x", PutMode::CreateOnly));
    futures::future::join_all(writes).await.into_iter().for_each(|written| written.unwrap());
    assert!(driver.capabilities().create_only && !driver.capabilities().empty_directories);
    let operations: Vec<_> = server.requests().iter().map(|request| request.operation).take(5).collect();
    assert_eq!(operations, ["PutObject", "PutObject", "PutObject", "DeleteObject", "ListObjectsV2"]);
    assert_eq!(server.count(), 5 + 3, "{:?}", server.counts());
    assert_eq!(server.objects().into_keys().collect::<Vec<_>>(), ["root/a", "root/b", "root/c"]);
    assert!(server.uploads().is_empty());
}

/// The driver does not ask for what a store's answers reveal. Some stores reveal everything; others leave
/// what depends on their release.
#[tokio::test]
async fn a_known_store_is_asked_less() {
    for (name, before, conditions, directories) in [
        ("SeaweedFS 30GB 4.48", 0, true, true),
        ("SeaweedFS 30GB 3.80", 5, true, true),
        ("MinIO", 4, true, false),
        ("Ceph Object Gateway (squid)", 4, true, false),
        ("AmazonS3", 5, true, false),
        ("nginx", 5, true, false),
    ] {
        let server = Server::builder().min_part(1).quirks(|quirks| quirks.server = Some(name)).start();
        let driver = S3Driver::open(unsaid(&server)).await.unwrap();
        assert_eq!(kind(driver.stat(&path("/f")).await), ErrorKind::NotFound);
        server.forget();
        put(&driver, "/f", "x", PutMode::CreateOnly).await.unwrap();
        assert_eq!(server.count(), before + 1, "{name}: {:?}", server.counts());
        let found = driver.capabilities();
        assert_eq!((found.create_only, found.empty_directories), (conditions, directories), "{name}");
        assert_eq!(server.objects().into_keys().collect::<Vec<_>>(), ["root/f"], "{name}");
    }
}

/// At most 6, also where the first answer of all is that to a write.
#[tokio::test]
async fn no_store_is_asked_more_than_six_times() {
    for quirks in [
        Quirks::default(),
        Quirks { conditions_ignored: true, ..Quirks::default() },
        Quirks { checksums_refused: true, ..Quirks::default() },
        Quirks { retention: true, ..Quirks::default() },
        Quirks { no_batches: true, missing_is_forbidden: true, ..Quirks::default() },
        Quirks { server: Some("MinIO"), ..Quirks::default() },
        Quirks { server: Some("SeaweedFS 30GB 4.48"), ..Quirks::default() },
    ] {
        let server = Server::builder().min_part(1).with_quirks(quirks.clone()).start();
        let driver = S3Driver::open(unsaid(&server)).await.unwrap();
        put(&driver, "/f", "x", PutMode::Overwrite).await.unwrap();
        assert!(server.count() <= 6 + 1, "{quirks:?}: {:?}", server.counts());
        assert_eq!(server.objects().into_keys().collect::<Vec<_>>(), ["root/f"], "{quirks:?}");
    }
}

/// The driver does not ask for what the settings say.
#[tokio::test]
async fn what_is_said_is_not_asked() {
    let server = server();
    let driver = S3Driver::open(unsaid(&server).with_conditional_writes(false).with_directories(true)).await;
    let driver = driver.unwrap();
    put(&driver, "/f", "x", PutMode::Overwrite).await.unwrap();
    let said = driver.capabilities();
    assert_eq!((said.create_only, said.empty_directories, server.count()), (false, true, 1));
}

/// F13: a store that accepts conditions and ignores them.
#[tokio::test]
async fn a_store_that_ignores_conditions_is_found_out() {
    let server = Server::builder().min_part(1).quirks(|quirks| quirks.conditions_ignored = true).start();
    let driver = asked(unsaid(&server)).await.unwrap();
    assert!(!driver.capabilities().create_only && !driver.capabilities().empty_directories);
    refuses_what_exists(&server, &driver).await;
}

/// F13: a store that refuses what it does not know.
#[tokio::test]
async fn a_store_that_refuses_conditions_is_found_out() {
    let server = server();
    for (status, code) in [(501, "NotImplemented"), (400, "InvalidArgument")] {
        server.fault(on("PutObject", Kind::error(status, code)).nth(2));
        let driver = asked(unsaid(&server)).await.unwrap();
        assert!(!driver.capabilities().create_only, "{code}");
        refuses_what_exists(&server, &driver).await;
        let conditional = |header| server.requests().iter().any(|asked| asked.headers.contains_key(header));
        assert!(!conditional("if-none-match") && !conditional("if-match"), "none is sent afterwards");
    }
}

/// A full store is opened: to read, and to make room.
#[tokio::test]
async fn a_full_store_is_opened() {
    let server = server();
    server.put_raw(&key("/f"), "x");
    for (status, code) in [(507, "XMinioStorageFull"), (403, "QuotaExceeded")] {
        server.fault(on("PutObject", Kind::error(status, code)).times(100));
        let driver = S3Driver::open(unsaid(&server)).await.unwrap();
        assert_eq!(driver.get_content(&path("/f"), 9).await.unwrap(), "x");
        let refused = driver.put_content(&path("/g"), "y".into(), PutMode::Overwrite).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NoSpace, "{code}");
        server.clear_faults();
    }
    S3Driver::open(unsaid(&server)).await.unwrap().delete(&path("/f")).await.unwrap();
}

/// Many stores know a batch of deletes with `Content-MD5` alone.
#[tokio::test]
async fn deletes_have_the_digest_that_every_store_knows() {
    let server = Server::builder().quirks(|quirks| quirks.md5_required = true).start();
    let driver = S3Driver::open(unsaid(&server)).await.unwrap();
    for name in ["/d/a", "/d/b", "/d/c/d"] {
        server.put_raw(&key(name), "x");
    }
    driver.delete(&path("/d")).await.unwrap();
    assert!(server.objects().is_empty());
}

/// Create-only holds without conditions, save for a race, and so does the first close of a stage.
async fn refuses_what_exists(server: &Server, driver: &S3Driver) {
    assert!(server.objects().is_empty());
    server.forget();
    put(driver, "/f", "first", PutMode::CreateOnly).await.unwrap();
    assert_eq!(kind(put(driver, "/f", "second", PutMode::CreateOnly).await), ErrorKind::AlreadyExists);
    assert_eq!(stored(server, "/f").unwrap(), "first");
    put(driver, "/f", "third", PutMode::Overwrite).await.unwrap();
    write(driver, "/g", &in_parts()).await.unwrap();
    assert_eq!(stored(server, "/g").unwrap(), in_parts());
    for bytes in [content(700), in_parts()] {
        let staged = close(driver, "/up", &bytes).await.unwrap();
        for other in [content(10), in_parts()] {
            assert_eq!(kind(close(driver, "/up", &other).await), ErrorKind::Conflict);
        }
        // Neither a resume nor a commit needs conditions; another writer's bytes are recognised by their
        // identity.
        let closed = after(driver, &staged, &in_parts()).await.unwrap().close().await.unwrap();
        assert_eq!(kind(after(driver, &staged, &Bytes::new()).await), ErrorKind::Conflict);
        assert_eq!(kind(commit_staged(driver, &staged, "/copy").await), ErrorKind::Conflict);
        commit_staged(driver, &closed, "/copy").await.unwrap();
        assert_eq!(stored(server, "/copy").unwrap(), [bytes.clone(), in_parts()].concat());
        forget(driver, &closed).await;
        no_upload_stays(server).await;
        close(driver, "/up", &bytes).await.unwrap();
        resumed(driver, "/up", &in_parts()).await.unwrap().commit(&path("/up")).await.unwrap();
        assert_eq!(stored(server, "/up").unwrap(), [bytes, in_parts()].concat());
    }
    server.clear();
}

/// F14: credentials that may not write, list or delete still work, with settings that are safe anywhere.
#[tokio::test]
async fn credentials_without_a_right_fall_back_to_what_is_safe() {
    for denied in ["PutObject", "ListObjectsV2", "DeleteObject", "DeleteObjects"] {
        let server = server();
        server.put_raw(&key("/f"), "old");
        server.deny(denied);
        let driver = S3Driver::open(unsaid(&server)).await.unwrap();
        let found = driver.capabilities();
        assert!(found.create_only && found.empty_directories, "{denied}");
        assert_eq!(read(&driver, "/f").await.unwrap(), b"old");
        let written = put(&driver, "/new", "x", PutMode::CreateOnly).await;
        assert_eq!(written.is_ok(), denied != "PutObject", "{denied}");
        let found = driver.capabilities();
        // Of a batch of deletes there is none here.
        let is_found = denied == "DeleteObjects";
        assert!(found.create_only && found.empty_directories != is_found, "{denied}");
        if denied == "PutObject" {
            let refused = put(&driver, "/g", "new", PutMode::CreateOnly).await;
            assert_eq!(kind(refused), ErrorKind::PermissionDenied);
            assert_eq!(server.objects().len(), 1);
        }
    }
}

/// A store that is not well is not taken for one of another kind.
#[tokio::test]
async fn a_store_that_does_not_answer_is_no_kind_of_store() {
    for (fault, expected) in [
        (Kind::error(500, "InternalError"), ErrorKind::Unavailable),
        (Kind::Close, ErrorKind::Unavailable),
        (Kind::slow_down(None), ErrorKind::RateLimited),
        (Kind::error(403, "InvalidAccessKeyId"), ErrorKind::Unauthenticated),
        (Kind::error(404, "NoSuchBucket"), ErrorKind::InvalidConfig),
    ] {
        for operation in ["PutObject", "ListObjectsV2"] {
            let server = server();
            server.fault(on(operation, fault.clone()).forever());
            let driver = S3Driver::open(unsaid(&server).with_max_attempts(2)).await.unwrap();
            let error = failure(put(&driver, "/f", "x", PutMode::Overwrite).await);
            assert_eq!(error.kind(), expected, "{operation} {fault:?}");
            let text = error.to_string();
            assert!(text.contains(operation) && text.contains("`conditionalwrites`"), "{text}");
            assert!(server.objects().is_empty(), "{operation} {fault:?}");
        }
    }
}

/// One bad answer at a time changes nothing about what is found.
#[tokio::test]
async fn one_bad_answer_does_not_change_what_is_found() {
    let mut faults = lost_answers().to_vec();
    faults.extend([Kind::error(500, "InternalError"), Kind::Close, Kind::Reset]);
    let faults =
        faults.into_iter().flat_map(|kind| (1..=8).map(move |nth| Fault::new(kind.clone()).nth(nth)));
    at_once(faults, async |fault| {
        let server = server();
        server.fault(fault.clone());
        let driver = asked(unsaid(&server)).await.unwrap();
        let found = driver.capabilities();
        assert!(found.create_only && !found.empty_directories, "{fault:?}");
        assert!(server.objects().is_empty(), "{fault:?}");
    })
    .await;
}
