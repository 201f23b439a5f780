//! The driver never touches anything outside the root, and never waits for anything that is not a file.

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
use plugin_registry_core::{ByteRange, ErrorKind, PutMode, StorageDriver, StorageDriverExt, WriteMode};

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
        let marked = store.driver.find_directories(&at, marker, None).try_next().await;
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
        let mut writer = store.writer(at, WriteMode::direct()).await.unwrap();
        writer.write("x".into()).await.unwrap();
        assert_eq!(kind(writer.commit(&path(at)).await), ErrorKind::PermissionDenied);
        let mut writer = store.writer("/other", WriteMode::direct()).await.unwrap();
        writer.write("x".into()).await.unwrap();
        assert_eq!(kind(writer.commit(&path(at)).await), ErrorKind::PermissionDenied);
        let mut writer = store.writer(at, WriteMode::Stage).await.unwrap();
        writer.write("x".into()).await.unwrap();
        assert_eq!(kind(writer.close().await), ErrorKind::PermissionDenied);
        assert_eq!(kind(driver.find_staged(&path(at)).await), ErrorKind::PermissionDenied);
        let staged = store.close("/staged", "x").await;
        assert_eq!(kind(driver.commit_staged(&staged, &path(at)).await), ErrorKind::PermissionDenied);
        driver.delete_many(Vec::new(), &[staged]).await.unwrap();
        assert_eq!(kind(driver.delete(&path(at)).await), ErrorKind::PermissionDenied);
        assert_eq!(driver.delete_many(vec![path(at)], &[]).await.unwrap().failed.len(), 1);
    }
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
    assert_eq!(driver.delete_many(vec![path("/tree")], &[]).await.unwrap().deleted, 1);
    assert_eq!(store.on_disk(""), ["file", "relative"]);
    assert_untouched(&outside);
}

#[tokio::test]
async fn links_inside_are_followed_in_listings_too() {
    let store = Store::new().await;
    let driver = &store.driver;
    driver.put(&path("/r/real/_m/file"), "content").await.unwrap();
    driver.put(&path("/aside/app/_m/file"), "content").await.unwrap();
    store.close("/aside/app/_u", "staged").await;
    std::fs::write(store.file("aside/app/un name"), "").unwrap();
    // To another part of the root, to what is listed anyway, and to a file.
    symlink("../aside", store.file("r/alias")).unwrap();
    symlink("real", store.file("r/again")).unwrap();
    symlink("real/_m/file", store.file("r/file")).unwrap();
    symlink("nowhere", store.file("r/dangling")).unwrap();
    symlink("loop", store.file("r/loop")).unwrap();
    // Ways in a circle.
    symlink("..", store.file("r/real/up")).unwrap();
    symlink(".", store.file("r/real/self")).unwrap();
    symlink("../../r/real", store.file("aside/app/there")).unwrap();
    symlink("../../aside/app", store.file("r/real/back")).unwrap();

    assert_eq!(store.get("/r/file").await.unwrap(), "content");
    assert_eq!(store.get("/r/alias/app/_m/file").await.unwrap(), "content");
    assert_eq!(kind(store.get("/r/dangling").await), ErrorKind::NotFound);
    assert_eq!(kind(store.get("/r/loop").await), ErrorKind::PermissionDenied);
    assert_eq!(store.names("/r").await, ["again", "alias", "file", "real"]);
    assert_eq!(kind(driver.stat(&path("/r/alias")).await), ErrorKind::NotFound);
    assert!(driver.exists(&path("/r/alias")).await.unwrap());
    let walked = [
        "/r/again/_m/file",
        "/r/again/back/_m/file",
        "/r/alias/app/_m/file",
        "/r/alias/app/there/_m/file",
        "/r/file",
        "/r/real/_m/file",
        "/r/real/back/_m/file",
    ];
    assert_eq!(store.walked("/r", None).await, walked);
    for from in 0..walked.len() {
        assert_eq!(store.walked("/r", Some(walked[from])).await, walked[from + 1..], "{from}");
    }
    let marked = async |after: Option<&str>| {
        let (root, after) = (path("/r"), after.map(path));
        let found = driver.find_directories(&root, "_", after.as_ref()).map_ok(|path| path.to_string());
        found.try_collect::<Vec<_>>().await.unwrap()
    };
    let all = ["/r/again", "/r/again/back", "/r/alias/app", "/r/alias/app/there", "/r/real", "/r/real/back"];
    assert_eq!(marked(None).await, all);
    for (from, after) in all.iter().enumerate() {
        assert_eq!(marked(Some(after)).await, all[from + 1..]);
    }
    let root = path("/r");
    let staged = driver.list_staged(&root).map_ok(|info| info.path.to_string());
    let mut staged: Vec<_> = staged.try_collect().await.unwrap();
    staged.sort();
    assert_eq!(staged, ["/r/again/back/_u", "/r/alias/app/_u", "/r/real/back/_u"]);
    let mut foreign: Vec<_> = driver.list_foreign(&root).try_collect().await.unwrap();
    foreign.sort();
    assert_eq!(foreign, ["/r/again/back/un name", "/r/alias/app/un name", "/r/real/back/un name"]);
}

#[tokio::test]
async fn a_link_inside_is_deleted_and_not_what_is_behind_it() {
    let store = Store::new().await;
    let driver = &store.driver;
    driver.put(&path("/aside/app/_m/file"), "content").await.unwrap();
    std::fs::create_dir_all(store.file("r/deep")).unwrap();
    symlink("../aside", store.file("r/alias")).unwrap();
    symlink("../../aside", store.file("r/deep/alias")).unwrap();
    driver.delete(&path("/r/alias")).await.unwrap();
    assert_eq!(store.on_disk("r"), ["deep"]);
    driver.delete(&path("/r")).await.unwrap();
    assert_eq!(store.walked("/", None).await, ["/aside/app/_m/file"]);
    // By its own path, through a link, a file is deleted as it is read.
    symlink("aside", store.file("alias")).unwrap();
    driver.delete(&path("/alias/app/_m/file")).await.unwrap();
    assert!(store.walked("/", None).await.is_empty());
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
        assert_eq!(kind(store.driver.find_staged(&path("/a/pipe")).await), ErrorKind::NotFound);
        assert!(store.names("/a").await.is_empty());
        assert!(store.walked("/", None).await.is_empty());
        store.driver.put(&path("/a/pipe"), "now a file").await.unwrap();
        assert_eq!(store.get("/a/pipe").await.unwrap(), "now a file");
        store.driver.delete(&path("/a")).await.unwrap();
        assert!(store.on_disk("").is_empty());
    };
    tokio::time::timeout(Duration::from_secs(20), work).await.unwrap();
}
