//! The database file: what is in it after a writer was dropped, after a restart and after a crash.

#![allow(clippy::unwrap_used, reason = "a test: a failed check is a panic of it")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use futures::TryStreamExt;
use plugin_registry_core::{
    ByteRange, ErrorKind, FileWriter, StageId, Staged, StorageDriver, StorageDriverExt, StoragePath,
    WriteMode,
};
use plugin_registry_drivers_redb::RedbDriver;
use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition};
use tempfile::TempDir;

const PIECES: TableDefinition<'_, (u128, u64), &[u8]> = TableDefinition::new("pieces");
const OPEN: TableDefinition<'_, u128, ()> = TableDefinition::new("open");
const CLOCK: TableDefinition<'_, (), u64> = TableDefinition::new("clock");

/// Three pieces and a bit.
const LARGE: usize = 800_000;

fn path(text: &str) -> StoragePath {
    text.parse().unwrap()
}

fn bytes(seed: u8, size: usize) -> Bytes {
    (0..size).map(|index| (index / 1000) as u8 ^ seed).collect()
}

fn file() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = directory.path().join("store.redb");
    (directory, file)
}

async fn open(driver: &RedbDriver, mode: WriteMode, content: Bytes) -> Box<dyn FileWriter> {
    let mut writer = driver.writer(&path("/up/data"), mode).await.unwrap();
    writer.write(content).await.unwrap();
    writer
}

async fn stage(driver: &RedbDriver, content: Bytes) -> Staged {
    open(driver, WriteMode::Stage, content).await.close().await.unwrap()
}

/// How many pieces and open runs are in a file that no driver has open.
fn count(file: &Path) -> (u64, u64) {
    let database = Database::open(file).unwrap();
    let read = database.begin_read().unwrap();
    (read.open_table(PIECES).unwrap().len().unwrap(), read.open_table(OPEN).unwrap().len().unwrap())
}

#[tokio::test]
async fn a_stage_survives_the_process() {
    let (_directory, file) = file();
    let driver = RedbDriver::open(&file).await.unwrap();
    let begin = stage(&driver, bytes(1, LARGE)).await;
    let staged = open(&driver, WriteMode::Resume(begin.clone()), bytes(2, 10)).await.close().await.unwrap();
    drop(open(&driver, WriteMode::Resume(staged.clone()), bytes(3, LARGE)).await);
    driver.put(&path("/visible"), "x").await.unwrap();
    drop(driver);

    let driver = RedbDriver::open(&file).await.unwrap();
    let found = driver.find_staged(&staged.path).await.unwrap();
    assert_eq!((&found, found.size), (&staged, LARGE as u64 + 10));
    let late = driver.writer(&path("/up/data"), WriteMode::Resume(begin)).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Conflict, "the value of the first close");
    open(&driver, WriteMode::Resume(found), bytes(4, LARGE)).await.commit(&path("/blob")).await.unwrap();
    drop(driver);

    let driver = RedbDriver::open(&file).await.unwrap();
    let whole = [bytes(1, LARGE), bytes(2, 10), bytes(4, LARGE)].concat();
    assert!(driver.get_content(&path("/blob"), u64::MAX).await.unwrap() == whole);
    let range = ByteRange::new(LARGE as u64 - 5, 300_000);
    let reader = driver.reader(&path("/blob"), range).await.unwrap();
    let read: Vec<Bytes> = reader.into_stream().try_collect().await.unwrap();
    assert!(read.concat() == whole[LARGE - 5..LARGE + 299_995]);
    assert!(driver.find_staged(&path("/up/data")).await.unwrap_err().is_not_found());
    driver.delete(&path("/blob")).await.unwrap();
    driver.delete(&path("/visible")).await.unwrap();
    drop(driver);
    assert_eq!(count(&file), (0, 0));
}

