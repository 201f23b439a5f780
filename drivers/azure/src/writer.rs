//! The staged writer.
//!
//! Bytes gather in memory up to one block. A file that fits is one request to its final name. Of a larger
//! one, blocks are on their way while the next one gathers, and one request makes the blob of them.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use plugin_registry_core::{Error, ErrorKind, FileWriter, Result, Staged, StoragePath, WriteMode};
use plugin_registry_drivers_objects::{
    budget::PartReservation,
    content::{Content, ContentBuilder},
    parts::PartSizes,
};
use uuid::Uuid;

use crate::{
    blocks::{LIMITS, MAX_BLOB},
    client::{Blob, BlobMetadata, BlockId, Condition},
    error::is_condition,
    stage::{self, Form, LoadedStage, MAX_INLINE, StageState, no_etag},
    store::{Settled, Shared, stage_conflict},
    upload::BlockUpload,
};

/// How much a writer holds without a reservation.
const FREE: usize = 128 << 10;

/// Where the blocks of a writer go. Making a blob of blocks discards the blocks that other writers have sent
/// for the same name.
enum Target {
    /// To the file's own name: whoever writes it at the same time writes the same bytes.
    File,
    /// To a name of this writer alone, whose blob is copied and deleted.
    Private,
    /// To the stage that was resumed: of those who did, one can be closed.
    Stage(LoadedStage),
}

/// Holds 128 KiB, its share of the blocks that all writers of the instance hold together and, of a stage that
/// it resumed, the bytes without blocks.
pub(crate) struct AzureWriter {
    store: Shared,
    path: StoragePath,
    /// The name that its blocks are sent to.
    key: String,
    target: Target,
    sizes: PartSizes,
    /// The announced size of the whole file.
    expected: Option<u64>,
    /// The memory of the block that gathers.
    memory: Option<PartReservation>,
    /// Bytes after the blocks.
    buffer: ContentBuilder,
    size: u64,
    upload: Option<BlockUpload>,
}

impl AzureWriter {
    pub(crate) async fn open(store: Shared, path: &StoragePath, mode: WriteMode) -> Result<Self> {
        let file = store.keys.file(path)?;
        let (mut expected, mut size) = (None, 0);
        let (key, target) = match mode {
            WriteMode::Direct { size } => {
                expected = size;
                (file, Target::File)
            }
            WriteMode::Stage => (store.keys.staged_apart(path, Uuid::new_v4()), Target::Private),
            WriteMode::Resume(staged) => {
                let loaded = stage::resume(&store, &staged).await?;
                size = loaded.size;
                (store.keys.staged(path), Target::Stage(loaded))
            }
        };
        let sizes = PartSizes::new(&LIMITS, store.chunk_size, expected)?;
        let (path, buffer) = (path.clone(), ContentBuilder::default());
        Ok(Self { store, path, key, target, sizes, expected, memory: None, buffer, size, upload: None })
    }

    /// The stage that was resumed.
    fn resumed(&mut self) -> Option<&mut LoadedStage> {
        if let Target::Stage(loaded) = &mut self.target { Some(loaded) } else { None }
    }

    /// How many blocks there are, including those of the stage that was resumed.
    fn count(&self) -> usize {
        let kept = if let Target::Stage(loaded) = &self.target { loaded.kept.len() } else { 0 };
        kept + self.upload.as_ref().map_or(0, BlockUpload::count)
    }

    /// How much may gather for the next block. Bytes of a stage without blocks are part of the first one.
    fn room(&self) -> usize {
        let tail = if let Target::Stage(loaded) = &self.target { loaded.tail.len() } else { 0 };
        usize::try_from(self.sizes.of(self.count() as u64 + 1)).unwrap_or(usize::MAX).saturating_sub(tail)
    }

    /// Sends what has gathered. The bytes of a stage that had no blocks become one of their own: a commit
    /// that breaks off leaves them in the stage.
    async fn flush(&mut self) -> Result<()> {
        let memory = self.memory.take().map(PartReservation::into_in_flight);
        if self.upload.is_none()
            && matches!(self.target, Target::File)
            && self.store.is_foreign(&self.key).await?
        {
            // Such a blob takes no blocks. It stays as it is until all of the new bytes are in the store.
            (self.key, self.target) =
                (self.store.keys.staged_apart(&self.path, Uuid::new_v4()), Target::Private);
        }
        let tail = self.resumed().map(|loaded| std::mem::take(&mut loaded.tail)).unwrap_or_default();
        let (kept, content) = (self.count(), self.buffer.take());
        let new = || BlockUpload::new(self.store.clone(), self.key.clone(), kept);
        let upload = self.upload.get_or_insert_with(new);
        if !tail.is_empty() {
            upload.send(tail.into(), None).await?;
        }
        if content.is_empty() { Ok(()) } else { upload.send(content, memory).await }
    }

