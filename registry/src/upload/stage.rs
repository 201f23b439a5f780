//! The stored part of a session, and how a session continues from it.

use plugin_registry_core::{
    ErrorKind, FileWriter, HashState, PutMode, RepositoryName, Staged, StorageDriver, StorageDriverExt,
    WriteMode,
};
use tokio::sync::MutexGuard;

use super::{
    UploadId,
    checks::check_offset,
    session::{HASH_STATE_MIN, UploadSession},
    slot::Progress,
};
use crate::{
    error::{RegistryError, Result},
    hashing::Hashers,
    layout,
    shared::Shared,
};

/// `startedat` has 20 bytes, or a few more with fractions of a second.
const MAX_STARTED_AT: u64 = 1024;

/// The stored bytes of a session.
enum StoredBytes {
    Staged(Staged),
    /// A visible file of this many bytes: the session of another program, or one that was interrupted between a
    /// commit and the end.
    Visible(u64),
    Nothing,
}

/// A session that exists, at the offset that was asked for.
pub(super) enum ResumePoint {
    /// Staged bytes, and what is known of them.
    Staged(Staged, StagedState),
    /// No bytes yet.
    Empty,
    /// A visible file with bytes.
    Visible,
}

/// The staged bytes, as this instance or the store knows them.
pub(super) struct StagedState {
    /// The hashers after exactly these bytes.
    pub(super) hashers: Option<Box<Hashers>>,
    /// This instance claimed the session and brought every byte.
    pub(super) is_ours: bool,
}

impl UploadSession {
    /// Returns the bytes that this instance staged last, if the request continues after them.
    pub(super) fn cached_stage(
        &self,
        progress: &MutexGuard<'_, Progress>,
        at: Option<u64>,
    ) -> Option<(Staged, StagedState)> {
        match &**progress {
            Progress::Staged { staged: Some(staged), hashers: Some(hashers), is_ours }
                if at.is_none_or(|at| at == staged.size) =>
            {
                Some((staged.clone(), StagedState { hashers: Some(hashers.clone()), is_ours: *is_ours }))
            }
            _ => None,
        }
    }

    /// Continues after the bytes that this instance staged last; `None` if it staged none, or they are gone.
    pub(super) async fn resume_cached(
        &self,
        progress: &MutexGuard<'_, Progress>,
        at: Option<u64>,
    ) -> Result<Option<(Box<dyn FileWriter>, StagedState)>> {
        let Some((staged, known)) = self.cached_stage(progress, at) else { return Ok(None) };
        match self.writer(WriteMode::Resume(staged)).await {
            // Another instance was at the stage, so what the store has now decides.
            Err(error) if is_outdated(&error) => Ok(None),
            writer => Ok(Some((writer?, known))),
        }
    }

    /// Looks the session up in the store.
    pub(super) async fn resume_point(
        &self,
        progress: &MutexGuard<'_, Progress>,
        at: Option<u64>,
    ) -> Result<ResumePoint> {
        let is_started = match self.look().await? {
            StoredBytes::Staged(staged) => {
                check_offset(at, staged.size)?;
                let known = self.staged_state(progress, &staged).await?;
                return Ok(ResumePoint::Staged(staged, known));
            }
            StoredBytes::Visible(size) if size > 0 => {
                check_offset(at, size)?;
                return Ok(ResumePoint::Visible);
            }
            StoredBytes::Visible(_) => true,
            StoredBytes::Nothing => self.is_started().await?,
        };
        if !is_started {
            if matches!(**progress, Progress::Fresh) {
                check_offset(at, 0)?;
            }
            self.end();
            return Err(RegistryError::UploadUnknown);
        }
        check_offset(at, 0)?;
        Ok(ResumePoint::Empty)
    }

    /// Returns where the upload stands according to the store.
    pub(super) async fn stored_offset(&self, progress: &MutexGuard<'_, Progress>) -> Result<u64> {
        match self.look().await? {
            StoredBytes::Staged(staged) => Ok(staged.size),
            StoredBytes::Visible(size) => Ok(size),
            // Also while another instance commits the bytes: a client that begins again at 0 then gets the
            // right blob, or learns that the session has ended.
            StoredBytes::Nothing if matches!(**progress, Progress::Fresh) || self.is_started().await? => {
                Ok(0)
            }
            StoredBytes::Nothing => {
                self.end();
                Err(RegistryError::UploadUnknown)
            }
        }
    }

