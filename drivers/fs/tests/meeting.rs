//! Writes that meet deletes of the directories they write into.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use plugin_registry_core::{ErrorKind, PutMode, StorageDriver, StoragePath};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use tokio::task::JoinSet;

/// A small file exists after a delete of its directory, or the delete was later. The write never fails
/// because the delete removed its stage. Two drivers, as two processes have them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_put_comes_before_or_after_a_delete_of_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let open = || FsDriver::open(FsConfig::new(directory.path()).with_durable(false));
    let drivers = Arc::new([open().await.unwrap(), open().await.unwrap()]);
    let mut tasks = JoinSet::new();
    for task in 0..8 {
        let drivers = drivers.clone();
        tasks.spawn(async move {
            let driver = &drivers[task % 2];
            let (tag, file): (StoragePath, StoragePath) =
                ("/tags/v1".parse().unwrap(), "/tags/v1/current/link".parse().unwrap());
            for round in 0..400 {
                if task < 4 {
                    driver
                        .put_content(&file, format!("{task} {round}").into(), PutMode::Overwrite)
                        .await
                        .unwrap();
                } else {
                    match driver.delete(&tag).await {
                        Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error:?}"),
                        _ => {}
                    }
                }
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
}

/// A delete of an existing file reports success, whatever empty directories come and go beside it: puts that
/// have to begin again remove theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_that_deleted_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let driver = FsDriver::open(FsConfig::new(directory.path()).with_durable(false)).await.unwrap();
    let (tag, file): (StoragePath, StoragePath) =
        ("/tags/v1".parse().unwrap(), "/tags/v1/current/link".parse().unwrap());
    let (empty, is_over) = (directory.path().join("tags/v1/index"), Arc::new(AtomicBool::new(false)));
    let over = is_over.clone();
    let other = std::thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            let _ = std::fs::create_dir(&empty);
            let _ = std::fs::remove_dir(&empty);
            std::thread::sleep(Duration::from_micros(20));
        }
    });
    for round in 0..3000 {
        driver.put_content(&file, "x".into(), PutMode::Overwrite).await.unwrap();
        let deleted = driver.delete(&tag).await;
        assert!(deleted.is_ok(), "round {round}: {deleted:?}");
    }
    is_over.store(true, Ordering::Relaxed);
    other.join().unwrap();
}
