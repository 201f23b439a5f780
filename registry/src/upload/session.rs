//! One upload session.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use futures::{Stream, StreamExt, future::ready, stream};
use plugin_registry_core::{
    Algorithm, Digest, ErrorKind, FileWriter, HashState, PutMode, RepositoryName, StageId, StorageDriver,
    StorageDriverExt, WriteOptions,
};
use tokio::sync::MutexGuard;

use super::{
    UploadId,
    checks::{as_announced, check_length, check_offset, first_piece, too_late},
    finish::{Asked, Finished},
    interrupt::or_cancelled,
    slot::{Progress, Slot},
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

/// `startedat` has 20 bytes, or some more with fractions of a second.
const MAX_STARTED_AT: u64 = 1024;

/// What the store holds of a session.
enum Stage {
    /// Staged bytes, open for more.
    Open(Box<dyn FileWriter>),
    /// Nothing staged.
    Empty,
    /// A visible file: the session of another program, or one that was interrupted between commit and
    /// rename.
    Visible,
}

/// A session that is open for more, or for its end.
pub(super) enum Opened {
    /// A stage, with the hashers of the bytes before, if they are known.
    Stage(Box<dyn FileWriter>, Known),
    /// A visible file.
    Visible,
}

/// What this instance or the store knows of the bytes of an open stage.
pub(super) struct Known {
    pub(super) hashers: Option<Box<Hashers>>,
    /// This instance claimed the session and brought every byte.
    pub(super) is_ours: bool,
}

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

    /// How many bytes are acknowledged: exactly where the next append has to begin. At most 2 driver calls.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`] when the session has ended, [`RegistryError::UploadBusy`] while another
    /// instance is writing to it and this one knows nothing of it.
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
            return Ok(self.slot.acknowledged.load(Ordering::Acquire));
        };
        if self.slot.has_ended() {
            return Err(RegistryError::UploadUnknown);
        }
        let is_fresh = matches!(*progress, Progress::Fresh);
        match self.open_stage(WriteOptions::resume()).await {
            Ok(Stage::Open(writer)) => Ok(writer.size()),
            Ok(Stage::Visible) => self.visible_size().await.map_err(too_late),
            // Also while another instance commits the bytes: whoever begins again at 0 then gets the right blob
            // or learns that the session has ended.
            Ok(Stage::Empty) if is_fresh || self.is_started().await? => Ok(0),
            Ok(Stage::Empty) => {
                self.end();
                Err(RegistryError::UploadUnknown)
            }
            // Another instance is writing. What this one knows is still acknowledged; nothing is no answer.
            Err(RegistryError::UploadBusy) => match self.slot.acknowledged.load(Ordering::Acquire) {
                0 => Err(RegistryError::UploadBusy),
                known => Ok(known),
            },
            Err(error) => Err(error),
        }
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
        let opened = self.open(progress, at, WriteOptions::resume()).await.map_err(too_late)?;
        let Opened::Stage(mut writer, Known { hashers, is_ours }) = opened else {
            // Another program's unfinished bytes can be finished, not continued (ADR 0014).
            return Err(RegistryError::UploadUnknown);
        };
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
        let stage = writer.close().await.map_err(|error| too_late(error.into()))?;
        let offset = offset + counted;
        // The hash state comes after the bytes: without it they are only read again.
        if let (Some(hashers), Some(stage)) = (hashers.as_ref().filter(|_| offset >= HASH_STATE_MIN), &stage)
        {
            let path = layout::upload_hash_state(&self.repository, &self.id, stage, offset);
            let state = Bytes::copy_from_slice(hashers.state().as_bytes());
            self.inner.driver.put_content(&path, state, PutMode::Overwrite).await?;
        }
        **progress = Progress::Staged { stage, offset, hashers, is_ours };
        self.slot.acknowledged.store(offset, Ordering::Release);
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
    /// 2 driver calls without earlier bytes, 3 with; 2 more when this instance did not see the earlier
    /// bytes and they have no hash state.
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
        let canonical = self.finish_locked(&progress, asked, content).await.map_err(or_cancelled)?;
        // Ended first: whoever gets the lock next has to see it.
        self.end();
        drop(progress);
        self.inner.known.learned_alias(digest, &canonical);
        let size = match self.inner.known.blob(&canonical) {
            Some(seen) => seen.size,
            None => self.inner.driver.stat_file(&layout::blob_data(&canonical)).await?.size,
        };
        Ok(BlobInfo { digest: *digest, canonical, size })
    }

    async fn finish_locked<S, E>(
        &self,
        progress: &MutexGuard<'_, Progress>,
        asked: Asked<'_>,
        content: S,
    ) -> Result<Digest>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<BoxError>,
    {
        let Asked { at, length, digest } = asked;
        let content = self.slot.interrupt.content(content);
        let is_new = matches!(**progress, Progress::Fresh) && (at == Some(0) || !self.is_started().await?);
        if is_new {
            check_offset(at, 0)?;
            let canonical =
                self.blobs().store_content(digest, length, content).await.map_err(as_announced)?;
            // An append that failed may have claimed the session.
            if self.slot.is_touched() {
                self.remove_remains().await;
            }
            return Ok(canonical);
        }
        let finished = self.finish_staged(progress, asked, content).await;
        let Finished { canonical, is_known } = match finished.map_err(too_late) {
            Err(RegistryError::UploadOffset { expected, actual: 0 })
                if self.was_committed(digest, expected).await? =>
            {
                Finished { canonical: *digest, is_known: false }
            }
            finished => finished?,
        };
        // Data, then link; only then the upload's remains. A crash between leaves an upload to purge, or to
        // finish again where its stage stays until then.
        self.blobs().link(digest, &canonical).await?;
        if is_known {
            self.remove_known_remains().await;
        } else {
            self.remove_remains().await;
        }
        Ok(canonical)
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

    pub(super) fn data(&self) -> plugin_registry_core::StoragePath {
        layout::upload_data(&self.repository, &self.id)
    }

    async fn is_started(&self) -> Result<bool> {
        is_started(&self.inner, &self.repository, self.id).await
    }

    async fn visible_size(&self) -> Result<u64> {
        Ok(self.inner.driver.stat_file(&self.data()).await?.size)
    }

    async fn stored_offset(&self, progress: &MutexGuard<'_, Progress>) -> Result<u64> {
        match self.open_stage(WriteOptions::resume()).await? {
            Stage::Open(writer) => Ok(writer.size()),
            Stage::Visible => self.visible_size().await,
            Stage::Empty if matches!(**progress, Progress::Fresh) || self.is_started().await? => Ok(0),
            Stage::Empty => {
                self.end();
                Err(RegistryError::UploadUnknown)
            }
        }
    }

    async fn open_stage(&self, options: WriteOptions) -> Result<Stage> {
        match self.inner.driver.writer(&self.data(), options).await {
            Ok(writer) => Ok(Stage::Open(writer)),
            Err(error) => match error.kind() {
                ErrorKind::NotFound => Ok(Stage::Empty),
                ErrorKind::AlreadyExists => Ok(Stage::Visible),
                ErrorKind::Conflict => Err(RegistryError::UploadBusy),
                _ => Err(error.into()),
            },
        }
    }

    /// Opens the session at `at`; a stage by `options`, which resume.
    pub(super) async fn open(
        &self,
        progress: &MutexGuard<'_, Progress>,
        at: Option<u64>,
        options: WriteOptions,
    ) -> Result<Opened> {
        let is_claimed = match **progress {
            // The claim comes first: whoever writes `startedat` owns the stage's beginning. A crash after
            // it leaves an upload of zero bytes.
            Progress::Fresh if at.unwrap_or_default() == 0 => self.claim().await?,
            _ => false,
        };
        let stage = if is_claimed { Stage::Empty } else { self.open_stage(options).await? };
        match stage {
            Stage::Open(writer) => {
                check_offset(at, writer.size())?;
                let known = self.known_of(progress, writer.stage_id(), writer.size()).await?;
                Ok(Opened::Stage(writer, known))
            }
            Stage::Empty => {
                if !is_claimed && !self.is_started().await? {
                    if matches!(**progress, Progress::Fresh) {
                        check_offset(at, 0)?;
                    }
                    self.end();
                    return Err(RegistryError::UploadUnknown);
                }
                check_offset(at, 0)?;
                let writer = self.inner.driver.writer(&self.data(), WriteOptions::create()).await?;
                let hashers = Some(Hashers::new(self.slot.algorithm));
                Ok(Opened::Stage(writer, Known { hashers, is_ours: is_claimed }))
            }
            Stage::Visible => {
                check_offset(at, self.visible_size().await?)?;
                Ok(Opened::Visible)
            }
        }
    }

    /// Writes `startedat` in the form of distribution, unless somebody did before.
    async fn claim(&self) -> Result<bool> {
        self.slot.touch();
        let path = layout::upload_started_at(&self.repository, &self.id);
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        match self.inner.driver.put_content(&path, now.into(), PutMode::CreateOnly).await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// What is known after the bytes of a resumed stage: the hashers, if this instance or the store has them for
    /// exactly this stage.
    async fn known_of(
        &self,
        progress: &MutexGuard<'_, Progress>,
        stage: Option<StageId>,
        size: u64,
    ) -> Result<Known> {
        if size == 0 {
            return Ok(Known { hashers: Some(Hashers::new(self.slot.algorithm)), is_ours: false });
        }
        let Some(stage) = stage else { return Ok(Known { hashers: None, is_ours: false }) };
        if let Progress::Staged { stage: Some(known), offset, hashers: Some(hashers), is_ours } = &**progress
            && (known, *offset) == (&stage, size)
        {
            return Ok(Known { hashers: Some(hashers.clone()), is_ours: *is_ours });
        }
        if size < HASH_STATE_MIN {
            return Ok(Known { hashers: None, is_ours: false });
        }
        // Whatever cannot be read is not used: the bytes are hashed again.
        let path = layout::upload_hash_state(&self.repository, &self.id, &stage, size);
        let stored = self.inner.driver.get_optional(&path, 1024).await?;
        let state = stored.and_then(|bytes| HashState::from_bytes(&bytes).ok());
        let state = state.filter(|state| state.length() == size);
        Ok(Known { hashers: state.and_then(|state| Hashers::resume(&state)), is_ours: false })
    }

    pub(super) async fn remove_remains(&self) {
        let path = layout::upload(&self.repository, &self.id);
        if let Err(error) = self.inner.driver.delete_if_exists(&path).await {
            tracing::warn!(%path, %error, "the remains of an upload could not be deleted; a purge will");
        }
    }
}

/// Whether the store has a session. A `startedat` that is far too long is damage, and no session.
pub(super) async fn is_started(inner: &Inner, repository: &RepositoryName, id: UploadId) -> Result<bool> {
    match inner.driver.get_optional(&layout::upload_started_at(repository, &id), MAX_STARTED_AT).await {
        Ok(content) => Ok(content.is_some()),
        Err(error) if error.kind() == ErrorKind::TooLarge => Ok(false),
        Err(error) => Err(error.into()),
    }
}
