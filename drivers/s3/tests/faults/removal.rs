//! Deletions: errors inside of an answer of success, and batches that fail.

use plugin_registry_core::{ErrorKind, PutMode, StorageDriver, StoragePath};
use plugin_registry_drivers_s3::S3Driver;
use plugin_registry_emulator::s3::{Kind, Server};

use crate::support::*;

fn filled(files: usize) -> (Server, Vec<StoragePath>) {
    let server = server();
    let paths: Vec<_> = (0..files).map(|number| path(&format!("/d/f{number:04}"))).collect();
    paths.iter().for_each(|path| server.put_raw(&key(path.as_str()), "x"));
    (server, paths)
}

fn partial(key: &str, code: &str) -> Kind {
    Kind::PartialDelete { key: key.into(), code: code.into() }
}

/// F11: the report has exactly those that the store kept, each with its reason.
#[tokio::test]
async fn errors_inside_of_a_batch_are_reported_one_by_one() {
    let (server, paths) = filled(30);
    let driver = open(&server).await;
    server.fault(on("DeleteObjects", partial("f001", "AccessDenied")));
    let report = driver.delete_many(paths.clone(), &[]).await.unwrap();
    let mut failed: Vec<_> = report.failed.iter().map(|(path, _)| path.clone()).collect();
    failed.sort();
    assert_eq!(failed, paths[10..20]);
    assert_eq!(report.deleted, 20);
    assert!(report.failed.iter().all(|(_, error)| error.kind() == ErrorKind::PermissionDenied));
    let kept: Vec<_> = paths[10..20].iter().map(|path| key(path.as_str())).collect();
    assert_eq!(server.objects().into_keys().collect::<Vec<_>>(), kept);
}

/// F11: what the store does not know is deleted already.
#[tokio::test]
async fn a_missing_key_inside_of_a_batch_is_no_failure() {
    let (server, paths) = filled(3);
    let driver = open(&server).await;
    server.fault(on("DeleteObjects", partial("f0001", "NoSuchKey")));
    let report = driver.delete_many(paths, &[]).await.unwrap();
    assert_eq!((report.deleted, report.failed.len()), (3, 0));
}

/// F11: a directory that is not gone as a whole is not said to be.
#[tokio::test]
async fn a_directory_of_which_something_stays_is_an_error() {
    for code in ["AccessDenied", "InternalError", "SlowDown"] {
        let (server, _) = filled(30);
        let driver = open(&server).await;
        server.fault(on("DeleteObjects", partial("f0017", code)));
        let error = failure(driver.delete(&path("/d")).await);
        assert!(!error.is_not_found(), "{error}");
        assert_eq!(server.objects().into_keys().collect::<Vec<_>>(), [key("/d/f0017")]);
        driver.delete(&path("/d")).await.unwrap();
        assert!(server.objects().is_empty());
    }
}

/// F11: the first of two batches is done, the second fails.
#[tokio::test]
async fn a_later_batch_that_fails_is_reported_whole() {
    for fault in [Kind::error(500, "InternalError"), Kind::Close, Kind::access_denied()] {
        let (server, paths) = filled(1500);
        let driver = S3Driver::open(config(&server).with_max_attempts(1)).await.unwrap();
        server.fault(on("DeleteObjects", fault.clone()).nth(2));
        let report = driver.delete_many(paths.clone(), &[]).await.unwrap();
        assert_eq!((report.deleted, report.failed.len()), (1000, 500), "{fault:?}");
        let mut failed: Vec<_> = report.failed.iter().map(|(path, _)| key(path.as_str())).collect();
        failed.sort();
        assert_eq!(server.objects().into_keys().collect::<Vec<_>>(), failed);
    }
}

/// F11: nothing was tried.
#[tokio::test]
async fn a_first_batch_that_fails_is_an_error() {
    let (server, paths) = filled(1500);
    let driver = S3Driver::open(config(&server).with_max_attempts(1)).await.unwrap();
    server.fault(on("DeleteObjects", Kind::access_denied()).forever());
    assert_eq!(kind(driver.delete_many(paths, &[]).await.map(drop)), ErrorKind::PermissionDenied);
    assert_eq!(kind(driver.delete(&path("/d")).await), ErrorKind::PermissionDenied);
    assert_eq!(server.objects().len(), 1500);
}

/// F2: a batch, or a single deletion, whose answer was lost.
#[tokio::test]
async fn a_deletion_may_be_sent_again() {
    for lost in lost_answers() {
        let (server, mut paths) = filled(5);
        let driver = open(&server).await;
        for operation in ["DeleteObject", "DeleteObjects"] {
            server.fault(on(operation, lost.clone()));
        }
        let last = paths.pop().unwrap();
        assert_eq!(driver.delete_many(vec![last], &[]).await.unwrap().deleted, 1);
        assert_eq!(driver.delete_many(paths, &[]).await.unwrap().deleted, 4);
        assert!(server.objects().is_empty() && server.faults_left().is_empty(), "{lost:?}");
    }
}

