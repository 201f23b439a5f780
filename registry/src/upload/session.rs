//! One upload session.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use futures::{Stream, StreamExt, future::ready, stream};
use plugin_registry_core::{
    Algorithm, FileWriter, PutMode, StorageDriver, StorageDriverExt, StoragePath, WriteMode,
};
use tokio::sync::MutexGuard;

use super::{
    UploadId,
    checks::{check_length, check_offset, first_piece, map_session_gone, map_wrong_length},
    interrupt::map_cancelled,
    slot::{Progress, Slot},
    stage::{ResumePoint, StagedState},
};
use crate::{
    blob::{Blobs, StreamOutcome, write_stream},
    error::{BoxError, RegistryError, Result},
    hashing::Hashers,
    layout,
    operation::{About, Operation, operation},
    repository::Repository,
};

/// From this size on, the hash state is stored with each append, so that another instance need not read the
/// staged bytes again. Below it, reading them is cheaper than one more object.
pub(super) const HASH_STATE_MIN: u64 = 16 * 1024 * 1024;

/// One upload session.
///
/// Requests to it are taken one at a time. A second one at the same time gets [`RegistryError::UploadBusy`],
/// except [`status`](Self::status), which answers, and [`cancel`](Self::cancel), which ends the first.
///
/// Acknowledged bytes survive the process, and every instance of the location can continue after them.
/// Dropping a future leaves the session as before the call or as after it. A `finish` that is dropped after
/// it made the blob visible, and before it linked it, may also leave the session without bytes.
///
/// A call waits for its content as long as the caller lets it: the registry has no clock. Content that may
/// never end needs a time limit from the caller, or a `cancel` from elsewhere.
#[derive(Clone, Debug)]
pub struct UploadSession {
    pub(super) repository: Repository,
    pub(super) id: UploadId,
    pub(super) slot: Arc<Slot>,
}

impl UploadSession {
    pub(super) fn new(repository: Repository, id: UploadId, slot: Arc<Slot>) -> Self {
        Self { repository, id, slot }
    }

    /// Returns the identifier, for [`Uploads::resume`](super::Uploads::resume).
    #[must_use]
    pub fn id(&self) -> UploadId {
        self.id
    }

