//! Makes sure that nothing truncated is ever committed.

use async_trait::async_trait;
use bytes::Bytes;
use tracing::Instrument;

use super::scope::Scope;
use crate::{
    driver::FileWriter,
    error::{Error, ErrorKind, Result},
    metrics::Operation,
    path::StoragePath,
    staged::Staged,
};

/// A writer that fails for ever once it has failed. A direct one is never closed.
#[derive(Debug)]
pub(super) struct CheckedWriter {
    writer: Box<dyn FileWriter>,
    scope: Scope,
    is_direct: bool,
    failed: bool,
}

impl CheckedWriter {
    pub(super) fn new(writer: Box<dyn FileWriter>, scope: Scope, is_direct: bool) -> Self {
        Self { writer, scope, is_direct, failed: false }
    }

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
        let span = self.scope.span(Operation::WriterWrite);
        let written = self.writer.write(chunk).instrument(span).await;
        written.map_err(|error| self.scope.fail_as(Operation::WriterWrite, error))?;
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
            let error = Error::new(ErrorKind::Other).with_message("a direct writer keeps nothing to resume");
            return Err(scope.fail_as(Operation::WriterClose, error.with_retryable(false)));
        }
        let span = scope.span(Operation::WriterClose);
        writer.close().instrument(span).await.map_err(|error| scope.fail_as(Operation::WriterClose, error))
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        let Self { writer, scope, .. } = *self;
        scope.metrics.record_call(Operation::WriterCancel);
        let span = scope.span(Operation::WriterCancel);
        writer.cancel().instrument(span).await.map_err(|error| scope.fail_as(Operation::WriterCancel, error))
    }

    async fn commit(self: Box<Self>, to: &StoragePath) -> Result<()> {
        self.start(Operation::WriterCommit)?;
        let Self { writer, scope, .. } = *self;
        if to.is_root() {
            let error = Error::new(ErrorKind::InvalidPath).with_message("the root is not a file");
            return Err(scope.fail_as(Operation::WriterCommit, error));
        }
        let span = scope.span(Operation::WriterCommit);
        writer
            .commit(to)
            .instrument(span)
            .await
            .map_err(|error| scope.fail_as(Operation::WriterCommit, error))
    }
}
