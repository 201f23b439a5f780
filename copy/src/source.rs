//! Where images come from.

use std::fmt;

use async_trait::async_trait;
use plugin_registry::Manifest;
use plugin_registry_core::{Descriptor, Digest};

use crate::{content::BlobContent, error::Result};

/// One image, to be read.
#[async_trait]
pub trait Source: fmt::Debug + Send + Sync {
    /// What to call it in messages.
    fn place(&self) -> String;

    /// The image's manifest or index, verified.
    ///
    /// # Errors
    /// [`NotFound`](crate::CopyError::NotFound) when there is no such image.
    async fn root(&self) -> Result<Manifest>;

    /// A manifest that another one names, verified by digest and not by size; at most 4 MiB.
    ///
    /// # Errors
    /// [`NotFound`](crate::CopyError::NotFound) when it is not there.
    async fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest>;

    /// The content of a blob, of `size` bytes where that is known. Nothing is opened before the content
    /// is polled; a missing blob is the content's first item, a
    /// [`NotFound`](crate::CopyError::NotFound).
    fn blob(&self, digest: &Digest, size: Option<u64>) -> BlobContent<'static>;

    /// The manifests whose subject is `subject`.
    ///
    /// # Errors
    /// Only those of the store.
    async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>>;
}
