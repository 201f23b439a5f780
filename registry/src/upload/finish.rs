//! The end of a session that already has bytes.

use std::pin::pin;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use plugin_registry_core::{ByteRange, Digest, Error, Staged, StorageDriver, WriteMode};
use tokio::sync::MutexGuard;

use super::{
    checks::{check_length, check_offset, first_piece, map_session_gone, map_wrong_length},
    interrupt::map_cancelled,
    session::{HASH_STATE_MIN, UploadSession},
    slot::Progress,
    stage::{ResumePoint, StagedState, is_outdated},
};
use crate::{
    blob::{BlobInfo, BlobStore, write_stream},
    error::{BoxError, RegistryError, Result},
    layout,
    operation::{Operation, operation},
};

/// The content, as the request announces it.
#[derive(Clone, Copy)]
pub(crate) struct FinishRequest<'a> {
    pub(crate) at: Option<u64>,
    pub(crate) length: Option<u64>,
    pub(crate) digest: &'a Digest,
}

/// Bytes that are at their final path.
pub(super) struct CommittedBlob {
    pub(super) canonical: Digest,
    pub(super) size: u64,
    /// If known, the session holds `startedat` and, perhaps, these stages, and nothing else.
    pub(super) known: Option<Vec<Staged>>,
}

impl UploadSession {
    /// Appends the last bytes, verifies all of them against `digest`, makes the blob visible and links it.
    ///
    /// A session without earlier bytes goes straight to the final path. If the content does not agree, the
    /// outcome depends on whether this call brought bytes. If it did, the bytes acknowledged before it are
    /// kept: the new ones may have been wrong, and the call can be repeated. If it did not, the session ends,
    /// because nothing can make it agree. The session also ends if the earlier bytes can only be checked by
    /// reading them together with the new ones. That is so if another instance brought them without a hash
    /// state (below 16 MiB there is none), or if they were not hashed with the algorithm of `digest`.
    ///
    /// Without earlier bytes: 2 driver calls, or 3 if `at` is `None`. With them: 3, or 4 if the call brings
    /// the last bytes. 2 more if another instance received the earlier bytes, and 2 more if these have no
    /// hash state.
    ///
    /// # Errors
    /// [`RegistryError::Mismatch`], [`RegistryError::UploadOffset`], [`RegistryError::Body`],
    /// [`RegistryError::BodyLength`], [`RegistryError::UploadUnknown`] if the session is cancelled meanwhile.
    pub async fn finish<S, E>(
        &self,
        at: Option<u64>,
        length: Option<u64>,
        digest: &Digest,
        content: S,
    ) -> Result<BlobInfo>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<BoxError>,
    {
        let about = self.about().with_digest(digest);
        let operation = operation!("upload.finish", self.repository.shared, about);
        self.finish_in(operation, FinishRequest { at, length, digest }, content).await
    }

    /// Finishes as the end of an operation.
    pub(crate) async fn finish_in<S, E>(
        &self,
        operation: Operation,
        request: FinishRequest<'_>,
        content: S,
    ) -> Result<BlobInfo>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<BoxError>,
    {
        let finished = self.finish_now(request, content);
        operation.run(pin!(finished), |info, record| record.bytes = Some(info.size)).await
    }

