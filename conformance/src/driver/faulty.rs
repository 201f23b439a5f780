//! A driver that passes everything on to another, and fails where a test says.

use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use http::Method;
use plugin_registry_core::{
    ByteRange, Capabilities, DeleteReport, Entry, Error, ErrorKind, FileInfo, FileWriter, PutMode, Reader,
    Result, StageId, StorageDriver, StoragePath, WriteOptions,
};
use url::Url;

use super::context::Driver;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Streams end one byte early, without an error.
    ShortReads,
    /// The write of this index fails without taking its bytes; all others succeed.
    Write(usize),
    /// The write of this index never returns.
    StuckWrite(usize),
}

/// A driver with one fault.
#[derive(Debug)]
pub(crate) struct Faulty {
    driver: Driver,
    fault: Fault,
}

impl Faulty {
    pub(crate) fn new(driver: Driver, fault: Fault) -> Self {
        Self { driver, fault }
    }
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper forwards every method")]
#[async_trait]
impl StorageDriver for Faulty {
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
        self.driver.put_content(path, content, mode).await
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        let reader = self.driver.reader(path, range).await?;
        let (info, range) = (reader.info().clone(), reader.range());
        let mut left = reader.content_length();
        if self.fault == Fault::ShortReads {
            left = left.saturating_sub(1);
        }
        let stream = reader.into_stream().map(move |piece| {
            let mut piece = piece?;
            piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= piece.len() as u64;
            Ok(piece)
        });
        Ok(Reader::new(info, range, stream.boxed()))
    }

    async fn writer(&self, path: &StoragePath, options: WriteOptions) -> Result<Box<dyn FileWriter>> {
        let writer = self.driver.writer(path, options).await?;
        Ok(Box::new(FaultyWriter { writer, fault: self.fault, writes: 0 }))
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
        self.driver.rename(from, to).await
    }

    async fn delete(&self, path: &StoragePath) -> Result<()> {
        self.driver.delete(path).await
    }

    async fn delete_many(&self, paths: Vec<StoragePath>) -> Result<DeleteReport> {
        self.driver.delete_many(paths).await
    }

    async fn delete_known(&self, directory: &StoragePath, files: &[StoragePath]) -> Result<()> {
        self.driver.delete_known(directory, files).await
    }

    fn list_staged<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<FileInfo>> {
        self.driver.list_staged(path)
    }

    fn list_foreign<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<String>> {
        self.driver.list_foreign(path)
    }

    async fn delete_staged(&self, path: &StoragePath, before: SystemTime) -> Result<usize> {
        self.driver.delete_staged(path, before).await
    }

    async fn redirect_url(&self, path: &StoragePath, method: &Method) -> Result<Option<Url>> {
        self.driver.redirect_url(path, method).await
    }
}

/// Goes on after its fault as if nothing had happened, which is what the wrapper has to stop.
#[derive(Debug)]
struct FaultyWriter {
    writer: Box<dyn FileWriter>,
    fault: Fault,
    writes: usize,
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper forwards every method")]
#[async_trait]
impl FileWriter for FaultyWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        let index = self.writes;
        self.writes += 1;
        if self.fault == Fault::Write(index) {
            return Err(Error::new(ErrorKind::Unavailable).with_message("a fault of the harness"));
        }
        if self.fault == Fault::StuckWrite(index) {
            return std::future::pending().await;
        }
        self.writer.write(chunk).await
    }

    fn size(&self) -> u64 {
        self.writer.size()
    }

    fn stage_id(&self) -> Option<StageId> {
        self.writer.stage_id()
    }

    async fn close(self: Box<Self>) -> Result<Option<StageId>> {
        self.writer.close().await
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        self.writer.cancel().await
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.writer.commit().await
    }

    async fn commit_to(self: Box<Self>, path: &StoragePath) -> Result<()> {
        self.writer.commit_to(path).await
    }
}