    /// Returns the algorithm that the session was started with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.slot.algorithm
    }

    /// Returns how many bytes are acknowledged, which is exactly where the next append has to begin.
    ///
    /// 1 driver call, 3 if there are no bytes.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`] if the session has ended.
    pub async fn status(&self) -> Result<u64> {
        let operation = operation!("upload.status", self.repository.shared, self.about());
        operation.run(pin!(self.offset()), |offset, record| record.offset = Some(*offset)).await
    }

    pub(crate) fn about(&self) -> About<'_> {
        self.repository.about().with_upload(self.id)
    }

    /// Answers [`status`](Self::status).
    pub(crate) async fn offset(&self) -> Result<u64> {
        let _looking = self.slot.status_lock.lock().await;
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

    /// Returns how far a running append of this instance has brought the session, or zero. No driver call.
    ///
    /// These bytes are kept if the content ends or fails. They are lost if the append is dropped or its content
    /// is not as long as announced. Only [`status`](Self::status) says what is acknowledged.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.slot.interrupt.received_bytes()
    }

    /// Appends bytes, makes them durable and returns the new offset.
    ///
    /// `at` is where the caller believes the upload to stand, `length` is how many bytes it announced. If the
    /// content fails in the middle, the bytes before are kept and acknowledged by [`status`](Self::status). If
    /// there are more or fewer bytes than announced, none of them is kept.
    ///
    /// 2 driver calls for the first append, 1 for later ones, and 1 more from 16 MiB on.
    ///
    /// # Errors
    /// [`RegistryError::UploadOffset`] if the upload stands elsewhere (it is kept as it is),
    /// [`RegistryError::Body`] if the content fails, [`RegistryError::BodyLength`] if it is not as long as
    /// announced, [`RegistryError::UploadUnknown`] if the session is cancelled meanwhile.
    pub async fn append<S, E>(&self, at: Option<u64>, length: Option<u64>, content: S) -> Result<u64>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<BoxError>,
    {
        let operation = operation!("upload.append", self.repository.shared, self.about());
        self.append_in(operation, at, length, content).await
    }

    /// Appends as the end of an operation.
    pub(crate) async fn append_in<S, E>(
        &self,
        operation: Operation,
        at: Option<u64>,
        length: Option<u64>,
        content: S,
    ) -> Result<u64>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<BoxError>,
    {
        let appended = async {
            self.repository.shared.require_writable()?;
            let mut progress = self.lock().await?;
            self.append_locked(&mut progress, at, length, content).await.map_err(map_cancelled)
        };
        let (offset, _) = operation
            .run(pin!(appended), |(offset, bytes), record| {
                (record.offset, record.bytes) = (Some(*offset), Some(*bytes));
            })
            .await?;
        Ok(offset)
    }

    /// Returns the new offset, and how many bytes were appended.
    async fn append_locked<S, E>(
        &self,
        progress: &mut MutexGuard<'_, Progress>,
        at: Option<u64>,
        length: Option<u64>,
        content: S,
    ) -> Result<(u64, u64)>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<BoxError>,
    {
        let mut content = self.slot.interrupt.content(content);
        // A body without bytes writes nothing.
        let Some(first) = first_piece(&mut content).await? else {
            let offset = self.stored_offset(progress).await.map_err(map_session_gone)?;
            check_offset(at, offset)?;
            return check_length(length, 0).map(|()| (offset, 0));
        };
        let (mut writer, StagedState { hashers, is_ours }) =
            self.open(progress, at).await.map_err(map_session_gone)?;
        let offset = writer.size();
        self.slot.acknowledged.store(offset, Ordering::Release);
        let _arrival = self.slot.interrupt.arrival(offset + first.len() as u64);
        let content = stream::once(ready(Ok(first))).chain(content.counted());
        let outcome = write_stream(content, &mut *writer, hashers, length).await.map_err(map_wrong_length);
        let StreamOutcome { counted, hashers, failure } = outcome.map_err(map_session_gone)?;
        if failure.is_none() {
            check_length(length, counted)?;
        }
        // If the content failed, the bytes before came in order, so they are kept.
        let staged = writer.close().await.map_err(|error| map_session_gone(error.into()))?;
        let offset = offset + counted;
        // The hash state comes after the bytes: without it they are only read again.
        let state = hashers.as_ref().filter(|_| offset >= HASH_STATE_MIN).map(|hashers| {
            let path = layout::upload_hash_state(&self.repository.name, &self.id, &staged.id, offset);
            (path, Bytes::copy_from_slice(hashers.state().as_bytes()))
        });
        **progress = Progress::Staged { staged: Some(staged), hashers, is_ours };
        self.slot.acknowledged.store(offset, Ordering::Release);
        if let Some((path, state)) = state {
            self.repository.shared.driver.put_content(&path, state, PutMode::Overwrite).await?;
        }
        failure.map_or(Ok((offset, counted)), |failure| Err(RegistryError::Body(failure)))
    }

    /// Ends the session and discards its bytes.
    ///
    /// A running append or finish of this instance ends at its next wait for content, with
    /// [`RegistryError::UploadUnknown`]; this call waits for it. A cancel that is dropped or fails may still
    /// have ended the session.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`] if it has already ended, [`RegistryError::DeletesOff`] if deletes are
    /// off.
    pub async fn cancel(&self) -> Result<()> {
        let operation = operation!("upload.cancel", self.repository.shared, self.about());
        operation.run(pin!(self.discard()), |(), _| ()).await
    }

    /// Does a cancel.
    pub(crate) async fn discard(&self) -> Result<()> {
        self.repository.shared.require_delete()?;
        let cancel = self.slot.interrupt.cancel();
        let progress = self.slot.progress.lock().await;
        drop(cancel);
        if self.slot.has_ended() {
            return Err(RegistryError::UploadUnknown);
        }
        // Another instance may have ended it. A fresh session need not be in the store.
        if !matches!(*progress, Progress::Fresh) && !self.is_started().await? {
            self.end();
            return Err(RegistryError::UploadUnknown);
        }
        self.repository
            .shared
            .driver
            .delete_if_exists(&layout::upload(&self.repository.name, &self.id))
            .await?;
        // End it first: the next call that gets the lock has to see it.
        self.end();
        drop(progress);
        Ok(())
    }

    pub(super) async fn lock(&self) -> Result<MutexGuard<'_, Progress>> {
        let _looking = self.slot.status_lock.lock().await;
        let progress = self.slot.progress.try_lock().map_err(|_| RegistryError::UploadBusy)?;
        if self.slot.has_ended() { Err(RegistryError::UploadUnknown) } else { Ok(progress) }
    }

    pub(super) fn end(&self) {
        self.slot.end();
    }

    pub(super) fn blobs(&self) -> Blobs {
        self.repository.blobs()
    }

    pub(super) fn data(&self) -> StoragePath {
        layout::upload_data(&self.repository.name, &self.id)
    }

    /// Opens the session at `at` for more bytes.
    async fn open(
        &self,
        progress: &MutexGuard<'_, Progress>,
        at: Option<u64>,
    ) -> Result<(Box<dyn FileWriter>, StagedState)> {
        if let Some(resumed) = self.resume_cached(progress, at).await? {
            return Ok(resumed);
        }
        let is_claimed = match **progress {
            // The claim comes first: the writer of `startedat` owns the stage's beginning. A crash after it
            // leaves an upload of zero bytes.
            Progress::Fresh if at.unwrap_or_default() == 0 => self.claim().await?,
            _ => false,
        };
        let opened = if is_claimed { ResumePoint::Empty } else { self.resume_point(progress, at).await? };
        match opened {
            ResumePoint::Staged(staged, known) => Ok((self.writer(WriteMode::Resume(staged)).await?, known)),
            ResumePoint::Empty => {
                let hashers = Some(Hashers::new(self.slot.algorithm));
                Ok((self.writer(WriteMode::Stage).await?, StagedState { hashers, is_ours: is_claimed }))
            }
            // Another program's unfinished bytes can be finished, not continued (ADR 0014).
            ResumePoint::Visible => Err(RegistryError::UploadUnknown),
        }
    }
}
