//! Nothing outside the root is ever touched, and nothing that is no file is ever waited for.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]

mod common;

use std::{os::unix::fs::symlink, time::Duration};

use common::{Store, kind, path};
use futures::TryStreamExt;
use plugin_registry_core::{
    ByteRange, EntryKind, ErrorKind, PutMode, StorageDriver, StorageDriverExt, WriteOptions,
};

/// A store with links to a directory outside, in which `secret` is.
async fn with_links_outside() -> (Store, tempfile::TempDir) {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    let store = Store::new().await;
    symlink(outside.path().join("secret"), store.file("file")).unwrap();
    symlink(outside.path(), store.file("dir")).unwrap();
    let up = format!("../{}", outside.path().file_name().unwrap().to_str().unwrap());
    symlink(up, store.file("relative")).unwrap();
    (store, outside)
}

fn assert_untouched(outside: &tempfile::TempDir) {
    let names: Vec<_> =
        std::fs::read_dir(outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["secret"]);
    assert_eq!(std::fs::read(outside.path().join("secret")).unwrap(), b"secret");
}

#[tokio::test]
async fn reads_through_a_link_that_leads_out_are_refused() {
    let (store, outside) = with_links_outside().await;
    for at in ["/file", "/dir/secret", "/relative/secret"] {
        let error = store.get(at).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{at}");
        assert!(error.to_string().contains("a symbolic link leads out of the root"), "{error}");
        assert_eq!(
            kind(store.driver.reader(&path(at), ByteRange::full()).await),
            ErrorKind::PermissionDenied
        );
        assert_eq!(kind(store.driver.stat(&path(at)).await), ErrorKind::PermissionDenied);
    }
    for at in ["/dir", "/relative"] {
        assert_eq!(kind(store.driver.list_names(&path(at)).await), ErrorKind::PermissionDenied);
        let (at, marker) = (path(at), "s");
        assert_eq!(kind(store.driver.walk(&at, None).try_next().await), ErrorKind::PermissionDenied);
        let marked = store.driver.list_marked(&at, marker, None).try_next().await;
        assert_eq!(kind(marked), ErrorKind::PermissionDenied);
    }
    assert!(store.names("/").await.is_empty());
    assert!(store.walked("/", None).await.is_empty());
    assert_untouched(&outside);
}

#[tokio::test]
async fn writes_through_a_link_that_leads_out_are_refused() {
    let (store, outside) = with_links_outside().await;
    let driver = &store.driver;
    driver.put(&path("/mine"), "mine").await.unwrap();
    for at in ["/dir/new", "/dir/secret", "/relative/deep/new"] {
        for mode in [PutMode::Overwrite, PutMode::CreateOnly] {
            let put = driver.put_content(&path(at), "x".into(), mode).await;
            assert_eq!(kind(put), ErrorKind::PermissionDenied, "{at}");
        }
        let mut writer = store.writer(at, WriteOptions::create()).await.unwrap();
        writer.write("x".into()).await.unwrap();
        assert_eq!(kind(writer.commit().await), ErrorKind::PermissionDenied);
        let mut writer = store.writer("/other", WriteOptions::create()).await.unwrap();
        writer.write("x".into()).await.unwrap();
        assert_eq!(kind(writer.commit_to(&path(at)).await), ErrorKind::PermissionDenied);
        let mut writer = store.writer(at, WriteOptions::create()).await.unwrap();
        writer.write("x".into()).await.unwrap();
        assert_eq!(kind(writer.close().await), ErrorKind::PermissionDenied);
        assert_eq!(kind(store.writer(at, WriteOptions::resume()).await), ErrorKind::PermissionDenied);
        assert_eq!(kind(driver.rename(&path("/mine"), &path(at)).await), ErrorKind::PermissionDenied);
        assert_eq!(kind(driver.delete(&path(at)).await), ErrorKind::PermissionDenied);
        assert_eq!(driver.delete_many(vec![path(at)]).await.unwrap().failed.len(), 1);
    }
    assert_eq!(kind(driver.rename(&path("/dir/secret"), &path("/x")).await), ErrorKind::PermissionDenied);
    assert_eq!(store.get("/mine").await.unwrap(), "mine");
    assert_untouched(&outside);
}

#[tokio::test]
async fn a_link_is_replaced_and_deleted_itself() {
    let (store, outside) = with_links_outside().await;
    let driver = &store.driver;
    driver.put(&path("/file"), "mine").await.unwrap();
    assert_eq!(store.get("/file").await.unwrap(), "mine");
    driver.delete(&path("/dir")).await.unwrap();
    symlink(outside.path(), store.file("tree")).unwrap();
    std::fs::create_dir_all(store.file("a/b")).unwrap();
    symlink(outside.path(), store.file("a/b/link")).unwrap();
    symlink("/", store.file("a/root")).unwrap();
    driver.delete(&path("/a")).await.unwrap();
    assert!(!driver.exists(&path("/a")).await.unwrap());
    assert_eq!(driver.delete_many(vec![path("/tree")]).await.unwrap().deleted, 1);
    assert_eq!(store.on_disk(""), ["file", "relative"]);
    assert_untouched(&outside);
}

#[tokio::test]
async fn links_inside_are_followed_but_not_walked() {
    let store = Store::new().await;
    store.driver.put(&path("/real/file"), "content").await.unwrap();
    symlink("real", store.file("dir")).unwrap();
    symlink("real/file", store.file("file")).unwrap();
    symlink("nowhere", store.file("dangling")).unwrap();
    symlink("loop", store.file("loop")).unwrap();
    assert_eq!(store.get("/file").await.unwrap(), "content");
    assert_eq!(store.get("/dir/file").await.unwrap(), "content");
    assert_eq!(kind(store.get("/dangling").await), ErrorKind::NotFound);
    assert_eq!(kind(store.get("/loop").await), ErrorKind::PermissionDenied);
    assert_eq!(store.names("/").await, ["dir", "file", "real"]);
    assert_eq!(store.driver.stat(&path("/dir")).await.unwrap().kind, EntryKind::Directory);
    assert_eq!(store.walked("/", None).await, ["/file", "/real/file"]);
}

#[tokio::test]
async fn what_is_no_file_does_not_hang() {
    let store = Store::new().await;
    std::fs::create_dir(store.file("a")).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, store.file("a/pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    std::fs::write(store.file("a/un name"), "").unwrap();
    let work = async {
        assert_eq!(kind(store.get("/a/pipe").await), ErrorKind::InvalidPath);
        assert_eq!(
            kind(store.driver.reader(&path("/a/pipe"), ByteRange::full()).await),
            ErrorKind::InvalidPath
        );
        assert_eq!(kind(store.driver.stat(&path("/a/pipe")).await), ErrorKind::InvalidPath);
        assert_eq!(kind(store.writer("/a/pipe", WriteOptions::resume()).await), ErrorKind::InvalidPath);
        assert!(store.names("/a").await.is_empty());
        assert!(store.walked("/", None).await.is_empty());
        store.driver.put(&path("/a/pipe"), "now a file").await.unwrap();
        assert_eq!(store.get("/a/pipe").await.unwrap(), "now a file");
        store.driver.delete(&path("/a")).await.unwrap();
        assert!(store.on_disk("").is_empty());
    };
    tokio::time::timeout(Duration::from_secs(20), work).await.unwrap();
}
