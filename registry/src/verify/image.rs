//! Verifies one image.

use std::collections::HashSet;

use plugin_registry_core::{Digest, Reference, RepositoryName, StorageDriverExt};

use super::{ImageName, Linked, Verification, VerifyEvent, path_error::is_path_error};
use crate::{
    error::{RegistryError, Result},
    layout,
    link::LinkStore,
    manifest::links_of,
};

/// What was looked at. Manifests of an index often share their layers.
#[derive(Default)]
struct Seen {
    /// Manifests whose links were followed.
    followed: HashSet<Digest>,
    /// Manifests that were read, by canonical digest.
    read: HashSet<Digest>,
    /// Layers whose links were followed.
    layers: HashSet<Digest>,
}

impl Verification<'_> {
    /// Verifies an image with everything that its manifest names, and nothing beside it.
    pub(super) async fn image(&mut self, image: &ImageName) -> Result<()> {
        let name = &image.repository;
        let root = self.root(image).await?;
        self.report.repositories += 1;
        (self.observer)(VerifyEvent::Repository(name));
        let (mut linked, mut seen) = (Linked::default(), Seen::default());
        let mut open = Vec::from_iter(root.as_ref().ok().copied().flatten());
        while let Some(digest) = open.pop() {
            if seen.followed.insert(digest) {
                open.extend(self.part(name, digest, &mut seen, &mut linked).await?);
            }
        }
        for (index, child) in std::mem::take(&mut linked.children) {
            self.child(name, &index, &child, &linked);
        }
        match &image.reference {
            // Judged by what was read first: it may have been moved meanwhile.
            Reference::Tag(tag) => self.judge_tag(name, tag, root, &mut linked).await?,
            Reference::Digest(_) => {
                if seen.read.is_empty() && self.report.findings.is_empty() {
                    // It was deleted after it was found.
                    self.report.repositories = 0;
                    return Err(unknown(image));
                }
            }
        }
        for (position, _) in std::mem::take(&mut self.causes) {
            self.name_image(position, image.clone());
        }
        Ok(())
    }

    /// Reads the digest of an image. The inner error, and `None`, are about its tag, and are for
    /// [`judge_tag`](Self::judge_tag).
    async fn root(&self, image: &ImageName) -> Result<Result<Option<Digest>>> {
        let ImageName { repository, reference } = image;
        let driver = &self.registry.shared.driver;
        let (path, digest) = match reference {
            Reference::Digest(digest) => (layout::revision_link(repository, digest), Some(*digest)),
            Reference::Tag(tag) => {
                let path = layout::tag_current(repository, tag);
                match LinkStore::new(driver).read(&path).await {
                    Ok(None) => (path, None),
                    Err(error) if !is_path_error(&error) => return Err(error),
                    read => return Ok(read),
                }
            }
        };
        match driver.exists(&path).await {
            Ok(false) => Err(unknown(image)),
            Ok(true) => Ok(Ok(digest)),
            Err(error) => self.pass(error.into()).map(|_| Ok(digest)),
        }
    }

    /// Verifies a manifest and its blobs, and returns the children that it names.
    async fn part(
        &mut self,
        name: &RepositoryName,
        digest: Digest,
        seen: &mut Seen,
        linked: &mut Linked,
    ) -> Result<Vec<Digest>> {
        self.revision(name, digest, linked).await?;
        let Some(canonical) = linked.revisions.get(&digest).copied() else { return Ok(Vec::new()) };
        if !seen.read.insert(canonical) {
            return Ok(Vec::new());
        }
        let Some(manifest) = self.read_manifest(name, &canonical, linked).await? else {
            return Ok(Vec::new());
        };
        let links = links_of(&manifest);
        for blob in links.blobs.iter().chain(&links.optional_blobs) {
            if !seen.layers.insert(blob.digest) {
                continue;
            }
            // An alias counts only beside its canonical link.
            if !blob.digest.is_canonical()
                && let Ok(Some(canonical)) =
                    self.follow_quietly(&layout::layer_link(name, &blob.digest), &blob.digest).await
                && seen.layers.insert(canonical)
            {
                self.layer(name, canonical, linked).await?;
            }
            self.layer(name, blob.digest, linked).await?;
        }
        self.check_manifest(name, &manifest, linked);
        Ok(links.manifests.iter().map(|child| child.digest).collect())
    }
}

fn unknown(image: &ImageName) -> RegistryError {
    let ImageName { repository, reference } = image.clone();
    RegistryError::ManifestUnknown { repository, reference }
}
