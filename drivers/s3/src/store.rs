//! Requests that a driver and its writers share, with the pitfalls of stores handled.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, future, stream};
use plugin_registry_core::{Error, ErrorKind, Result, StoragePath};
use uuid::Uuid;

use crate::{
    S3Config,
    budget::Budget,
    client::{Condition, Download, Object, ObjectMetadata, Part, S3Client, is_condition},
    content::Content,
    error::is_not_understood,
    features::{FeatureDetector, StoreFeatures},
    key::ObjectKeys,
    list::{Lister, Listing, Page},
    parts::{MAX_PART, MIN_PART},
    stage::Stage,
    writer::MAX_INLINE,
};

/// How often a write is retried because another one was in the way.
const CONFLICTS: u32 = 6;

/// How often a stage is requested if its body breaks off.
const FETCHES: u32 = 3;

/// The most bytes in a stage's object: those of a file without parts, or a description of 10,000 parts with the
/// bytes that are too few for another one.
const MAX_STAGE: u64 = MAX_INLINE as u64 + (8 << 20);

/// How many objects are looked at in parallel.
const LOOKS: usize = 8;

/// The most keys that one request deletes.
const BATCH: usize = 1000;

/// One location.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) client: S3Client,
    pub(crate) keys: ObjectKeys,
    pub(crate) chunk_size: u64,
    pub(crate) concurrency: usize,
    pub(crate) budget: Budget,
    copy_chunk_size: u64,
    copy_concurrency: usize,
    pub(crate) copy_threshold: u64,
    detector: FeatureDetector,
    /// The store compares the ETag of what it copies in its own way, and refuses correct ones.
    copies_by_name: AtomicBool,
}

/// An earlier stage, as its object was read.
#[derive(Debug)]
pub(crate) struct LoadedStage {
    pub(crate) stage: Stage,
    pub(crate) tail: Bytes,
    pub(crate) etag: Option<String>,
}

/// An object that an upload has become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    pub(crate) key: &'a str,
    pub(crate) etag: Option<&'a str>,
    pub(crate) mark: &'a str,
}

impl Store {
    pub(crate) async fn open(config: &S3Config) -> Result<Self> {
        let (client, keys) = (S3Client::open(config).await?, ObjectKeys::new(&config.root_directory));
        Ok(Self {
            client,
            keys,
            chunk_size: config.chunk_size,
            concurrency: config.concurrency.max(1),
            budget: Budget::new(config.chunk_size.saturating_mul(config.concurrency.max(2) as u64)),
            copy_chunk_size: config.copy_chunk_size.clamp(MIN_PART, MAX_PART),
            copy_concurrency: config.copy_concurrency.max(1),
            copy_threshold: config.copy_threshold.min(MAX_PART),
            detector: FeatureDetector::new(config),
            copies_by_name: AtomicBool::new(false),
        })
    }

    /// The known features of the store, and safe values for the rest. Asks nothing.
    pub(crate) fn features(&self) -> StoreFeatures {
        self.detector.now(&self.client)
    }

    /// Does the same before a write: the first write may have to ask.
    pub(crate) async fn before_writing(&self) -> Result<StoreFeatures> {
        self.detector.before_writing(&self.client, &self.keys).await
    }

    /// Writes an object, whatever is there.
    pub(crate) async fn overwrite(&self, key: &str, content: Content) -> Result<()> {
        self.before_writing().await?;
        self.client.put(key, content, Condition::Any, ObjectMetadata::default()).await.map(drop)
    }

    /// Writes an object that must not exist yet.
    ///
    /// # Errors
    /// `AlreadyExists` if one exists, unless it is this very write, which the store completed before its answer
    /// was lost (slatedb issues 766, 1164).
    pub(crate) async fn create(&self, key: &str, content: Content) -> Result<()> {
        if !self.before_writing().await?.conditional_writes {
            return match self.client.head(key).await {
                Ok(_) => Err(ErrorKind::AlreadyExists.into()),
                Err(error) if error.is_not_found() => {
                    self.client.put(key, content, Condition::Any, ObjectMetadata::default()).await.map(drop)
                }
                Err(error) => Err(error),
            };
        }
        self.put_if(key, content, Condition::Absent, ObjectMetadata::default()).await.map(drop)
    }

