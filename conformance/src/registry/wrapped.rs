//! A driver that lets its caller be interrupted everywhere, fails on demand, and has URLs.

use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::SystemTime,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream, stream::BoxStream};
use http::Method;
use plugin_registry_core::{
    ByteRange, Capabilities, DeleteReport, Entry, ErrorKind, FileInfo, FileWriter, Operation, PutMode,
    Reader, Result, StageId, StorageDriver, StoragePath, WriteOptions,
};
use url::Url;

type Stall = Arc<dyn Fn(Operation) -> bool + Send + Sync>;
type Failure = Arc<dyn Fn(Operation) -> Option<ErrorKind> + Send + Sync>;
type Unread = Arc<dyn Fn(Operation, &StoragePath) -> Option<ErrorKind> + Send + Sync>;

/// Wraps a driver. Every call waits once before it begins and once after it is done, so that a future over
/// it which is dropped after some polls stops between any two steps, also on a store that never waits.
#[derive(Clone)]
pub struct Wrapped {
    driver: Arc<dyn StorageDriver>,
    failure: Failure,
    unread: Unread,
    stall: Stall,
    url: Option<Url>,
}

impl Wrapped {
    /// Wraps `driver`.
    #[must_use]
    pub fn new(driver: Arc<dyn StorageDriver>) -> Self {
        Self {
            driver,
            failure: Arc::new(|_| None),
            unread: Arc::new(|_, _| None),
            stall: Arc::new(|_| false),
            url: None,
        }
    }

    /// Fails every call of which `failure` says so, before it does anything.
    #[must_use]
    pub fn failing(
        mut self,
        failure: impl Fn(Operation) -> Option<ErrorKind> + Send + Sync + 'static,
    ) -> Self {
        self.failure = Arc::new(failure);
        self
    }

    /// Fails every read or listing of a path of which `unread` says so; a walk at once, whatever comes before.
    #[must_use]
    pub fn unread(
        mut self,
        unread: impl Fn(Operation, &StoragePath) -> Option<ErrorKind> + Send + Sync + 'static,
    ) -> Self {
        self.unread = Arc::new(unread);
        self
    }

    /// Never answers a call of which `stall` says so, as a store that is gone. A listing is not such a call.
    #[must_use]
    pub fn stalling(mut self, stall: impl Fn(Operation) -> bool + Send + Sync + 'static) -> Self {
        self.stall = Arc::new(stall);
        self
    }

    /// Gives this URL for every file.
    #[must_use]
    pub fn with_url(mut self, url: Url) -> Self {
        self.url = Some(url);
        self
    }

    async fn call<T>(&self, operation: Operation, call: impl Future<Output = Result<T>>) -> Result<T> {
        pause().await;
        if (self.stall)(operation) {
            std::future::pending::<()>().await;
        }
        if let Some(kind) = (self.failure)(operation) {
            return Err(kind.into());
        }
        let result = call.await;
        pause().await;
        result
    }

    /// [`call`](Self::call) of what reads a path.
    async fn read<T>(
        &self,
        operation: Operation,
        path: &StoragePath,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match (self.unread)(operation, path) {
            Some(kind) => Err(kind.into()),
            None => self.call(operation, call).await,
        }
    }

    fn stream<'a, T: Send + 'a>(
        &self,
        operation: Operation,
        path: &StoragePath,
        stream: BoxStream<'a, Result<T>>,
    ) -> BoxStream<'a, Result<T>> {
        match (self.failure)(operation).or_else(|| (self.unread)(operation, path)) {
            Some(kind) => stream::once(async move { Err(kind.into()) }).boxed(),
            None => stream,
        }
    }
}

impl fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wrapped").field("driver", &self.driver).finish_non_exhaustive()
    }
}

