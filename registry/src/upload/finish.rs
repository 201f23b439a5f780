//! The end of a session that has bytes already.

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use plugin_registry_core::{ByteRange, Digest, ErrorKind, StorageDriver, Verifier, WriteOptions};
use tokio::sync::MutexGuard;

use super::{
    checks::{as_announced, check_length, first_piece},
    session::{HASH_STATE_MIN, Opened, UploadSession},
    slot::Progress,
};
use crate::{
    blob::{BlobStore, BoxError, discard, pour},
    error::{RegistryError, Result},
    layout,
};

/// What a request says of its content.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) at: Option<u64>,
    pub(super) length: Option<u64>,
    pub(super) digest: &'a Digest,
}

/// Bytes that are where they belong.
pub(super) struct Finished {
    pub(super) canonical: Digest,
    /// The session is known to hold `startedat` and its stage, and nothing else.
    pub(super) is_known: bool,
}

impl UploadSession {
    /// Whether an earlier call made the bytes visible and was interrupted before it linked them: then the
    /// acknowledged bytes are gone from the session, and the blob is there. Whoever may mount it from
    /// anywhere may have it linked now.
    pub(super) async fn was_committed(&self, digest: &Digest, acknowledged: u64) -> Result<bool> {
        if !digest.is_canonical() || !self.inner.options.anonymous_mount {
            return Ok(false);
        }
        // Read, not only asked for: nothing else of this session vouches for these bytes.
        let stored = BlobStore::new(&self.inner).verify(digest).await?;
        Ok(matches!(stored, Some(Ok(size)) if size >= acknowledged))
    }

    pub(super) async fn finish_staged<S, E>(
        &self,
        progress: &MutexGuard<'_, Progress>,
        asked: Asked<'_>,
        content: S,
    ) -> Result<Finished>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<BoxError>,
    {
        // Where there is no piece, its end is met twice.
        let mut content = content.fuse();
        let first = first_piece(&mut content).await?;
        if first.is_none() && is_foreseen(progress, asked) {
            let nothing = stream::empty::<Result<Bytes, std::io::Error>>();
            let options = WriteOptions::resume().with_sealed();
            match self.finish_opened(progress, asked, None, nothing, options).await {
                // Another instance was at the stage: what the store has now decides.
                Err(error) if is_outdated(&error) => {}
                finished => return finished,
            }
        }
        self.finish_opened(progress, asked, first, content, WriteOptions::resume()).await
    }

    async fn finish_opened<S, E>(
        &self,
        progress: &MutexGuard<'_, Progress>,
        Asked { at, length, digest }: Asked<'_>,
        first: Option<Bytes>,
        content: S,
        options: WriteOptions,
    ) -> Result<Finished>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<BoxError>,
    {
        let (mut writer, known) = match self.open(progress, at, options).await? {
            Opened::Stage(writer, known) => (writer, known),
            Opened::Visible if first.is_none() => {
                check_length(length, 0)?;
                let canonical = self.adopt_visible(digest).await?;
                return Ok(Finished { canonical, is_known: false });
            }
            Opened::Visible => return Err(RegistryError::UploadUnknown),
        };
        // Below this size no hash state was ever written.
        let is_known = known.is_ours && writer.size() < HASH_STATE_MIN;
        let hashers = known.hashers.filter(|hashers| hashers.covers(digest.algorithm()));
        let has_body = first.is_some();
        let body = stream::iter(first.map(Ok)).chain(content);
        let poured = pour(body, &mut *writer, hashers, length).await.map_err(as_announced)?;
        if let Some(failure) = poured.failure {
            return Err(RegistryError::Body(failure));
        }
        check_length(length, poured.counted)?;
        let Some(hashers) = poured.hashers else {
            // Nobody here hashed the earlier bytes: make them readable inside the upload and read them.
            writer.commit().await?;
            let canonical = self.adopt_visible(digest).await?;
            return Ok(Finished { canonical, is_known: false });
        };
        let size = writer.size();
        match hashers.verify(digest) {
            Ok(canonical) => {
                writer.commit_to(&layout::blob_data(&canonical)).await?;
                self.inner.known.stored_blob(&canonical, size);
                Ok(Finished { canonical, is_known })
            }
            Err(error) if has_body => Err(error.into()),
            Err(error) => {
                discard(writer).await;
                self.remove_remains().await;
                self.end();
                Err(error.into())
            }
        }
    }

    /// Verifies the visible bytes of the upload and moves them to their place.
    async fn adopt_visible(&self, digest: &Digest) -> Result<Digest> {
        let mut bytes = self.inner.driver.reader(&self.data(), ByteRange::full()).await?.into_stream();
        let mut verifier = Verifier::new(*digest, None);
        while let Some(piece) = bytes.try_next().await? {
            verifier.update(&piece)?;
        }
        let size = verifier.length();
        match verifier.finish() {
            Ok(canonical) => {
                self.inner.driver.rename(&self.data(), &layout::blob_data(&canonical)).await?;
                self.inner.known.stored_blob(&canonical, size);
                Ok(canonical)
            }
            Err(error) => {
                self.remove_remains().await;
                self.end();
                Err(error.into())
            }
        }
    }

    /// Deletes what a session of this instance holds, without asking the store for it.
    pub(super) async fn remove_known_remains(&self) {
        let directory = layout::upload(&self.repository, &self.id);
        let files = [layout::upload_started_at(&self.repository, &self.id), self.data()];
        if let Err(error) = self.inner.driver.delete_known(&directory, &files).await {
            tracing::warn!(path = %directory, %error, "the remains of an upload could not be deleted; a purge will");
        }
    }
}

/// Whether this instance has seen all bytes and they agree with the digest, so that nothing is left but to commit
/// them.
fn is_foreseen(progress: &MutexGuard<'_, Progress>, Asked { at, digest, .. }: Asked<'_>) -> bool {
    match &**progress {
        Progress::Staged { stage: Some(_), offset, hashers: Some(hashers), .. } => {
            at.is_none_or(|at| at == *offset)
                && hashers.covers(digest.algorithm())
                && hashers.clone().verify(digest).is_ok()
        }
        _ => false,
    }
}

/// Whether a sealed stage was another one than this instance believed.
fn is_outdated(error: &RegistryError) -> bool {
    match error {
        RegistryError::UploadOffset { .. } => true,
        RegistryError::Storage(storage) => {
            matches!(storage.kind(), ErrorKind::NotFound | ErrorKind::Conflict)
        }
        _ => false,
    }
}
