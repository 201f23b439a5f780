//! An image in an OCI image layout.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, lock::Mutex, stream};
use plugin_registry::manifest::{Links, Manifest};
use plugin_registry_core::{Descriptor, Digest, shown};

use super::OciLayout;
use crate::{
    content::{BlobContent, unmended},
    destination::{Destination, PutOutcome, Role},
    error::{CopyError, Result},
    progress::BlobOutcome,
    reference::LayoutReference,
    source::Source,
};

/// How many blobs are looked up at a time.
const QUESTIONS: usize = 16;

/// An image in an OCI image layout, to be read or written.
#[derive(Clone, Debug)]
pub struct LayoutImage {
    layout: OciLayout,
    reference: Option<LayoutReference>,
    /// The referrers of each manifest, as of the first question: a layout has no list of them.
    referrers: Arc<Mutex<Option<Referrers>>>,
}

type Referrers = HashMap<Digest, Vec<Descriptor>>;

impl LayoutImage {
    /// Creates the image that `reference` names, or will name.
    ///
    /// Without a reference it is the only image, or one without a name.
    #[must_use]
    pub fn new(layout: OciLayout, reference: Option<LayoutReference>) -> Self {
        Self { layout, reference, referrers: Arc::default() }
    }
}

impl LayoutImage {
    /// Reads every manifest that `index.json` names once, however often it is named. Holds about 200 bytes for
    /// each.
    async fn read_referrers(&self) -> Result<Referrers> {
        let (mut referrers, mut read) = (Referrers::new(), HashSet::new());
        for entry in self.layout.entries().await? {
            if !read.insert(entry.descriptor.digest) {
                continue;
            }
            let manifest = self.layout.manifest(&entry.descriptor).await?;
            if let Some(subject) = manifest.subject() {
                referrers.entry(subject.digest).or_default().push(entry.descriptor);
            }
        }
        Ok(referrers)
    }
}

#[async_trait]
impl Source for LayoutImage {
    fn label(&self) -> String {
        self.layout.label().to_owned()
    }

    fn image(&self) -> String {
        let label = self.layout.label();
        match &self.reference {
            Some(LayoutReference::Name(name)) => format!("{label}:{}", shown(name)),
            Some(LayoutReference::Digest(digest)) => format!("{label}@{digest}"),
            None => label.to_owned(),
        }
    }

    async fn root(&self) -> Result<Manifest> {
        let descriptor = self.layout.resolve(self.reference.as_ref()).await?;
        match self.layout.manifest(&descriptor).await {
            // The layout itself says that it has the image.
            Err(CopyError::NotFound { place, what }) => Err(CopyError::Incomplete { place, what }),
            result => result,
        }
    }

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        self.layout.manifest_of_any_size(&descriptor.digest).await
    }

    fn blob(&self, digest: &Digest, size: Option<u64>) -> BlobContent<'static> {
        self.layout.blob(digest, size)
    }

    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let mut known = self.referrers.lock().await;
        if known.is_none() {
            *known = Some(self.read_referrers().await?);
        }
        Ok(known.as_ref().and_then(|known| known.get(subject)).cloned().unwrap_or_default())
    }
}

#[async_trait]
impl Destination for LayoutImage {
    fn label(&self) -> String {
        self.layout.label().to_owned()
    }

    fn image(&self) -> String {
        Source::image(self)
    }

    fn checks_references(&self) -> bool {
        false
    }

    /// Children always count as missing: a manifest that is there does not prove that all of its content is.
    async fn missing(&self, links: &Links) -> Result<PutOutcome> {
        let wanted: Vec<Descriptor> = links.blobs.iter().chain(&links.optional_blobs).cloned().collect();
        let blobs =
            stream::iter(wanted)
                .map(|blob| async move {
                    Ok::<_, CopyError>((!self.layout.has_blob(&blob).await?).then_some(blob))
                })
                .buffered(QUESTIONS)
                .try_filter_map(|blob| async move { Ok(blob) })
                .try_collect()
                .await?;
        Ok(PutOutcome::of(blobs, links.manifests.clone()))
    }

    async fn put_manifest(&self, manifest: &Manifest, role: Role) -> Result<PutOutcome> {
        if let (Role::Root, Some(LayoutReference::Digest(digest))) = (role, &self.reference) {
            let actual = Digest::of(digest.algorithm(), manifest.bytes());
            if actual != *digest {
                return Err(CopyError::DigestMismatch {
                    place: Source::label(self),
                    wanted: *digest,
                    actual: manifest.digest(),
                });
            }
        }
        self.layout.put_manifest(manifest).await?;
        match (role, &self.reference) {
            (Role::Child, _) => {}
            (Role::Root, Some(LayoutReference::Name(name))) => {
                self.layout.add_to_index(Some(name), manifest).await?;
            }
            _ => self.layout.add_to_index(None, manifest).await?,
        }
        Ok(PutOutcome::Stored)
    }

    async fn put_blob(&self, descriptor: &Descriptor, content: BlobContent<'_>) -> Result<BlobOutcome> {
        self.layout.put_blob(descriptor, content).await?;
        Ok(BlobOutcome::Copied)
    }

    async fn mend_blob(&self, descriptor: &Descriptor, content: BlobContent<'_>) -> Result<BlobOutcome> {
        match self.layout.is_whole(descriptor).await? {
            Some(true) => Ok(BlobOutcome::Present),
            None => self.put_blob(descriptor, content).await,
            Some(false) => {
                let replaced = self.layout.put_blob(descriptor, content).await;
                let replaced =
                    replaced.map_err(|error| unmended(self.layout.label(), &descriptor.digest, error));
                replaced.map(|()| BlobOutcome::Mended)
            }
        }
    }
}
