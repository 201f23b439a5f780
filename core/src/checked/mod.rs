//! The wrapper that every driver gets.
//!
//! `scope` names and counts errors, `span` names calls, `reader` holds a body to what was announced, and
//! `writer` latches. The path rules are here.

mod reader;
mod scope;
mod span;
mod writer;

use std::{fmt, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use tracing::Instrument;
use url::Url;

use self::{reader::exact, scope::Scope, writer::CheckedWriter};
use crate::{
    driver::{FileWriter, StorageDriver},
    error::{Error, ErrorKind, Result},
    file::{ByteRange, DeleteReport, Entry, FileInfo, Reader},
    metrics::{Metrics, Operation},
    options::{Capabilities, PutMode, WriteMode},
    path::StoragePath,
    permissions::Permissions,
    staged::Staged,
};

/// Wraps a driver so that
///
/// - the root is refused where a file is expected,
/// - every error names the driver, the operation and the path,
/// - every call that reaches the driver is counted in [`Metrics`] and has a `tracing` span `storage` at debug
///   level, with its driver, operation and path; listings and bodies are polled in theirs,
/// - a writer that failed once fails for ever, so nothing truncated is ever committed,
/// - a direct writer is never closed.
///
/// The registry wraps the driver that it is given. Wrapping twice only counts twice.
#[derive(Clone)]
pub struct Checked<D: ?Sized> {
    metrics: Arc<Metrics>,
    driver: Arc<D>,
}

impl<D: StorageDriver + ?Sized> Checked<D> {
    /// Wraps `driver`.
    #[must_use]
    pub fn new(driver: Arc<D>) -> Self {
        Self { metrics: Arc::default(), driver }
    }

    /// Returns the live counters.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Returns the wrapped driver.
    #[must_use]
    pub fn inner(&self) -> &Arc<D> {
        &self.driver
    }

    fn scope(&self, operation: Operation, path: &StoragePath) -> Scope {
        Scope { metrics: self.metrics.clone(), driver: (*self.driver).name(), operation, path: path.clone() }
    }

    async fn call<T>(
        &self,
        operation: Operation,
        path: &StoragePath,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        self.metrics.record_call(operation);
        let span = span::storage((*self.driver).name(), operation, path);
        call.instrument(span).await.map_err(|error| self.scope(operation, path).fail(error))
    }

    async fn call_file<T>(
        &self,
        operation: Operation,
        path: &StoragePath,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        self.require_file(operation, path)?;
        self.call(operation, path, call).await
    }

    fn require_file(&self, operation: Operation, path: &StoragePath) -> Result<()> {
        if path.is_root() {
            let error = Error::new(ErrorKind::InvalidPath).with_message("the root is not a file");
            return Err(error.with_operation(operation).with_driver((*self.driver).name()).with_path(path));
        }
        Ok(())
    }

    fn stream<'a, T: 'a>(
        &self,
        operation: Operation,
        path: &StoragePath,
        stream: BoxStream<'a, Result<T>>,
    ) -> BoxStream<'a, Result<T>> {
        self.metrics.record_call(operation);
        let scope = self.scope(operation, path);
        let span = scope.span(operation);
        span::within(span, stream.map(move |item| item.map_err(|error| scope.fail(error))))
    }
}

