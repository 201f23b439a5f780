//! A driver that passes every call on to another one, through a place where a test can look, wait, fail or lie.

use std::{fmt, future::Future, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use http::Method;
use plugin_registry_core::{
    ByteRange, Capabilities, DeleteReport, Entry, FileInfo, FileWriter, Operation, Permissions, PutMode,
    Reader, Result, Staged, StorageDriver, StoragePath, WriteMode,
};
use url::Url;

/// The changes to the calls of an [`Intercepted`] driver. By default, none.
///
/// Each writer gets a clone, so the clones must share what changes.
pub trait Intercept: fmt::Debug + Clone + Send + Sync + 'static {
    /// Sees how many bytes a `put_content` or a `write` is about to send.
    fn sending(&self, bytes: usize) {
        let _ = bytes;
    }

    /// Runs a call of the driver, or of one of its writers.
    ///
    /// A future that is not awaited has not reached the driver. `path` is the writer's, the target of a
    /// commit, or the first of many.
    fn call<T: Send>(
        &self,
        operation: Operation,
        path: &StoragePath,
        call: impl Future<Output = Result<T>> + Send,
    ) -> impl Future<Output = Result<T>> + Send {
        let _ = (operation, path);
        call
    }

    /// Like [`call`](Self::call), its default, for a reader, whose bytes can be changed as well.
    fn reader(
        &self,
        path: &StoragePath,
        call: impl Future<Output = Result<Reader>> + Send,
    ) -> impl Future<Output = Result<Reader>> + Send {
        self.call(Operation::Reader, path, call)
    }

    /// Returns the stream that the caller gets instead of the driver's. `list_foreign` counts as a walk.
    fn stream<'a, T: Send + 'a>(
        &self,
        operation: Operation,
        path: &StoragePath,
        stream: BoxStream<'a, Result<T>>,
    ) -> BoxStream<'a, Result<T>> {
        let _ = (operation, path);
        stream
    }

    /// Returns the URL that the caller gets instead of the driver's.
    fn redirect_url(&self, url: Option<Url>) -> Option<Url> {
        url
    }
}

/// A driver with an [`Intercept`] in front of it.
#[derive(Clone, Debug)]
pub struct Intercepted<I> {
    driver: Arc<dyn StorageDriver>,
    pub(crate) intercept: I,
}

impl<I: Intercept> Intercepted<I> {
    /// Puts `intercept` in front of `driver`.
    #[must_use]
    pub fn over(driver: Arc<dyn StorageDriver>, intercept: I) -> Self {
        Self { driver, intercept }
    }

    /// The layer in front of the driver.
    #[must_use]
    pub fn intercept(&self) -> &I {
        &self.intercept
    }
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper forwards every method")]
#[async_trait]
impl<I: Intercept> StorageDriver for Intercepted<I> {
    fn name(&self) -> &'static str {
        self.driver.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.driver.capabilities()
    }

    fn permissions(&self) -> &'static Permissions {
        self.driver.permissions()
    }

    async fn get_content(&self, path: &StoragePath, limit: u64) -> Result<Bytes> {
        self.intercept.call(Operation::GetContent, path, self.driver.get_content(path, limit)).await
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes, mode: PutMode) -> Result<()> {
        self.intercept.sending(content.len());
        let call = self.driver.put_content(path, content, mode);
        self.intercept.call(Operation::PutContent, path, call).await
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        self.intercept.reader(path, self.driver.reader(path, range)).await
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        let writer = self.intercept.call(Operation::Writer, path, self.driver.writer(path, mode)).await?;
        Ok(Box::new(InterceptedWriter { writer, path: path.clone(), intercept: self.intercept.clone() }))
    }

    async fn find_staged(&self, path: &StoragePath) -> Result<Staged> {
        self.intercept.call(Operation::FindStaged, path, self.driver.find_staged(path)).await
    }

    async fn commit_staged(&self, staged: &Staged, to: &StoragePath) -> Result<()> {
        self.intercept.call(Operation::CommitStaged, to, self.driver.commit_staged(staged, to)).await
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        self.intercept.call(Operation::Stat, path, self.driver.stat(path)).await
    }

    fn list<'a>(&'a self, path: &'a StoragePath, after: Option<&'a str>) -> BoxStream<'a, Result<Entry>> {
        self.intercept.stream(Operation::List, path, self.driver.list(path, after))
    }

    fn walk<'a>(
        &'a self,
        path: &'a StoragePath,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<FileInfo>> {
        self.intercept.stream(Operation::Walk, path, self.driver.walk(path, after))
    }

    fn find_directories<'a>(
        &'a self,
        path: &'a StoragePath,
        marker: &'a str,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<StoragePath>> {
        self.intercept.stream(
            Operation::FindDirectories,
            path,
            self.driver.find_directories(path, marker, after),
        )
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.intercept.call(Operation::Delete, path, self.driver.delete(path)).await
    }

    async fn delete_many(&self, files: Vec<StoragePath>, stages: &[Staged]) -> Result<DeleteReport> {
        let first = files.first().or(stages.first().map(|staged| &staged.path)).cloned();
        let path = first.unwrap_or_else(StoragePath::root);
        self.intercept.call(Operation::DeleteMany, &path, self.driver.delete_many(files, stages)).await
    }

    fn list_staged<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<FileInfo>> {
        self.intercept.stream(Operation::ListStaged, path, self.driver.list_staged(path))
    }

    fn list_foreign<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<String>> {
        self.intercept.stream(Operation::Walk, path, self.driver.list_foreign(path))
    }

    async fn delete_staged(&self, path: &StoragePath, before: SystemTime) -> Result<usize> {
        self.intercept.call(Operation::DeleteStaged, path, self.driver.delete_staged(path, before)).await
    }

    async fn redirect_url(&self, path: &StoragePath, method: &Method) -> Result<Option<Url>> {
        let call = self.driver.redirect_url(path, method);
        let url = self.intercept.call(Operation::RedirectUrl, path, call).await?;
        Ok(self.intercept.redirect_url(url))
    }
}

#[derive(Debug)]
struct InterceptedWriter<I> {
    writer: Box<dyn FileWriter>,
    path: StoragePath,
    intercept: I,
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper forwards every method")]
#[async_trait]
impl<I: Intercept> FileWriter for InterceptedWriter<I> {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.intercept.sending(chunk.len());
        self.intercept.call(Operation::WriterWrite, &self.path, self.writer.write(chunk)).await
    }

    fn size(&self) -> u64 {
        self.writer.size()
    }

    async fn close(self: Box<Self>) -> Result<Staged> {
        self.intercept.call(Operation::WriterClose, &self.path, self.writer.close()).await
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        self.intercept.call(Operation::WriterCancel, &self.path, self.writer.cancel()).await
    }

    async fn commit(self: Box<Self>, to: &StoragePath) -> Result<()> {
        self.intercept.call(Operation::WriterCommit, to, self.writer.commit(to)).await
    }
}
