//! Requests that a driver and its writers share, with the pitfalls of the store handled.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use plugin_registry_core::{Error, ErrorKind, Result, StoragePath};
use plugin_registry_drivers_objects::{
    budget::Budget,
    content::Content,
    keys::ObjectKeys,
    list::{self, Lister, Listing, Page},
};
use uuid::Uuid;

use crate::{
    client::{AzureClient, Blob, BlobMetadata, BlockId, Condition, MAX_BATCH, Removal},
    config::AzureConfig,
    error::{has_code, is_condition},
};

/// How many blobs are deleted in parallel.
const DELETES: usize = 16;

/// How often a blob of another type is deleted for one write.
const CONFLICTS: u32 = 2;

/// One location, in one form of its names.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) client: AzureClient,
    pub(crate) keys: ObjectKeys,
    pub(crate) chunk_size: u64,
    pub(crate) concurrency: usize,
    pub(crate) budget: Budget,
}

/// The outcome of a conditional write, looked at.
pub(crate) enum Settled {
    /// It has happened. The ETag of the blob.
    Written(Option<String>),
    /// It has not, and nothing is there.
    Missing(Error),
}

impl Settled {
    pub(crate) fn written(self) -> Result<Option<String>> {
        match self {
            Self::Written(etag) => Ok(etag),
            Self::Missing(failure) => Err(failure),
        }
    }
}

impl Store {
    pub(crate) fn new(client: AzureClient, keys: ObjectKeys, config: &AzureConfig) -> Self {
        let parts = config.concurrency.max(2) as u64;
        Self {
            client,
            keys,
            chunk_size: config.chunk_size,
            concurrency: config.concurrency.max(1),
            budget: Budget::new(config.chunk_size.saturating_mul(parts)),
        }
    }

    /// The same location, with names in another form.
    pub(crate) fn with_keys(&self, keys: ObjectKeys) -> Self {
        Self {
            client: self.client.clone(),
            keys,
            chunk_size: self.chunk_size,
            concurrency: self.concurrency,
            budget: self.budget.clone(),
        }
    }

    /// Writes a blob, whatever is there.
    pub(crate) async fn overwrite(&self, key: &str, content: Content) -> Result<()> {
        let put = || self.client.put(key, content.clone(), Condition::Any, BlobMetadata::default());
        self.replacing(key, put).await.map(drop)
    }

    /// Copies a blob that has this ETag to a file, without its metadata.
    pub(crate) async fn copy_to_file(&self, from: &str, etag: &str, key: &str) -> Result<()> {
        let mark = Uuid::new_v4().to_string();
        let metadata = BlobMetadata { mark: Some(&mark), ..BlobMetadata::default() };
        let copy = || self.client.copy(from, etag, key, Condition::Any, metadata);
        self.replacing(key, copy).await.map(drop)
    }

    /// Writes a blob, also in the place of one of another type.
    async fn replacing<T, F>(&self, key: &str, write: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        for _ in 0..CONFLICTS {
            match write().await {
                Err(error) if has_code(&error, "InvalidBlobType") => self.remove_foreign(key).await?,
                written => return written,
            }
        }
        write().await
    }

