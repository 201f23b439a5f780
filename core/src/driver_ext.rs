//! Convenience methods on top of the contract.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;

use crate::{
    driver::StorageDriver,
    error::{Error, ErrorKind, Result},
    file::ByteRange,
    options::PutMode,
    path::StoragePath,
};

/// Methods that every driver gets for free.
#[async_trait]
pub trait StorageDriverExt: StorageDriver {
    /// Reads like [`get_content`](StorageDriver::get_content), but returns `None` for a missing file.
    async fn get_optional(&self, path: &StoragePath, limit: u64) -> Result<Option<Bytes>> {
        match self.get_content(path, limit).await {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes with [`put_content`](StorageDriver::put_content) and replaces an existing file.
    async fn put(&self, path: &StoragePath, content: impl Into<Bytes> + Send + 'async_trait) -> Result<()> {
        self.put_content(path, content.into(), PutMode::Overwrite).await
    }

    /// Returns whether a file is at the path or below it. A directory without any file is missing.
    async fn exists(&self, path: &StoragePath) -> Result<bool> {
        if !path.is_root() {
            match self.stat(path).await {
                Err(error) if error.is_not_found() => {}
                found => return found.map(|_| true),
            }
        }
        match self.walk(path, None).try_next().await {
            Ok(found) => Ok(path.is_root() || found.is_some()),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes like [`delete`](StorageDriver::delete), but succeeds if the path is already missing.
    async fn delete_if_exists(&self, path: &StoragePath) -> Result<()> {
        match self.delete(path).await {
            Err(error) if error.is_not_found() => Ok(()),
            result => result,
        }
    }

    /// Reads a range into memory. Fails with `TooLarge` if it has more than `limit` bytes.
    async fn read_range(&self, path: &StoragePath, range: ByteRange, limit: usize) -> Result<Bytes> {
        let reader = self.reader(path, range).await?;
        if reader.content_length() > limit as u64 {
            return Err(Error::new(ErrorKind::TooLarge).with_path(path));
        }
        let mut stream = reader.into_stream();
        let Some(first) = stream.try_next().await? else { return Ok(Bytes::new()) };
        let Some(second) = stream.try_next().await? else { return Ok(first) };
        let mut all = BytesMut::from(first);
        all.extend_from_slice(&second);
        while let Some(piece) = stream.try_next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// Collects the names of one level. It is for directories that are small by nature.
    async fn list_names(&self, path: &StoragePath) -> Result<Vec<String>> {
        self.list(path, None).map_ok(|entry| entry.name).try_collect().await
    }
}

impl<D: StorageDriver + ?Sized> StorageDriverExt for D {}
