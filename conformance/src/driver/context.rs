//! The context of a behavior: a fresh store, opened, its own path, and short helpers for long calls.

use std::{fmt, future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use plugin_registry_core::{
    Algorithm, ByteRange, Checked, Digest, Entry, Error, ErrorKind, FileInfo, FileWriter, Hasher, PutMode,
    Reader, Result, Staged, StorageDriver, StorageDriverExt, StoragePath, WriteMode,
};

use super::store::{Sizes, Store};
use crate::report;

/// More than any small file of the suite.
pub(crate) const LIMIT: u64 = 64 << 20;

/// A driver in the wrapper that the registry puts around it.
pub(crate) type Driver = Arc<Checked<dyn StorageDriver>>;

pub(crate) type Writer = Box<dyn FileWriter>;

/// The surroundings of one behavior.
pub struct Context {
    store: Store,
    driver: Driver,
    base: StoragePath,
    behavior: &'static str,
    suite: String,
}

impl Context {
    pub(crate) async fn new(store: Store, behavior: &'static str, suite: &str) -> Self {
        let driver = Arc::new(Checked::new(store.open().await));
        let base = path(&format!("/suite/{behavior}"));
        Self { store, driver, base, behavior, suite: suite.to_owned() }
    }

    /// The driver under test, wrapped in [`Checked`].
    #[must_use]
    pub fn driver(&self) -> &Checked<dyn StorageDriver> {
        &self.driver
    }

    /// The same driver, for tasks.
    pub(crate) fn shared(&self) -> Driver {
        self.driver.clone()
    }

    /// Opens another instance on the same store, as another process would.
    pub async fn reopen(&self) -> Arc<Checked<dyn StorageDriver>> {
        Arc::new(Checked::new(self.store.open().await))
    }

    /// Waits so that what a dropped call began can end in the store.
    pub(crate) async fn settle(&self) {
        self.store.settle().await;
    }

    /// The same, only for a store that says that it takes its time ([`Store::with_settle`]).
    pub(crate) async fn settle_in_the_store(&self) {
        self.store.settle_in_the_store().await;
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// How much data the volume tests use.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        self.store.sizes()
    }

    /// Bytes of a file that takes more than one part.
    pub(crate) fn part(&self) -> usize {
        self.sizes().part
    }

    /// The directory of this behavior. The store contains nothing else.
    #[must_use]
    pub fn base(&self) -> &StoragePath {
        &self.base
    }

    /// A path in the directory of this behavior.
    #[must_use]
    pub fn path(&self, rest: &str) -> StoragePath {
        self.base.join(rest).unwrap()
    }

    /// Reports that this behavior, or the rest of it, cannot be shown here.
    pub fn skip(&self, reason: &str) {
        report::skip("driver", self.behavior, reason, &self.suite);
    }

    /// Writes small files below the base. Each contains its own relative path.
    pub async fn put_all(&self, rests: &[&str]) {
        let rests: Vec<String> = rests.iter().map(|&rest| rest.to_owned()).collect();
        stream::iter(rests)
            .for_each_concurrent(8, async |rest| put(self.driver(), &self.path(&rest), rest.clone()).await)
            .await;
    }

    /// Deletes everything and checks that nothing is left.
    pub(crate) async fn clean(&self) {
        let root = StoragePath::root();
        // Also if only staged bytes are left, which no listing shows.
        self.driver.delete_if_exists(&path("/suite")).await.unwrap();
        for name in names(self.driver(), &root, None).await {
            self.driver.delete_if_exists(&root.join(&name).unwrap()).await.unwrap();
        }
        let mut left = names(self.driver(), &root, None).await;
        if self.driver.capabilities().empty_directories
            && walk(self.driver(), &root, None).await.unwrap().is_empty()
        {
            // Directories without files: a delete that was interrupted in the store left them.
            left.clear();
        }
        assert!(
            left.is_empty(),
            "{}: expected an empty root after `delete` of everything, saw {left:?}",
            self.behavior
        );
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("driver", &self.driver)
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

pub(crate) fn path(text: &str) -> StoragePath {
    text.parse().unwrap()
}

/// The error kind of a call that must fail.
#[track_caller]
pub(crate) fn kind<T: fmt::Debug>(result: Result<T>) -> ErrorKind {
    match result {
        Ok(found) => panic!("expected an error, saw a success: {found:?}"),
        Err(error) => error.kind(),
    }
}

/// Checks that an operation returned these bytes. Shows where they differ, and not the bytes.
#[track_caller]
pub(crate) fn assert_bytes(operation: &str, path: &StoragePath, found: &[u8], expected: &[u8]) {
    if found != expected {
        let first = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
        panic!(
            "{operation} of {path}: expected {} bytes, saw {}, which differ from byte {first} on",
            expected.len(),
            found.len()
        );
    }
}

/// Checks that a listing returned these names or paths. Shows where they differ, and not all of them.
#[track_caller]
pub(crate) fn assert_names(operation: &str, path: &StoragePath, found: &[String], expected: &[String]) {
    if found != expected {
        let first = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
        panic!(
            "{operation} of {path}: expected {} names, saw {}; at index {first}, expected {:?}, saw {:?}",
            expected.len(),
            found.len(),
            expected.get(first),
            found.get(first)
        );
    }
}

pub(crate) async fn put(driver: &dyn StorageDriver, path: &StoragePath, content: impl Into<Bytes>) {
    driver.put_content(path, content.into(), PutMode::Overwrite).await.unwrap();
}

pub(crate) async fn get(driver: &dyn StorageDriver, path: &StoragePath) -> Bytes {
    driver.get_content(path, LIMIT).await.unwrap()
}

/// Reads a range through the streaming reader and compares what it announced with what arrived.
pub(crate) async fn read(driver: &dyn StorageDriver, path: &StoragePath, range: ByteRange) -> Result<Bytes> {
    let reader = driver.reader(path, range).await?;
    assert_eq!(reader.info().path, *path, "reader of {path}: it describes another file");
    assert_eq!(reader.range(), range.resolve(reader.info().size)?, "reader of {path}: for {range:?}");
    let announced = reader.content_length();
    let content = drain(reader).await?;
    assert_eq!(
        content.len() as u64,
        announced,
        "reader of {path}: a stream that ends without an error has all announced bytes"
    );
    Ok(content)
}

pub(crate) async fn read_all(driver: &dyn StorageDriver, path: &StoragePath) -> Bytes {
    read(driver, path, ByteRange::full()).await.unwrap()
}

pub(crate) async fn drain(reader: Reader) -> Result<Bytes> {
    let mut content = Vec::new();
    let mut stream = reader.into_stream();
    while let Some(piece) = stream.try_next().await? {
        content.extend_from_slice(&piece);
    }
    Ok(content.into())
}

/// The digest of a file that is too large for memory.
pub(crate) async fn digest(driver: &dyn StorageDriver, path: &StoragePath) -> Digest {
    let reader = driver.reader(path, ByteRange::full()).await.unwrap();
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut stream = reader.into_stream();
    while let Some(piece) = stream.try_next().await.unwrap() {
        hasher.update(&piece);
    }
    hasher.finish()
}

async fn open_new(driver: &dyn StorageDriver, path: &StoragePath, mode: WriteMode) -> Writer {
    let writer = driver.writer(path, mode).await.unwrap();
    assert_eq!(writer.size(), 0, "writer of {path}: a new one starts at zero");
    writer
}

/// Opens a writer for a file in one go, to be committed or cancelled.
pub(crate) async fn direct(driver: &dyn StorageDriver, path: &StoragePath) -> Writer {
    open_new(driver, path, WriteMode::direct()).await
}

/// Opens a writer for the first bytes of a stage.
pub(crate) async fn first(driver: &dyn StorageDriver, path: &StoragePath) -> Writer {
    open_new(driver, path, WriteMode::Stage).await
}

/// Repeats a call until it no longer meets the lock of a writer that was just dropped.
async fn once_unlocked<T, F: Future<Output = Result<T>>>(call: impl Fn() -> F) -> Result<T> {
    for _ in 0..200 {
        match call().await {
            Err(error) if error.kind() == ErrorKind::Conflict => pause(50).await,
            result => return result,
        }
    }
    call().await
}

/// Opens the writer that resumes after exactly these bytes.
pub(crate) async fn resume(driver: &dyn StorageDriver, staged: &Staged) -> Writer {
    let open = || driver.writer(&staged.path, WriteMode::Resume(staged.clone()));
    let writer = once_unlocked(open).await.unwrap();
    assert_eq!(writer.size(), staged.size, "{}: it begins after other bytes", staged.path);
    writer
}

/// Opens the writer that resumes what is found, as a writer in another process would.
pub(crate) async fn go_on(driver: &dyn StorageDriver, path: &StoragePath) -> Writer {
    resume(driver, &driver.find_staged(path).await.unwrap()).await
}

/// Resumes these bytes, appends and closes. Any of the three calls may refuse.
pub(crate) async fn append(
    driver: &dyn StorageDriver,
    staged: &Staged,
    chunk: impl Into<Bytes>,
) -> Result<Staged> {
    let mut writer = driver.writer(&staged.path, WriteMode::Resume(staged.clone())).await?;
    writer.write(chunk.into()).await?;
    writer.close().await
}

/// Appends and checks that the size counts the chunk.
pub(crate) async fn write(writer: &mut Writer, chunk: impl Into<Bytes>) {
    let chunk = chunk.into();
    let size = writer.size() + chunk.len() as u64;
    writer.write(chunk).await.unwrap();
    assert_eq!(writer.size(), size, "`size` counts what was written, and what was resumed");
}

/// Closes and checks that the returned stage describes these bytes.
pub(crate) async fn close(writer: Writer, path: &StoragePath) -> Staged {
    let size = writer.size();
    let staged = writer.close().await.unwrap();
    assert_eq!((&staged.path, staged.size), (path, size), "close: the path and the size of all bytes");
    staged
}

/// Stages content for resumption, for a path that has no stage.
pub(crate) async fn stage(
    driver: &dyn StorageDriver,
    path: &StoragePath,
    content: impl Into<Bytes>,
) -> Staged {
    let mut writer = first(driver, path).await;
    write(&mut writer, content).await;
    close(writer, path).await
}

/// Writes a whole file through a writer.
pub(crate) async fn write_file(driver: &dyn StorageDriver, path: &StoragePath, content: impl Into<Bytes>) {
    let mut writer = direct(driver, path).await;
    write(&mut writer, content).await;
    writer.commit(path).await.unwrap();
}

/// Makes these bytes visible.
pub(crate) async fn commit(driver: &dyn StorageDriver, staged: &Staged, to: &StoragePath) {
    once_unlocked(|| driver.commit_staged(staged, to)).await.unwrap();
}

/// Deletes these staged bytes if they still exist.
pub(crate) async fn forget(driver: &dyn StorageDriver, staged: &Staged) {
    let stages = std::slice::from_ref(staged);
    let delete = || async { driver.delete_many(Vec::new(), stages).await?.into_result() };
    once_unlocked(delete).await.unwrap();
}

/// Finds the stage of a path, if it has one.
pub(crate) async fn find(driver: &dyn StorageDriver, path: &StoragePath) -> Option<Staged> {
    match driver.find_staged(path).await {
        Err(error) if error.is_not_found() => None,
        found => Some(found.unwrap()),
    }
}

/// Checks that exactly these bytes are staged for their path.
pub(crate) async fn assert_staged(driver: &dyn StorageDriver, staged: &Staged) {
    let found = find(driver, &staged.path).await;
    let found = found.as_ref().map(|found| (&found.path, found.size, &found.id));
    let expected = (&staged.path, staged.size, &staged.id);
    assert_eq!(found, Some(expected), "find_staged of {}: the last close gave the right side", staged.path);
}

/// Checks that nothing is staged for the path.
pub(crate) async fn assert_not_staged(driver: &dyn StorageDriver, path: &StoragePath) {
    assert_eq!(find(driver, path).await, None, "find_staged of {path}: nothing is staged for it");
}

/// Checks for one of the errors that refuse bytes which are no longer staged.
#[track_caller]
pub(crate) fn assert_refused(error: &Error) {
    let is_refusal = matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound);
    assert!(
        is_refusal,
        "expected `Conflict` or `NotFound`, as the bytes are no longer staged, saw: {error:?}"
    );
}

/// Polls a future this many times, then drops it. Returns its output if it has finished.
pub(crate) async fn poll_then_drop<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for poll in 0..polls {
        // Every second poll waits first, so that the threads and sockets below can make progress.
        if poll % 2 == 1 {
            pause(1).await;
        }
        let polled = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
    }
    None
}

pub(crate) async fn entries(
    driver: &dyn StorageDriver,
    path: &StoragePath,
    after: Option<&str>,
) -> Result<Vec<Entry>> {
    driver.list(path, after).try_collect().await
}

pub(crate) async fn names(
    driver: &dyn StorageDriver,
    path: &StoragePath,
    after: Option<&str>,
) -> Vec<String> {
    entries(driver, path, after).await.unwrap().into_iter().map(|entry| entry.name).collect()
}

pub(crate) async fn walk(
    driver: &dyn StorageDriver,
    path: &StoragePath,
    after: Option<&StoragePath>,
) -> Result<Vec<FileInfo>> {
    driver.walk(path, after).try_collect().await
}

/// The paths of a walk, relative to `path`.
pub(crate) async fn walked(
    driver: &dyn StorageDriver,
    path: &StoragePath,
    after: Option<&StoragePath>,
) -> Vec<String> {
    let found = walk(driver, path, after).await.unwrap();
    found.iter().map(|info| info.path.strip_prefix(path).unwrap().to_owned()).collect()
}

/// The directories of `find_directories`, relative to `path`.
pub(crate) async fn marked(
    driver: &dyn StorageDriver,
    path: &StoragePath,
    marker: &str,
    after: Option<&StoragePath>,
) -> Vec<String> {
    let found: Vec<StoragePath> = driver.find_directories(path, marker, after).try_collect().await.unwrap();
    found.iter().map(|found| found.strip_prefix(path).unwrap().to_owned()).collect()
}

/// Checks that nothing is at the path, in every way to look at it.
pub(crate) async fn assert_missing(driver: &dyn StorageDriver, path: &StoragePath) {
    assert!(!driver.exists(path).await.unwrap(), "{path}: nothing is there, but it is found");
    assert_eq!(kind(driver.stat(path).await), ErrorKind::NotFound, "stat of {path}: nothing is there");
    assert_eq!(
        kind(driver.get_content(path, LIMIT).await),
        ErrorKind::NotFound,
        "get_content of {path}: nothing is there"
    );
    assert_eq!(
        kind(driver.reader(path, ByteRange::full()).await),
        ErrorKind::NotFound,
        "reader of {path}: nothing is there"
    );
    assert_eq!(
        kind(entries(driver, path, None).await),
        ErrorKind::NotFound,
        "list of {path}: nothing is there"
    );
    assert_eq!(kind(walk(driver, path, None).await), ErrorKind::NotFound, "walk of {path}: nothing is there");
    let (parent, name) = (path.parent().unwrap(), path.file_name().unwrap());
    if driver.exists(&parent).await.unwrap() {
        let siblings = entries(driver, &parent, None).await.unwrap_or_default();
        assert!(
            siblings.iter().all(|entry| entry.name != name),
            "{path}: nothing is there, but `list` of its directory shows it"
        );
    }
}

/// Checks that exactly this file is at the path, in every way to look at it.
pub(crate) async fn assert_file(driver: &dyn StorageDriver, path: &StoragePath, content: &Bytes) {
    let info = driver.stat(path).await.unwrap();
    assert_eq!((&info.path, info.size), (path, content.len() as u64), "stat of {path}: its path and size");
    assert_bytes("get_content", path, &get(driver, path).await, content);
    assert_bytes("reader", path, &read_all(driver, path).await, content);
}

pub(crate) async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}
