//! Blobs whose bytes are not trusted: read to the end, and replaced if they are wrong.

use std::pin::pin;

use bytes::Bytes;
use futures::Stream;
use plugin_registry_core::Descriptor;

use super::{BlobInfo, Blobs, BoxError};
use crate::{error::Result, integrity, operation::operation};

/// What a repository has of a blob, once its bytes were read: [`Blobs::examine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlobState {
    /// It is in the repository, and hashes to its digest.
    Whole,
    /// The location has the bytes, and they hash to the digest. The repository's link to them is missing or
    /// damaged.
    Unlinked,
    /// The bytes do not hash to the digest, or have another size than named.
    Damaged,
    /// There are no bytes.
    Absent,
}

impl Blobs {
    /// Reads the stored bytes of a blob to their end, and says whether they are what `descriptor` names.
    ///
    /// [`stat`](Self::stat) and [`missing`](Self::missing) judge bytes by their number and are cheap. This finds
    /// damage of the right size, too. A size of 0 counts as unknown, unless the digest is that of empty content.
    ///
    /// Only reads. 2 driver calls, 3 for an alias. Holds what the driver's reader holds, and one piece. Cancel
    /// safe.
    ///
    /// # Errors
    /// Only those of the store. Bytes that the store itself calls corrupted are [`BlobState::Damaged`].
    pub async fn examine(&self, descriptor: &Descriptor) -> Result<BlobState> {
        let about = self.repository.about().with_digest(&descriptor.digest);
        let operation = operation!("blob.examine", self.repository.shared, about);
        let (state, _) =
            operation.run(pin!(self.judge(descriptor)), |(_, read), record| record.bytes = *read).await?;
        Ok(state)
    }

    /// Also returns how many bytes were read, if all were.
    async fn judge(&self, descriptor: &Descriptor) -> Result<(BlobState, Option<u64>)> {
        let digest = &descriptor.digest;
        let linked = self.resolve(digest).await?;
        // Without a link, a digest of another algorithm leads to bytes only if this registry hashed them.
        let Some(canonical) = linked.or_else(|| self.repository.shared.cache.canonical(digest)) else {
            return Ok((BlobState::Absent, None));
        };
        let actual = match self.store().verify_as(&canonical, digest).await {
            Ok(None) => return Ok((BlobState::Absent, None)),
            Ok(Some(Err(_))) => return Ok((BlobState::Damaged, None)),
            Err(error) if error.is_damage() => return Ok((BlobState::Damaged, None)),
            Ok(Some(Ok(actual))) => actual,
            Err(error) => return Err(error),
        };
        let state = match integrity::named_size(descriptor) {
            Some(named) if named != actual => BlobState::Damaged,
            _ if linked.is_some() => BlobState::Whole,
            _ => BlobState::Unlinked,
        };
        Ok((state, Some(actual)))
    }

    /// Stores a blob and links it into this repository, whatever the location has under its digest.
    ///
    /// [`push`](Self::push) trusts stored bytes of the right size; this replaces them. The new bytes are verified
    /// on the way, and become visible all at once. Nothing is deleted before: until then, readers get the old
    /// bytes, and afterwards every repository that shares the blob has the new ones. Needs no right to delete.
    ///
    /// 3 driver calls. Holds what the driver's writer holds. An interruption leaves the old bytes or the new ones.
    ///
    /// # Errors
    /// Those of [`push`](Self::push).
    pub async fn replace<S, E>(&self, descriptor: &Descriptor, content: S) -> Result<BlobInfo>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<BoxError>,
    {
        let about = self.repository.about().with_digest(&descriptor.digest);
        let operation = operation!("blob.replace", self.repository.shared, about);
        let replaced = async {
            self.repository.shared.require_writable()?;
            self.store_content(&descriptor.digest, integrity::named_size(descriptor), content).await
        };
        operation.run(pin!(replaced), |info, record| record.bytes = Some(info.size)).await
    }
}
