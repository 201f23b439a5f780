//! What a behavior gets: one fresh store, opened, a path of its own, and short words for long calls.

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

/// A driver in the wrapper that the registry puts it in.
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

    /// The same, for tasks.
    pub(crate) fn shared(&self) -> Driver {
        self.driver.clone()
    }

    /// Another instance on the same store, as another process would have it.
    pub async fn reopen(&self) -> Arc<Checked<dyn StorageDriver>> {
        Arc::new(Checked::new(self.store.open().await))
    }

    /// Gives what a dropped call has begun the time to end in the store.
    pub(crate) async fn settle(&self) {
        tokio::time::sleep(self.store.settle()).await;
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The volumes of the tests.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        self.store.sizes()
    }

    /// The directory of this behavior. Nothing else is in the store.
    #[must_use]
    pub fn base(&self) -> &StoragePath {
        &self.base
    }

    /// A path in the directory of this behavior.
    #[must_use]
    pub fn path(&self, rest: &str) -> StoragePath {
        self.base.join(rest).unwrap()
    }

    /// Says that this behavior, or the rest of it, cannot be shown here.
    pub fn skip(&self, reason: &str) {
        report::skip("driver", self.behavior, reason, &self.suite);
    }

    /// Writes small files that contain their own path below the base.
    pub async fn put_all(&self, rests: &[&str]) {
        let rests: Vec<String> = rests.iter().map(|&rest| rest.to_owned()).collect();
        stream::iter(rests)
            .for_each_concurrent(8, async |rest| put(self.driver(), &self.path(&rest), rest.clone()).await)
            .await;
    }

    /// Deletes everything and checks that nothing is left.
    pub(crate) async fn clean(&self) {
        let root = StoragePath::root();
        // Also where only staged bytes are left, which no listing shows.
        self.driver.delete_if_exists(&path("/suite")).await.unwrap();
        for name in names(self.driver(), &root, None).await {
            self.driver.delete_if_exists(&root.join(&name).unwrap()).await.unwrap();
        }
        let mut left = names(self.driver(), &root, None).await;
        if self.driver.capabilities().empty_directories
            && walk(self.driver(), &root, None).await.unwrap().is_empty()
        {
            // Of a delete that was cut in the store: directories without a file, which hold nothing.
            left.clear();
        }
        assert!(left.is_empty(), "the root is empty after the test, but for {left:?}");
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

/// The kind of a call's failure; it must fail.
#[track_caller]
pub(crate) fn kind<T: fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.expect_err("this call must fail").kind()
}

pub(crate) async fn put(driver: &dyn StorageDriver, path: &StoragePath, content: impl Into<Bytes>) {
    driver.put_content(path, content.into(), PutMode::Overwrite).await.unwrap();
}

pub(crate) async fn get(driver: &dyn StorageDriver, path: &StoragePath) -> Bytes {
    driver.get_content(path, LIMIT).await.unwrap()
}

/// Reads a range by the streaming reader and compares what was announced with what came.
pub(crate) async fn read(driver: &dyn StorageDriver, path: &StoragePath, range: ByteRange) -> Result<Bytes> {
    let reader = driver.reader(path, range).await?;
    assert_eq!(reader.info().path, *path);
    assert_eq!(reader.range(), range.resolve(reader.info().size)?);
    let announced = reader.content_length();
    let content = drain(reader).await?;
    assert_eq!(content.len() as u64, announced, "a stream that ends without an error is complete");
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
    assert_eq!(writer.size(), 0, "a new writer starts at zero");
    writer
}

/// The writer of a file in one go, which is committed or given up.
pub(crate) async fn direct(driver: &dyn StorageDriver, path: &StoragePath) -> Writer {
    open_new(driver, path, WriteMode::direct()).await
}

/// The writer of the first bytes of a stage.
pub(crate) async fn first(driver: &dyn StorageDriver, path: &StoragePath) -> Writer {
    open_new(driver, path, WriteMode::Stage).await
}

/// The outcome of a call once it no longer meets the lock of a writer that was dropped a moment ago.
async fn once_unlocked<T, F: Future<Output = Result<T>>>(call: impl Fn() -> F) -> Result<T> {
    for _ in 0..200 {
        match call().await {
            Err(error) if error.kind() == ErrorKind::Conflict => pause(50).await,
            result => return result,
        }
    }
    call().await
}

/// The writer that goes on after exactly these bytes.
pub(crate) async fn resume(driver: &dyn StorageDriver, staged: &Staged) -> Writer {
    let open = || driver.writer(&staged.path, WriteMode::Resume(staged.clone()));
    let writer = once_unlocked(open).await.unwrap();
    assert_eq!(writer.size(), staged.size, "{}: it begins after other bytes", staged.path);
    writer
}

/// The writer that goes on with what is found, as that of another process would.
pub(crate) async fn go_on(driver: &dyn StorageDriver, path: &StoragePath) -> Writer {
    resume(driver, &driver.find_staged(path).await.unwrap()).await
}

/// Goes on after these bytes and closes; a refusal may come from each of the three calls.
pub(crate) async fn append(
    driver: &dyn StorageDriver,
    staged: &Staged,
    chunk: impl Into<Bytes>,
) -> Result<Staged> {
    let mut writer = driver.writer(&staged.path, WriteMode::Resume(staged.clone())).await?;
    writer.write(chunk.into()).await?;
    writer.close().await
}