    async fn finish_now<S, E>(&self, request: FinishRequest<'_>, content: S) -> Result<BlobInfo>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<BoxError>,
    {
        self.repository.shared.require_writable()?;
        let progress = self.lock().await?;
        let info = self.finish_locked(&progress, request, content).await.map_err(map_cancelled)?;
        // End it first: the next call that gets the lock has to see it.
        self.end();
        drop(progress);
        self.repository.shared.cache.insert_alias(request.digest, &info.canonical);
        Ok(info)
    }

    async fn finish_locked<S, E>(
        &self,
        progress: &MutexGuard<'_, Progress>,
        request: FinishRequest<'_>,
        content: S,
    ) -> Result<BlobInfo>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<BoxError>,
    {
        let FinishRequest { at, length, digest } = request;
        let content = self.slot.interrupt.content(content);
        let is_new = matches!(**progress, Progress::Fresh) && (at == Some(0) || !self.is_started().await?);
        if is_new {
            check_offset(at, 0)?;
            let info = self.blobs().store_content(digest, length, content).await.map_err(map_wrong_length)?;
            // A failed append, or the instance that began the session, may have claimed it.
            if self.slot.is_touched()
                || (self.slot.began_elsewhere && self.is_started().await.unwrap_or(false))
            {
                self.clean_up().await;
            }
            return Ok(info);
        }
        let finished = self.finish_staged(progress, request, content).await;
        let CommittedBlob { canonical, size, known } = match finished {
            Err(RegistryError::UploadOffset { expected, actual: 0 }) => {
                let committed = self.find_committed(digest, expected).await?;
                committed.ok_or(RegistryError::UploadOffset { expected, actual: 0 })?
            }
            finished => finished?,
        };
        // Data, then link; only then the upload's remains. A crash in between leaves an upload to purge, or, as
        // long as its stage remains, to finish again.
        self.blobs().link(digest, &canonical).await?;
        match known {
            Some(staged) => self.clean_up_stages(&staged).await,
            None => self.clean_up().await,
        }
        Ok(BlobInfo { digest: *digest, canonical, size })
    }

    /// Whether an earlier call made the bytes visible and was interrupted before it linked them. Then the
    /// acknowledged bytes are gone from the session, and the blob is there. A client that may mount it from
    /// anywhere may have it linked now.
    pub(super) async fn find_committed(
        &self,
        digest: &Digest,
        acknowledged: u64,
    ) -> Result<Option<CommittedBlob>> {
        if !digest.is_canonical() || !self.repository.shared.options.automatic_crossmount {
            return Ok(None);
        }
        // The bytes are read, not only looked up: nothing else of this session vouches for them.
        let stored = BlobStore::new(&self.repository.shared).verify(digest).await?;
        Ok(match stored {
            Some(Ok(size)) if size >= acknowledged => {
                Some(CommittedBlob { canonical: *digest, size, known: None })
            }
            _ => None,
        })
    }

    pub(super) async fn finish_staged<S>(
        &self,
        progress: &MutexGuard<'_, Progress>,
        request: FinishRequest<'_>,
        content: S,
    ) -> Result<CommittedBlob>
    where
        S: Stream<Item = Result<Bytes, BoxError>> + Send + Unpin,
    {
        // If there is no piece, the end of the content is polled twice.
        let mut content = content.fuse();
        match first_piece(&mut content).await? {
            None => self.finish_as_it_is(progress, request).await,
            Some(first) => {
                self.finish_with(progress, request, stream::iter([Ok(first)]).chain(content)).await
            }
        }
    }

    /// Finishes without more bytes.
    async fn finish_as_it_is(
        &self,
        progress: &MutexGuard<'_, Progress>,
        FinishRequest { at, length, digest }: FinishRequest<'_>,
    ) -> Result<CommittedBlob> {
        // A wrong length is answered after the store was asked: an offset that is wrong there goes first.
        if let Some((staged, known)) = self.cached_stage(progress, at)
            && let Some(Ok(canonical)) = known.verify(digest)
            && check_length(length, 0).is_ok()
        {
            match self.commit(staged, known.is_ours, canonical).await {
                // Another instance was at the stage, so what the store has now decides.
                Err(error) if is_outdated(&error) => {}
                finished => return finished,
            }
        }
        let opened = self.resume_point(progress, at).await.map_err(map_session_gone)?;
        check_length(length, 0)?;
        match opened {
            ResumePoint::Staged(staged, known) => match known.verify(digest) {
                Some(Ok(canonical)) => {
                    self.commit(staged, known.is_ours, canonical).await.map_err(map_session_gone)
                }
                Some(Err(error)) => {
                    // No later request can make these bytes agree.
                    self.clean_up().await;
                    self.end();
                    Err(error.into())
                }
                None => {
                    // No hash of these bytes is known here: make them readable inside the upload and read them.
                    let committed = self.repository.shared.driver.commit_staged(&staged, &self.data()).await;
                    committed.map_err(|error| map_session_gone(error.into()))?;
                    self.store_visible(digest).await
                }
            },
            ResumePoint::Visible => self.store_visible(digest).await,
            ResumePoint::Empty => {
                let nothing = stream::empty::<Result<Bytes, std::io::Error>>();
                let stored = self.store(digest, Some(0), nothing).await;
                if let Err(RegistryError::Mismatch(_)) = &stored {
                    self.clean_up_stages(&[]).await;
                    self.end();
                }
                stored
            }
        }
    }

    /// Finishes with the last bytes.
    async fn finish_with<S>(
        &self,
        progress: &MutexGuard<'_, Progress>,
        FinishRequest { at, length, digest }: FinishRequest<'_>,
        content: S,
    ) -> Result<CommittedBlob>
    where
        S: Stream<Item = Result<Bytes, BoxError>> + Send + Unpin,
    {
        let (mut writer, known) = match self.resume_cached(progress, at).await? {
            Some(resumed) => resumed,
            None => match self.resume_point(progress, at).await.map_err(map_session_gone)? {
                ResumePoint::Staged(staged, known) => {
                    (self.writer(WriteMode::Resume(staged)).await.map_err(map_session_gone)?, known)
                }
                ResumePoint::Empty => {
                    return self.store(digest, length, content).await.map_err(map_wrong_length);
                }
                ResumePoint::Visible => return Err(RegistryError::UploadUnknown),
            },
        };
        let is_known = known.is_ours && writer.size() < HASH_STATE_MIN;
        let hashers = known.hashers.filter(|hashers| hashers.covers(digest.algorithm()));
        let outcome = write_stream(content, &mut *writer, hashers, length).await;
        let outcome = outcome.map_err(map_wrong_length).map_err(map_session_gone)?;
        if let Some(failure) = outcome.failure {
            return Err(RegistryError::Body(failure));
        }
        check_length(length, outcome.counted)?;
        let size = writer.size();
        let Some(hashers) = outcome.hashers else {
            writer.commit(&self.data()).await.map_err(|error| map_session_gone(error.into()))?;
            return self.store_visible(digest).await;
        };
        let canonical = hashers.verify(digest)?;
        let committed = writer.commit(&layout::blob_data(&canonical)).await;
        committed.map_err(|error| map_session_gone(error.into()))?;
        self.repository.shared.cache.insert_stored(&canonical, size);
        Ok(CommittedBlob { canonical, size, known: is_known.then(Vec::new) })
    }

    async fn commit(&self, staged: Staged, is_ours: bool, canonical: Digest) -> Result<CommittedBlob> {
        self.repository.shared.driver.commit_staged(&staged, &layout::blob_data(&canonical)).await?;
        let size = staged.size;
        self.repository.shared.cache.insert_stored(&canonical, size);
        // Below this size no hash state was ever written.
        let known = (is_ours && size < HASH_STATE_MIN).then(|| vec![staged]);
        Ok(CommittedBlob { canonical, size, known })
    }

    /// Stores the visible bytes of the upload like bytes from a client: the bytes that are verified are the
    /// bytes that are written. If they do not agree, the session ends, because the acknowledged bytes cannot
    /// be told apart from the last ones.
    async fn store_visible(&self, digest: &Digest) -> Result<CommittedBlob> {
        let reader = self.repository.shared.driver.reader(&self.data(), ByteRange::full()).await;
        let reader = reader.map_err(|error| map_session_gone(error.into()))?;
        let size = Some(reader.content_length());
        match self.store(digest, size, reader.into_stream()).await {
            Err(error @ RegistryError::Mismatch(_)) => {
                self.clean_up().await;
                self.end();
                Err(error)
            }
            // Here it was the store that failed to deliver them.
            Err(RegistryError::Body(failure)) => Err(match failure.downcast::<Error>() {
                Ok(error) => map_session_gone((*error).into()),
                Err(failure) => RegistryError::Body(failure),
            }),
            stored => stored,
        }
    }

    async fn store<S, E>(&self, digest: &Digest, size: Option<u64>, content: S) -> Result<CommittedBlob>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<BoxError>,
    {
        let store = BlobStore::new(&self.repository.shared);
        let (canonical, size) = store.write(&self.repository.name, digest, size, content).await?;
        Ok(CommittedBlob { canonical, size, known: None })
    }
}

impl StagedState {
    /// Returns the canonical digest if the bytes agree with a digest, or `None` if that is unknown.
    fn verify(&self, digest: &Digest) -> Option<Result<Digest, plugin_registry_core::VerifyError>> {
        let hashers = self.hashers.as_ref().filter(|hashers| hashers.covers(digest.algorithm()))?;
        Some(hashers.clone().verify(digest))
    }
}
