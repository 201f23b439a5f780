//! State that a registry shares with everything made from it.

use std::{fmt, sync::Arc, time::Duration};

use plugin_registry_core::{Checked, Secret, StorageDriver};

use crate::{
    cache::ContentCache,
    error::{RegistryError, Result},
    limiter::ManifestLimiter,
    options::Options,
    upload::{slot::Sessions, token::StateKey},
};

pub(crate) struct Shared {
    pub(crate) driver: Checked<dyn StorageDriver>,
    pub(crate) options: Options,
    pub(crate) cache: ContentCache,
    pub(crate) sessions: Sessions,
    pub(crate) state_key: StateKey,
    pub(crate) limiter: ManifestLimiter,
    identity: Identity,
}

/// How spans name a registry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    pub(crate) location: Option<Arc<str>>,
    pub(crate) instance: Option<Arc<str>>,
}

impl Shared {
    pub(crate) fn new(
        driver: Arc<dyn StorageDriver>,
        options: Options,
        blob_cache_ttl: Duration,
        upload_key: Option<&Secret>,
        identity: Identity,
    ) -> Self {
        Self {
            driver: Checked::new(driver),
            options,
            cache: ContentCache::new(blob_cache_ttl),
            sessions: Sessions::new(),
            limiter: ManifestLimiter::new(),
            state_key: StateKey::new(upload_key, identity.location.as_deref()),
            identity,
        }
    }

    /// The field `location` of spans.
    pub(crate) fn location(&self) -> Option<&str> {
        self.identity.location.as_deref()
    }

    /// The field `instance` of spans.
    pub(crate) fn instance(&self) -> Option<&str> {
        self.identity.instance.as_deref()
    }

    /// The one guard of everything that changes the store.
    pub(crate) fn require_writable(&self) -> Result<()> {
        if self.options.read_only {
            return Err(RegistryError::ReadOnly);
        }
        Ok(())
    }

    /// The one guard of every delete.
    pub(crate) fn require_delete(&self) -> Result<()> {
        self.require_writable()?;
        if !self.options.delete {
            return Err(RegistryError::DeletesOff);
        }
        Ok(())
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("driver", &self.driver)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
