//! Roots that are missing, no directory, read-only or full.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]

mod common;

use std::{path::Path, time::Duration};

use common::{Store, kind, open, path};
use plugin_registry_core::{ErrorKind, PutMode, StorageDriver, StorageDriverExt, WriteMode};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};

#[tokio::test]
async fn a_root_is_made_or_its_error_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("a/b");
    let error = FsDriver::open(FsConfig::new(&missing).with_create_root(false)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains(missing.to_str().unwrap()), "{error}");
    open(FsConfig::new(&missing)).await.put(&path("/f"), "x").await.unwrap();
    assert!(missing.join("f").is_file());
    for file in [missing.join("f"), missing.join("f/below")] {
        let error = FsDriver::open(FsConfig::new(&file)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
        assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
    }
    assert_eq!(FsDriver::open(FsConfig::new("")).await.unwrap_err().kind(), ErrorKind::InvalidConfig);
    std::os::unix::fs::symlink("a/b", directory.path().join("link")).unwrap();
    let linked = open(FsConfig::new(directory.path().join("link"))).await;
    assert_eq!(linked.get_content(&path("/f"), 9).await.unwrap(), "x");
}

#[tokio::test]
async fn a_root_that_is_deleted_fails_in_time() {
    let store = Store::new().await;
    std::fs::remove_dir(store.directory.path()).unwrap();
    let put = async { store.driver.put(&path("/a/b"), "x").await };
    let put = tokio::time::timeout(Duration::from_secs(20), put).await.unwrap();
    assert_eq!(kind(put), ErrorKind::Unavailable);
    assert!(store.driver.exists(&path("/")).await.unwrap());
}

#[tokio::test]
async fn an_undurable_store_works() {
    let directory = tempfile::tempdir().unwrap();
    let driver = open(FsConfig::new(directory.path()).with_durable(false).with_max_threads(0)).await;
    driver.put(&path("/a/b/f"), "x").await.unwrap();
    let mut writer = driver.writer(&path("/a/b/g"), WriteMode::Stage).await.unwrap();
    writer.write("y".into()).await.unwrap();
    let staged = writer.close().await.unwrap();
    driver.commit_staged(&staged, &path("/c/g")).await.unwrap();
    assert_eq!(driver.get_content(&path("/c/g"), 1).await.unwrap(), "y");
}

/// A mounted filesystem of a few pages.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn new(at: &'a Path) -> Option<Self> {
        match mount("tmpfs", at, "tmpfs", MountFlags::empty(), c"size=2m") {
            Ok(()) => Some(Self(at)),
            Err(error) => {
                println!("SKIPPED: this process may not mount a small filesystem: {error}");
                None
            }
        }
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        unmount(self.0, UnmountFlags::DETACH).unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_is_no_space_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let Some(_mounted) = Mounted::new(directory.path()) else { return };
    let driver = open(FsConfig::new(directory.path())).await;
    driver.put(&path("/kept"), "kept").await.unwrap();
    for mode in [PutMode::Overwrite, PutMode::CreateOnly] {
        let put = driver.put_content(&path("/a/b/f"), vec![1; 4 << 20].into(), mode).await;
        assert_eq!(kind(put), ErrorKind::NoSpace);
    }
    let mut writer = driver.writer(&path("/a/b/f"), WriteMode::direct()).await.unwrap();
    let mut error = None;
    for _ in 0..10 {
        match writer.write(vec![1; 1 << 20].into()).await {
            Ok(()) => {}
            failed => error = error.or(failed.err()),
        }
    }
    let error = error.unwrap();
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    assert!(error.to_string().contains("/a/b/f"), "{error}");
    assert_eq!(kind(writer.commit(&path("/a/b/f")).await), ErrorKind::Other);
    let names: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["kept"]);
    driver.put(&path("/fits"), vec![1; 1 << 20]).await.unwrap();
}

#[tokio::test]
async fn a_read_only_root_can_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let Some(_mounted) = Mounted::new(directory.path()) else { return };
    open(FsConfig::new(directory.path())).await.put(&path("/a/f"), "x").await.unwrap();
    mount_remount(directory.path(), MountFlags::RDONLY, c"").unwrap();
    let driver = open(FsConfig::new(directory.path())).await;
    assert_eq!(driver.get_content(&path("/a/f"), 9).await.unwrap(), "x");
    assert_eq!(kind(driver.put(&path("/a/f"), "y").await), ErrorKind::ReadOnly);
    assert_eq!(kind(driver.put(&path("/b/f"), "y").await), ErrorKind::ReadOnly);
    assert_eq!(kind(driver.delete(&path("/a/f")).await), ErrorKind::ReadOnly);
    assert_eq!(kind(driver.delete(&path("/a")).await), ErrorKind::ReadOnly);
    let writer = driver.writer(&path("/c"), WriteMode::direct()).await.unwrap();
    assert_eq!(kind(writer.commit(&path("/c")).await), ErrorKind::ReadOnly);
    let missing = directory.path().join("missing");
    let error = FsDriver::open(FsConfig::new(&missing)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
    assert!(error.to_string().contains(missing.to_str().unwrap()), "{error}");
}