/// A path that is named twice is deleted once, and counted with the others.
#[tokio::test]
async fn a_path_that_is_named_twice_is_no_failure() {
    let (server, paths) = filled(2);
    let driver = open(&server).await;
    let twice = [paths.clone(), paths].concat();
    let report = driver.delete_many(twice, &[]).await.unwrap();
    assert!(report.failed.is_empty() && server.objects().is_empty());
}

/// A deletion that found the file and could not remove it.
#[tokio::test]
async fn a_file_that_may_not_be_deleted_is_an_error() {
    let server = server();
    let driver = open(&server).await;
    put(&driver, "/f", "x", PutMode::Overwrite).await.unwrap();
    server.deny("DeleteObject");
    server.deny("DeleteObjects");
    assert_eq!(kind(driver.delete(&path("/f")).await), ErrorKind::PermissionDenied);
    assert_eq!(stored(&server, "/f").unwrap(), "x");
    let staged = close(&driver, "/up", &content(10)).await.unwrap();
    for files in [vec![], vec![path("/f")]] {
        // One key is its own request, and several are a batch whose failure is that of the call.
        let failed = driver.delete_many(files, std::slice::from_ref(&staged)).await;
        let failed = failed.and_then(plugin_registry_core::DeleteReport::into_result);
        assert_eq!(kind(failed), ErrorKind::PermissionDenied);
    }
    commit_staged(&driver, &staged, "/g").await.unwrap();
    // The committed object stays visible; only the objects that could not be deleted are left.
    write_to(&driver, "/w", &in_parts(), "/h").await.unwrap();
    assert_eq!(stored(&server, "/h").unwrap(), in_parts());
    assert_eq!(stored(&server, "/w").unwrap(), in_parts());
}

/// The stages go in the request of the files, and no other stage does.
#[tokio::test]
async fn stages_are_deleted_together_with_files() {
    let server = server();
    let driver = open(&server).await;
    let sizes = [10, 20, 30].map(content);
    let staged = close(&driver, "/up/a", &sizes[0]).await.unwrap();
    let other = close(&driver, "/up/b", &sizes[1]).await.unwrap();
    let kept = close(&driver, "/up/a/c", &sizes[2]).await.unwrap();
    put(&driver, "/up/startedat", "now", PutMode::Overwrite).await.unwrap();
    put(&driver, "/up/a", "a file of the same name", PutMode::Overwrite).await.unwrap();
    server.forget();
    let report = driver.delete_many(vec![path("/up/startedat")], &[staged.clone(), other]).await.unwrap();
    assert!(report.failed.is_empty() && report.deleted >= 1, "{report:?}");
    assert_eq!(server.counts().into_iter().collect::<Vec<_>>(), [("DeleteObjects", 1)]);
    let left: Vec<_> = server.objects().into_keys().collect();
    assert_eq!(left, ["/up/a", "/up/a/c.staged"].map(key));
    // A stage that is gone already is not a failure, and deleting a stage alone takes one request.
    server.forget();
    for stage in [staged, kept] {
        forget(&driver, &stage).await;
    }
    assert_eq!(server.counts().into_iter().collect::<Vec<_>>(), [("DeleteObject", 2)]);
    assert_eq!(server.objects().into_keys().collect::<Vec<_>>(), [key("/up/a")]);
}

/// F11: a stage that the store kept is in the report, with its path.
#[tokio::test]
async fn a_stage_that_could_not_be_deleted_is_reported() {
    let server = server();
    let driver = open(&server).await;
    let staged = close(&driver, "/up/a", &content(10)).await.unwrap();
    put(&driver, "/up/startedat", "now", PutMode::Overwrite).await.unwrap();
    server.fault(on("DeleteObjects", partial(".staged", "AccessDenied")));
    let report = driver.delete_many(vec![path("/up/startedat")], &[staged]).await.unwrap();
    let failed: Vec<_> = report.failed.iter().map(|(path, error)| (path.clone(), error.kind())).collect();
    assert_eq!((report.deleted, failed), (1, vec![(path("/up/a"), ErrorKind::PermissionDenied)]));
    assert_eq!(server.objects().into_keys().collect::<Vec<_>>(), [key("/up/a.staged")]);
}

/// U12: the promised upload of a stage is aborted with its directory; one that cannot be keeps its stage.
#[tokio::test]
async fn a_stage_whose_upload_could_not_be_aborted_is_kept() {
    let server = server();
    let driver = open(&server).await;
    close(&driver, "/up/f", &in_parts()).await.unwrap();
    server.put_raw(&key("/up/started"), "now");
    server.deny("AbortMultipartUpload");
    assert_eq!(kind(driver.delete(&path("/up")).await), ErrorKind::PermissionDenied);
    assert_eq!((server.objects().len(), server.uploads().len()), (2, 1));
    server.allow("AbortMultipartUpload");
    driver.delete(&path("/up")).await.unwrap();
    assert!(server.objects().is_empty() && server.uploads().is_empty());
}
