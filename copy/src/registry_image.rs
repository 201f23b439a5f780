//! An image in the embedded registry.

use std::collections::HashSet;

use async_trait::async_trait;
use futures::{StreamExt, TryFutureExt, TryStreamExt, stream};
use plugin_registry::{
    ReferencePolicy, Registry, RegistryError, Repository,
    blob::{BlobState, PushOutcome},
    manifest::{Links, Manifest},
    referrers::Referrer,
};
use plugin_registry_core::{ByteRange, Descriptor, Digest, MediaType, Reference, Tag, VerifyError};

use crate::{
    content::{BlobContent, damaged_blob, unmended},
    destination::{Destination, PutOutcome, Role},
    error::{CopyError, Result},
    progress::BlobOutcome,
    reference::ImageReference,
    source::Source,
};

/// How many manifests are looked up at a time.
const QUESTIONS: usize = 16;

/// How many referrers are listed at a time.
const PAGE: usize = 1000;

/// An image in the embedded registry, to be read or written.
///
/// As a destination, it holds what the driver's writer holds for each blob on the way.
#[derive(Clone, Debug)]
pub struct RegistryImage {
    repository: Repository,
    reference: Reference,
}

impl RegistryImage {
    /// Creates the image that `reference` names, or will name, in `repository`.
    #[must_use]
    pub fn new(repository: Repository, reference: impl Into<Reference>) -> Self {
        Self { repository, reference: reference.into() }
    }

    /// Works like [`new`](Self::new), but takes a missing reference as the tag `latest`.
    ///
    /// # Errors
    /// None: `latest` is a valid tag.
    pub fn named(repository: Repository, reference: Option<Reference>) -> Result<Self> {
        let reference = match reference {
            Some(reference) => reference,
            None => "latest".parse().map(Reference::Tag).map_err(|error| {
                CopyError::registry(repository.name().as_str(), RegistryError::Name(error))
            })?,
        };
        Ok(Self { repository, reference })
    }

    /// Returns the tag or digest.
    #[must_use]
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    fn error(&self, error: RegistryError) -> CopyError {
        CopyError::registry(&Source::label(self), error)
    }
}

#[async_trait]
impl Source for RegistryImage {
    fn label(&self) -> String {
        format!("registry:{}", self.repository.name())
    }

    fn image(&self) -> String {
        let reference = Some(self.reference.clone());
        ImageReference::Registry { repository: self.repository.name().clone(), reference }.to_string()
    }

    fn registry(&self) -> Option<Registry> {
        Some(self.repository.registry())
    }

    async fn root(&self) -> Result<Manifest> {
        self.repository.manifests().get(&self.reference).await.map_err(|error| self.error(error))
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let reference = Reference::Digest(descriptor.digest);
        self.repository.manifests().get(&reference).await.map_err(|error| self.error(error))
    }

    fn blob(&self, digest: &Digest, size: Option<u64>) -> BlobContent<'static> {
        let (blobs, digest, place) = (self.repository.blobs(), *digest, Source::label(self));
        let at = place.clone();
        let open = async move {
            let reader = blobs
                .open(&digest, ByteRange::full())
                .await
                .map_err(|error| CopyError::registry(&at, error))?;
            let actual = reader.info().size;
            if let Some(expected) = size.filter(|size| *size != actual) {
                return Err(damaged_blob(&at, &digest, &VerifyError::Size { expected, actual }));
            }
            Ok(reader.into_stream().map_err(move |error| CopyError::registry(&at, error)))
        };
        BlobContent::verified(place, digest, size, open.try_flatten_stream().boxed())
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let descriptor = |referrer: &Referrer| {
            let media_type = MediaType::from(referrer.media_type.as_str());
            Some(Descriptor::new(media_type, referrer.digest.parse().ok()?, referrer.size))
        };
        let mut found = Vec::new();
        let mut last: Option<String> = None;
        loop {
            let page = self.repository.referrers(subject, None, last.as_deref(), PAGE);
            let page = page.await.map_err(|error| self.error(error))?;
            // The annotations, which may be long, are dropped with the page.
            found.extend(page.referrers.iter().filter_map(descriptor));
            last = page.referrers.last().map(|referrer| referrer.digest.clone());
            if !page.has_more {
                return Ok(found);
            }
        }
    }
}

