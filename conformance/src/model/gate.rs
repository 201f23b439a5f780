//! A driver over which a call can be stopped at any of its changes, with nothing in flight.

use std::{
    fmt,
    future::{Future, pending, poll_fn},
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::SystemTime,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use http::Method;
use plugin_registry_core::{
    ByteRange, Capabilities, DeleteReport, Entry, FileInfo, FileWriter, PutMode, Reader, Result, StageId,
    StorageDriver, StoragePath, WriteOptions,
};
use url::Url;

use super::call::Cut;

/// Passes everything on to a driver until the change at which it is told to stop.
#[derive(Clone)]
pub(super) struct Gate {
    driver: Arc<dyn StorageDriver>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    cut: Option<Cut>,
    /// Changes that have begun.
    begun: usize,
    /// Of these, those that go on.
    running: usize,
    stopped: bool,
}

impl Gate {
    pub(super) fn new(driver: Arc<dyn StorageDriver>) -> Self {
        Self { driver, state: Arc::default() }
    }

    /// Runs a call, and drops it at `cut`: `None` where it was dropped. A call that makes fewer changes ends.
    pub(super) async fn run<T>(&self, cut: Option<Cut>, call: impl Future<Output = T>) -> Option<T> {
        *self.state.lock().unwrap() = State { cut, ..State::default() };
        let outcome = {
            let mut call = pin!(call);
            poll_fn(|cx| match call.as_mut().poll(cx) {
                Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                // Other changes of the same call end first: a store may not be able to stop them.
                Poll::Pending if self.is_still() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            })
            .await
        };
        *self.state.lock().unwrap() = State::default();
        outcome
    }

    fn is_still(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.stopped && state.running == 0
    }

    async fn change<T>(&self, change: impl Future<Output = Result<T>>) -> Result<T> {
        let Some(stops_after) = self.begin() else { return pending().await };
        let result = change.await;
        self.end(stops_after);
        if stops_after { pending().await } else { result }
    }

    /// Whether to stop after this change; `None` for before it.
    fn begin(&self) -> Option<bool> {
        let mut state = self.state.lock().unwrap();
        let number = state.begun;
        state.begun += 1;
        let cut = state.cut.filter(|cut| cut.change == number);
        state.stopped |= cut.is_some_and(|cut| !cut.done);
        if state.stopped {
            return None;
        }
        state.running += 1;
        Some(cut.is_some())
    }

    fn end(&self, stops: bool) {
        let mut state = self.state.lock().unwrap();
        state.running -= 1;
        state.stopped |= stops;
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("driver", &self.driver).finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper forwards every method")]
#[async_trait]
impl StorageDriver for Gate {
    fn name(&self) -> &'static str {
        self.driver.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.driver.capabilities()
    }

    async fn get_content(&self, path: &StoragePath, limit: u64) -> Result<Bytes> {
        self.driver.get_content(path, limit).await
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes, mode: PutMode) -> Result<()> {
        self.change(self.driver.put_content(path, content, mode)).await
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        self.driver.reader(path, range).await
    }

    async fn writer(&self, path: &StoragePath, options: WriteOptions) -> Result<Box<dyn FileWriter>> {
        let writer = self.change(self.driver.writer(path, options)).await?;
        Ok(Box::new(GateWriter { writer, gate: self.clone() }))
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        self.driver.stat(path).await
    }

    async fn stat_file(&self, path: &StoragePath) -> Result<FileInfo> {
        self.driver.stat_file(path).await
    }

    fn list<'a>(&'a self, path: &'a StoragePath, after: Option<&'a str>) -> BoxStream<'a, Result<Entry>> {
        self.driver.list(path, after)
    }

    fn walk<'a>(
        &'a self,
        path: &'a StoragePath,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<FileInfo>> {
        self.driver.walk(path, after)
    }

    fn list_marked<'a>(
        &'a self,
        path: &'a StoragePath,
        marker: &'a str,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<StoragePath>> {
        self.driver.list_marked(path, marker, after)
    }

    async fn rename(&self, from: &StoragePath, to: &StoragePath) -> Result<()> {
        self.change(self.driver.rename(from, to)).await
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.change(self.driver.delete(path)).await
    }

    async fn delete_many(&self, paths: Vec<StoragePath>) -> Result<DeleteReport> {
        self.change(self.driver.delete_many(paths)).await
    }

    async fn delete_known(&self, directory: &StoragePath, files: &[StoragePath]) -> Result<()> {
        self.change(self.driver.delete_known(directory, files)).await
    }

    fn list_staged<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<FileInfo>> {
        self.driver.list_staged(path)
    }

    fn list_foreign<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<String>> {
        self.driver.list_foreign(path)
    }

    async fn delete_staged(&self, path: &StoragePath, before: SystemTime) -> Result<usize> {
        self.change(self.driver.delete_staged(path, before)).await
    }

    async fn redirect_url(&self, path: &StoragePath, method: &Method) -> Result<Option<Url>> {
        self.driver.redirect_url(path, method).await
    }
}

#[derive(Debug)]
struct GateWriter {
    writer: Box<dyn FileWriter>,
    gate: Gate,
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper forwards every method")]
#[async_trait]
impl FileWriter for GateWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.gate.change(self.writer.write(chunk)).await
    }

    fn size(&self) -> u64 {
        self.writer.size()
    }

    fn stage_id(&self) -> Option<StageId> {
        self.writer.stage_id()
    }

    async fn close(self: Box<Self>) -> Result<Option<StageId>> {
        self.gate.change(self.writer.close()).await
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        self.gate.change(self.writer.cancel()).await
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.gate.change(self.writer.commit()).await
    }

    async fn commit_to(self: Box<Self>, path: &StoragePath) -> Result<()> {
        self.gate.change(self.writer.commit_to(path)).await
    }
}
