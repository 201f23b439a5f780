//! The implementation of the driver contract.

use std::{collections::HashMap, fmt, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{future::try_join, stream::BoxStream};
use http::Method;
use plugin_registry_core::{
    ByteRange, Capabilities, DeleteReport, Entry, Error, ErrorKind, FileInfo, FileWriter, Permissions,
    PutMode, Reader, Result, Staged, StorageDriver, StoragePath, WriteMode,
};
use plugin_registry_drivers_objects::reader::Description;
use url::Url;

use crate::{
    S3Config, list,
    permissions::PERMISSIONS,
    reader, staged,
    store::{Shared, Store},
    writer::S3Writer,
};

/// A bucket, or a part of one, at AWS or any store that speaks S3. Cheap to clone.
#[derive(Clone)]
pub struct S3Driver {
    store: Shared,
}

impl S3Driver {
    /// Opens a location. Makes no request, except one at AWS without a region, to find it.
    ///
    /// For another endpoint, its answers may show which kind of store it is. If they do not, the first write
    /// of an instance asks, by at most 6 requests, unless
    /// [`conditional_writes`](S3Config::conditional_writes) and [`directories`](S3Config::directories) are
    /// set. Reading never writes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] names the parameter; `Unauthenticated`, `Unavailable` and similar kinds
    /// come from that request.
    pub async fn open(config: S3Config) -> Result<Self> {
        let opened = async {
            let config = config.read_files().await?;
            Ok::<_, Error>(Self { store: Arc::new(Store::open(&config).await?) })
        };
        opened
            .await
            .map_err(|error| error.with_driver("s3").with_operation(plugin_registry_core::Operation::Open))
    }
}

#[async_trait]
impl StorageDriver for S3Driver {
    fn name(&self) -> &'static str {
        "s3"
    }

    fn capabilities(&self) -> Capabilities {
        let (features, observed) = (self.store.features(), self.store.client.observed());
        Capabilities::default()
            .with_create_only(features.conditional_writes)
            .with_empty_directories(features.directories)
            .with_versions(observed.has_versions())
            .with_retention(observed.has_retention())
            .with_hides_missing(observed.hides_missing())
    }

    fn permissions(&self) -> &'static Permissions {
        &PERMISSIONS
    }

    async fn get_content(&self, path: &StoragePath, limit: u64) -> Result<Bytes> {
        let download = self.store.client.get(&self.store.keys.visible(path)?, None, None).await?;
        let size = download.object.size;
        if size > limit {
            let message = format!("{size} bytes, the limit is {limit}");
            return Err(Error::new(ErrorKind::TooLarge).with_message(message));
        }
        // Once more, if the body breaks off.
        match download.body.collect().await.map(|body| body.into_bytes()) {
            Ok(bytes) if bytes.len() as u64 == size => Ok(bytes),
            _ => {
                let reader = self.reader(path, ByteRange::full()).await?;
                let bytes = futures::TryStreamExt::try_collect::<Vec<Bytes>>(reader.into_stream()).await?;
                Ok(bytes.concat().into())
            }
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
        Ok(Box::new(S3Writer::open(self.store.clone(), path, mode).await?))
    }

    async fn find_staged(&self, path: &StoragePath) -> Result<Staged> {
        staged::find(&self.store, path).await
    }

    /// Makes one request for a stage without parts that the store can copy; the stage's object stays. For a stage
    /// with parts, its description is deleted at the end.
    async fn commit_staged(&self, staged: &Staged, to: &StoragePath) -> Result<()> {
        staged::commit(&self.store, staged, to).await
    }

    async fn stat(&self, path: &StoragePath) -> Result<FileInfo> {
        let object = self.store.client.head(&self.store.keys.visible(path)?).await?;
        Ok(Description::from(object).into_info(path))
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

    /// For a directory: one listing for 1000 files and a request to delete them. Holds at most about 100,000
    /// keys. For a file: two look-ups first. Multipart uploads that broke off before their first close are only
    /// found by a purge.
    async fn delete(&self, path: &StoragePath) -> Result<()> {
        let store = &self.store;
        // If no file can have this name, the object is the stage of another path.
        let file = match store.keys.visible(path) {
            Err(error) if !error.is_not_found() => return Err(error),
            file => file.ok(),
        };
        let mut found = false;
        let mut first = None;
        let mut keys = loop {
            let (keys, is_all) = list::keys_below(&**store, store.keys.below(path)).await?;
            found |= keys.iter().any(|key| store.keys.staged_path(key).is_none());
            for staged in keys.iter().filter_map(|key| store.keys.staged_path(key)) {
                abort_staged_upload(store, &staged).await?;
            }
            if is_all {
                break keys;
            }
            // A directory stays until it is empty.
            let now = keys.iter().find(|key| !key.ends_with('/')).cloned();
            if first.is_some() && first == now {
                let message = "the store still lists objects that it reported as deleted";
                return Err(Error::new(ErrorKind::Unavailable).with_message(message));
            }
            first = now;
            store.remove_all(keys).await?;
        };
        if keys.is_empty() && !found {
            let Some(file) = &file else { return Err(ErrorKind::NotFound.into()) };
            let visible = async {
                match store.client.head(file).await {
                    Ok(_) => Ok(true),
                    Err(error) if error.is_not_found() => Ok(false),
                    Err(error) => Err(error),
                }
            };
            let (visible, staged) = try_join(visible, Box::pin(abort_staged_upload(store, path))).await?;
            found = visible;
            keys.extend(staged.then(|| store.keys.staged(path)));
            keys.extend(visible.then(|| file.clone()));
            if keys.is_empty() {
                return Err(ErrorKind::NotFound.into());
            }
        } else {
            // Another program may have a file of the same name.
            keys.extend(store.only_present(file.into_iter().collect()).await?);
        }
        store.remove_all(keys).await?;
        if found { Ok(()) } else { Err(ErrorKind::NotFound.into()) }
    }

    /// One request, and two more for each stage that may have parts.
    async fn delete_many(&self, files: Vec<StoragePath>, stages: &[Staged]) -> Result<DeleteReport> {
        for staged in stages {
            staged::abort(&self.store, staged).await?;
        }
        let total = files.len();
        let staged = stages.iter().map(|staged| (self.store.keys.staged(&staged.path), staged.path.clone()));
        let mut by_key: HashMap<String, StoragePath> = staged.collect();
        let mut keys: Vec<String> = by_key.keys().cloned().collect();
        let mut failed = Vec::new();
        for path in files {
            match self.store.keys.visible(&path) {
                // No such file can exist.
                Err(error) if error.is_not_found() => {}
                Ok(key) => {
                    if by_key.insert(key.clone(), path).is_none() {
                        keys.push(key);
                    }
                }
                Err(error) => failed.push((path, error)),
            }
        }
        let keys = self.store.only_present(keys).await?;
        let refused = self.store.remove(keys).await?;
        failed.extend(refused.into_iter().filter_map(|(key, error)| Some((by_key.remove(&key)?, error))));
        let is_stage = |path: &StoragePath| stages.iter().any(|staged| staged.path == *path);
        let not_deleted = failed.iter().filter(|(path, _)| !is_stage(path)).count();
        Ok(DeleteReport::new(total.saturating_sub(not_deleted), failed))
    }

    fn list_staged<'a>(&'a self, path: &'a StoragePath) -> BoxStream<'a, Result<FileInfo>> {
        staged::list_staged(&self.store, path)
    }

    async fn delete_staged(&self, path: &StoragePath, before: SystemTime) -> Result<usize> {
        staged::delete_staged(&self.store, path, before).await
    }

    async fn redirect_url(&self, path: &StoragePath, method: &Method) -> Result<Option<Url>> {
        match self.store.keys.visible(path) {
            Err(error) if error.is_not_found() => Ok(None),
            file => self.store.client.presign(&file?, method).await,
        }
    }
}

/// Aborts the multipart upload of a stage. Returns whether there is a stage.
async fn abort_staged_upload(store: &Store, path: &StoragePath) -> Result<bool> {
    match store.stage(path).await {
        Ok(Some(found)) => {
            if let Some(upload) = &found.stage.upload {
                store.client.abort(&store.keys.file(path)?, &upload.id).await?;
            }
            Ok(true)
        }
        Ok(None) => Ok(false),
        Err(error) if error.kind() == ErrorKind::Corrupted => Ok(true),
        Err(error) => Err(error),
    }
}

impl fmt::Debug for S3Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Driver").field("store", &self.store).finish()
    }
}