/// Appends and checks that the size counts it.
pub(crate) async fn write(writer: &mut Writer, chunk: impl Into<Bytes>) {
    let chunk = chunk.into();
    let size = writer.size() + chunk.len() as u64;
    writer.write(chunk).await.unwrap();
    assert_eq!(writer.size(), size);
}

/// Closes and checks that what it gives is of these bytes.
pub(crate) async fn close(writer: Writer, path: &StoragePath) -> Staged {
    let size = writer.size();
    let staged = writer.close().await.unwrap();
    assert_eq!((&staged.path, staged.size), (path, size));
    staged
}

/// Stages content for resumption, where nothing is staged.
pub(crate) async fn stage(
    driver: &dyn StorageDriver,
    path: &StoragePath,
    content: impl Into<Bytes>,
) -> Staged {
    let mut writer = first(driver, path).await;
    write(&mut writer, content).await;
    close(writer, path).await
}

/// Writes a whole file by a writer.
pub(crate) async fn write_file(driver: &dyn StorageDriver, path: &StoragePath, content: impl Into<Bytes>) {
    let mut writer = direct(driver, path).await;
    write(&mut writer, content).await;
    writer.commit(path).await.unwrap();
}

/// Makes these bytes visible.
pub(crate) async fn commit(driver: &dyn StorageDriver, staged: &Staged, to: &StoragePath) {
    once_unlocked(|| driver.commit_staged(staged, to)).await.unwrap();
}

/// Throws these bytes away, if they are still there.
pub(crate) async fn forget(driver: &dyn StorageDriver, staged: &Staged) {
    let stages = std::slice::from_ref(staged);
    let delete = || async { driver.delete_many(Vec::new(), stages).await?.into_result() };
    once_unlocked(delete).await.unwrap();
}

/// What is staged for the path.
pub(crate) async fn find(driver: &dyn StorageDriver, path: &StoragePath) -> Option<Staged> {
    match driver.find_staged(path).await {
        Err(error) if error.is_not_found() => None,
        found => Some(found.unwrap()),
    }
}

/// Exactly these bytes are staged for their path.
pub(crate) async fn assert_staged(driver: &dyn StorageDriver, staged: &Staged) {
    let found = find(driver, &staged.path).await;
    let found = found.as_ref().map(|found| (&found.path, found.size, &found.id));
    assert_eq!(found, Some((&staged.path, staged.size, &staged.id)));
}

/// Nothing is staged for the path.
pub(crate) async fn assert_not_staged(driver: &dyn StorageDriver, path: &StoragePath) {
    assert_eq!(find(driver, path).await, None, "{path} is staged");
}

/// The errors that bytes give which are no longer those that are staged.
#[track_caller]
pub(crate) fn assert_refused(error: &Error) {
    assert!(matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound), "{error:?}");
}

/// Polls a future so many times, then drops it; its output if it was done by then.
pub(crate) async fn poll_then_drop<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for poll in 0..polls {
        // Every other time at once, else after the threads and sockets below had time to go on.
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

/// The directories of `list_marked`, relative to `path`.
pub(crate) async fn marked(
    driver: &dyn StorageDriver,
    path: &StoragePath,
    marker: &str,
    after: Option<&StoragePath>,
) -> Vec<String> {
    let found: Vec<StoragePath> = driver.list_marked(path, marker, after).try_collect().await.unwrap();
    found.iter().map(|found| found.strip_prefix(path).unwrap().to_owned()).collect()
}

/// Nothing is at the path, by every way to look at it.
pub(crate) async fn assert_missing(driver: &dyn StorageDriver, path: &StoragePath) {
    assert!(!driver.exists(path).await.unwrap(), "{path}: it exists");
    assert_eq!(kind(driver.stat(path).await), ErrorKind::NotFound, "{path}: stat");
    assert_eq!(kind(driver.get_content(path, LIMIT).await), ErrorKind::NotFound, "{path}: get_content");
    assert_eq!(kind(driver.reader(path, ByteRange::full()).await), ErrorKind::NotFound, "{path}: reader");
    assert_eq!(kind(entries(driver, path, None).await), ErrorKind::NotFound, "{path}: list");
    assert_eq!(kind(walk(driver, path, None).await), ErrorKind::NotFound, "{path}: walk");
    let (parent, name) = (path.parent().unwrap(), path.file_name().unwrap());
    if driver.exists(&parent).await.unwrap() {
        let siblings = entries(driver, &parent, None).await.unwrap_or_default();
        assert!(siblings.iter().all(|entry| entry.name != name), "{path}: listed in its directory");
    }
}

/// Exactly this file is at the path, by every way to look at it.
pub(crate) async fn assert_file(driver: &dyn StorageDriver, path: &StoragePath, content: &Bytes) {
    let info = driver.stat(path).await.unwrap();
    assert_eq!((&info.path, info.size), (path, content.len() as u64));
    // Not by `assert_eq!`, which would print the bytes.
    assert!(get(driver, path).await == *content, "{path}: get_content gives other bytes");
    assert!(read_all(driver, path).await == *content, "{path}: reader gives other bytes");
}

pub(crate) async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}
