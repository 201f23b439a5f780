//! The blob store: bytes by digest, shared by all repositories of a location.

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use plugin_registry_core::{
    ByteRange, Digest, ErrorKind, FileWriter, PutMode, Reader, RepositoryName, StorageDriver, VerifyError,
    WriteMode,
};

use crate::{
    error::{BoxError, RegistryError, Result},
    hashing::{Hashers, StreamHasher},
    layout,
    manifest::MAX_MANIFEST_SIZE,
    shared::Shared,
    upload::UploadId,
};

/// Bytes by canonical digest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlobStore<'a> {
    shared: &'a Shared,
}

impl<'a> BlobStore<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Self { shared }
    }

    /// Returns the size of a stored blob, or `None`. Bytes that cannot be right count as missing, so that a
    /// push brings them again (ADR 0020).
    pub(crate) async fn stat(&self, digest: &Digest) -> Result<Option<u64>> {
        match self.look(digest).await {
            Err(RegistryError::Damaged(_)) => Ok(None),
            size => size,
        }
    }

    /// Returns the size of a stored blob, or `None`. Fails if its size says that it is damaged.
    pub(crate) async fn look(&self, digest: &Digest) -> Result<Option<u64>> {
        match self.shared.driver.stat(&layout::blob_data(digest)).await {
            Ok(info) => {
                self.check_size(digest, info.size)?;
                self.shared.cache.insert_seen(digest, info.size);
                Ok(Some(info.size))
            }
            Err(error) if error.is_not_found() => {
                self.shared.cache.remove_blob(digest);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Refuses stored bytes whose number shows that they cannot be those of `digest`.
    fn check_size(&self, digest: &Digest, size: u64) -> Result<()> {
        let Some(problem) = self.shared.cache.size_problem(digest, size) else { return Ok(()) };
        self.shared.cache.remove_blob(digest);
        tracing::error!(%digest, problem, "stored blob is damaged");
        Err(RegistryError::Damaged(format!("blob {digest}: {problem}; a push of it repairs it")))
    }

    /// Opens stored bytes, or returns `None` if there are none. The inner error is for a range outside of them,
    /// and for bytes that cannot be right.
    pub(crate) async fn open(&self, digest: &Digest, range: ByteRange) -> Result<Option<Result<Reader>>> {
        match self.shared.driver.reader(&layout::blob_data(digest), range).await {
            Ok(reader) => Ok(Some(self.check_size(digest, reader.info().size).map(|()| reader))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) if error.kind() == ErrorKind::InvalidOffset => {
                Ok(Some(Err(RegistryError::RangeNotSatisfiable)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads stored bytes to their end, and returns their size if they hash to `digest`. If they do not,
    /// returns an inner error; if there are none, `None`.
    pub(crate) async fn verify(&self, digest: &Digest) -> Result<Option<Result<u64, VerifyError>>> {
        self.verify_as(digest, digest).await
    }

    /// Like [`verify`](Self::verify) for bytes that are stored under `canonical` and named `digest`.
    pub(crate) async fn verify_as(
        &self,
        canonical: &Digest,
        digest: &Digest,
    ) -> Result<Option<Result<u64, VerifyError>>> {
        let reader = match self.shared.driver.reader(&layout::blob_data(canonical), ByteRange::full()).await {
            Ok(reader) => reader,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = reader.into_stream();
        let mut hasher = StreamHasher::new(Hashers::new(digest.algorithm()));
        let mut size = 0;
        while let Some(piece) = bytes.try_next().await? {
            size += piece.len() as u64;
            hasher.take(&piece).await?;
        }
        let verified = hasher.finish().await?.verify(digest);
        if let Ok(canonical) = &verified {
            self.shared.cache.insert_size(canonical, size);
        }
        Ok(Some(verified.map(|_| size)))
    }

    /// Returns a verified manifest, or `None`. More than `limit` bytes are an error of kind `TooLarge`, and
    /// more than any manifest has are damage.
    pub(crate) async fn get(&self, digest: &Digest, limit: u64) -> Result<Option<Bytes>> {
        let content = match self.shared.driver.get_content(&layout::blob_data(digest), limit).await {
            Ok(content) => content,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) if error.kind() == ErrorKind::TooLarge && limit >= MAX_MANIFEST_SIZE => {
                return Err(RegistryError::damaged(format!("{digest} has more than {limit} bytes")));
            }
            Err(error) => return Err(error.into()),
        };
        let actual = Digest::of(digest.algorithm(), &content);
        if actual != *digest {
            tracing::error!(%digest, %actual, "stored content is damaged");
            return Err(RegistryError::Damaged(format!("{digest} hashes to {actual}")));
        }
        Ok(Some(content))
    }

    /// Stores a small blob from memory, replacing an existing one.
    pub(crate) async fn put(&self, digest: &Digest, content: Bytes) -> Result<()> {
        let size = content.len() as u64;
        self.shared.driver.put_content(&layout::blob_data(digest), content, PutMode::Overwrite).await?;
        self.shared.cache.insert_stored(digest, size);
        Ok(())
    }

    /// Streams content to its final path and verifies it on the way. Nothing is visible before it agrees.
    ///
    /// Content named by another algorithm has its path only at the end, so it is staged in an upload directory
    /// of the repository first. Returns the canonical digest and the size.
    pub(crate) async fn write<S, E>(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        size: Option<u64>,
        content: S,
    ) -> Result<(Digest, u64)>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<BoxError>,
    {
        let path = if digest.is_canonical() {
            layout::blob_data(digest)
        } else {
            layout::upload_data(repository, &UploadId::generate())
        };
        let mut writer = self.shared.driver.writer(&path, WriteMode::Direct { size }).await?;
        let hashers = Some(Hashers::new(digest.algorithm()));
        let verified = match write_stream(content, &mut *writer, hashers, size).await {
            Ok(outcome) => outcome.verify(digest, size),
            Err(error) => Err(error),
        };
        let (canonical, length) = match verified {
            Ok(verified) => verified,
            Err(error) => {
                discard(writer).await;
                return Err(error);
            }
        };
        writer.commit(&layout::blob_data(&canonical)).await?;
        self.shared.cache.insert_stored(&canonical, length);
        self.shared.cache.insert_alias(digest, &canonical);
        Ok((canonical, length))
    }
}

/// What went into a writer.
#[derive(Debug)]
pub(crate) struct StreamOutcome {
    /// Bytes taken.
    pub(crate) counted: u64,
    /// The hashers after them, if there were any before.
    pub(crate) hashers: Option<Box<Hashers>>,
    /// Why the content failed after them.
    pub(crate) failure: Option<BoxError>,
}

impl StreamOutcome {
    /// Returns the canonical digest and the size, if the content is whole and what it was announced as.
    fn verify(self, digest: &Digest, size: Option<u64>) -> Result<(Digest, u64)> {
        let actual = self.counted;
        match (self.failure, self.hashers) {
            (Some(failure), _) => Err(RegistryError::Body(failure)),
            (None, Some(hashers)) => match size.filter(|size| *size != actual) {
                Some(expected) => Err(VerifyError::Size { expected, actual }.into()),
                None => Ok((hashers.verify(digest)?, actual)),
            },
            (None, None) => Err(RegistryError::Damaged("content was not hashed".to_owned())),
        }
    }
}

/// Passes every piece of `content` to the hashers and to `writer`, which both work while the next one arrives.
/// Content that fails is not an error here: the bytes before came in order, and the caller may keep them.
///
/// # Errors
/// Those of the store, and a size mismatch as soon as there are more than `limit` bytes.
pub(crate) async fn write_stream<S, E>(
    mut content: S,
    writer: &mut dyn FileWriter,
    hashers: Option<Box<Hashers>>,
    limit: Option<u64>,
) -> Result<StreamOutcome>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<BoxError>,
{
    let mut counted = 0;
    let mut hasher = hashers.map(StreamHasher::new);
    let failure = loop {
        let piece = match content.try_next().await {
            Ok(Some(piece)) => piece,
            Ok(None) => break None,
            Err(failure) => break Some(failure.into()),
        };
        counted += piece.len() as u64;
        if let Some(expected) = limit.filter(|limit| counted > *limit) {
            return Err(VerifyError::Size { expected, actual: counted }.into());
        }
        if let Some(hasher) = &mut hasher {
            hasher.take(&piece).await?;
        }
        writer.write(piece).await?;
    };
    let hashers = match hasher {
        Some(hasher) => Some(hasher.finish().await?),
        None => None,
    };
    Ok(StreamOutcome { counted, hashers, failure })
}

/// Discards a stage. A failure leaves only invisible bytes, so it is logged, not returned.
pub(crate) async fn discard(writer: Box<dyn FileWriter>) {
    if let Err(error) = writer.cancel().await {
        tracing::warn!(%error, "a stage could not be thrown away");
    }
}
