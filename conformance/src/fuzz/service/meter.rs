//! The driver under a fuzzed registry: it counts the bytes that go to the store, and fails once where the
//! plan says.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, future::ready, stream, stream::BoxStream};
use http::Method;
use plugin_registry_core::{
    ByteRange, Capabilities, DeleteReport, Entry, Error, ErrorKind, FileInfo, FileWriter, PutMode, Reader,
    Result, StageId, StorageDriver, StoragePath, WriteOptions,
};
use plugin_registry_drivers_memory::MemoryDriver;
use url::Url;

/// No fault is waiting.
const NEVER: u64 = u64::MAX;

/// Faults as a store has them. None of them says that something is not there.
const KINDS: [ErrorKind; 8] = [
    ErrorKind::Unavailable,
    ErrorKind::Timeout,
    ErrorKind::PermissionDenied,
    ErrorKind::Unauthenticated,
    ErrorKind::RateLimited,
    ErrorKind::NoSpace,
    ErrorKind::Conflict,
    ErrorKind::Other,
];

/// What the harness sees and sets while requests run.
#[derive(Debug)]
pub(super) struct Gauge {
    written: AtomicU64,
    calls_left: AtomicU64,
    kind: AtomicU64,
    /// The call takes effect, and fails all the same.
    after: AtomicBool,
    fired: AtomicBool,
}

impl Gauge {
    /// Bytes handed to the store so far.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// The call after the next `calls` fails.
    pub(super) fn arm(&self, calls: u8, kind: u8) {
        self.calls_left.store(calls.into(), Relaxed);
        self.kind.store(u64::from(kind) % KINDS.len() as u64, Relaxed);
        self.after.store(kind >= 128, Relaxed);
        self.fired.store(false, Relaxed);
    }

    /// No call fails any more. Whether one has.
    pub(super) fn disarm(&self) -> bool {
        self.calls_left.store(NEVER, Relaxed);
        self.fired.swap(false, Relaxed)
    }

    /// Whether this call fails: before it takes effect, or after.
    fn strike(&self) -> Option<Strike> {
        match self.calls_left.load(Relaxed) {
            NEVER => None,
            0 => {
                self.calls_left.store(NEVER, Relaxed);
                self.fired.store(true, Relaxed);
                let kind = usize::try_from(self.kind.load(Relaxed)).unwrap();
                let error = Error::new(KINDS[kind]).with_message("a fault of the harness");
                Some(Strike { error, after: self.after.load(Relaxed) })
            }
            more => {
                self.calls_left.store(more - 1, Relaxed);
                None
            }
        }
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        match self.strike() {
            None => call.await,
            Some(strike) => {
                if strike.after {
                    // Whatever it gives is lost on the way back.
                    let _lost = call.await;
                }
                Err(strike.error)
            }
        }
    }

    fn stream<'a, T: Send + 'a>(&self, items: BoxStream<'a, Result<T>>) -> BoxStream<'a, Result<T>> {
        match self.strike() {
            None => items,
            Some(Strike { error, after: true }) => items.chain(stream::once(ready(Err(error)))).boxed(),
            Some(Strike { error, after: false }) => stream::once(ready(Err(error))).boxed(),
        }
    }

    fn count(&self, bytes: &Bytes) {
        self.written.fetch_add(bytes.len() as u64, Relaxed);
    }
}

struct Strike {
    error: Error,
    after: bool,
}

/// A store in memory with a gauge.
#[derive(Clone, Debug)]
pub(super) struct Metered {
    driver: MemoryDriver,
    gauge: Arc<Gauge>,
}

impl Metered {
    pub(super) fn new(driver: MemoryDriver) -> Self {
        let gauge = Gauge {
            written: AtomicU64::new(0),
            calls_left: AtomicU64::new(NEVER),
            kind: AtomicU64::new(0),
            after: AtomicBool::new(false),
            fired: AtomicBool::new(false),
        };
        Self { driver, gauge: Arc::new(gauge) }
    }

