//! One repository.

use std::sync::Arc;

use plugin_registry_core::{Digest, RepositoryName};

use crate::{
    blob::Blobs,
    error::Result,
    manifests::Manifests,
    referrers::{ReferrerPage, Referrers},
    registry::{Inner, ReferencePolicy},
    tag::Tags,
    upload::Uploads,
};

/// A repository of a registry; it exists once something was pushed to it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Repository {
    inner: Arc<Inner>,
    name: RepositoryName,
}

impl Repository {
    pub(crate) fn new(inner: Arc<Inner>, name: RepositoryName) -> Self {
        Self { inner, name }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &RepositoryName {
        &self.name
    }

    /// Returns which content its manifests may reference although the repository does not have it.
    ///
    /// Only under [`ReferencePolicy::Complete`] does an accepted manifest mean that everything is there.
    #[must_use]
    pub fn references(&self) -> ReferencePolicy {
        self.inner.options.references
    }

    /// Returns its blobs.
    #[must_use]
    pub fn blobs(&self) -> Blobs {
        Blobs::new(self.inner.clone(), self.name.clone())
    }

    /// Returns its upload sessions.
    #[must_use]
    pub fn uploads(&self) -> Uploads {
        Uploads::new(self.inner.clone(), self.name.clone())
    }

    /// Returns its manifests.
    #[must_use]
    pub fn manifests(&self) -> Manifests {
        Manifests::new(self.inner.clone(), self.name.clone())
    }

    /// Returns its tags.
    #[must_use]
    pub fn tags(&self) -> Tags {
        Tags::new(self.inner.clone(), self.name.clone())
    }

    /// Lists the manifests whose subject is `subject`, in order of their digests.
    ///
    /// `artifact_type` limits the list to one artifact type (distribution-spec, "Listing Referrers"). A page
    /// holds at most `limit` manifests, those after the digest `last`. It ends earlier, but is never empty, if
    /// its annotations reach 3 MiB; [`more`](ReferrerPage::more) says whether others follow.
    ///
    /// 1 driver call per page of the store, and 2 for each manifest that this registry does not remember. On a
    /// store with empty directories, 1 for each that it remembers.
    /// Memory: the page (at most 12 MiB, or one referrer), one manifest of up to 4 MiB with its parsed form,
    /// and [`concurrency`](crate::RegistryBuilder::concurrency) manifests of up to 256 KiB.
    ///
    /// # Errors
    /// Only those of the store.
    pub async fn referrers(
        &self,
        subject: &Digest,
        artifact_type: Option<&str>,
        last: Option<&str>,
        limit: usize,
    ) -> Result<ReferrerPage> {
        Referrers::new(&self.inner, &self.name).page(subject, artifact_type, last, limit).await
    }
}
