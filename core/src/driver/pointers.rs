//! A pointer to a driver is a driver.

use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use url::Url;

use super::{FileWriter, StorageDriver};
use crate::{
    error::Result,
    file::{ByteRange, DeleteReport, Entry, FileInfo, Reader},
    options::{Capabilities, PutMode, WriteMode},
    path::StoragePath,
    permissions::Permissions,
    staged::Staged,
};

macro_rules! pointer {
    ($($pointer:ident),*) => {$(
        #[deny(clippy::missing_trait_methods, reason = "a pointer forwards every method")]
        #[async_trait]
        impl<D: StorageDriver + ?Sized> StorageDriver for $pointer<D> {
            fn name(&self) -> &'static str {
                (**self).name()
            }

            fn capabilities(&self) -> Capabilities {
                (**self).capabilities()
            }

            fn permissions(&self) -> &'static Permissions {
                (**self).permissions()
            }

            async fn get_content(&self, path: &StoragePath, limit: u64) -> Result<Bytes> {
                (**self).get_content(path, limit).await
            }

            async fn put_content(&self, path: &StoragePath, content: Bytes, mode: PutMode) -> Result<()> {
                (**self).put_content(path, content, mode).await
            }

            async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
                (**self).reader(path, range).await
            }

            async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
                (**self).writer(path, mode).await
            }

            async fn find_staged(&self, path: &StoragePath) -> Result<Staged> {
                (**self).find_staged(path).await
            }

            async fn commit_staged(&self, staged: &Staged, to: &StoragePath) -> Result<()> {
                (**self).commit_staged(staged, to).await
            }

            async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
                (**self).stat(path).await
            }

            fn list<'a>(
                &'a self,
                path: &'a StoragePath,
                after: Option<&'a str>,
            ) -> BoxStream<'a, Result<Entry>> {
                (**self).list(path, after)
            }

            fn walk<'a>(
                &'a self,
                path: &'a StoragePath,
                after: Option<&'a StoragePath>,
            ) -> BoxStream<'a, Result<FileInfo>> {
                (**self).walk(path, after)
            }

            fn find_directories<'a>(
                &'a self,
                path: &'a StoragePath,
                marker: &'a str,
                after: Option<&'a StoragePath>,
            ) -> BoxStream<'a, Result<StoragePath>> {
                (**self).find_directories(path, marker, after)
            }

            async fn delete(&self, path: &StoragePath) -> Result<()> {
                (**self).delete(path).await
            }

            async fn delete_many(
                &self,
                files: Vec<StoragePath>,
                stages: &[Staged],
            ) -> Result<DeleteReport> {
                (**self).delete_many(files, stages).await
            }

            fn list_staged<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<FileInfo>> {
                (**self).list_staged(path)
            }

            fn list_foreign<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<String>> {
                (**self).list_foreign(path)
            }

            async fn delete_staged(&self, path: &StoragePath, before: SystemTime) -> Result<usize> {
                (**self).delete_staged(path, before).await
            }

            async fn redirect_url(&self, path: &StoragePath, method: &http::Method) -> Result<Option<Url>> {
                (**self).redirect_url(path, method).await
            }
        }
    )*};
}

pointer!(Arc, Box);