    /// Sends the rest as one more block. Waits until the store has all of them.
    async fn finish_blocks(&mut self) -> Result<Vec<BlockId>> {
        if !self.buffer.is_empty() {
            self.flush().await?;
        }
        match self.upload.take() {
            Some(upload) => upload.finish().await,
            None => Ok(Vec::new()),
        }
    }

    /// All bytes, if none of them is in a block.
    fn gathered(&mut self) -> Content {
        let mut all = ContentBuilder::default();
        if let Some(loaded) = self.resumed() {
            all.push(std::mem::take(&mut loaded.tail));
        }
        self.buffer.take().pieces().iter().for_each(|piece| all.push(piece.clone()));
        all.take()
    }

    /// Writes the stage. Of several writers that begin or continue one, the first to do this wins.
    async fn keep(&mut self) -> Result<StageState> {
        let tail = self.resumed().map_or(0, |loaded| loaded.tail.len());
        if self.count() == 0 && (tail + self.buffer.len()) as u64 > MAX_INLINE {
            self.flush().await?;
        }
        let _held = self.memory.take().map(PartReservation::into_in_flight);
        let (id, has_blocks) = (Uuid::new_v4().to_string(), self.count() > 0);
        let added = if has_blocks { self.finish_blocks().await.map_err(of_close)? } else { Vec::new() };
        let (store, key) = (self.store.clone(), self.store.keys.staged(&self.path));
        let metadata = BlobMetadata { stage: Some(&id), has_blocks, ..BlobMetadata::default() };
        let is_ours = |blob: &Blob| blob.stage.as_ref() == Some(&id);
        let content = if has_blocks { Content::default() } else { self.gathered() };
        let written = match &mut self.target {
            Target::File => {
                let message = "a writer of a file in one go is committed or cancelled, never closed";
                return Err(Error::new(ErrorKind::Other).with_message(message));
            }
            Target::Stage(LoadedStage { state, kept, .. }) => {
                let condition = Condition::Same(&state.etag);
                let written = if has_blocks {
                    store.client.commit_blocks(&key, std::mem::take(kept), &added, condition, metadata).await
                } else {
                    store.client.put(&key, content, condition, metadata).await
                };
                // A refusal may be the answer to a second attempt, after the answer to the first was lost.
                store.settle(&key, written, is_ours).await.and_then(Settled::written)
            }
            Target::Private if has_blocks => {
                let own = self.make_private(&added).await?;
                let copied = store.create_copy((&self.key, &own), &key, metadata, is_ours).await;
                store.try_delete(&self.key, Some(&own)).await;
                copied
            }
            Target::Private => store.create_with(&key, content, metadata, is_ours).await,
        };
        let etag = written.map_err(of_close)?.ok_or_else(no_etag)?;
        let form = if has_blocks { Form::Blocks } else { Form::Bytes };
        Ok(StageState { form, etag, id })
    }

    /// Commits what continues a stage. From its first write on no other writer that has resumed the stage can
    /// close, and until its last one the stage is as it was closed.
    async fn commit_resumed(mut self, key: &str) -> Result<()> {
        let _held = self.memory.take().map(PartReservation::into_in_flight);
        let (store, has_blocks) = (self.store.clone(), self.count() > 0);
        let added = if has_blocks { self.finish_blocks().await.map_err(of_close)? } else { Vec::new() };
        let content = if has_blocks { Content::default() } else { self.gathered() };
        let Target::Stage(LoadedStage { state, kept, size, .. }) = self.target else {
            return Err(ErrorKind::Other.into());
        };
        let written = if has_blocks {
            let metadata =
                BlobMetadata { stage: Some(&state.id), mark: None, has_blocks, staged: Some(size) };
            let condition = Condition::Same(&state.etag);
            store.client.commit_blocks(&self.key, kept, &added, condition, metadata).await
        } else {
            store.client.touch(&self.key, &state.etag).await
        };
        let whole = self.size;
        let is_ours = |blob: &Blob| {
            blob.stage.as_ref() == Some(&state.id)
                && (!has_blocks || (blob.size, blob.staged) == (whole, Some(size)))
        };
        let written = store.settle(&self.key, written, is_ours).await.and_then(Settled::written);
        let etag = written.map_err(of_close)?.ok_or_else(no_etag)?;
        if has_blocks {
            store.copy_to_file(&self.key, &etag, key).await?;
        } else {
            store.overwrite(key, content).await?;
        }
        store.try_delete(&self.key, Some(&etag)).await;
        Ok(())
    }

