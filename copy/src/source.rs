//! Where images come from.

use std::fmt;

use async_trait::async_trait;
use plugin_registry::{Registry, manifest::Manifest};
use plugin_registry_core::{Descriptor, Digest};

use crate::{content::BlobContent, error::Result};

/// One image, to be read.
#[async_trait]
pub trait Source: fmt::Debug + Send + Sync {
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

    /// Reads the image's manifest or index, verified.
    ///
    /// # Errors
    /// Fails with [`NotFound`](crate::CopyError::NotFound) if there is no such image.
    async fn root(&self) -> Result<Manifest>;

    /// Reads a manifest that another one names, verified by digest and not by size; at most 4 MiB.
    ///
    /// # Errors
    /// Fails with [`NotFound`](crate::CopyError::NotFound) if it does not exist.
    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest>;

    /// Returns the content of a blob, of `size` bytes if that is known.
    ///
    /// Nothing is opened before the content is polled. The first item of a missing blob is a
    /// [`NotFound`](crate::CopyError::NotFound).
    fn blob(&self, digest: &Digest, size: Option<u64>) -> BlobContent<'static>;

    /// Returns the manifests whose subject is `subject`.
    ///
    /// # Errors
    /// Only those of the store.
    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>>;
}