#[tokio::test]
async fn what_a_writer_left_goes_with_the_next_change() {
    let (_directory, file) = file();
    let driver = RedbDriver::open(&file).await.unwrap();
    for end in ["dropped", "refused", "cancelled", "replaced", "deleted by its age"] {
        let staged = stage(&driver, bytes(1, LARGE)).await;
        let resumed = open(&driver, WriteMode::Resume(staged.clone()), bytes(2, LARGE)).await;
        match end {
            "dropped" => drop(resumed),
            "refused" => {
                driver.delete_many(Vec::new(), &[staged]).await.unwrap();
                assert!(resumed.commit(&path("/blob")).await.unwrap_err().is_not_found());
            }
            "cancelled" => resumed.cancel().await.unwrap(),
            "replaced" => {
                resumed.commit(&path("/blob")).await.unwrap();
                driver.put(&path("/blob"), "").await.unwrap();
            }
            _ => {
                let later = staged.modified.unwrap() + Duration::from_nanos(1);
                assert_eq!(driver.delete_staged(&staged.path, later).await.unwrap(), 1);
                drop(resumed);
            }
        }
        // Not with one that fails; then with one that finds nothing to delete.
        let none = Staged::new(path("/none"), 0, StageId::of("none"));
        assert!(driver.commit_staged(&none, &path("/blob")).await.unwrap_err().is_not_found());
        driver.delete_if_exists(&path("/up")).await.unwrap();
        let (_copy, left) = copy(&file);
        assert_eq!(count(&left), (0, 0), "{end}");
    }
}

/// The file as a power cut would leave it.
fn copy(file: &Path) -> (TempDir, PathBuf) {
    let (directory, copy) = self::file();
    fs::copy(file, &copy).unwrap();
    (directory, copy)
}

#[tokio::test]
async fn what_a_crash_left_goes_when_the_file_is_opened() {
    let (_directory, file) = file();
    let driver = RedbDriver::open(&file).await.unwrap();
    let staged = stage(&driver, bytes(1, LARGE)).await;
    driver.put(&path("/small"), "small").await.unwrap();
    let torn = open(&driver, WriteMode::Resume(staged.clone()), bytes(2, LARGE)).await;
    let first = open(&driver, WriteMode::direct(), bytes(3, LARGE)).await;
    // Syncs what the writers have stored so far.
    driver.put(&path("/small"), "other").await.unwrap();
    let (_copy, left) = copy(&file);
    drop((torn, first));

    // The stage has 4 pieces, the small file one, each writer 3 whole ones.
    assert_eq!(count(&left), (11, 2));
    let driver = RedbDriver::open(&left).await.unwrap();
    assert_eq!(driver.find_staged(&staged.path).await.unwrap(), staged);
    assert_eq!(driver.get_content(&path("/small"), 10).await.unwrap(), "other");
    driver.commit_staged(&staged, &path("/blob")).await.unwrap();
    assert!(driver.get_content(&path("/blob"), u64::MAX).await.unwrap() == bytes(1, LARGE));
    drop(driver);
    assert_eq!(count(&left), (5, 0));
}

#[tokio::test]
async fn times_never_go_back() {
    let (_directory, file) = file();
    let driver = RedbDriver::open(&file).await.unwrap();
    driver.put(&path("/a"), "x").await.unwrap();
    drop(driver);
    // As if the system's clock had been an hour ahead.
    let database = Database::open(&file).unwrap();
    let change = database.begin_write().unwrap();
    let last = change.open_table(CLOCK).unwrap().remove(()).unwrap().unwrap().value() + 3_600_000_000_000;
    change.open_table(CLOCK).unwrap().insert((), last).unwrap();
    change.commit().unwrap();
    drop(database);

    let driver = RedbDriver::open(&file).await.unwrap();
    driver.put(&path("/b"), "x").await.unwrap();
    driver.put(&path("/c"), "x").await.unwrap();
    let mut times = Vec::new();
    for file in ["/a", "/b", "/c"] {
        times.push(driver.stat(&path(file)).await.unwrap().modified.unwrap());
    }
    times[0] += Duration::from_secs(3600);
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_an_error_that_says_why() {
    let (directory, file) = file();
    let driver = RedbDriver::open(&file).await.unwrap();
    let again = RedbDriver::open(&file).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Unavailable);
    let reason = "store unavailable: already open; clone its driver to share it";
    let text = format!("redb driver: {}: {reason}: ", file.display());
    assert!(again.to_string().starts_with(&text), "{again}");
    drop(driver);
    RedbDriver::open(&file).await.unwrap();

    let other = directory.path().join("other");
    fs::write(&other, "this is no database".repeat(1000)).unwrap();
    assert_eq!(RedbDriver::open(&other).await.unwrap_err().kind(), ErrorKind::Corrupted);
    let missing = directory.path().join("missing/store.redb");
    assert_eq!(RedbDriver::open(&missing).await.unwrap_err().kind(), ErrorKind::Unavailable);
}
