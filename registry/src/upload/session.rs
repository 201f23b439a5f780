//! One upload session.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use futures::{Stream, StreamExt, future::ready, stream};
use plugin_registry_core::{
    Algorithm, Digest, FileWriter, PutMode, RepositoryName, StorageDriver, StorageDriverExt, StoragePath,
    WriteMode,
};
use tokio::sync::MutexGuard;

use super::{
    UploadId,
    checks::{as_announced, check_length, check_offset, first_piece, too_late},
    finish::{Asked, Finished},
    interrupt::or_cancelled,
    slot::{Progress, Slot},
    stage::{Known, Opened},
};
use crate::{
    blob::{BlobInfo, Blobs, BoxError, Poured, pour},
    error::{RegistryError, Result},
    hashing::Hashers,
    layout,
    registry::Inner,
};

/// From this size on, the hash state is stored with each append, so that another instance need not read
/// the staged bytes again. Below, reading them is cheaper than one more object.
pub(super) const HASH_STATE_MIN: u64 = 16 * 1024 * 1024;

/// One upload session. Requests to it are taken one at a time; a second one at the same time gets
/// [`RegistryError::UploadBusy`], but for [`cancel`](Self::cancel), which ends the first.
///
/// What an operation has acknowledged survives the process, and every instance of the location can go on
/// there. Dropping a future leaves the session where it was before the call.
///
/// A call waits for its content as long as the caller lets it: the registry has no clock. Content that may
/// never end needs a time limit of the caller's, or a `cancel` by somebody else.
#[derive(Clone, Debug)]
pub struct UploadSession {
    pub(super) inner: Arc<Inner>,
    pub(super) repository: RepositoryName,
    pub(super) id: UploadId,
    pub(super) slot: Arc<Slot>,
}

impl UploadSession {
    pub(super) fn new(inner: Arc<Inner>, repository: RepositoryName, id: UploadId, slot: Arc<Slot>) -> Self {
        Self { inner, repository, id, slot }
    }

    /// The identifier, for [`Uploads::resume`](super::Uploads::resume).
    #[must_use]
    pub fn id(&self) -> UploadId {
        self.id
    }

