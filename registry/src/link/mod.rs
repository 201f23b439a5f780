//! Link files: the membership of content in a repository.

mod listed;

use bytes::Bytes;
use plugin_registry_core::{Digest, PutMode, StorageDriver, StorageDriverExt, StoragePath};

pub(crate) use self::listed::{LinkDirectory, Listed};
use crate::{
    error::{RegistryError, Result},
    layout,
};

/// A link has 71 to 135 bytes; anything beyond this limit is damage.
const MAX_LINK_SIZE: u64 = 1024;

/// Reads and writes link files over a driver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkStore<'a> {
    driver: &'a dyn StorageDriver,
}

impl<'a> LinkStore<'a> {
    pub(crate) fn new(driver: &'a dyn StorageDriver) -> Self {
        Self { driver }
    }

    /// Returns the digest in a link file, or `None` if there is no file.
    ///
    /// A link that does not hold a digest is damage and never followed. It counts as missing, so that a new
    /// push repairs it (a peer truncates links in place and can leave empty ones). White space around the
    /// digest is tolerated; we never write it.
    pub(crate) async fn read(&self, path: &StoragePath) -> Result<Option<Digest>> {
        let content = match self.driver.get_optional(path, MAX_LINK_SIZE).await {
            Ok(Some(content)) => content,
            Ok(None) => return Ok(None),
            Err(error) if error.kind() == plugin_registry_core::ErrorKind::TooLarge => Bytes::new(),
            Err(error) => return Err(error.into()),
        };
        let digest = std::str::from_utf8(&content).ok().and_then(|text| text.trim().parse().ok());
        if digest.is_none() {
            tracing::warn!(%path, bytes = content.len(), "damaged link: it holds no digest");
        }
        Ok(digest)
    }

    /// Follows the link for `digest` at `path`, and returns the canonical digest of the content. Returns
    /// `None` if there is no link, or one that names other content.
    pub(crate) async fn follow(&self, path: &StoragePath, digest: &Digest) -> Result<Option<Digest>> {
        let Some(target) = self.read(path).await? else { return Ok(None) };
        // Under its own algorithm a link can only name itself; an alias names the canonical digest
        // (ADR 0013).
        if target.is_canonical() && (!digest.is_canonical() || target == *digest) {
            return Ok(Some(target));
        }
        tracing::warn!(%path, %target, "damaged link: it names other content than its path");
        Ok(None)
    }

    /// Writes a link to `target`.
    pub(crate) async fn write(&self, path: &StoragePath, target: &Digest) -> Result<()> {
        self.driver.put_content(path, layout::link_content(target), PutMode::Overwrite).await?;
        Ok(())
    }

    /// Removes link files; missing ones are fine.
    pub(crate) async fn remove(&self, paths: Vec<StoragePath>) -> Result<()> {
        self.driver.delete_many(paths, &[]).await?.into_result().map_err(RegistryError::from)
    }
}
