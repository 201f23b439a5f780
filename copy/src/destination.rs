//! Where images go.

use std::fmt;

use async_trait::async_trait;
use plugin_registry::{
    Registry,
    integrity::Flaw,
    manifest::{Links, Manifest},
};
use plugin_registry_core::Descriptor;

use crate::{content::BlobContent, error::Result, progress::BlobOutcome};

/// A place for one image, to be written.
#[async_trait]
pub trait Destination: fmt::Debug + Send + Sync {
    /// Returns what to call it in messages.
    fn label(&self) -> String;

    /// Returns which image it is, for the log: the place with a tag or digest. Default: the label.
    fn image(&self) -> String {
        self.label()
    }

    /// Returns the registry that the image is in, if that is one of this process. Default: none.
    ///
    /// What a copy logs belongs to the registry of its destination, or else of its source.
    fn registry(&self) -> Option<Registry> {
        None
    }

    /// Returns whether [`put_manifest`](Self::put_manifest) refuses a manifest with missing content.
    ///
    /// It then says what is missing. So the copy begins with the manifest and does not have to ask first.
    fn checks_references(&self) -> bool;

    /// Returns which of the content that a manifest names is missing, including optional blobs.
    ///
    /// # Errors
    /// Only those of the store.
    async fn missing(&self, links: &Links) -> Result<PutOutcome>;

    /// Stores a manifest, byte for byte, even one that a push would be refused for today.
    ///
    /// # Errors
    /// Those of the store, and the reason why the manifest is not accepted.
    async fn put_manifest(&self, manifest: &Manifest, role: Role) -> Result<PutOutcome>;

    /// Stores a blob. Content that does not match its digest and size is not stored.
    ///
    /// # Errors
    /// Those of the content, those of the store, and [`Damaged`](crate::CopyError::Damaged) if the content is
    /// not what it should be.
    async fn put_blob(&self, descriptor: &Descriptor, content: BlobContent<'_>) -> Result<BlobOutcome>;

    /// Makes sure that a blob is whole, for [`CopyOptions::repair`](crate::CopyOptions::repair).
    ///
    /// Reads what is stored. If that hashes to the digest, `content` is not polled. If not, the content replaces
    /// it, all at once: what is damaged is never deleted first.
    ///
    /// # Errors
    /// Those of [`put_blob`](Self::put_blob). Then what was stored is as before.
    async fn mend_blob(&self, descriptor: &Descriptor, content: BlobContent<'_>) -> Result<BlobOutcome>;
}

/// A manifest's role in the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// The image itself. It gets the destination's name.
    Root,
    /// A part of it, found through its parent.
    Child,
    /// Something that refers to it, found through its subject.
    Referrer,
}

/// The outcome for a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// It is stored, or nothing is missing.
    Stored,
    /// It is stored, but has these flaws.
    Flawed(Vec<Flaw>),
    /// It is not stored, because this content is missing.
    Missing {
        /// Blobs.
        blobs: Vec<Descriptor>,
        /// Manifests.
        manifests: Vec<Descriptor>,
    },
}

impl PutOutcome {
    pub(crate) fn of(blobs: Vec<Descriptor>, manifests: Vec<Descriptor>) -> Self {
        if blobs.is_empty() && manifests.is_empty() {
            Self::Stored
        } else {
            Self::Missing { blobs, manifests }
        }
    }
}
