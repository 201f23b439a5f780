//! What a manifest references, and whether the repository has it.

use futures::{StreamExt, TryStreamExt, stream};
use plugin_registry_core::{Descriptor, Digest};

use super::Manifests;
use crate::{
    error::{RegistryError, Result},
    integrity::{self, ContentKind, Flaw, Verdict},
    manifest::{Links, Manifest, links_of},
    options::ReferencePolicy,
};

/// The result of a check of a manifest's references.
pub(super) struct References {
    pub(super) missing: Vec<Digest>,
    pub(super) flaws: Vec<Flaw>,
    /// Whether all blobs were pushed through this registry a moment ago.
    pub(super) is_fresh: bool,
}

impl References {
    fn judge(&mut self, part: ContentKind, descriptor: &Descriptor, actual: Option<u64>) {
        match integrity::judge(part, descriptor, actual) {
            Verdict::Whole => {}
            Verdict::Absent => self.missing.push(descriptor.digest),
            // The document itself shows these, so they are in the list already.
            Verdict::Flawed(Flaw::NoSize { .. }) => {}
            Verdict::Flawed(flaw) => self.flaws.push(flaw),
        }
    }
}

impl Manifests {
    /// Looks for everything that a manifest references.
    pub(super) async fn check_references(&self, manifest: &Manifest) -> Result<References> {
        let policy = self.repository.shared.options.references;
        let Links { blobs, manifests, flaws, .. } = links_of(manifest);
        let mut references = References { missing: Vec::new(), flaws, is_fresh: true };
        if policy == ReferencePolicy::Sparse {
            return Ok(references);
        }
        let here = self.repository.blobs();
        let presence = here.presence(&blobs).await?;
        references.is_fresh = presence.fresh;
        for blob in &blobs {
            references.judge(ContentKind::Blob, blob, presence.size(&blob.digest));
        }
        if policy == ReferencePolicy::Complete {
            let mut sizes = stream::iter(manifests)
                .map(|child| async move {
                    let size = self.size(&child).await?;
                    Ok::<_, RegistryError>((child, size))
                })
                .buffered(self.repository.shared.options.concurrency);
            while let Some((child, size)) = sizes.try_next().await? {
                references.judge(ContentKind::Manifest, &child, size);
            }
        }
        Ok(references)
    }

    /// Returns the size of a child, if the repository has it. A remembered size that was only seen, and is not
    /// the named one, is looked up again, since the child may have been healed.
    async fn size(&self, child: &Descriptor) -> Result<Option<u64>> {
        let Some(canonical) = self.revision(&child.digest).await? else { return Ok(None) };
        let is_named = |size| integrity::named_size(child).is_none_or(|named| named == size);
        match self.repository.shared.cache.blob(&canonical) {
            Some(seen) if seen.stored || is_named(seen.size) => Ok(Some(seen.size)),
            _ => self.store().stat(&canonical).await,
        }
    }
}
