//! Upload sessions: bytes that come before, or without, their digest.

mod checks;
mod finish;
mod interrupt;
mod purge;
mod session;
mod slot;
mod stage;
mod state;

use std::{fmt, str::FromStr, sync::Arc};

use plugin_registry_core::{Algorithm, RepositoryName};
use uuid::Uuid;

pub use self::{
    purge::{PurgeReport, StaleUpload},
    session::UploadSession,
};
pub(crate) use self::{
    slot::{Sessions, Slot},
    state::{StateKey, UploadState},
};
use crate::{
    error::{RegistryError, Result},
    registry::Inner,
};

/// The identifier of an upload session: a UUID in its canonical form. Ours are of version 7. Those of other
/// programs (version 4 of distribution 2.8) are read too.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId(Uuid);

impl UploadId {
    /// Generates a new identifier.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl FromStr for UploadId {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self> {
        // Accept only the spelling that paths use: no braces, no upper case.
        let id = Uuid::try_parse(text).ok().filter(|id| id.as_hyphenated().to_string() == text);
        id.map(Self).ok_or(RegistryError::UploadUnknown)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0.as_hyphenated(), f)
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The upload sessions of one repository: [`Repository::uploads`](crate::Repository::uploads).
///
/// For content whose digest is known, [`Blobs::push`](crate::blob::Blobs::push) is simpler.
#[derive(Clone, Debug)]
pub struct Uploads {
    inner: Arc<Inner>,
    repository: RepositoryName,
}

impl Uploads {
    pub(crate) fn new(inner: Arc<Inner>, repository: RepositoryName) -> Self {
        Self { inner, repository }
    }

    /// Starts a session. It writes nothing: the session exists in memory, and in the state token of an HTTP
    /// location, until its first bytes are stored.
    ///
    /// # Errors
    /// [`RegistryError::NotAllowed`] if the registry is read-only.
    pub fn start(&self) -> Result<UploadSession> {
        self.start_with(Algorithm::Sha256)
    }

    /// Starts a session whose content will be named by a digest of `algorithm`.
    ///
    /// The content is then hashed with it on the way, instead of read again at the end (distribution-spec,
    /// end-4c).
    ///
    /// # Errors
    /// [`RegistryError::NotAllowed`] if the registry is read-only.
    pub fn start_with(&self, algorithm: Algorithm) -> Result<UploadSession> {
        self.inner.require_writable()?;
        let id = UploadId::generate();
        let slot = self.inner.sessions.insert(&self.repository, id, Slot::fresh(algorithm));
        Ok(self.session(id, slot))
    }

    /// Continues a session, even one that another instance or a killed process began.
    ///
    /// 1 driver call if this instance does not know it.
    ///
    /// # Errors
    /// [`RegistryError::UploadUnknown`] if it does not exist, or was finished or cancelled.
    #[tracing::instrument(
        level = "error", skip_all,
        fields(location = self.inner.location(), instance = self.inner.instance(), repository = %self.repository, upload = %id)
    )]
    pub async fn resume(&self, id: UploadId) -> Result<UploadSession> {
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
        if state.offset() > 0 || self.inner.sessions.has_ended(&self.repository, state.id()) {
            return Err(RegistryError::UploadUnknown);
        }
        let slot = self.inner.sessions.insert(&self.repository, state.id(), Slot::told(state.algorithm()));
        Ok(self.session(state.id(), slot))
    }

    async fn find(&self, id: UploadId) -> Result<Option<UploadSession>> {
        if let Some(slot) = self.inner.sessions.get(&self.repository, id) {
            return Ok((!slot.has_ended()).then(|| self.session(id, slot)));
        }
        if !stage::is_started(&self.inner, &self.repository, id).await? {
            return Ok(None);
        }
        let slot = self.inner.sessions.insert(&self.repository, id, Slot::stored());
        Ok(Some(self.session(id, slot)))
    }

    fn session(&self, id: UploadId, slot: Arc<Slot>) -> UploadSession {
        UploadSession::new(self.inner.clone(), self.repository.clone(), id, slot)
    }
}