    /// Returns how many bytes are staged.
    pub(super) async fn staged_size(&self) -> Result<Option<u64>> {
        Ok(self.find_staged().await?.map(|staged| staged.size))
    }

    async fn find_staged(&self) -> Result<Option<Staged>> {
        match self.repository.shared.driver.find_staged(&self.data()).await {
            Err(error) if error.is_not_found() => Ok(None),
            found => Ok(Some(found?)),
        }
    }

    async fn look(&self) -> Result<StoredBytes> {
        if let Some(staged) = self.find_staged().await? {
            return Ok(StoredBytes::Staged(staged));
        }
        let (driver, data) = (&self.repository.shared.driver, self.data());
        match driver.stat(&data).await {
            Err(error) if error.is_not_found() => Ok(StoredBytes::Nothing),
            info => Ok(StoredBytes::Visible(info?.size)),
        }
    }

    pub(super) async fn writer(&self, mode: WriteMode) -> Result<Box<dyn FileWriter>> {
        Ok(self.repository.shared.driver.writer(&self.data(), mode).await?)
    }

    /// Returns the hashers after staged bytes, if this instance or the store has them for exactly these bytes.
    async fn staged_state(
        &self,
        progress: &MutexGuard<'_, Progress>,
        staged: &Staged,
    ) -> Result<StagedState> {
        if staged.size == 0 {
            return Ok(StagedState { hashers: Some(Hashers::new(self.slot.algorithm)), is_ours: false });
        }
        if let Progress::Staged { staged: Some(known), hashers: Some(hashers), is_ours } = &**progress
            && known.id == staged.id
        {
            return Ok(StagedState { hashers: Some(hashers.clone()), is_ours: *is_ours });
        }
        if staged.size < HASH_STATE_MIN {
            return Ok(StagedState { hashers: None, is_ours: false });
        }
        // A state that cannot be read is not used: the bytes are hashed again.
        let path = layout::upload_hash_state(&self.repository.name, &self.id, &staged.id, staged.size);
        let stored = self.repository.shared.driver.get_optional(&path, 1024).await?;
        let state = stored.and_then(|bytes| HashState::from_bytes(&bytes).ok());
        let state = state.filter(|state| state.length() == staged.size);
        Ok(StagedState { hashers: state.and_then(|state| Hashers::resume(&state)), is_ours: false })
    }

    /// Writes `startedat` in the form of distribution, unless it already exists.
    pub(super) async fn claim(&self) -> Result<bool> {
        self.slot.touch();
        let path = layout::upload_started_at(&self.repository.name, &self.id);
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        match self.repository.shared.driver.put_content(&path, now.into(), PutMode::CreateOnly).await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn is_started(&self) -> Result<bool> {
        is_started(&self.repository.shared, &self.repository.name, self.id).await
    }

    /// Deletes what the store holds of the session.
    pub(super) async fn clean_up(&self) {
        let path = layout::upload(&self.repository.name, &self.id);
        if let Err(error) = self.repository.shared.driver.delete_if_exists(&path).await {
            tracing::warn!(%path, %error, "the remains of an upload could not be deleted; a purge will");
        }
    }

    /// Deletes a session that holds only `startedat` and these stages, without asking the store what it holds.
    pub(super) async fn clean_up_stages(&self, staged: &[Staged]) {
        let path = layout::upload_started_at(&self.repository.name, &self.id);
        let deleted = self.repository.shared.driver.delete_many(vec![path.clone()], staged).await;
        if let Err(error) = deleted.and_then(plugin_registry_core::DeleteReport::into_result) {
            tracing::warn!(%path, %error, "the remains of an upload could not be deleted; a purge will");
        }
    }
}

/// Whether the staged bytes are not the ones that this instance expected.
pub(super) fn is_outdated(error: &RegistryError) -> bool {
    match error {
        RegistryError::Storage(storage) => {
            matches!(storage.kind(), ErrorKind::NotFound | ErrorKind::Conflict)
        }
        _ => false,
    }
}

/// Whether the store has a session. A `startedat` that is far too long is damage, not a session.
pub(super) async fn is_started(shared: &Shared, repository: &RepositoryName, id: UploadId) -> Result<bool> {
    match shared.driver.get_optional(&layout::upload_started_at(repository, &id), MAX_STARTED_AT).await {
        Ok(content) => Ok(content.is_some()),
        Err(error) if error.kind() == ErrorKind::TooLarge => Ok(false),
        Err(error) => Err(error.into()),
    }
}