#[async_trait]
impl Destination for RegistryImage {
    fn label(&self) -> String {
        Source::label(self)
    }

    fn image(&self) -> String {
        Source::image(self)
    }

    fn registry(&self) -> Option<Registry> {
        Some(self.repository.registry())
    }

    fn checks_references(&self) -> bool {
        // With another policy the tag would be set before its content is there.
        self.repository.references() == ReferencePolicy::Complete
    }

    async fn missing(&self, links: &Links) -> Result<PutOutcome> {
        let wanted: Vec<Descriptor> = links.blobs.iter().chain(&links.optional_blobs).cloned().collect();
        let blobs = if wanted.is_empty() {
            Vec::new()
        } else {
            self.repository.blobs().missing(&wanted).await.map_err(|error| self.error(error))?
        };
        let manifests = stream::iter(links.manifests.clone())
            .map(|child| async move {
                let reference = Reference::Digest(child.digest);
                let is_here = self.repository.manifests().exists(&reference).await;
                Ok((!is_here.map_err(|error| self.error(error))?).then_some(child))
            })
            .buffered(QUESTIONS)
            .try_filter_map(|child| async move { Ok::<_, CopyError>(child) })
            .try_collect()
            .await?;
        Ok(PutOutcome::of(blobs, manifests))
    }

    async fn put_manifest(&self, manifest: &Manifest, role: Role) -> Result<PutOutcome> {
        // Its own digest, so one of another algorithm than sha256 stays the image's name.
        let mut digest = manifest.digest();
        let mut tags: &[Tag] = &[];
        match (role, &self.reference) {
            (Role::Root, Reference::Tag(tag)) => tags = std::slice::from_ref(tag),
            (Role::Root, Reference::Digest(named)) => digest = *named,
            _ => {}
        }
        let put = self.repository.manifests().put_stored(Some(&digest), tags, manifest).await;
        match put {
            Ok(flaws) if flaws.is_empty() => Ok(PutOutcome::Stored),
            Ok(flaws) => Ok(PutOutcome::Flawed(flaws)),
            Err(RegistryError::ReferencesUnknown(missing)) => {
                let missing: HashSet<Digest> = missing.into_iter().collect();
                let lacking = |wanted: Vec<Descriptor>| {
                    wanted.into_iter().filter(|one| missing.contains(&one.digest)).collect::<Vec<_>>()
                };
                let links = plugin_registry::manifest::links_of(manifest);
                let blobs = [links.blobs, links.optional_blobs].concat();
                Ok(PutOutcome::of(lacking(blobs), lacking(links.manifests)))
            }
            Err(error) => Err(self.error(error)),
        }
    }

    async fn put_blob(&self, descriptor: &Descriptor, content: BlobContent<'_>) -> Result<BlobOutcome> {
        let from = content.label().to_owned();
        // The registry verifies what it stores.
        match self.repository.blobs().push(descriptor, content.into_unverified()).await {
            Ok(PushOutcome::Deduplicated) => Ok(BlobOutcome::Deduplicated),
            Ok(_) => Ok(BlobOutcome::Copied),
            Err(RegistryError::Mismatch(error)) => Err(damaged_blob(&from, &descriptor.digest, &error)),
            Err(error) => Err(self.error(error)),
        }
    }

    async fn mend_blob(&self, descriptor: &Descriptor, content: BlobContent<'_>) -> Result<BlobOutcome> {
        let blobs = self.repository.blobs();
        match blobs.examine(descriptor).await.map_err(|error| self.error(error))? {
            BlobState::Whole => return Ok(BlobOutcome::Present),
            BlobState::Damaged => {}
            _ => return self.put_blob(descriptor, content).await,
        }
        let from = content.label().to_owned();
        match blobs.replace(descriptor, content.into_unverified()).await {
            Ok(_) => Ok(BlobOutcome::Mended),
            Err(RegistryError::Mismatch(error)) => Err(damaged_blob(&from, &descriptor.digest, &error)),
            Err(error) => Err(unmended(&Source::label(self), &descriptor.digest, self.error(error))),
        }
    }
}