impl<D: StorageDriver + ?Sized> fmt::Debug for Checked<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Checked").field(&self.driver).finish()
    }
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper forwards every method")]
#[async_trait]
impl<D: StorageDriver + ?Sized> StorageDriver for Checked<D> {
    fn name(&self) -> &'static str {
        (*self.driver).name()
    }

    fn capabilities(&self) -> Capabilities {
        (*self.driver).capabilities()
    }

    fn permissions(&self) -> &'static Permissions {
        (*self.driver).permissions()
    }

    async fn get_content(&self, path: &StoragePath, limit: u64) -> Result<Bytes> {
        let content =
            self.call_file(Operation::GetContent, path, (*self.driver).get_content(path, limit)).await?;
        self.metrics.record_read(content.len());
        Ok(content)
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes, mode: PutMode) -> Result<()> {
        let size = content.len();
        self.call_file(Operation::PutContent, path, (*self.driver).put_content(path, content, mode)).await?;
        self.metrics.record_written(size);
        Ok(())
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        let reader = self.call_file(Operation::Reader, path, (*self.driver).reader(path, range)).await?;
        Ok(exact(reader, self.scope(Operation::ReadBody, path)))
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        let is_direct = matches!(mode, WriteMode::Direct { .. });
        let is_elsewhere = matches!(&mode, WriteMode::Resume(staged) if staged.path != *path);
        if is_elsewhere {
            let error =
                Error::new(ErrorKind::InvalidPath).with_message("these bytes are staged for another path");
            return Err(self.scope(Operation::Writer, path).fail(error));
        }
        let writer = self.call_file(Operation::Writer, path, (*self.driver).writer(path, mode)).await?;
        let scope = self.scope(Operation::Writer, path);
        Ok(Box::new(CheckedWriter::new(writer, scope, is_direct)))
    }

    async fn find_staged(&self, path: &StoragePath) -> Result<Staged> {
        self.call_file(Operation::FindStaged, path, (*self.driver).find_staged(path)).await
    }

    async fn commit_staged(&self, staged: &Staged, to: &StoragePath) -> Result<()> {
        self.call_file(Operation::CommitStaged, to, (*self.driver).commit_staged(staged, to)).await
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        if path.is_root() {
            return Err(self.scope(Operation::Stat, path).fail(ErrorKind::NotFound.into()));
        }
        self.call(Operation::Stat, path, (*self.driver).stat(path)).await
    }

    fn list<'a>(&'a self, path: &'a StoragePath, after: Option<&'a str>) -> BoxStream<'a, Result<Entry>> {
        self.stream(Operation::List, path, (*self.driver).list(path, after))
    }

    fn walk<'a>(
        &'a self,
        path: &'a StoragePath,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<FileInfo>> {
        self.stream(Operation::Walk, path, (*self.driver).walk(path, after))
    }

    fn find_directories<'a>(
        &'a self,
        path: &'a StoragePath,
        marker: &'a str,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<StoragePath>> {
        self.stream(Operation::FindDirectories, path, (*self.driver).find_directories(path, marker, after))
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.call_file(Operation::Delete, path, (*self.driver).delete(path)).await
    }

    async fn delete_many(&self, files: Vec<StoragePath>, stages: &[Staged]) -> Result<DeleteReport> {
        for path in &files {
            self.require_file(Operation::DeleteMany, path)?;
        }
        let first = files.first().or(stages.first().map(|staged| &staged.path)).cloned();
        let Some(first) = first else { return Ok(DeleteReport::default()) };
        let report =
            self.call(Operation::DeleteMany, &first, (*self.driver).delete_many(files, stages)).await?;
        let failed = report.failed.into_iter().map(|(path, error)| {
            let error = self.scope(Operation::DeleteMany, &path).fail(error);
            (path, error)
        });
        Ok(DeleteReport::new(report.deleted, failed.collect()))
    }

    fn list_staged<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<FileInfo>> {
        self.stream(Operation::ListStaged, path, (*self.driver).list_staged(path))
    }

    fn list_foreign<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<String>> {
        self.stream(Operation::Walk, path, (*self.driver).list_foreign(path))
    }

    async fn delete_staged(&self, path: &StoragePath, before: SystemTime) -> Result<usize> {
        self.call_file(Operation::DeleteStaged, path, (*self.driver).delete_staged(path, before)).await
    }

    async fn redirect_url(&self, path: &StoragePath, method: &http::Method) -> Result<Option<Url>> {
        self.call_file(Operation::RedirectUrl, path, (*self.driver).redirect_url(path, method)).await
    }
}