    /// Whether a blob of another type has this name.
    pub(crate) async fn is_foreign(&self, key: &str) -> Result<bool> {
        match self.client.peek(key).await {
            Ok(blob) => Ok(blob.is_foreign),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes a blob of another type, which the store does not replace: distribution 3.0 and 3.1 write links
    /// as append blobs. For a moment nothing is there.
    async fn remove_foreign(&self, key: &str) -> Result<()> {
        let found = match self.client.peek(key).await {
            Err(error) if error.is_not_found() => return Ok(()),
            found => found?,
        };
        tracing::info!("an append blob of another program is replaced by a block blob");
        let removed = self.client.delete(key, Condition::Same(found.etag.as_deref().unwrap_or("*"))).await;
        match removed {
            Err(error) if is_condition(&error) || error.is_not_found() => Ok(()),
            removed => removed,
        }
    }

    /// Writes a file that must not exist yet.
    ///
    /// # Errors
    /// `AlreadyExists` if one exists.
    pub(crate) async fn create(&self, key: &str, content: Content) -> Result<()> {
        let mark = Uuid::new_v4().to_string();
        let metadata = BlobMetadata { mark: Some(&mark), ..BlobMetadata::default() };
        self.create_with(key, content, metadata, |blob| blob.mark.as_ref() == Some(&mark)).await.map(drop)
    }

    /// Writes a blob that must not exist yet. Returns its ETag.
    ///
    /// # Errors
    /// `AlreadyExists` if one exists, unless it is this very write, which the store completed before its
    /// answer was lost (slatedb issues 766, 1164).
    pub(crate) async fn create_with(
        &self,
        key: &str,
        content: Content,
        metadata: BlobMetadata<'_>,
        is_ours: impl Fn(&Blob) -> bool,
    ) -> Result<Option<String>> {
        let put = self.client.put(key, content.clone(), Condition::Absent, metadata).await;
        let failure = match self.settle(key, put, &is_ours).await? {
            Settled::Written(etag) => return Ok(etag),
            Settled::Missing(failure) => failure,
        };
        if !is_condition(&failure) {
            return Err(failure);
        }
        // Nothing is there but blocks of a writer that has gone. Making the blob of a block overwrites them.
        let id = BlockId::new(Uuid::new_v4(), 0);
        let added: &[BlockId] = if content.is_empty() { &[] } else { &[id] };
        if !content.is_empty() {
            self.client.stage_block(key, id, content).await?;
        }
        let made = self.client.commit_blocks(key, Vec::new(), added, Condition::Absent, metadata).await;
        self.settle(key, made, is_ours).await?.written()
    }

    /// Makes a blob of another one that has this ETag, if there is none yet. Returns its ETag.
    ///
    /// # Errors
    /// As [`create_with`](Self::create_with), and those of a copy.
    pub(crate) async fn create_copy(
        &self,
        from: (&str, &str),
        key: &str,
        metadata: BlobMetadata<'_>,
        is_ours: impl Fn(&Blob) -> bool,
    ) -> Result<Option<String>> {
        let copy = || self.client.copy(from.0, from.1, key, Condition::Absent, metadata);
        match self.settle(key, copy().await, &is_ours).await? {
            Settled::Missing(failure) if is_condition(&failure) => {
                self.forget_blocks(key).await?;
                self.settle(key, copy().await, is_ours).await?.written()
            }
            settled => settled.written(),
        }
    }

    /// Lets the store forget the blocks of writers that have gone, where no blob is.
    async fn forget_blocks(&self, key: &str) -> Result<()> {
        let mark = BlobMetadata { mark: Some("nothing"), ..BlobMetadata::default() };
        let made = self.client.commit_blocks(key, Vec::new(), &[], Condition::Absent, mark).await?;
        match self.client.delete(key, made.as_deref().map_or(Condition::Any, Condition::Same)).await {
            Err(error) if is_condition(&error) || error.is_not_found() => Ok(()),
            deleted => deleted,
        }
    }

    /// The outcome of a conditional write. If it was refused, or there was no answer, the blob shows whether
    /// an attempt of this very write had succeeded before.
    pub(crate) async fn settle(
        &self,
        key: &str,
        written: Result<Option<String>>,
        is_ours: impl Fn(&Blob) -> bool,
    ) -> Result<Settled> {
        let failure = match written {
            Err(error) if is_condition(&error) || error.is_retryable() => error,
            written => return written.map(Settled::Written),
        };
        match self.client.head(key).await {
            Ok(blob) if is_ours(&blob) => Ok(Settled::Written(blob.etag)),
            Err(error) if error.is_not_found() => Ok(Settled::Missing(failure)),
            _ => Err(failure),
        }
    }

    /// Deletes blobs. Returns those that could not be deleted, with the reason. A missing blob is not an
    /// error, nor is one that was replaced meanwhile.
    pub(crate) async fn remove(&self, removals: Vec<Removal>) -> Vec<(String, Error)> {
        let mut failed = Vec::new();
        for batch in removals.chunks(MAX_BATCH) {
            // One by one, where a batch is not done, and again what may be done now.
            let outcomes = match batch {
                [_] => Vec::new(),
                batch => self.client.delete_batch(batch).await.unwrap_or_else(|error| {
                    tracing::debug!(%error, "blobs are deleted one by one");
                    Vec::new()
                }),
            };
            let outcomes = outcomes.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
            let (mut again, mut refused) = (Vec::new(), Vec::new());
            for (removal, outcome) in batch.iter().zip(outcomes) {
                match outcome {
                    None => again.push(removal.clone()),
                    Some(Err(error)) if error.is_retryable() => again.push(removal.clone()),
                    Some(outcome) => refused.push((removal.clone(), outcome)),
                }
            }
            let one = |removal: Removal| async move {
                let removed = self.remove_one(&removal).await;
                (removal, removed)
            };
            refused.extend(stream::iter(again).map(one).buffer_unordered(DELETES).collect::<Vec<_>>().await);
            failed.extend(refused.into_iter().filter_map(|(removal, outcome)| match outcome {
                Err(error) if error.is_not_found() || (removal.etag.is_some() && is_condition(&error)) => {
                    None
                }
                Err(error) => Some((removal.key, error)),
                Ok(()) => None,
            }));
        }
        failed
    }

    async fn remove_one(&self, Removal { key, etag }: &Removal) -> Result<()> {
        self.client.delete(key, etag.as_deref().map_or(Condition::Any, Condition::Same)).await
    }

    /// Deletes a file, its stage, and everything below its path. Returns whether there was a file.
    pub(crate) async fn delete_below(&self, path: &StoragePath) -> Result<bool> {
        let mut found = false;
        loop {
            let (mut keys, is_all) = list::keys_below(self, self.keys.below(path)).await?;
            found |= keys.iter().any(|key| self.keys.staged_path(key).is_none());
            if is_all && !path.is_root() {
                if let Some(key) = self.file_at(path).await? {
                    found = true;
                    keys.push(key);
                }
                keys.push(self.keys.staged(path));
            }
            self.remove_all(keys).await?;
            if is_all {
                return Ok(found);
            }
        }
    }

    /// The key of the file at a path, if there is one. Other types of blobs and copies that failed count,
    /// too.
    async fn file_at(&self, path: &StoragePath) -> Result<Option<String>> {
        let key = match self.keys.visible(path) {
            Err(error) if error.is_not_found() => return Ok(None),
            key => key?,
        };
        match self.client.peek(&key).await {
            Ok(_) => Ok(Some(key)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes all of the blobs.
    ///
    /// # Errors
    /// The first failure.
    pub(crate) async fn remove_all(&self, keys: Vec<String>) -> Result<()> {
        let failed = self.remove(keys.into_iter().map(Removal::of).collect()).await;
        match failed.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    /// Deletes what a commit leaves behind once its blob is visible. A failure does not fail the commit.
    pub(crate) async fn try_delete(&self, key: &str, etag: Option<&str>) {
        let removal = Removal { key: key.to_owned(), etag: etag.map(str::to_owned) };
        for (_, error) in self.remove(vec![removal]).await {
            tracing::warn!(%error, "the remains of an upload could not be deleted; a purge will delete them");
        }
    }
}

#[async_trait]
impl Lister for Store {
    fn keys(&self) -> &ObjectKeys {
        &self.keys
    }

    async fn page(&self, listing: &Listing<'_>, token: Option<&str>) -> Result<Page> {
        self.client.list(listing, token).await
    }
}

/// The error for a stage that is no longer the one that was resumed.
pub(crate) fn stage_conflict() -> Error {
    Error::new(ErrorKind::Conflict).with_message("another writer has closed this stage meanwhile")
}

/// A store as shared by a driver and its writers.
pub(crate) type Shared = Arc<Store>;