    /// Makes a blob of the blocks under a name that no other writer uses. Returns its ETag.
    async fn make_private(&self, added: &[BlockId]) -> Result<String> {
        let metadata = BlobMetadata::default();
        let made =
            self.store.client.commit_blocks(&self.key, Vec::new(), added, Condition::Any, metadata).await;
        made?.ok_or_else(no_etag)
    }

    /// Makes the file of blocks that were sent to its own name.
    ///
    /// There is no condition: a damaged file of the same size has to be replaced. If the blocks are gone,
    /// another writer has written this name since they were sent. Then it is the same file, if it is as
    /// large.
    async fn make_file(&self, added: &[BlockId]) -> Result<Option<String>> {
        let metadata = BlobMetadata::default();
        let made =
            self.store.client.commit_blocks(&self.key, Vec::new(), added, Condition::Any, metadata).await;
        let lost = match made {
            Err(error) if error.kind() == ErrorKind::Conflict => error,
            made => return made,
        };
        match self.store.client.head(&self.key).await {
            Ok(blob) if blob.size == self.size => Ok(blob.etag),
            Err(error) if !error.is_not_found() => Err(error),
            _ => {
                let message = "another writer has written other bytes to this name meanwhile";
                Err(Error::new(ErrorKind::Conflict).with_message(message).with_source(lost))
            }
        }
    }

    /// Makes a blob of the blocks, and copies it if it belongs elsewhere.
    async fn commit_blocks(&mut self, key: &str) -> Result<()> {
        let added = self.finish_blocks().await?;
        let made = match &self.target {
            Target::File => self.make_file(&added).await?,
            _ => Some(self.make_private(&added).await?),
        };
        if self.key == key {
            return Ok(());
        }
        // A crash in between leaves a blob in an upload's directory, which a purge deletes.
        let etag = made.ok_or_else(no_etag)?;
        self.store.copy_to_file(&self.key, &etag, key).await?;
        self.store.try_delete(&self.key, Some(&etag)).await;
        Ok(())
    }
}

/// A refused condition, and blocks that are gone, mean that another writer was first.
fn of_close(error: Error) -> Error {
    let is_late = is_condition(&error) || error.is_not_found() || error.kind() == ErrorKind::Conflict;
    if is_late { stage_conflict() } else { error }
}

#[async_trait]
impl FileWriter for AzureWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        let mut chunk = chunk;
        self.size += chunk.len() as u64;
        if self.size > MAX_BLOB {
            return Err(Error::new(ErrorKind::TooLarge).with_message("an Azure blob has at most 190 TiB"));
        }
        while !chunk.is_empty() {
            let room = self.room();
            // Sent only when more comes: a file that fits one block goes to its final name in one request.
            if self.buffer.len() >= room {
                self.flush().await?;
                continue;
            }
            if self.memory.is_none() && self.buffer.len() + chunk.len() > FREE {
                // As much as this block will need, up to the end of what was announced.
                let before = self.size - (chunk.len() + self.buffer.len()) as u64;
                let left = self.expected.map_or(u64::MAX, |expected| expected.saturating_sub(before));
                self.memory = Some(self.store.budget.reserve((room as u64).min(left)).await);
            }
            self.buffer.push(chunk.split_to(chunk.len().min(room - self.buffer.len())));
        }
        Ok(())
    }

    fn size(&self) -> u64 {
        self.size
    }

    async fn close(mut self: Box<Self>) -> Result<Staged> {
        let written = self.keep().await?;
        Ok(written.value(&self.path, self.size))
    }

    async fn cancel(mut self: Box<Self>) -> Result<()> {
        (self.memory, self.buffer) = (None, ContentBuilder::default());
        if let Some(upload) = self.upload.take() {
            upload.stop().await;
        }
        // If another writer has continued the stage, it is not deleted.
        let Target::Stage(LoadedStage { state, .. }) = &self.target else { return Ok(()) };
        match self.store.client.delete(&self.key, Condition::Same(&state.etag)).await {
            Err(error) if is_condition(&error) || error.is_not_found() => Ok(()),
            deleted => deleted,
        }
    }

    async fn commit(mut self: Box<Self>, to: &StoragePath) -> Result<()> {
        let key = self.store.keys.file(to)?;
        if matches!(self.target, Target::Stage(_)) {
            return self.commit_resumed(&key).await;
        }
        if self.count() > 0 {
            return self.commit_blocks(&key).await;
        }
        let _held = self.memory.take().map(PartReservation::into_in_flight);
        let content: Content = self.buffer.take();
        self.store.overwrite(&key, content).await
    }
}

impl fmt::Debug for AzureWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureWriter")
            .field("path", &self.path)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
