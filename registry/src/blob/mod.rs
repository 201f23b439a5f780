//! The blobs of one repository.

mod body;
mod examine;
mod presence;
mod store;

use std::{fmt, pin::pin};

use bytes::Bytes;
use futures::{Stream, future::try_join, stream::BoxStream};
use plugin_registry_core::{ByteRange, Descriptor, Digest, RepositoryName};

pub use self::examine::BlobState;
pub(crate) use self::{
    body::{Expected, verified},
    store::{BlobStore, StreamOutcome, write_stream},
};
pub use crate::error::BoxError;
use crate::{
    error::{RegistryError, Result},
    integrity, layout,
    link::LinkStore,
    operation::operation,
    repository::Repository,
};

/// The blobs of one repository: [`Repository::blobs`](crate::Repository::blobs).
///
/// A blob is in a repository if a layer link names it and its bytes are in the store. The bytes are stored once
/// for all repositories. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Blobs {
    repository: Repository,
}

/// A blob that is in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlobInfo {
    /// The digest that was asked for.
    pub digest: Digest,
    /// The sha256 digest, under which it is stored.
    pub canonical: Digest,
    /// The size in bytes.
    pub size: u64,
}

/// The result of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushOutcome {
    /// The bytes were read, verified and stored.
    Stored,
    /// The location already had the bytes: only a link was written, and the content was not read.
    Deduplicated,
}

/// A blob's content, or a part of it.
pub struct BlobReader {
    info: BlobInfo,
    range: std::ops::Range<u64>,
    stream: BoxStream<'static, Result<Bytes>>,
}

impl BlobReader {
    /// Returns which blob it is.
    #[must_use]
    pub fn info(&self) -> &BlobInfo {
        &self.info
    }

    /// Returns the range of bytes that the stream yields.
    #[must_use]
    pub fn range(&self) -> std::ops::Range<u64> {
        self.range.clone()
    }

    /// Returns the content as a stream, which verifies a whole blob on the way.
    ///
    /// If the stored bytes do not hash to the digest, the stream ends with [`RegistryError::Damaged`] before
    /// its last piece, never cleanly. A part of a blob cannot be verified.
    #[must_use]
    pub fn into_stream(self) -> BoxStream<'static, Result<Bytes>> {
        self.stream
    }
}

impl fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobReader")
            .field("info", &self.info)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

impl Repository {
    /// Returns its blobs.
    #[must_use]
    pub fn blobs(&self) -> Blobs {
        Blobs { repository: self.clone() }
    }
}

