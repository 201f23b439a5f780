//! Requests that a driver and its writers share, with the pitfalls of the store handled.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use plugin_registry_core::{Error, ErrorKind, Result};
use plugin_registry_drivers_objects::{
    budget::Budget,
    content::Content,
    keys::ObjectKeys,
    list::{Lister, Listing, Page},
};
use uuid::Uuid;

use crate::{
    client::{AzureClient, Blob, BlobMetadata, Condition},
    config::{AzureConfig, LeadingSlash},
    error::{has_code, is_condition},
};

/// How many blobs are deleted in parallel.
const DELETES: usize = 16;

/// How often a write is retried because another one was in the way.
const CONFLICTS: u32 = 3;

/// One location, in one form of its names.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) client: AzureClient,
    pub(crate) keys: ObjectKeys,
    pub(crate) chunk_size: u64,
    pub(crate) concurrency: usize,
    pub(crate) budget: Budget,
}

/// A blob to delete, if it still has this ETag.
pub(crate) struct Removal {
    pub(crate) key: String,
    pub(crate) etag: Option<String>,
}

impl Removal {
    pub(crate) fn of(key: String) -> Self {
        Self { key, etag: None }
    }
}

impl Store {
    pub(crate) async fn open(config: &AzureConfig) -> Result<Self> {
        let client = AzureClient::open(config)?;
        let plain = ObjectKeys::new(&config.root_directory);
        let keys = match config.leading_slash {
            LeadingSlash::Yes => plain.with_leading_slash(),
            LeadingSlash::No | LeadingSlash::Detect => plain,
        };
        Ok(Self::new(client, keys, config))
    }

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
        let mut result = Ok(());
        for _ in 0..CONFLICTS {
            let put = self.client.put(key, content.clone(), Condition::Any, BlobMetadata::default()).await;
            result = match put {
                Err(error) if has_code(&error, "InvalidBlobType") => {
                    self.remove_foreign(key).await?;
                    Err(error)
                }
                put => return put.map(drop),
            };
        }
        result
    }

    /// Deletes a blob of another type, which the store does not replace: distribution 3.0 and 3.1 write links as
    /// append blobs. For a moment nothing is there.
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

    /// Writes a blob that must not exist yet.
    ///
    /// # Errors
    /// `AlreadyExists` if one exists, unless it is this very write, which the store completed before its answer was
    /// lost (slatedb issues 766, 1164).
    pub(crate) async fn create(&self, key: &str, content: Content) -> Result<()> {
        let mark = Uuid::new_v4().to_string();
        let metadata = BlobMetadata { mark: Some(&mark), ..BlobMetadata::default() };
        let put = self.client.put(key, content, Condition::Absent, metadata).await;
        self.settle(key, put, |blob| blob.mark.as_ref() == Some(&mark)).await.map(drop)
    }

    /// The outcome of a conditional write. If it was refused, or there was no answer, the blob shows whether an
    /// attempt of this very write had succeeded before. Returns the ETag.
    pub(crate) async fn settle(
        &self,
        key: &str,
        written: Result<Option<String>>,
        is_ours: impl Fn(&Blob) -> bool,
    ) -> Result<Option<String>> {
        let failure = match written {
            Err(error) if is_condition(&error) || error.is_retryable() => error,
            written => return written,
        };
        match self.client.head(key).await {
            Ok(blob) if is_ours(&blob) => Ok(blob.etag),
            _ => Err(failure),
        }
    }

    /// Deletes blobs. Returns those that could not be deleted, with the reason. A missing blob is not an error, nor
    /// is one that was replaced meanwhile.
    pub(crate) async fn remove(&self, removals: Vec<Removal>) -> Vec<(String, Error)> {
        let delete = |Removal { key, etag }: Removal| async move {
            let condition = etag.as_deref().map_or(Condition::Any, Condition::Same);
            match self.client.delete(&key, condition).await {
                Err(error) if error.is_not_found() || (etag.is_some() && is_condition(&error)) => None,
                Err(error) => Some((key, error)),
                Ok(()) => None,
            }
        };
        stream::iter(removals).map(delete).buffer_unordered(DELETES).filter_map(std::future::ready).collect().await
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