/// Waits for one poll.
async fn pause() {
    let mut is_first = true;
    poll_fn(|cx: &mut Context<'_>| {
        if std::mem::take(&mut is_first) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}

#[async_trait]
impl StorageDriver for Wrapped {
    fn name(&self) -> &'static str {
        self.driver.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.driver.capabilities()
    }

    async fn get_content(&self, path: &StoragePath, limit: u64) -> Result<Bytes> {
        self.read(Operation::GetContent, path, self.driver.get_content(path, limit)).await
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes, mode: PutMode) -> Result<()> {
        self.call(Operation::PutContent, self.driver.put_content(path, content, mode)).await
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        self.read(Operation::Reader, path, self.driver.reader(path, range)).await
    }

    async fn writer(&self, path: &StoragePath, options: WriteOptions) -> Result<Box<dyn FileWriter>> {
        let writer = self.call(Operation::Writer, self.driver.writer(path, options)).await?;
        Ok(Box::new(WrappedWriter { writer, wrapped: self.clone() }))
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        self.read(Operation::Stat, path, self.driver.stat(path)).await
    }

    async fn stat_file(&self, path: &StoragePath) -> Result<FileInfo> {
        self.read(Operation::Stat, path, self.driver.stat_file(path)).await
    }

    fn list<'a>(&'a self, path: &'a StoragePath, after: Option<&'a str>) -> BoxStream<'a, Result<Entry>> {
        self.stream(Operation::List, path, self.driver.list(path, after))
    }

    fn walk<'a>(
        &'a self,
        path: &'a StoragePath,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<FileInfo>> {
        self.stream(Operation::Walk, path, self.driver.walk(path, after))
    }

    fn list_marked<'a>(
        &'a self,
        path: &'a StoragePath,
        marker: &'a str,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<StoragePath>> {
        self.stream(Operation::ListMarked, path, self.driver.list_marked(path, marker, after))
    }

    async fn rename(&self, from: &StoragePath, to: &StoragePath) -> Result<()> {
        self.call(Operation::Rename, self.driver.rename(from, to)).await
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.call(Operation::Delete, self.driver.delete(path)).await
    }

    async fn delete_many(&self, paths: Vec<StoragePath>) -> Result<DeleteReport> {
        self.call(Operation::DeleteMany, self.driver.delete_many(paths)).await
    }

    async fn delete_known(&self, directory: &StoragePath, files: &[StoragePath]) -> Result<()> {
        self.call(Operation::Delete, self.driver.delete_known(directory, files)).await
    }

    fn list_staged<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<FileInfo>> {
        self.stream(Operation::ListStaged, path, self.driver.list_staged(path))
    }

    fn list_foreign<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<String>> {
        self.stream(Operation::Walk, path, self.driver.list_foreign(path))
    }

    async fn delete_staged(&self, path: &StoragePath, before: SystemTime) -> Result<usize> {
        self.call(Operation::DeleteStaged, self.driver.delete_staged(path, before)).await
    }

    async fn redirect_url(&self, path: &StoragePath, method: &Method) -> Result<Option<Url>> {
        let url = self.call(Operation::RedirectUrl, self.driver.redirect_url(path, method)).await?;
        Ok(self.url.clone().or(url))
    }
}

#[derive(Debug)]
struct WrappedWriter {
    writer: Box<dyn FileWriter>,
    wrapped: Wrapped,
}

#[async_trait]
impl FileWriter for WrappedWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.wrapped.call(Operation::WriterWrite, self.writer.write(chunk)).await
    }

    fn size(&self) -> u64 {
        self.writer.size()
    }

    fn stage_id(&self) -> Option<StageId> {
        self.writer.stage_id()
    }

    async fn close(self: Box<Self>) -> Result<Option<StageId>> {
        let Self { writer, wrapped } = *self;
        wrapped.call(Operation::WriterClose, writer.close()).await
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        let Self { writer, wrapped } = *self;
        wrapped.call(Operation::WriterCancel, writer.cancel()).await
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        let Self { writer, wrapped } = *self;
        wrapped.call(Operation::WriterCommit, writer.commit()).await
    }

    async fn commit_to(self: Box<Self>, path: &StoragePath) -> Result<()> {
        let Self { writer, wrapped } = *self;
        wrapped.call(Operation::WriterCommit, writer.commit_to(path)).await
    }
}
