//! The implementation of the driver contract.

use std::{collections::HashMap, fmt, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use http::Method;
use plugin_registry_core::{
    ByteRange, Capabilities, DeleteReport, Entry, EntryKind, Error, ErrorKind, FileInfo, FileWriter,
    Operation, Permissions, PutMode, Reader, Result, Staged, StorageDriver, StoragePath, WriteMode,
};
use plugin_registry_drivers_objects::{
    keys::ObjectKeys,
    list,
    reader::{self, Downloads},
    reorder::component_sort_key,
};
use url::Url;

use crate::{
    client::{AzureClient, Removal},
    config::AzureConfig,
    eras::merge,
    names,
    permissions::PERMISSIONS,
    stage,
    store::{Shared, Store},
    writer::AzureWriter,
};

/// A container of Azure Blob Storage, or a part of one. Cheap to clone.
#[derive(Clone)]
pub struct AzureDriver {
    store: Shared,
    /// The same location under names that begin with a slash if those of `store` do not, and the reverse.
    /// Only if there are such names: they are read and deleted, and never written.
    other: Option<Shared>,
}

impl AzureDriver {
    /// Opens a location. Makes two requests, which read, to find out whether names begin with a slash
    /// ([`leading_slash`](AzureConfig::leading_slash)).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] names the parameter; `Unauthenticated`, `Unavailable` and similar kinds
    /// come from these requests.
    pub async fn open(config: AzureConfig) -> Result<Self> {
        let opened = async {
            let config = config.read_files().await?;
            let plain =
                Store::new(AzureClient::open(&config)?, ObjectKeys::new(&config.root_directory), &config);
            let slash = plain.with_keys(plain.keys.with_leading_slash());
            let has_root = !config.root_directory.is_empty();
            let (store, other) = names::choose(plain, slash, has_root, config.leading_slash).await?;
            Ok::<_, Error>(Self { store: Arc::new(store), other: other.map(Arc::new) })
        };
        opened.await.map_err(|error| error.with_driver("azure").with_operation(Operation::Open))
    }

    /// Both forms of names, that of writes first.
    fn stores(&self) -> impl Iterator<Item = &Shared> {
        std::iter::once(&self.store).chain(&self.other)
    }

    /// Does something in the first form of names that has a file.
    async fn first<'a, T, F>(&'a self, act: impl Fn(&'a Store) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        match (act(&self.store).await, &self.other) {
            (Err(error), Some(other)) if error.is_not_found() => act(other).await,
            (result, _) => result,
        }
    }

    async fn exists(&self, path: &StoragePath) -> Result<bool> {
        match self.stat(path).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl StorageDriver for AzureDriver {
    fn name(&self) -> &'static str {
        "azure"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_create_only(true).with_two_forms(self.other.is_some())
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
            PutMode::CreateOnly if self.other.is_some() && self.exists(path).await? => {
                Err(ErrorKind::AlreadyExists.into())
            }
            PutMode::CreateOnly => self.store.create(&key, content.into()).await,
            PutMode::Overwrite => self.store.overwrite(&key, content.into()).await,
        }
    }

    async fn reader(&self, path: &StoragePath, range: ByteRange) -> Result<Reader> {
        self.first(|store| async move {
            reader::open(&store.client, store.keys.visible(path)?, path, range).await
        })
        .await
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
        self.first(|store| async move {
            let blob = store.client.describe(&store.keys.visible(path)?).await?;
            Ok(blob.into_info(path))
        })
        .await
    }

    fn list<'a>(&'a self, path: &'a StoragePath, after: Option<&'a str>) -> BoxStream<'a, Result<Entry>> {
        let own = list::list(&*self.store, path, after);
        let Some(other) = &self.other else { return own };
        merge(own, list::list(&**other, path, after), |left, right| {
            // A name that is a file and a directory comes twice, the file first.
            let rank = |entry: &Entry| entry.kind == EntryKind::Directory;
            left.name.cmp(&right.name).then_with(|| rank(left).cmp(&rank(right)))
        })
    }

    fn walk<'a>(
        &'a self,
        path: &'a StoragePath,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<FileInfo>> {
        let own = list::walk(&*self.store, path, after);
        let Some(other) = &self.other else { return own };
        merge(own, list::walk(&**other, path, after), |left, right| left.path.cmp(&right.path))
    }

    fn find_directories<'a>(
        &'a self,
        path: &'a StoragePath,
        marker: &'a str,
        after: Option<&'a StoragePath>,
    ) -> BoxStream<'a, Result<StoragePath>> {
        let own = list::find_directories(&*self.store, path, marker, after);
        let Some(other) = &self.other else { return own };
        merge(own, list::find_directories(&**other, path, marker, after), |left, right| {
            component_sort_key(left.as_str()).cmp(&component_sort_key(right.as_str()))
        })
    }

    /// For a directory: one listing for 5000 blobs, and a request for 256 of them. Holds at most about
    /// 100,000 names.
    async fn delete(&self, path: &StoragePath) -> Result<()> {
        let mut found = false;
        for store in self.stores() {
            found |= store.delete_below(path).await?;
        }
        if found { Ok(()) } else { Err(ErrorKind::NotFound.into()) }
    }

    /// A request for 256 files, and one for each stage.
    async fn delete_many(&self, files: Vec<StoragePath>, stages: &[Staged]) -> Result<DeleteReport> {
        let total = files.len();
        let mut failed: HashMap<StoragePath, Error> = HashMap::new();
        for store in self.stores() {
            let mut paths = HashMap::new();
            for path in &files {
                match store.keys.visible(path) {
                    // No such file can exist.
                    Err(error) if error.is_not_found() => {}
                    Ok(key) => drop(paths.insert(key, path)),
                    Err(error) => drop(failed.insert(path.clone(), error)),
                }
            }
            for (key, error) in store.remove(paths.keys().cloned().map(Removal::of).collect()).await {
                if let Some(path) = paths.get(&key) {
                    failed.insert((*path).clone(), error);
                }
            }
        }
        let deleted = total.saturating_sub(failed.len());
        let mut failed: Vec<_> = failed.into_iter().collect();
        for staged in stages {
            if let Err(error) = stage::delete(&self.store, staged).await {
                failed.push((staged.path.clone(), error));
            }
        }
        Ok(DeleteReport::new(deleted, failed))
    }

    fn list_staged<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<FileInfo>> {
        let own = stage::list_staged(&self.store, path);
        match &self.other {
            Some(other) => own.chain(stage::list_staged(other, path)).boxed(),
            None => own,
        }
    }

    async fn delete_staged(&self, path: &StoragePath, before: SystemTime) -> Result<usize> {
        let mut deleted = 0;
        for store in self.stores() {
            deleted += stage::delete_staged(store, path, before).await?;
        }
        Ok(deleted)
    }

    /// Signed with the account's key, if that is what authorizes this instance.
    async fn redirect_url(&self, path: &StoragePath, method: &Method) -> Result<Option<Url>> {
        if !matches!(*method, Method::GET | Method::HEAD) || self.other.is_some() {
            return Ok(None);
        }
        match self.store.keys.visible(path) {
            Err(error) if error.is_not_found() => Ok(None),
            key => self.store.client.presign(&key?),
        }
    }
}

impl fmt::Debug for AzureDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureDriver").field("store", &self.store).finish_non_exhaustive()
    }
}
