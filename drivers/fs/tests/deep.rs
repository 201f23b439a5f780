//! Trees deeper than a stack, a path or a table of descriptors. Runs in its own process, because it may open
//! only few files.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]

mod common;

use std::{
    os::{fd::OwnedFd, unix::fs::symlink},
    path::Path,
    process::Command,
};

use common::{Store, path};
use futures::TryStreamExt;
use plugin_registry_core::{ErrorKind, MAX_PATH_LEN, StorageDriver};
use rustix::{
    fs::{CWD, Mode, OFlags},
    process::{Resource, Rlimit},
};

/// Lets this process open so few files that one for each level is too many.
fn limit_descriptors() {
    let limit = Rlimit { current: Some(100), maximum: rustix::process::getrlimit(Resource::Nofile).maximum };
    rustix::process::setrlimit(Resource::Nofile, limit).unwrap();
}

/// Makes `levels` directories in each other, each but the first with a file, and gives the last one.
fn dig(begin: &Path, levels: usize) {
    let open = |at: &OwnedFd, name: &str| {
        rustix::fs::openat(at, name, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap()
    };
    let mut at = rustix::fs::openat(CWD, begin, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    for _ in 0..levels {
        rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
        at = open(&at, "d");
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(&at, "f", flags, Mode::RWXU).unwrap();
    }
}

/// What `tempfile` cannot remove.
fn remove(store: Store) {
    assert!(Command::new("rm").arg("-rf").arg(store.directory.path()).status().unwrap().success());
}

#[tokio::test]
async fn the_deepest_tree_that_a_path_reaches() {
    limit_descriptors();
    let store = Store::in_memory().await;
    let levels = (MAX_PATH_LEN - "/r".len()) / "/d".len();
    std::fs::create_dir(store.file("r")).unwrap();
    dig(&store.file("r"), levels);
    // The file of the last level has no path any more.
    let walked = store.walked("/", None).await;
    assert_eq!(walked.len(), levels - 1);
    assert_eq!(store.walked("/r", Some(&walked[5])).await.len(), levels - 7);
    let marked = store.driver.find_directories(&path("/r"), "f", None).try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(marked.len(), levels - 1);
    assert!(store.driver.list_staged(&path("/r")).try_next().await.unwrap().is_none());
    store.driver.delete(&path("/r")).await.unwrap();
    assert!(store.on_disk("").is_empty());
}

#[tokio::test]
async fn what_is_deeper_than_any_path_is_left_with_what_is_above_it() {
    limit_descriptors();
    let store = Store::in_memory().await;
    for name in ["a/r", "a/s"] {
        std::fs::create_dir_all(store.file(name)).unwrap();
    }
    std::fs::write(store.file("a/r/kept"), "x").unwrap();
    dig(&store.file("a/r"), 7000);
    for at in ["/a/r", "/a"] {
        let error = store.driver.delete(&path(at)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidPath);
        assert!(error.to_string().contains("too deep for a path of 900 bytes"), "{error}");
    }
    assert_eq!(store.on_disk("a/r"), ["d", "kept"]);
    assert_eq!(store.on_disk("a/r/d/d/d"), ["d", "f"]);
    // Every other call ends, too.
    assert_eq!(store.walked("/a/r", None).await.len(), 448);
    let foreign: Vec<_> = store.driver.list_foreign(&path("/a/r")).try_collect().await.unwrap();
    assert!(!foreign.is_empty() && foreign.iter().all(|path| path.len() > MAX_PATH_LEN), "{foreign:?}");
    assert!(store.driver.find_directories(&path("/"), "x", None).try_next().await.unwrap().is_none());
    remove(store);
}

/// Each way through links is another path, so that a few links are many directories.
#[tokio::test]
async fn links_that_multiply_end() {
    limit_descriptors();
    let store = Store::in_memory().await;
    for name in ["r/a", "b", "c"] {
        std::fs::create_dir_all(store.file(name)).unwrap();
    }
    for link in 0..101 {
        symlink("../../b", store.file(&format!("r/a/{link}"))).unwrap();
        symlink("../c", store.file(&format!("b/{link}"))).unwrap();
    }
    let (at, marker) = (path("/r"), "f");
    let is_ended = |error: plugin_registry_core::Error| {
        assert!(error.to_string().contains("more than 10000 symbolic links"), "{error}");
        error.kind() == ErrorKind::TooLarge
    };
    assert!(is_ended(store.driver.walk(&at, None).try_collect::<Vec<_>>().await.unwrap_err()));
    assert!(is_ended(
        store.driver.find_directories(&at, marker, None).try_collect::<Vec<_>>().await.unwrap_err()
    ));
    assert!(is_ended(store.driver.list_staged(&at).try_collect::<Vec<_>>().await.unwrap_err()));
    assert!(is_ended(store.driver.list_foreign(&at).try_collect::<Vec<_>>().await.unwrap_err()));
    store.driver.delete(&at).await.unwrap();
    assert_eq!(store.on_disk(""), ["b", "c"]);
}
