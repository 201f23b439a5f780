//! Upload sessions: bytes that come before, or without, their digest.

mod checks;
mod finish;
pub(crate) mod id;
mod interrupt;
mod purge;
mod session;
pub(crate) mod slot;
mod stage;
pub(crate) mod token;

use std::{pin::pin, sync::Arc};

use plugin_registry_core::Algorithm;

pub(crate) use self::{finish::FinishRequest, slot::Slot, token::UploadState};
pub use self::{
    id::{UploadId, UploadIdError},
    purge::{PurgeReport, StaleUpload},
    session::UploadSession,
};
use crate::{
    error::{RegistryError, Result},
    operation::operation,
    repository::Repository,
};

/// The upload sessions of one repository: [`Repository::uploads`](crate::Repository::uploads).
///
/// For content whose digest is known, [`Blobs::push`](crate::blob::Blobs::push) is simpler.
#[derive(Clone, Debug)]
pub struct Uploads {
    repository: Repository,
}

impl Repository {
    /// Returns its upload sessions.
    #[must_use]
    pub fn uploads(&self) -> Uploads {
        Uploads { repository: self.clone() }
    }
}

impl Uploads {
    /// Starts a session. It writes nothing: the session exists in memory, and in the state token of an HTTP
    /// location, until its first bytes are stored.
    ///
    /// # Errors
    /// [`RegistryError::ReadOnly`] if the registry is read-only.
    pub fn start(&self) -> Result<UploadSession> {
        self.start_with(Algorithm::Sha256)
    }

    /// Starts a session whose content will be named by a digest of `algorithm`.
    ///
    /// The content is then hashed with it on the way, instead of read again at the end (distribution-spec,
    /// end-4c).
    ///
    /// # Errors
    /// [`RegistryError::ReadOnly`] if the registry is read-only.
    pub fn start_with(&self, algorithm: Algorithm) -> Result<UploadSession> {
        let mut operation = operation!("upload.start", self.repository.shared, self.repository.about());
        let session = operation.check(self.begin(algorithm))?;
        operation.end(|record| record.upload = Some(session.id()));
        Ok(session)
    }

    /// Does a start.
    pub(crate) fn begin(&self, algorithm: Algorithm) -> Result<UploadSession> {
        self.repository.shared.require_writable()?;
        let id = UploadId::generate();
        let slot = self.repository.shared.sessions.insert(&self.repository.name, id, Slot::fresh(algorithm));
        Ok(self.session(id, slot))
    }

    /// Continues a session, even one that another instance or a killed process began.
    ///
    /// 1 driver call if this instance does not know it.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`] if it does not exist, or was finished or cancelled.
    pub async fn resume(&self, id: UploadId) -> Result<UploadSession> {
        let about = self.repository.about().with_upload(id);
        let operation = operation!("upload.resume", self.repository.shared, about);
        operation.run(pin!(self.known(id)), |_, _| ()).await
    }

    pub(crate) async fn known(&self, id: UploadId) -> Result<UploadSession> {
        match self.find(id).await? {
            Some(session) => Ok(session),
            None => Err(RegistryError::UploadUnknown),
        }
    }

    /// Continues the session of a genuine state token, even if it has no bytes yet.
    pub(crate) async fn resume_state(&self, state: &UploadState) -> Result<UploadSession> {
        if let Some(session) = self.find(state.id()).await? {
            return Ok(session);
        }
        if state.offset() > 0 || self.repository.shared.sessions.has_ended(&self.repository.name, state.id())
        {
            return Err(RegistryError::UploadUnknown);
        }
        let slot = self.repository.shared.sessions.insert(
            &self.repository.name,
            state.id(),
            Slot::from_token(state.algorithm()),
        );
        Ok(self.session(state.id(), slot))
    }

    async fn find(&self, id: UploadId) -> Result<Option<UploadSession>> {
        if let Some(slot) = self.repository.shared.sessions.get(&self.repository.name, id) {
            return Ok((!slot.has_ended()).then(|| self.session(id, slot)));
        }
        if !stage::is_started(&self.repository.shared, &self.repository.name, id).await? {
            return Ok(None);
        }
        let slot = self.repository.shared.sessions.insert(&self.repository.name, id, Slot::stored());
        Ok(Some(self.session(id, slot)))
    }

    fn session(&self, id: UploadId, slot: Arc<Slot>) -> UploadSession {
        UploadSession::new(self.repository.clone(), id, slot)
    }
}
