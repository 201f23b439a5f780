//! Verifies one image.

use std::collections::HashSet;

use plugin_registry_core::{Digest, Reference, RepositoryName, StorageDriverExt};

use super::{ImageName, Linked, Verification, VerifyEvent};
use crate::{
    error::{RegistryError, Result},
    layout,
    link::LinkStore,
    manifest::links_of,
};

impl Verification<'_> {
    /// Verifies an image with everything that its manifest names, and nothing beside it.
    pub(super) async fn image(&mut self, image: &ImageName) -> Result<()> {
        let name = &image.repository;
        let root = self.root(image).await?;
        self.report.repositories += 1;
        (self.observer)(VerifyEvent::Repository(name));
        let mut linked = Linked::default();
        let (mut open, mut seen) = (Vec::from_iter(root), HashSet::new());
        while let Some(digest) = open.pop() {
            if seen.insert(digest) {
                open.extend(self.part(name, digest, &mut seen, &mut linked).await?);
            }
        }
        for (index, child) in std::mem::take(&mut linked.children) {
            self.child(name, &index, &child, &linked);
        }
        if let Reference::Tag(tag) = &image.reference {
            self.tag(name, tag, &mut linked).await?;
        }
        for (position, _) in std::mem::take(&mut self.causes) {
            self.name_image(position, image.clone());
        }
        Ok(())
    }

    /// Returns the digest of an image; `None` if its tag is damaged, which is reported with the tag.
    async fn root(&self, image: &ImageName) -> Result<Option<Digest>> {
        let ImageName { repository, reference } = image;
        let driver = &self.registry.shared.driver;
        let (path, digest) = match reference {
            Reference::Digest(digest) => (layout::revision_link(repository, digest), Some(*digest)),
            Reference::Tag(tag) => {
                let path = layout::tag_current(repository, tag);
                let digest = match LinkStore::new(driver).read(&path).await {
                    Ok(digest) => digest,
                    Err(error) => {
                        self.pass(error)?;
                        return Ok(None);
                    }
                };
                if digest.is_some() {
                    return Ok(digest);
                }
                (path, None)
            }
        };
        match driver.exists(&path).await {
            Ok(false) => Err(RegistryError::ManifestUnknown {
                repository: repository.clone(),
                reference: reference.clone(),
            }),
            Ok(true) => Ok(digest),
            Err(error) => self.pass(error.into()).map(|_| digest),
        }
    }

    /// Verifies a manifest and its blobs, and returns the children that it names.
    async fn part(
        &mut self,
        name: &RepositoryName,
        digest: Digest,
        seen: &mut HashSet<Digest>,
        linked: &mut Linked,
    ) -> Result<Vec<Digest>> {
        self.revision(name, digest, linked).await?;
        let Some(canonical) = linked.revisions.get(&digest).copied() else { return Ok(Vec::new()) };
        if canonical != digest && !seen.insert(canonical) {
            return Ok(Vec::new());
        }
        let Some(manifest) = self.read_manifest(name, &canonical, linked).await? else {
            return Ok(Vec::new());
        };
        let links = links_of(&manifest);
        for blob in links.blobs.iter().chain(&links.optional_blobs) {
            // An alias counts only beside its canonical link.
            if !blob.digest.is_canonical()
                && let Ok(Some(canonical)) =
                    self.follow_quietly(&layout::layer_link(name, &blob.digest), &blob.digest).await
            {
                self.layer(name, canonical, linked).await?;
            }
            self.layer(name, blob.digest, linked).await?;
        }
        self.check_manifest(name, &manifest, linked);
        Ok(links.manifests.iter().map(|child| child.digest).collect())
    }
}
