//! Wrong regions, wrong clocks, missing rights: the error says what to look at.

use std::time::{Duration, SystemTime};

use plugin_registry_core::{ErrorKind, PutMode, StorageDriver};
use plugin_registry_emulator::s3::{Kind, Server};

use crate::support::*;

/// 1c: a bucket of another region.
#[tokio::test]
async fn a_redirect_names_the_region_and_the_setting() {
    let server = server();
    let driver = open(&server).await;
    for operation in ["GetObject", "HeadObject", "PutObject", "ListObjectsV2"] {
        server.fault(on(operation, Kind::PermanentRedirect { region: "eu-west-7".into() }).forever());
    }
    for error in [
        failure(read(&driver, "/f").await),
        failure(driver.stat(&path("/f")).await),
        failure(put(&driver, "/f", "x", PutMode::Overwrite).await),
        failure(names(&driver, "/", None).await),
    ] {
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::InvalidConfig, false), "{error}");
        let text = error.to_string();
        assert!(text.contains("eu-west-7") && text.contains("`region`"), "{text}");
    }
    assert_eq!(server.count(), 4, "none is repeated");
}

/// 1c, F16: the clock of this machine is wrong by hours, in either direction: the SDK learns it from the answer.
#[tokio::test]
async fn a_clock_that_is_wrong_is_corrected() {
    for seconds in [-7_200, 7_200] {
        let server = server();
        let driver = open(&server).await;
        server.set_clock_skew(seconds);
        put(&driver, "/f", "x", PutMode::CreateOnly).await.unwrap();
        assert_eq!(read(&driver, "/f").await.unwrap(), b"x");
        write(&driver, "/g", &in_parts()).await.unwrap();
        assert_eq!(driver.stat(&path("/g")).await.unwrap().size, in_parts().len() as u64);
        assert_eq!(names(&driver, "/", None).await.unwrap(), ["f", "g"]);
    }
}

/// F16: times are the store's, so that ages compare.
#[tokio::test]
async fn times_are_those_of_the_store() {
    let server = server();
    let driver = open(&server).await;
    server.set_clock_skew(7_200);
    put(&driver, "/f", "x", PutMode::Overwrite).await.unwrap();
    let ahead = driver.stat(&path("/f")).await.unwrap().modified.unwrap().duration_since(SystemTime::now());
    assert!(ahead.unwrap() > Duration::from_secs(7_000));
}

/// 1c, F16: a store that rejects the time without giving a better one.
#[tokio::test]
async fn a_time_that_stays_wrong_names_the_clock() {
    let server = server();
    let driver = open(&server).await;
    server.fault(on("PutObject", Kind::time_skewed()).forever());
    let error = failure(put(&driver, "/f", "x", PutMode::Overwrite).await);
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
    assert!(error.to_string().contains("clock"), "{error}");
    assert!(server.count() <= 5);
}

/// F14: one right is missing. The error names all that are needed.
#[tokio::test]
async fn a_missing_right_is_named() {
    let server = server();
    let driver = open(&server).await;
    server.put_raw(&key("/d/f"), in_parts());
    for operation in [
        "GetObject",
        "HeadObject",
        "PutObject",
        "ListObjectsV2",
        "DeleteObject",
        "CreateMultipartUpload",
        "CopyObject",
    ] {
        server.deny(operation);
        let result = match operation {
            "GetObject" => read(&driver, "/d/f").await.map(drop),
            "HeadObject" => driver.stat(&path("/d/f")).await.map(drop),
            "PutObject" => put(&driver, "/d/f", "x", PutMode::Overwrite).await,
            "ListObjectsV2" => driver.delete(&path("/d")).await,
            "DeleteObject" => driver.delete_many(vec![path("/d/f")], &[]).await.map(drop),
            "CopyObject" => write_to(&driver, "/d/w", &in_parts(), "/d/g").await,
            _ => write(&driver, "/d/f", &in_parts()).await,
        };
        let error = failure(result);
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::PermissionDenied, false), "{error}");
        assert!(error.to_string().contains("s3:ListBucket"), "{error}");
        server.allow(operation);
    }
    assert_eq!(stored(&server, "/d/f").unwrap(), in_parts());
}

/// A server that answers 403 for what is missing.
fn hiding() -> Server {
    Server::builder().min_part(1).quirks(|quirks| quirks.missing_is_forbidden = true).start()
}

/// Credentials that may list below a prefix alone, or a Ceph of before 2026: a list excludes what a look may not.
#[tokio::test]
async fn a_missing_file_that_looks_forbidden_is_found_out_by_a_list() {
    let server = hiding();
    let driver = open(&server).await;
    server.put_raw(&key("/f-b"), "x");
    server.put_raw(&key("/f/x"), "x");
    for result in [
        driver.stat(&path("/f")).await.map(drop),
        driver.get_content(&path("/f"), 10).await.map(drop),
        driver.find_staged(&path("/f")).await.map(drop),
        driver.stat(&path("/e")).await.map(drop),
    ] {
        assert_eq!(kind(result), ErrorKind::NotFound);
    }
    assert!(driver.capabilities().hides_missing);
    // An object that exists but may not be read is not missing.
    server.put_raw(&key("/f"), "x");
    for operation in ["GetObject", "HeadObject"] {
        server.deny(operation);
    }
    assert_eq!(kind(driver.stat(&path("/f")).await), ErrorKind::PermissionDenied);
    assert_eq!(kind(read(&driver, "/f").await), ErrorKind::PermissionDenied);
}

/// 1c, I7: without the right to list, 403 is not the store's word for "not found".
#[tokio::test]
async fn a_missing_file_that_may_not_be_seen_is_not_not_found() {
    let server = hiding();
    server.deny("ListObjectsV2");
    let driver = open(&server).await;
    for result in [
        driver.stat(&path("/f")).await.map(drop),
        read(&driver, "/f").await.map(drop),
        driver.get_content(&path("/f"), 10).await.map(drop),
        driver.find_staged(&path("/f")).await.map(drop),
    ] {
        assert_eq!(kind(result), ErrorKind::PermissionDenied);
    }
    // A caller that knows a file's path can still work with it.
    put(&driver, "/f", "x", PutMode::CreateOnly).await.unwrap();
    assert_eq!(read(&driver, "/f").await.unwrap(), b"x");
}

/// 1c: an archived object is there, and cannot be read.
#[tokio::test]
async fn an_archived_object_says_so() {
    let server = server();
    let driver = open(&server).await;
    server.put_raw(&key("/f"), "x");
    server.change_raw(&key("/f"), |object| object.attributes.storage_class = Some("GLACIER".into()));
    assert_eq!(driver.stat(&path("/f")).await.unwrap().size, 1);
    let error = failure(read(&driver, "/f").await);
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(error.to_string().contains("restore it first"), "{error}");
}