    /// The algorithm that the session was started with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.slot.algorithm
    }

    /// How many bytes are acknowledged: exactly where the next append has to begin. 1 driver call, 3 where there are
    /// none.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`] when the session has ended.
    #[tracing::instrument(
        level = "error", skip(self),
        fields(
            location = self.inner.location(), instance = self.inner.instance(),
            repository = %self.repository, upload = %self.id
        )
    )]
    pub async fn status(&self) -> Result<u64> {
        let _looking = self.slot.looking.lock().await;
        let Ok(progress) = self.slot.progress.try_lock() else {
            // A request is running. Another instance, or one before this, may have brought the session further.
            let known = self.slot.acknowledged.load(Ordering::Acquire);
            return Ok(self.staged_size().await?.unwrap_or_default().max(known));
        };
        if self.slot.has_ended() {
            return Err(RegistryError::UploadUnknown);
        }
        self.stored_offset(&progress).await
    }

    /// How many bytes an append of this instance that is running now has brought the session to, or zero.
    /// No driver call. They are kept when its content ends or fails, and lost when it is dropped or its
    /// content is not as long as announced; only [`status`](Self::status) says what is acknowledged.
    #[must_use]
    pub fn arrived(&self) -> u64 {
        self.slot.interrupt.arrived()
    }

    /// Appends bytes and makes them durable; gives the new offset.
    ///
    /// `at` is where the caller believes the upload to stand, `length` how many bytes it announced. When
    /// the content fails in the middle, the bytes before are kept and acknowledged by
    /// [`status`](Self::status); when there are more or fewer than announced, none of them is.
    ///
    /// 2 driver calls for the first append, 1 for the next ones, and 1 more from 16 MiB on.
    ///
    /// # Errors
    /// [`RegistryError::UploadOffset`] when the upload stands elsewhere (it is kept as it is),
    /// [`RegistryError::Body`] when the content fails, [`RegistryError::SizeInvalid`] when it is not as
    /// long as announced, [`RegistryError::UploadUnknown`] when the session is cancelled meanwhile.
    #[tracing::instrument(
        level = "error", skip_all,
        fields(
            location = self.inner.location(), instance = self.inner.instance(),
            repository = %self.repository, upload = %self.id, at
        )
    )]
    pub async fn append<S, E>(&self, at: Option<u64>, length: Option<u64>, content: S) -> Result<u64>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<BoxError>,
    {
        self.inner.require_writable()?;
        let mut progress = self.lock().await?;
        self.append_locked(&mut progress, at, length, content).await.map_err(or_cancelled)
    }

    async fn append_locked<S, E>(
        &self,
        progress: &mut MutexGuard<'_, Progress>,
        at: Option<u64>,
        length: Option<u64>,
        content: S,
    ) -> Result<u64>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<BoxError>,
    {
        let mut content = self.slot.interrupt.content(content);
        // Nothing is written for a body without bytes.
        let Some(first) = first_piece(&mut content).await? else {
            let offset = self.stored_offset(progress).await.map_err(too_late)?;
            check_offset(at, offset)?;
            return check_length(length, 0).map(|()| offset);
        };
        let (mut writer, Known { hashers, is_ours }) = self.open(progress, at).await.map_err(too_late)?;
        let offset = writer.size();
        self.slot.acknowledged.store(offset, Ordering::Release);
        let _arrival = self.slot.interrupt.arrival(offset + first.len() as u64);
        let content = stream::once(ready(Ok(first))).chain(content.counted());
        let poured = pour(content, &mut *writer, hashers, length).await.map_err(as_announced);
        let Poured { counted, hashers, failure } = poured.map_err(too_late)?;
        if failure.is_none() {
            check_length(length, counted)?;
        }
        // When the content failed, the bytes before came in order: they are kept.
        let staged = writer.close().await.map_err(|error| too_late(error.into()))?;
        let offset = offset + counted;
        // The hash state comes after the bytes: without it they are only read again.
        let state = hashers.as_ref().filter(|_| offset >= HASH_STATE_MIN).map(|hashers| {
            let path = layout::upload_hash_state(&self.repository, &self.id, &staged.id, offset);
            (path, Bytes::copy_from_slice(hashers.state().as_bytes()))
        });
        **progress = Progress::Staged { staged: Some(staged), hashers, is_ours };
        self.slot.acknowledged.store(offset, Ordering::Release);
        if let Some((path, state)) = state {
            self.inner.driver.put_content(&path, state, PutMode::Overwrite).await?;
        }
        failure.map_or(Ok(offset), |failure| Err(RegistryError::Body(failure)))
    }

    /// Appends the last bytes, verifies all of them against `digest`, makes the blob visible and links it.
    ///
    /// A session without earlier bytes goes straight to the final path. When the content does not agree,
    /// bytes acknowledged before this call are kept if this call brought bytes (they may have been the
    /// wrong ones; the call can be repeated), else the session ends, because nothing can make it agree. It
    /// ends too where nobody can say what the earlier bytes were but by reading them together with the new
    /// ones: another instance brought them, and they are fewer than 16 MiB.
    ///
    /// 2 driver calls without earlier bytes, 3 with, or 4 where the call brings the last of them; 2 more at another
    /// instance than the one that brought the earlier bytes, and 2 more where these have no hash state.
    ///
    /// # Errors
    /// [`RegistryError::Mismatch`], [`RegistryError::UploadOffset`], [`RegistryError::Body`],
    /// [`RegistryError::SizeInvalid`], [`RegistryError::UploadUnknown`] when the session is cancelled
    /// meanwhile.
    #[tracing::instrument(
        level = "error", skip_all,
        fields(
            location = self.inner.location(), instance = self.inner.instance(),
            repository = %self.repository, upload = %self.id, at, %digest
        )
    )]
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
        self.inner.require_writable()?;
        let progress = self.lock().await?;
        let asked = Asked { at, length, digest };
        let info = self.finish_locked(&progress, asked, content).await.map_err(or_cancelled)?;
        // Ended first: whoever gets the lock next has to see it.
        self.end();
        drop(progress);
        self.inner.known.learned_alias(digest, &info.canonical);
        Ok(info)
    }

    async fn finish_locked<S, E>(
        &self,
        progress: &MutexGuard<'_, Progress>,
        asked: Asked<'_>,
        content: S,
    ) -> Result<BlobInfo>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<BoxError>,
    {
        let Asked { at, length, digest } = asked;
        let content = self.slot.interrupt.content(content);
        let is_new = matches!(**progress, Progress::Fresh) && (at == Some(0) || !self.is_started().await?);
        if is_new {
            check_offset(at, 0)?;
            let info = self.blobs().store_content(digest, length, content).await.map_err(as_announced)?;
            // An append that failed may have claimed the session, or the instance that began it.
            if self.slot.is_touched()
                || (self.slot.began_elsewhere && self.is_started().await.unwrap_or(false))
            {
                self.remove_remains().await;
            }
            return Ok(info);
        }
        let finished = self.finish_staged(progress, asked, content).await;
        let Finished { canonical, size, known } = match finished {
            Err(RegistryError::UploadOffset { expected, actual: 0 }) => {
                let committed = self.was_committed(digest, expected).await?;
                committed.ok_or(RegistryError::UploadOffset { expected, actual: 0 })?
            }
            finished => finished?,
        };
        // Data, then link; only then the upload's remains. A crash between leaves an upload to purge, or to
        // finish again where its stage stays until then.
        self.blobs().link(digest, &canonical).await?;
        match known {
            Some(staged) => self.remove_known_remains(&staged).await,
            None => self.remove_remains().await,
        }
        Ok(BlobInfo { digest: *digest, canonical, size })
    }

    /// Ends the session and throws its bytes away. An append or a finish of this instance that is under way
    /// ends at its next wait for content, with [`RegistryError::UploadUnknown`]; this waits for it. A cancel
    /// that is dropped or fails may have ended it all the same.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`] when it has ended already, [`RegistryError::NotAllowed`] when deletes
    /// are off.
    #[tracing::instrument(
        level = "error", skip(self),
        fields(
            location = self.inner.location(), instance = self.inner.instance(),
            repository = %self.repository, upload = %self.id
        )
    )]
    pub async fn cancel(&self) -> Result<()> {
        self.inner.require_delete()?;
        let cancel = self.slot.interrupt.cancel();
        let progress = self.slot.progress.lock().await;
        drop(cancel);
        if self.slot.has_ended() {
            return Err(RegistryError::UploadUnknown);
        }
        // Another instance may have ended it; a fresh one need not be in the store.
        if !matches!(*progress, Progress::Fresh) && !self.is_started().await? {
            self.end();
            return Err(RegistryError::UploadUnknown);
        }
        self.inner.driver.delete_if_exists(&layout::upload(&self.repository, &self.id)).await?;
        // Ended first: whoever gets the lock next has to see it.
        self.end();
        drop(progress);
        Ok(())
    }

    async fn lock(&self) -> Result<MutexGuard<'_, Progress>> {
        let _looking = self.slot.looking.lock().await;
        let progress = self.slot.progress.try_lock().map_err(|_| RegistryError::UploadBusy)?;
        if self.slot.has_ended() { Err(RegistryError::UploadUnknown) } else { Ok(progress) }
    }

    pub(super) fn end(&self) {
        self.slot.end();
    }

    fn blobs(&self) -> Blobs {
        Blobs::new(self.inner.clone(), self.repository.clone())
    }

    pub(super) fn data(&self) -> StoragePath {
        layout::upload_data(&self.repository, &self.id)
    }

    /// Opens the session at `at` for more bytes.
    async fn open(
        &self,
        progress: &MutexGuard<'_, Progress>,
        at: Option<u64>,
    ) -> Result<(Box<dyn FileWriter>, Known)> {
        if let Some(resumed) = self.resume_remembered(progress, at).await? {
            return Ok(resumed);
        }
        let is_claimed = match **progress {
            // The claim comes first: whoever writes `startedat` owns the stage's beginning. A crash after
            // it leaves an upload of zero bytes.
            Progress::Fresh if at.unwrap_or_default() == 0 => self.claim().await?,
            _ => false,
        };
        let opened = if is_claimed { Opened::Empty } else { self.look_up(progress, at).await? };
        match opened {
            Opened::Staged(staged, known) => Ok((self.writer(WriteMode::Resume(staged)).await?, known)),
            Opened::Empty => {
                let hashers = Some(Hashers::new(self.slot.algorithm));
                Ok((self.writer(WriteMode::Stage).await?, Known { hashers, is_ours: is_claimed }))
            }
            // Another program's unfinished bytes can be finished, not continued (ADR 0014).
            Opened::Visible => Err(RegistryError::UploadUnknown),
        }
    }
}
