//! Data in the kernel's memory is read in the caller's thread. Only the thread differs.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test harness: a failed check is a panic of the test")]

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use bytes::Bytes;
use futures::{FutureExt, TryStreamExt};
use plugin_registry_core::{ByteRange, ErrorKind, Reader, Result, StorageDriver, StoragePath};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use rustix::fs::Advice;

async fn open(root: &Path, is_cached: bool) -> FsDriver {
    FsDriver::open(FsConfig::new(root).with_cached_reads(is_cached)).await.unwrap()
}

async fn read(reader: Result<Reader>) -> Result<Bytes> {
    let reader = reader?;
    let length = reader.content_length();
    let pieces: Vec<Bytes> = reader.into_stream().try_collect().await?;
    let content = Bytes::from(pieces.concat());
    assert_eq!(content.len() as u64, length);
    Ok(content)
}

/// Takes a file out of the kernel's memory, where that can be.
fn forget(file: &Path) {
    let file = fs::File::open(file).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).unwrap();
}

/// Every kind of entry at a path, read from memory and from the disk: the same answers, and the same errors.
#[tokio::test]
async fn answers_are_the_same() {
    let (directory, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = directory.path();
    fs::create_dir_all(root.join("a/b")).unwrap();
    for size in [0, 1, 4096, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 2 << 20] {
        fs::write(root.join(format!("a/{size}")), vec![7; size]).unwrap();
    }
    fs::write(outside.path().join("secret"), "secret").unwrap();
    fs::write(root.join("a/f.00000000-0000-4000-8000-000000000000.tmp"), "staged").unwrap();
    fs::write(root.join("a/unreadable"), "x").unwrap();
    fs::set_permissions(root.join("a/unreadable"), fs::Permissions::from_mode(0o000)).unwrap();
    symlink("4096", root.join("a/inside")).unwrap();
    symlink(outside.path().join("secret"), root.join("a/outside")).unwrap();
    symlink("nothing", root.join("a/broken")).unwrap();
    symlink("b", root.join("a/directory")).unwrap();
    let pipe = root.join("a/pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();

    let (cached, plain) = (open(root, true).await, open(root, false).await);
    let mut names: Vec<String> = fs::read_dir(root.join("a"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.extend(["missing", "missing/below", "0/below", "b/missing", "inside/below"].map(str::to_owned));
    let mut compared = 0;
    for (name, is_at_hand) in names.iter().flat_map(|name| [(name, true), (name, false)]) {
        let (path, file) = (format!("/a/{name}").parse::<StoragePath>().unwrap(), root.join("a").join(name));
        if !is_at_hand && file.is_file() && name != "unreadable" {
            forget(&file);
        }
        let shown =
            |result: Result<String>| result.unwrap_or_else(|error| format!("{:?} {error}", error.kind()));
        let mut answers = Vec::new();
        for driver in [&cached, &plain] {
            let mut answer = Vec::new();
            answer.push(shown(driver.stat(&path).await.map(|info| format!("{info:?}"))));
            for limit in [4095, 3 << 20] {
                answer.push(shown(
                    driver.get_content(&path, limit).await.map(|content| format!("{content:?}")),
                ));
            }
            for range in
                [ByteRange::full(), ByteRange::new(1, 10), ByteRange::from(4096), ByteRange::new(0, 0)]
            {
                let content = read(driver.reader(&path, range).await).await;
                answer.push(shown(content.map(|content| format!("{content:?}"))));
            }
            answers.push(answer);
        }
        assert_eq!(answers[0], answers[1], "{name}");
        compared += answers[0].len();
    }
    assert!(compared >= 2 * 7 * 20, "{compared}");
}

/// If every blocking thread is busy, data in memory is still read, at once.
#[tokio::test]
async fn what_is_at_hand_needs_no_thread() {
    // This directory is on tmpfs, whatever the other directories are on.
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let driver = open(directory.path(), true).await;
    let path: StoragePath = "/a/b/c".parse().unwrap();
    driver.put_content(&path, "content".into(), plugin_registry_core::PutMode::Overwrite).await.unwrap();
    let info = driver.stat(&path).now_or_never().unwrap().unwrap();
    assert_eq!(info.size, 7);
    let missing = driver.stat(&"/a/b/d".parse().unwrap()).now_or_never();
    if let Some(missing) = missing {
        assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
    }
    let plain = open(directory.path(), false).await;
    assert!(plain.stat(&path).now_or_never().is_none(), "the caller's thread is not to be used");
}

/// Many reads from memory still let other tasks run.
#[tokio::test]
async fn the_runtime_has_its_turn() {
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let driver = open(directory.path(), true).await;
    let path: StoragePath = "/f".parse().unwrap();
    driver.put_content(&path, "content".into(), plugin_registry_core::PutMode::Overwrite).await.unwrap();
    let missing: StoragePath = "/missing".parse().unwrap();
    let there = async || {
        driver.stat(&path).await.unwrap();
        driver.get_content(&path, 10).await.unwrap();
    };
    let not_there = async || {
        driver.stat(&missing).await.unwrap_err();
        driver.get_content(&missing, 10).await.unwrap_err();
        driver.get_content(&path, 1).await.unwrap_err();
        driver.reader(&missing, ByteRange::full()).await.unwrap_err();
    };
    for is_there in [true, false] {
        let forever = async {
            loop {
                if is_there { there().await } else { not_there().await }
            }
        };
        tokio::select! {
            biased;
            () = forever => {}
            () = tokio::task::yield_now() => {}
        }
    }
}
