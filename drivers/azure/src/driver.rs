//! The implementation of the driver contract.

use std::{collections::HashMap, fmt, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{TryStreamExt, stream::BoxStream};
use http::Method;
use plugin_registry_core::{
    ByteRange, Capabilities, DeleteReport, Entry, Error, ErrorKind, FileInfo, FileWriter, Operation, Permissions,
    PutMode, Reader, Result, Staged, StorageDriver, StoragePath, WriteMode,
};
use plugin_registry_drivers_objects::list;
use url::Url;

use crate::{
    config::AzureConfig,
    permissions::PERMISSIONS,
    reader, stage,
    store::{Removal, Shared, Store},
    writer::AzureWriter,
};

/// A container of Azure Blob Storage, or a part of one. Cheap to clone.
#[derive(Clone)]
pub struct AzureDriver {
    store: Shared,
}

impl AzureDriver {
    /// Opens a location.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] names the parameter.
    pub async fn open(config: AzureConfig) -> Result<Self> {
        let opened = async {
            let config = config.read_files().await?;
            Ok::<_, Error>(Self { store: Store::open(&config).await?.into() })
        };
        opened.await.map_err(|error| error.with_driver("azure").with_operation(Operation::Open))
    }
}

#[async_trait]
impl StorageDriver for AzureDriver {
    fn name(&self) -> &'static str {
        "azure"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_create_only(true)
    }

    fn permissions(&self) -> &'static Permissions {
        &PERMISSIONS
    }

    async fn get_content(&self, path: &StoragePath, limit: u64) -> Result<Bytes> {
        let reader = self.reader(path, ByteRange::full()).await?;
        let size = reader.info().size;
        if size > limit {
            let message = format!("{size} bytes, the limit is {limit}");
            return Err(Error::new(ErrorKind::TooLarge).with_message(message));
        }
        let pieces = reader.into_stream().try_collect::<Vec<Bytes>>().await?;
        match pieces.as_slice() {
            [piece] => Ok(piece.clone()),
            pieces => Ok(pieces.concat().into()),
        }
    }

    async fn put_content(&self, path: &StoragePath, content: Bytes, mode: PutMode) -> Result<()> {
        let key = self.store.keys.file(path)?;
        match mode {
            PutMode::CreateOnly => self.store.create(&key, content.into()).await,
            PutMode::Overwrite => self.store.overwrite(&key, content.into()).await,
        }
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        reader::open(&self.store.client, self.store.keys.visible(path)?, path, range).await
    }

    async fn writer(&self, path: &StoragePath, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        Ok(Box::new(AzureWriter::open(self.store.clone(), path, mode).await?))
    }

    async fn find_staged(&self, path: &StoragePath) -> Result<Staged> {
        stage::find(&self.store, path).await
    }

    async fn commit_staged(&self, staged: &Staged, to: &StoragePath) -> Result<()> {
        stage::commit(&self.store, staged, to).await
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        let blob = self.store.client.head(&self.store.keys.visible(path)?).await?;
        Ok(reader::info(path, &blob))
    }

    fn list<'a>(&'a self, path: &'a StoragePath, after: Option<&'a str>) -> BoxStream<'a, Result<Entry>> {
        list::list(&*self.store, path, after)
    }

    fn walk<'a>(
        &'a self,
        path: &'a StoragePath,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<FileInfo>> {
        list::walk(&*self.store, path, after)
    }

    fn find_directories<'a>(
        &'a self,
        path: &'a StoragePath,
        marker: &'a str,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<StoragePath>> {
        list::find_directories(&*self.store, path, marker, after)
    }

    /// For a directory: one listing for 5000 blobs, and a request for each. Holds at most about 100,000 names.
    async fn delete(&self, path: &StoragePath) -> Result<()> {
        let store = &*self.store;
        let mut found = false;
        loop {
            let (mut keys, is_all) = list::keys_below(store, store.keys.below(path)).await?;
            found |= keys.iter().any(|key| store.keys.staged_path(key).is_none());
            if is_all && !path.is_root() {
                found |= self.exists_as_file(path).await?;
                keys.extend(store.keys.visible(path).ok());
                keys.push(store.keys.staged(path));
            }
            store.remove_all(keys).await?;
            if is_all {
                break;
            }
        }
        if found { Ok(()) } else { Err(ErrorKind::NotFound.into()) }
    }

    /// A request for each, of which 16 at a time.
    async fn delete_many(&self, files: Vec<StoragePath>, stages: &[Staged]) -> Result<DeleteReport> {
        let total = files.len();
        let mut removals: Vec<Removal> =
            stages.iter().map(|staged| stage::removal(&self.store, staged)).collect();
        let (mut paths, mut failed) = (HashMap::new(), Vec::new());
        for path in files {
            match self.store.keys.visible(&path) {
                // No such file can exist.
                Err(error) if error.is_not_found() => {}
                Ok(key) => {
                    if paths.insert(key.clone(), path).is_none() {
                        removals.push(Removal::of(key));
                    }
                }
                Err(error) => failed.push((path, error)),
            }
        }
        let refused = self.store.remove(removals).await;
        let of_files = refused.iter().filter(|(key, _)| paths.contains_key(key)).count() + failed.len();
        let path_of = |key: &str| paths.get(key).cloned().or_else(|| self.store.keys.staged_path(key));
        failed.extend(refused.into_iter().filter_map(|(key, error)| Some((path_of(&key)?, error))));
        Ok(DeleteReport::new(total.saturating_sub(of_files), failed))
    }

    fn list_staged<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<FileInfo>> {
        stage::list_staged(&self.store, path)
    }

    async fn delete_staged(&self, path: &StoragePath, before: SystemTime) -> Result<usize> {
        stage::delete_staged(&self.store, path, before).await
    }

    async fn redirect_url(&self, path: &StoragePath, method: &Method) -> Result<Option<Url>> {
        let _ = (path, method);
        Ok(None)
    }
}

impl AzureDriver {
    async fn exists_as_file(&self, path: &StoragePath) -> Result<bool> {
        match self.stat(path).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for AzureDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureDriver").field("store", &self.store).finish()
    }
}
