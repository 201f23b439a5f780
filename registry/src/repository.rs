//! One repository.

use std::{fmt, sync::Arc};

use plugin_registry_core::RepositoryName;

use crate::{options::ReferencePolicy, registry::Registry, shared::Shared};

/// A repository of a registry; it exists once something was pushed to it. Cheap to clone.
///
/// Its content is behind [`blobs`](Self::blobs), [`uploads`](Self::uploads), [`manifests`](Self::manifests),
/// [`tags`](Self::tags) and [`referrers`](Self::referrers).
#[derive(Clone)]
pub struct Repository {
    pub(crate) shared: Arc<Shared>,
    pub(crate) name: RepositoryName,
}

impl Registry {
    /// Returns a repository, which need not exist yet.
    #[must_use]
    pub fn repository(&self, name: RepositoryName) -> Repository {
        Repository { shared: self.shared.clone(), name }
    }
}

impl Repository {
    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &RepositoryName {
        &self.name
    }

    /// Returns the registry that it belongs to.
    #[must_use]
    pub fn registry(&self) -> Registry {
        Registry { shared: self.shared.clone() }
    }

    /// Returns which content its manifests may reference although the repository does not have it.
    ///
    /// Only under [`ReferencePolicy::Complete`] does an accepted manifest mean that everything is there.
    #[must_use]
    pub fn references(&self) -> ReferencePolicy {
        self.shared.options.references
    }

    /// Another repository of the same registry.
    pub(crate) fn beside(&self, name: RepositoryName) -> Self {
        Self { shared: self.shared.clone(), name }
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository").field("name", &self.name).field("registry", &self.shared).finish()
    }
}
