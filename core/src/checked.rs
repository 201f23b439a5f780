//! The wrapper that every driver gets: path rules, error naming, spans, counters, latched writers.

use std::{fmt, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use tracing::Instrument;
use url::Url;

use crate::{
    driver::{FileWriter, StorageDriver},
    error::{Error, ErrorKind, Result},
    file::{ByteRange, DeleteReport, Entry, FileInfo, Reader},
    metrics::{Metrics, Operation},
    options::{Capabilities, PutMode, WriteMode},
    path::StoragePath,
    staged::Staged,
};

/// Wraps a driver so that
///
/// - the root is refused where a file is meant,
/// - every error names the driver, the operation and the path,
/// - every call has a `tracing` span at debug level and is counted in [`Metrics`],
/// - a writer that failed once fails for ever: nothing truncated is ever committed,
/// - a direct writer is never closed.
///
/// The registry wraps the driver it is given; wrapping twice only counts twice.
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

    /// The live counters.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The wrapped driver.
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
        let span = tracing::debug_span!("storage", driver = (*self.driver).name(), %operation, %path);
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
            let error = Error::new(ErrorKind::InvalidPath).with_message("the root is no file");
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
        stream.map(move |item| item.map_err(|error| scope.fail(error))).boxed()
    }
}

impl<D: StorageDriver + ?Sized> fmt::Debug for Checked<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Checked").field(&self.driver).finish()
    }
}

/// What an error of one call is named with.
#[derive(Clone, Debug)]
struct Scope {
    metrics: Arc<Metrics>,
    driver: &'static str,
    operation: Operation,
    path: StoragePath,
}

impl Scope {
    fn fail(&self, error: Error) -> Error {
        self.fail_as(self.operation, error)
    }

    fn fail_as(&self, operation: Operation, error: Error) -> Error {
        self.metrics.record_failure(operation);
        error.with_driver(self.driver).with_operation(operation).with_path(&self.path)
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
        let (info, range) = (reader.info().clone(), reader.range());
        let scope = self.scope(Operation::ReadBody, path);
        let mut missing = reader.content_length();
        // The driver promises exactly the announced bytes; hold it to that, so that no caller takes a
        // truncated body with a clean end for the whole (aws-sdk-rust#1079, attic#341).
        let not_empty =
            |piece: &Result<Bytes>| futures::future::ready(!matches!(piece, Ok(piece) if piece.is_empty()));
        // An empty piece marks the end for the check and is taken out again behind it.
        let end = futures::stream::once(async { Ok(Bytes::new()) });
        let stream = reader.into_stream().filter(not_empty).chain(end).map(move |piece| {
            let piece = piece.map_err(|error| scope.fail(error))?;
            scope.metrics.record_read(piece.len());
            match missing.checked_sub(piece.len() as u64) {
                Some(rest) if rest == 0 || !piece.is_empty() => missing = rest,
                _ => {
                    let message = "the store sent fewer or more bytes than it announced";
                    return Err(scope.fail(Error::new(ErrorKind::Unavailable).with_message(message)));
                }
            }
            Ok(piece)
        });
        Ok(Reader::new(info, range, stream.filter(not_empty).boxed()))
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
        Ok(Box::new(CheckedWriter { writer, scope, is_direct, failed: false }))
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

    fn list_marked<'a>(
        &'a self,
        path: &'a StoragePath,
        marker: &'a str,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<StoragePath>> {
        self.stream(Operation::ListMarked, path, (*self.driver).list_marked(path, marker, after))
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

#[derive(Debug)]
struct CheckedWriter {
    writer: Box<dyn FileWriter>,
    scope: Scope,
    is_direct: bool,
    failed: bool,
}

impl CheckedWriter {
    fn start(&self, operation: Operation) -> Result<()> {
        self.scope.metrics.record_call(operation);
        if self.failed {
            let error = Error::new(ErrorKind::Other).with_message("an earlier write of this writer failed");
            return Err(self.scope.fail_as(operation, error.with_retryable(false)));
        }
        Ok(())
    }
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper forwards every method")]
#[async_trait]
impl FileWriter for CheckedWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.start(Operation::WriterWrite)?;
        let size = chunk.len();
        // Set before the call, so that a dropped future counts as a failure.
        self.failed = true;
        self.writer.write(chunk).await.map_err(|error| self.scope.fail_as(Operation::WriterWrite, error))?;
        self.failed = false;
        self.scope.metrics.record_written(size);
        Ok(())
    }

    fn size(&self) -> u64 {
        self.writer.size()
    }

    async fn close(self: Box<Self>) -> Result<Staged> {
        self.start(Operation::WriterClose)?;
        let Self { writer, scope, is_direct, .. } = *self;
        if is_direct {
            let error = Error::new(ErrorKind::Other).with_message("a direct writer keeps nothing");
            return Err(scope.fail_as(Operation::WriterClose, error.with_retryable(false)));
        }
        writer.close().await.map_err(|error| scope.fail_as(Operation::WriterClose, error))
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        let Self { writer, scope, .. } = *self;
        scope.metrics.record_call(Operation::WriterCancel);
        writer.cancel().await.map_err(|error| scope.fail_as(Operation::WriterCancel, error))
    }

    async fn commit(self: Box<Self>, to: &StoragePath) -> Result<()> {
        self.start(Operation::WriterCommit)?;
        let Self { writer, scope, .. } = *self;
        if to.is_root() {
            let error = Error::new(ErrorKind::InvalidPath).with_message("the root is no file");
            return Err(scope.fail_as(Operation::WriterCommit, error));
        }
        writer.commit(to).await.map_err(|error| scope.fail_as(Operation::WriterCommit, error))
    }
}