impl Blobs {
    fn links(&self) -> LinkStore<'_> {
        LinkStore::new(&self.repository.shared.driver)
    }

    fn store(&self) -> BlobStore<'_> {
        BlobStore::new(&self.repository.shared)
    }

    fn unknown(&self, digest: &Digest) -> RegistryError {
        RegistryError::BlobUnknown { repository: self.repository.name.clone(), digest: *digest }
    }

    /// Returns the canonical digest of a blob that is linked into this repository. 1 driver call; 2 for an
    /// alias, which counts only while the canonical link exists too (ADR 0013).
    pub(crate) async fn resolve(&self, digest: &Digest) -> Result<Option<Digest>> {
        let link = layout::layer_link(&self.repository.name, digest);
        let Some(canonical) = self.links().follow(&link, digest).await? else { return Ok(None) };
        if canonical == *digest {
            return Ok(Some(canonical));
        }
        let is_of_other_content =
            self.repository.shared.cache.canonical(digest).is_some_and(|known| known != canonical);
        if is_of_other_content || canonical.is_of_empty() != digest.is_of_empty() {
            tracing::warn!(path = %link, target = %canonical, "damaged link: it names other content than its path");
            return Ok(None);
        }
        self.links().follow(&layout::layer_link(&self.repository.name, &canonical), &canonical).await
    }

    /// Describes a blob. 2 driver calls, 3 for an alias, 1 when it is not in the repository. Cancel safe.
    ///
    /// Bytes that cannot be right count as missing, so that a client brings them again. Such bytes are an empty
    /// file for a blob that is not empty, or of another size than this registry itself has hashed under the
    /// digest.
    ///
    /// # Errors
    /// [`RegistryError::BlobUnknown`] if it is not in this repository.
    pub async fn stat(&self, digest: &Digest) -> Result<BlobInfo> {
        let about = self.repository.about().with_digest(digest);
        let operation = operation!("blob.stat", self.repository.shared, about);
        operation.run(pin!(self.find(digest)), |_, _| ()).await
    }

    pub(crate) async fn find(&self, digest: &Digest) -> Result<BlobInfo> {
        match self.look(digest).await {
            Err(RegistryError::Damaged(_)) => Err(self.unknown(digest)),
            info => info,
        }
    }

    /// Like [`find`](Self::find), but fails with [`RegistryError::Damaged`] for bytes that cannot be right.
    pub(crate) async fn look(&self, digest: &Digest) -> Result<BlobInfo> {
        let canonical = self.resolve(digest).await?.ok_or_else(|| self.unknown(digest))?;
        let size = self.store().look(&canonical).await?.ok_or_else(|| self.unknown(digest))?;
        Ok(BlobInfo { digest: *digest, canonical, size })
    }

    /// Opens a blob, or a part of it, for reading. 2 driver calls in one round trip; 3 for an alias, one after
    /// another. Holds what the driver's reader holds, plus one piece. Cancel safe.
    ///
    /// # Errors
    /// [`RegistryError::BlobUnknown`]; [`RegistryError::RangeNotSatisfiable`] if the range begins beyond the
    /// end; [`RegistryError::Damaged`] for bytes that cannot be right, as in [`stat`](Self::stat).
    pub async fn open(&self, digest: &Digest, range: ByteRange) -> Result<BlobReader> {
        let about = self.repository.about().with_digest(digest);
        let mut operation = operation!("blob.get", self.repository.shared, about);
        let BlobReader { info, range, stream } = operation.part(pin!(self.reader(digest, range))).await?;
        let stream = operation.stream(self.repository.shared.clone(), range.end - range.start, stream);
        Ok(BlobReader { info, range, stream })
    }

    pub(crate) async fn reader(&self, digest: &Digest, range: ByteRange) -> Result<BlobReader> {
        let (canonical, reader) = if digest.is_canonical() {
            let (canonical, reader) =
                try_join(self.resolve(digest), self.store().open(digest, range)).await?;
            (canonical.ok_or_else(|| self.unknown(digest))?, reader)
        } else {
            let canonical = self.resolve(digest).await?.ok_or_else(|| self.unknown(digest))?;
            (canonical, self.store().open(&canonical, range).await?)
        };
        let reader = reader.ok_or_else(|| self.unknown(digest))??;
        let info = BlobInfo { digest: *digest, canonical, size: reader.info().size };
        let bytes = reader.range();
        let whole = bytes == (0..info.size);
        let expected = whole.then_some(Expected { digest: *digest, size: info.size });
        let stream = verified(reader, expected, &self.repository.shared);
        Ok(BlobReader { info, range: bytes, stream })
    }

    /// Reads a whole blob of at most `limit` bytes into memory and verifies it.
    ///
    /// # Errors
    /// Those of [`open`](Self::open); a blob beyond the limit is a storage error of kind `TooLarge`.
    pub async fn get(&self, digest: &Digest, limit: usize) -> Result<Bytes> {
        let about = self.repository.about().with_digest(digest);
        let operation = operation!("blob.get", self.repository.shared, about);
        let content = self.collect(digest, limit);
        operation.run(pin!(content), |content, record| record.bytes = Some(content.len() as u64)).await
    }

    async fn collect(&self, digest: &Digest, limit: usize) -> Result<Bytes> {
        let reader = self.reader(digest, ByteRange::full()).await?;
        if reader.info.size > limit as u64 {
            let kind = plugin_registry_core::ErrorKind::TooLarge;
            return Err(plugin_registry_core::Error::new(kind).with_path(&layout::blob_data(digest)).into());
        }
        body::collect(reader.stream).await
    }

    /// Stores a blob whose digest and size are known, and links it into this repository.
    ///
    /// This is the direct path of a copy. If the location already has bytes of that digest and size, `content`
    /// is not polled and only the link is written. A size of 0 counts as unknown, unless the digest is that
    /// of empty content.
    ///
    /// 3 driver calls, 2 when deduplicated. Holds what the driver's writer holds. The data is written before
    /// the link, so an interruption by an error, a drop or a power cut leaves at most an unlinked blob.
    ///
    /// # Errors
    /// [`RegistryError::Mismatch`] if the content is not what the descriptor says, and [`RegistryError::Body`]
    /// if it fails. Nothing is stored then.
    pub async fn push<S, E>(&self, descriptor: &Descriptor, content: S) -> Result<PushOutcome>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<BoxError>,
    {
        let about = self.repository.about().with_digest(&descriptor.digest);
        let operation = operation!("blob.push", self.repository.shared, about);
        let pushed = self.store_or_link(descriptor, content);
        let (outcome, _) =
            operation.run(pin!(pushed), |(_, bytes), record| record.bytes = Some(*bytes)).await?;
        Ok(outcome)
    }

    /// Does a push. Also returns how many bytes were stored.
    async fn store_or_link<S, E>(&self, descriptor: &Descriptor, content: S) -> Result<(PushOutcome, u64)>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<BoxError>,
    {
        self.repository.shared.require_writable()?;
        let digest = &descriptor.digest;
        // Bytes under another algorithm are found if this registry hashed them itself, or by their link.
        let canonical = match self.repository.shared.cache.canonical(digest) {
            Some(canonical) => Some(canonical),
            None => self.resolve(digest).await?,
        };
        // Without a size, it is unknown whether the stored bytes are whole, so they are replaced.
        let size = integrity::named_size(descriptor);
        if let Some(canonical) = canonical
            && size.is_some()
            && self.store().stat(&canonical).await? == size
        {
            self.link(digest, &canonical).await?;
            return Ok((PushOutcome::Deduplicated, 0));
        }
        let info = self.store_content(digest, size, content).await?;
        Ok((PushOutcome::Stored, info.size))
    }

    /// Stores and links content under `digest`, replacing whatever is stored. The new bytes are verified; the
    /// stored ones may be damaged.
    pub(crate) async fn store_content<S, E>(
        &self,
        digest: &Digest,
        size: Option<u64>,
        content: S,
    ) -> Result<BlobInfo>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<BoxError>,
    {
        let (canonical, size) = self.store().write(&self.repository.name, digest, size, content).await?;
        self.link(digest, &canonical).await?;
        Ok(BlobInfo { digest: *digest, canonical, size })
    }

    /// Links stored bytes into this repository. The canonical link comes first, so that an alias never stands
    /// alone.
    pub(crate) async fn link(&self, digest: &Digest, canonical: &Digest) -> Result<()> {
        self.links().write(&layout::layer_link(&self.repository.name, canonical), canonical).await?;
        if digest != canonical {
            self.links().write(&layout::layer_link(&self.repository.name, digest), canonical).await?;
        }
        Ok(())
    }

    /// Mounts a blob from another repository of the location without moving bytes. 3 driver calls.
    ///
    /// # Errors
    /// [`RegistryError::BlobUnknown`] if it is not in `from`.
    pub async fn mount(&self, from: &RepositoryName, digest: &Digest) -> Result<BlobInfo> {
        let about = self.repository.about().with_digest(digest).with_from(from);
        let operation = operation!("blob.mount", self.repository.shared, about);
        let mounted = async {
            self.repository.shared.require_writable()?;
            let info = self.repository.beside(from.clone()).blobs().find(digest).await?;
            self.link(digest, &info.canonical).await?;
            Ok(info)
        };
        operation.run(pin!(mounted), |_, _| ()).await
    }

    /// Mounts a blob from anywhere in the location ("anonymous mount"). 2 driver calls.
    ///
    /// A sha256 digest finds the blob without a repository. A digest of another algorithm finds it only if this
    /// registry itself has hashed the content lately.
    ///
    /// # Errors
    /// [`RegistryError::BlobUnknown`] if the location has no such blob.
    pub async fn mount_any(&self, digest: &Digest) -> Result<BlobInfo> {
        let about = self.repository.about().with_digest(digest);
        let operation = operation!("blob.mount", self.repository.shared, about);
        let mounted = async {
            self.repository.shared.require_writable()?;
            let known = self.repository.shared.cache.canonical(digest);
            let canonical = known.ok_or_else(|| self.unknown(digest))?;
            let size = self.store().stat(&canonical).await?.ok_or_else(|| self.unknown(digest))?;
            self.link(digest, &canonical).await?;
            Ok(BlobInfo { digest: *digest, canonical, size })
        };
        operation.run(pin!(mounted), |_, _| ()).await
    }

    /// Returns which of these the repository lacks: no link, no bytes, or bytes of another size.
    ///
    /// One listing of the links for all of them, and one driver call per blob for its bytes,
    /// [`concurrency`](crate::RegistryBuilder::concurrency) at a time.
    ///
    /// # Errors
    /// Only those of the store.
    pub async fn missing(&self, wanted: &[Descriptor]) -> Result<Vec<Descriptor>> {
        let operation = operation!("blob.missing", self.repository.shared, self.repository.about());
        let missing = async {
            let presence = self.presence(wanted).await?;
            let lacking =
                wanted.iter().filter(|descriptor| presence.size(&descriptor.digest) != Some(descriptor.size));
            Ok::<Vec<Descriptor>, RegistryError>(lacking.cloned().collect())
        };
        operation.run(pin!(missing), |missing, record| record.entries = Some(missing.len())).await
    }

    /// Removes a blob from this repository at once, and from no other.
    ///
    /// Its bytes stay in the store. Deleting an alias also removes its canonical link.
    ///
    /// # Errors
    /// [`RegistryError::BlobUnknown`]; [`RegistryError::DeletesOff`] if deletes are off.
    pub async fn delete(&self, digest: &Digest) -> Result<()> {
        let about = self.repository.about().with_digest(digest);
        let operation = operation!("blob.delete", self.repository.shared, about);
        operation.run(pin!(self.unlink(digest)), |_, _| ()).await
    }

    async fn unlink(&self, digest: &Digest) -> Result<()> {
        self.repository.shared.require_delete()?;
        let canonical = self.resolve(digest).await?.ok_or_else(|| self.unknown(digest))?;
        let mut links = vec![layout::layer_link(&self.repository.name, &canonical)];
        if canonical != *digest {
            links.insert(0, layout::layer_link(&self.repository.name, digest));
        }
        self.links().remove(links).await
    }
}