    /// Writes an object if a condition holds. Returns its ETag. Its mark is created here.
    ///
    /// # Errors
    /// `AlreadyExists` if the condition does not hold.
    pub(crate) async fn put_if(
        &self,
        key: &str,
        content: Content,
        condition: Condition<'_>,
        marks: ObjectMetadata<'_>,
    ) -> Result<Option<String>> {
        let mark = Uuid::new_v4().to_string();
        let marks = ObjectMetadata { mark: Some(&mark), ..marks };
        for attempt in 0.. {
            match self.client.put(key, content.clone(), condition, marks).await {
                Err(error) if is_condition(&error) => {
                    return self.is_ours(key, &mark, condition, error).await;
                }
                // Another write was in progress: nothing is there yet, or something is (object_store issue
                // 852).
                Err(error) if error.kind() == ErrorKind::Conflict && attempt < CONFLICTS => {
                    tokio::time::sleep(Duration::from_millis(20 << attempt)).await;
                }
                // Without an answer the outcome is unknown, so the store is asked.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::Timeout | ErrorKind::Unavailable | ErrorKind::RateLimited
                    ) =>
                {
                    return self.is_ours(key, &mark, condition, error).await;
                }
                result => return result,
            }
        }
        Err(ErrorKind::Conflict.into())
    }

    /// Checks that the object at a key has this mark. If not, `failure` stands, unless no object exists for
    /// which the condition could hold.
    async fn is_ours(
        &self,
        key: &str,
        mark: &str,
        condition: Condition<'_>,
        failure: Error,
    ) -> Result<Option<String>> {
        match self.client.head(key).await {
            Ok(object) if object.mark.as_deref() == Some(mark) => Ok(object.etag),
            Ok(Object { etag: Some(found), .. }) if matches!(condition, Condition::Same(etag) if etag != found) => {
                Err(ErrorKind::AlreadyExists.into())
            }
            Err(asked) if asked.is_not_found() && matches!(condition, Condition::Same(_)) => Err(asked),
            _ => Err(failure),
        }
    }

    /// Makes an object of parts. Returns its ETag, unless the answer was lost.
    ///
    /// # Errors
    /// `NotFound` if the upload is gone, and the object that it should have become does not exist.
    pub(crate) async fn complete(
        &self,
        key: &str,
        upload: &str,
        parts: &[Part],
        mark: &str,
    ) -> Result<Option<String>> {
        let size: u64 = parts.iter().map(|part| part.size).sum();
        for attempt in 0.. {
            let error = match self.client.complete(key, upload, parts).await {
                Ok(etag) => return Ok(Some(etag)),
                Err(error) => error,
            };
            let is_lost = error.is_not_found();
            // The SDK has already waited for a store that asks for a slower pace.
            let is_slow = error.kind() == ErrorKind::RateLimited;
            // Each attempt without an answer has taken minutes.
            let most = if error.kind() == ErrorKind::Timeout { 1 } else { CONFLICTS };
            let is_open = is_slow
                || matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable | ErrorKind::Conflict);
            if !(is_lost || is_open) {
                return Err(error);
            }
            // An attempt whose answer was lost may have succeeded: then the upload is gone (opendal issue
            // 5101). The size alone would not show whose object it is.
            match self.client.head(key).await {
                Ok(object) if object.mark.as_deref() == Some(mark) && object.size == size => {
                    return Ok(object.etag);
                }
                Err(asked) if !asked.is_not_found() && !is_open => return Err(asked),
                // The store no longer answers.
                Err(asked) if asked.kind() == ErrorKind::Timeout => return Err(error),
                // Status 200 with an error in the body, or no answer at all: Complete may be sent again.
                _ if is_open && !is_slow && attempt < most => {
                    tokio::time::sleep(Duration::from_millis(20 << attempt)).await;
                }
                _ => return Err(error),
            }
        }
        Err(ErrorKind::Conflict.into())
    }

    /// Copies the bytes of an object that has this ETag.
    ///
    /// # Errors
    /// `AlreadyExists` if it has another one.
    pub(crate) async fn copy_bytes(&self, from: &str, etag: &str, to: &str) -> Result<()> {
        match self.client.copy_bytes(from, etag, to).await {
            Err(error) if is_copied_again(&error) => self.client.copy_bytes(from, etag, to).await,
            result => result,
        }
    }

    /// Copies an object of this size that an upload with this mark has become, if it has this ETag, when one is
    /// known.
    ///
    /// # Errors
    /// `Conflict` if another object is in its place.
    pub(crate) async fn copy(&self, from: &Source<'_>, to: &str, size: u64) -> Result<()> {
        self.before_writing().await?;
        let etag = from.etag.filter(|_| !self.copies_by_name.load(Ordering::Relaxed));
        match self.copy_where(from.key, etag, to, size).await {
            // Some stores do not know this condition, or not for parts (ADR 0039).
            Err(error) if etag.is_some() && (is_condition(&error) || is_not_understood(&error)) => {
                if self.client.head(from.key).await?.mark.as_deref() != Some(from.mark) {
                    let message = "another object has replaced the one that was written";
                    return Err(Error::new(ErrorKind::Conflict).with_message(message).with_source(error));
                }
                tracing::debug!(%error, "the store refuses to copy by an ETag that matches: it copies by name");
                self.copies_by_name.store(true, Ordering::Relaxed);
                self.copy_where(from.key, None, to, size).await
            }
            copied => copied,
        }
    }

    async fn copy_where(&self, from: &str, etag: Option<&str>, to: &str, size: u64) -> Result<()> {
        if size <= self.copy_threshold {
            return match self.client.copy(from, etag, to).await {
                Err(error) if is_copied_again(&error) => self.client.copy(from, etag, to).await,
                result => result,
            };
        }
        let mark = Uuid::new_v4().to_string();
        let upload = self.client.create_copy(to, &mark).await?;
        let least = size.div_ceil(crate::parts::MAX_PARTS);
        let chunk = self.copy_chunk_size.max(least);
        let count = size.div_ceil(chunk);
        let parts = stream::iter(0..count)
            .map(|index| {
                let range = index * chunk..((index + 1) * chunk).min(size);
                let (upload, from) = (upload.as_str(), (from, etag));
                async move {
                    let number = i32::try_from(index + 1).map_err(|_| ErrorKind::TooLarge)?;
                    match self.client.copy_part(from, range.clone(), to, upload, number).await {
                        Err(error) if is_copied_again(&error) => {
                            self.client.copy_part(from, range, to, upload, number).await
                        }
                        result => result,
                    }
                }
            })
            .buffered(self.copy_concurrency)
            .try_collect::<Vec<Part>>();
        let done = match parts.await {
            Ok(parts) => match self.complete(to, &upload, &parts, &mark).await {
                Err(error) if error.is_not_found() => Err(gone(ErrorKind::Conflict)),
                done => done.map(drop),
            },
            Err(error) => Err(error),
        };
        if done.is_err() {
            self.try_abort(to, &upload).await;
        }
        done
    }

    /// Aborts an upload. If that fails, invisible bytes remain, which a purge finds.
    pub(crate) async fn try_abort(&self, key: &str, upload: &str) {
        if let Err(error) = self.client.abort(key, upload).await {
            tracing::warn!(key, %error, "a multipart upload could not be aborted; a purge will abort it");
        }
    }

    /// Reads at most `most` bytes of an object into memory. Retries if they break off.
    ///
    /// # Errors
    /// `Corrupted` if there are more: they are not read.
    pub(crate) async fn fetch(
        &self,
        key: &str,
        range: Option<(u64, Option<u64>)>,
        most: u64,
    ) -> Result<(Object, Bytes)> {
        for _ in 0..FETCHES {
            let Download { object, range, body } = self.client.get(key, range, None).await?;
            let size = range.end - range.start;
            if size > most {
                let message = format!("`{key}` has {size} bytes; a stage has at most {most}");
                return Err(Error::new(ErrorKind::Corrupted).with_message(message));
            }
            if let Ok(body) = body.collect().await {
                let bytes = body.into_bytes();
                if bytes.len() as u64 == range.end - range.start {
                    return Ok((object, bytes));
                }
            }
        }
        Err(Error::new(ErrorKind::Unavailable).with_message("a stage was repeatedly cut off in transit"))
    }

    /// The stage of a path, if it has one.
    pub(crate) async fn stage(&self, path: &StoragePath) -> Result<Option<LoadedStage>> {
        let (object, bytes) = match self.fetch(&self.keys.staged(path), None, MAX_STAGE).await {
            Ok(found) => found,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let (stage, tail) = match object.stage.filter(|_| object.staged.is_none()) {
            Some(id) => (Stage::of_bytes(id, bytes.len() as u64), bytes),
            None => Stage::decode(&bytes)?,
        };
        Ok(Some(LoadedStage { stage, tail, etag: object.etag }))
    }

    /// Deletes objects. Returns those that could not be deleted, with the reason. A missing object is not an
    /// error.
    pub(crate) async fn remove(&self, keys: Vec<String>) -> Result<Vec<(String, Error)>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut keys = keys;
        // A bucket with versions would get a marker for each that never existed.
        if self.before_writing().await?.directories && !self.client.observed().has_versions() {
            // Directories that are empty now would be listed for a while. The store refuses to delete others.
            let above: BTreeSet<String> =
                keys.iter().flat_map(|key| self.keys.directories_above(key)).collect();
            let mut above: Vec<String> = above.into_iter().collect();
            above.sort_by_key(|key| std::cmp::Reverse(key.len()));
            keys.extend(above);
        }
        if let [key] = keys.as_slice() {
            return self.client.delete(key).await.map(|()| Vec::new());
        }
        let mut failed = Vec::new();
        for (index, batch) in keys.chunks(BATCH).enumerate() {
            match self.client.delete_many(batch).await {
                Ok(some) => failed.extend(some),
                Err(error) if index == 0 => return Err(error),
                Err(error) => {
                    let failures = batch
                        .iter()
                        .map(|key| (key.clone(), Error::new(error.kind()).with_message("its batch failed")));
                    failed.extend(failures);
                }
            }
        }
        failed.retain(|(key, _)| !key.ends_with('/'));
        Ok(failed)
    }

    /// Filters keys to those that exist, if deleting others would leave something: in a bucket with versions, a
    /// marker each.
    pub(crate) async fn only_present(&self, keys: Vec<String>) -> Result<Vec<String>> {
        let observed = self.client.observed();
        // Before any object was seen, few are looked at. Many are not worth as many requests.
        if !observed.has_versions() && (observed.has_no_versions() || keys.len() > LOOKS) {
            return Ok(keys);
        }
        let look = |key: String| async move {
            match self.client.head(&key).await {
                Ok(_) => Ok(Some(key)),
                Err(error) if error.is_not_found() => Ok(None),
                // A key that may not be looked at is deleted as requested.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(Some(key)),
                Err(error) => Err(error),
            }
        };
        stream::iter(keys).map(look).buffered(LOOKS).try_filter_map(future::ok).try_collect().await
    }

    /// Deletes what a commit leaves behind once its object is visible. A failure does not fail the commit.
    pub(crate) async fn try_delete(&self, keys: Vec<String>) {
        let left = match self.remove(keys).await {
            Ok(failed) => failed.into_iter().next().map(|(_, error)| error),
            Err(error) => Some(error),
        };
        if let Some(error) = left {
            tracing::warn!(%error, "the remains of an upload could not be deleted; a purge will delete them");
        }
    }

    /// Deletes all of the objects.
    ///
    /// # Errors
    /// The first failure.
    pub(crate) async fn remove_all(&self, keys: Vec<String>) -> Result<()> {
        match self.remove(keys).await?.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    /// Deletes what describes a stage, or is all of it.
    pub(crate) async fn remove_stage(&self, path: &StoragePath) -> Result<()> {
        self.remove_all(vec![self.keys.staged(path)]).await
    }
}

/// Whether a copy that failed like this is sent once more: status 200 with an error in the body, or no answer.
/// A copy that succeeded is then repeated.
fn is_copied_again(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
}

#[async_trait]
impl Lister for Store {
    fn keys(&self) -> &ObjectKeys {
        &self.keys
    }

    fn has_directories(&self) -> bool {
        self.features().directories
    }

    async fn page(&self, listing: &Listing<'_>, token: Option<&str>) -> Result<Page> {
        self.client.list(listing, token).await
    }
}

/// The error for a multipart upload that the store does not know: no writer can continue it.
pub(crate) fn gone(kind: ErrorKind) -> Error {
    let message = "the multipart upload is gone: it was aborted, or a lifecycle rule ended it";
    Error::new(kind).with_message(message).with_retryable(false)
}

/// The store as shared by a driver and its writers.
pub(crate) type Shared = Arc<Store>;