    pub(super) fn gauge(&self) -> &Gauge {
        &self.gauge
    }
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper forwards every method")]
#[async_trait]
impl StorageDriver for Metered {
    fn name(&self) -> &'static str {
        self.driver.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.driver.capabilities()
    }

    async fn get_content(&self, path: &StoragePath, limit: u64) -> Result<Bytes> {
        self.gauge.call(self.driver.get_content(path, limit)).await
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes, mode: PutMode) -> Result<()> {
        self.gauge.count(&content);
        self.gauge.call(self.driver.put_content(path, content, mode)).await
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        let Some(Strike { error, after }) = self.gauge.strike() else {
            return self.driver.reader(path, range).await;
        };
        let reader = self.driver.reader(path, range).await;
        let (Ok(reader), true) = (reader, after) else { return Err(error) };
        // The connection breaks after the first piece.
        let (info, range) = (reader.info().clone(), reader.range());
        let pieces = reader.into_stream().take(1).chain(stream::once(ready(Err(error))));
        Ok(Reader::new(info, range, pieces.boxed()))
    }

    async fn writer(&self, path: &StoragePath, options: WriteOptions) -> Result<Box<dyn FileWriter>> {
        let writer = self.gauge.call(self.driver.writer(path, options)).await?;
        Ok(Box::new(MeteredWriter { writer, gauge: self.gauge.clone() }))
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        self.gauge.call(self.driver.stat(path)).await
    }

    async fn stat_file(&self, path: &StoragePath) -> Result<FileInfo> {
        self.gauge.call(self.driver.stat_file(path)).await
    }

    fn list<'a>(&'a self, path: &'a StoragePath, after: Option<&'a str>) -> BoxStream<'a, Result<Entry>> {
        self.gauge.stream(self.driver.list(path, after))
    }

    fn walk<'a>(
        &'a self,
        path: &'a StoragePath,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<FileInfo>> {
        self.gauge.stream(self.driver.walk(path, after))
    }

    fn list_marked<'a>(
        &'a self,
        path: &'a StoragePath,
        marker: &'a str,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<StoragePath>> {
        self.gauge.stream(self.driver.list_marked(path, marker, after))
    }

    async fn rename(&self, from: &StoragePath, to: &StoragePath) -> Result<()> {
        self.gauge.call(self.driver.rename(from, to)).await
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.gauge.call(self.driver.delete(path)).await
    }

    async fn delete_many(&self, paths: Vec<StoragePath>) -> Result<DeleteReport> {
        self.gauge.call(self.driver.delete_many(paths)).await
    }

    async fn delete_known(&self, directory: &StoragePath, files: &[StoragePath]) -> Result<()> {
        self.gauge.call(self.driver.delete_known(directory, files)).await
    }

    fn list_staged<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<FileInfo>> {
        self.gauge.stream(self.driver.list_staged(path))
    }

    fn list_foreign<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<String>> {
        self.gauge.stream(self.driver.list_foreign(path))
    }

    async fn delete_staged(&self, path: &StoragePath, before: SystemTime) -> Result<usize> {
        self.gauge.call(self.driver.delete_staged(path, before)).await
    }

    async fn redirect_url(&self, path: &StoragePath, method: &Method) -> Result<Option<Url>> {
        self.gauge.call(self.driver.redirect_url(path, method)).await
    }
}

#[derive(Debug)]
struct MeteredWriter {
    writer: Box<dyn FileWriter>,
    gauge: Arc<Gauge>,
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper forwards every method")]
#[async_trait]
impl FileWriter for MeteredWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.gauge.count(&chunk);
        self.gauge.call(self.writer.write(chunk)).await
    }

    fn size(&self) -> u64 {
        self.writer.size()
    }

    fn stage_id(&self) -> Option<StageId> {
        self.writer.stage_id()
    }

    async fn close(self: Box<Self>) -> Result<Option<StageId>> {
        self.gauge.call(self.writer.close()).await
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        self.gauge.call(self.writer.cancel()).await
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.gauge.call(self.writer.commit()).await
    }

    async fn commit_to(self: Box<Self>, path: &StoragePath) -> Result<()> {
        self.gauge.call(self.writer.commit_to(path)).await
    }
}
