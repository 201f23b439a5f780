//! The staged writer.
//!
//! Bytes gather in memory up to one part. A file that fits is one request to its final key. A larger one
//! becomes a multipart upload on the writer's key, with parts on their way while the next one gathers.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use plugin_registry_core::{Error, ErrorKind, FileWriter, Result, Staged, StoragePath, WriteMode};
use uuid::Uuid;

use crate::{
    budget::PartReservation,
    client::{Condition, ObjectMetadata, is_condition},
    content::{Content, ContentBuilder},
    parts::{LIMITS, MAX_FILE, MAX_PARTS, MIN_PART, PartSizes},
    stage::{LAST, Stage, StagedUpload, too_many_parts},
    staged::{self, metadata_of, replace, stage_conflict},
    store::{LoadedStage, Shared, Source},
    upload::Upload,
};

/// The most bytes that wait without a multipart upload, in the object beside the file.
pub(crate) const MAX_INLINE: usize = 16 << 20;

/// How much a writer holds without a reservation.
const FREE: usize = 128 << 10;

/// Holds 128 KiB, its share of the parts that all writers of the instance hold together and, of a stage that it
/// resumed, the bytes after the last part.
pub(crate) struct S3Writer {
    store: Shared,
    path: StoragePath,
    key: String,
    /// Never closed, so no part number is kept for the last bytes.
    is_direct: bool,
    sizes: PartSizes,
    /// The announced size of the whole file.
    expected: Option<u64>,
    /// The memory of the part that gathers.
    memory: Option<PartReservation>,
    /// Bytes after the parts.
    buffer: ContentBuilder,
    size: u64,
    /// The resumed stage, as its object is now.
    resumed: Option<LoadedStage>,
    upload: Option<Upload>,
}

impl S3Writer {
    pub(crate) async fn open(store: Shared, path: &StoragePath, mode: WriteMode) -> Result<Self> {
        let key = store.keys.file(path)?;
        store.before_writing().await?;
        let is_direct = matches!(mode, WriteMode::Direct { .. });
        let expected = if let WriteMode::Direct { size } = mode { size } else { None };
        let sizes = PartSizes::new(&LIMITS, store.chunk_size, expected)?;
        let resumed = match mode {
            WriteMode::Resume(staged) => Some(staged::resume(&store, &staged).await?),
            WriteMode::Direct { .. } | WriteMode::Stage => None,
        };
        let (mut buffer, mut size, mut upload) = (ContentBuilder::default(), 0, None);
        if let Some(LoadedStage { stage, tail, .. }) = &resumed {
            (buffer, size) = (ContentBuilder::from(tail.clone()), stage.size);
            let promised = stage.upload.as_ref();
            upload = promised.map(|promised| Upload::from_staged(store.clone(), key.clone(), promised));
        }
        let (path, memory) = (path.clone(), None);
        Ok(Self { store, path, key, is_direct, sizes, expected, memory, buffer, size, resumed, upload })
    }

    /// The size of the part that gathers now.
    fn room(&self) -> usize {
        // Numbers lost to interruptions do not make any part larger.
        let count = self.upload.as_ref().map_or(0, |upload| upload.count);
        usize::try_from(self.sizes.of(count as u64 + 1)).unwrap_or(usize::MAX)
    }

    /// Sends what has gathered.
    async fn flush(&mut self) -> Result<()> {
        let memory = self.memory.take().map(PartReservation::into_in_flight);
        if self.upload.is_none() {
            let mark = new_id();
            let (id, has_crc32) = self.store.client.create_upload(&self.key, &mark).await?;
            let (store, key) = (self.store.clone(), self.key.clone());
            let limit = if self.is_direct { MAX_PARTS as i32 } else { LAST };
            self.upload = Some(Upload::new(store, key, id, mark, has_crc32, limit));
        }
        if self.upload.as_ref().is_some_and(|upload| upload.last >= upload.limit) {
            self.reserve().await?;
        }
        let content = self.buffer.take();
        match &mut self.upload {
            Some(upload) => upload.send(content, memory).await,
            None => Err(ErrorKind::Other.into()),
        }
    }

    /// Sends what has gathered, if it is large enough for a part, or too large for a stage.
    async fn flush_part(&mut self) -> Result<()> {
        let is_part = if self.upload.is_some() {
            self.buffer.len() as u64 >= MIN_PART
        } else {
            self.buffer.len() > MAX_INLINE
        };
        if is_part { self.flush().await } else { Ok(()) }
    }

    /// Writes the stage, to be continued or, if `is_ending`, to be committed. Also returns whether its object
    /// is only its bytes.
    async fn keep(&mut self, is_ending: bool) -> Result<(LoadedStage, bool)> {
        let _held = self.memory.take().map(PartReservation::into_in_flight);
        let mut was_recorded = false;
        if let Some(upload) = &mut self.upload {
            upload.wait_for_parts().await?;
            // From here on a lost answer may mean that the stage is promised.
            was_recorded = std::mem::replace(&mut upload.is_recorded, true);
        }
        let promise = |upload: &Upload| StagedUpload { is_ending, ..upload.to_staged() };
        let stage = Stage { id: new_id(), upload: self.upload.as_ref().map(promise), size: self.size };
        // An empty object has an ETag that does not distinguish it.
        let is_bytes = stage.upload.is_none() && stage.size > 0 && self.store.features().conditional_copies;
        let tail = self.buffer.take();
        let (object, marks, tail) = if is_bytes {
            (tail, ObjectMetadata { staged: None, ..metadata_of(&stage) }, Bytes::new())
        } else {
            let bytes = if is_ending { tail.to_bytes() } else { Bytes::new() };
            (stage.encode(&tail)?.into(), metadata_of(&stage), bytes)
        };
        let put = match &self.resumed {
            Some(found) => replace(&self.store, &self.path, object, found.etag.as_deref(), marks).await,
            None => create(&self.store, &self.path, object, marks).await,
        };
        match put {
            Ok(etag) => Ok((LoadedStage { stage, tail, etag }, is_bytes)),
            Err(error) => {
                // A clear refusal has promised nothing.
                if let Some(upload) = &mut self.upload {
                    let is_open = error.is_retryable() && error.kind() != ErrorKind::Conflict;
                    upload.is_recorded = was_recorded || is_open;
                }
                Err(error)
            }
        }
    }

    /// Reserves part numbers that no other writer uses that resumed the same stage. A second writer is refused
    /// before it has sent a part.
    async fn reserve(&mut self) -> Result<()> {
        let (Some(found), Some(upload)) = (&mut self.resumed, &mut self.upload) else {
            return Err(too_many_parts());
        };
        let Some(promised) = &mut found.stage.upload else { return Err(too_many_parts()) };
        let numbers = promised.reserve(found.tail.is_empty())?;
        let object = found.stage.encode(&found.tail.clone().into())?.into();
        let marks = metadata_of(&found.stage);
        found.etag = replace(&self.store, &self.path, object, found.etag.as_deref(), marks).await?;
        (upload.last, upload.limit) = (numbers.start() - 1, *numbers.end());
        Ok(())
    }
}

/// Writes the object of a stage if there is none yet.
async fn create(
    store: &Shared,
    path: &StoragePath,
    object: Content,
    marks: ObjectMetadata<'_>,
) -> Result<Option<String>> {
    let key = store.keys.staged(path);
    let created = if store.features().conditional_writes {
        store.put_if(&key, object, Condition::Absent, marks).await
    } else {
        match store.client.head(&key).await {
            Ok(_) => Err(ErrorKind::AlreadyExists.into()),
            Err(error) if error.is_not_found() => store.client.put(&key, object, Condition::Any, marks).await,
            Err(error) => Err(error),
        }
    };
    created.map_err(|error| if is_condition(&error) { stage_conflict() } else { error })
}

fn new_id() -> String {
    Uuid::new_v4().to_string()
}

#[async_trait]
impl FileWriter for S3Writer {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        let mut chunk = chunk;
        self.size += chunk.len() as u64;
        if self.size > MAX_FILE {
            return Err(Error::new(ErrorKind::TooLarge).with_message("an S3 object has at most 5 TiB"));
        }
        while !chunk.is_empty() {
            let room = self.room();
            // Sent only when more comes: a file that fits one part goes to its final key in one request.
            if self.buffer.len() >= room {
                self.flush().await?;
                continue;
            }
            if self.memory.is_none() && self.buffer.len() + chunk.len() > FREE {
                // As much as this part will need, up to the end of what was announced.
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
        self.flush_part().await?;
        let (LoadedStage { stage, etag, .. }, is_bytes) = self.keep(false).await?;
        let state = etag.filter(|_| is_bytes).unwrap_or_default();
        Ok(staged::value(&self.path, &stage.id, stage.size).with_state(state))
    }

    async fn cancel(mut self: Box<Self>) -> Result<()> {
        (self.memory, self.buffer) = (None, ContentBuilder::default());
        if let Some(upload) = &mut self.upload {
            upload.stop().await;
        }
        if let Some(found) = &self.resumed {
            // From here on no writer can continue it. If one already has, it is not deleted.
            let nothing = Stage { id: new_id(), ..found.stage.clone() };
            let object = nothing.encode(&found.tail.clone().into())?.into();
            match replace(&self.store, &self.path, object, found.etag.as_deref(), metadata_of(&nothing)).await
            {
                Err(error) if error.kind() == ErrorKind::Conflict => return Ok(()),
                replaced => drop(replaced?),
            }
        }
        if let Some(mut upload) = self.upload.take() {
            upload.is_recorded = true;
            self.store.client.abort(&self.key, &upload.id).await?;
        }
        match &self.resumed {
            Some(_) => self.store.remove_stage(&self.path).await,
            None => Ok(()),
        }
    }

    async fn commit(mut self: Box<Self>, to: &StoragePath) -> Result<()> {
        let key = self.store.keys.file(to)?;
        if self.upload.is_none() {
            let _held = self.memory.take().map(PartReservation::into_in_flight);
            let Some(found) = &self.resumed else {
                return self.store.overwrite(&key, self.buffer.take()).await;
            };
            // Another writer that has resumed it can no longer close. If it already has, this one is late. As a
            // description the object has another ETag; the bytes are the same.
            let object = found.stage.encode(&found.tail.clone().into())?.into();
            replace(&self.store, &self.path, object, found.etag.as_deref(), metadata_of(&found.stage))
                .await?;
            self.store.overwrite(&key, self.buffer.take()).await?;
            self.store.try_delete(vec![self.store.keys.staged(&self.path)]).await;
            return Ok(());
        }
        if self.resumed.is_some() {
            // Others may have resumed the same upload, so this one closes first: only one of them can.
            self.flush_part().await?;
            let (found, _) = self.keep(true).await?;
            return staged::commit_parts(&self.store, &self.path, found, &key).await;
        }
        if !self.buffer.is_empty() {
            self.flush().await?;
        }
        let Some(mut upload) = self.upload.take() else { return Err(ErrorKind::Other.into()) };
        upload.wait_for_parts().await?;
        let etag = upload.complete().await?;
        if key == self.key {
            return Ok(());
        }
        // Visible under its own key first, then copied by the store, then deleted from its own key. A crash in
        // between leaves a file in an upload's directory.
        let source = Source { key: &self.key, etag: etag.as_deref(), mark: &upload.mark };
        self.store.copy(&source, &key, self.size).await?;
        self.store.try_delete(vec![self.key.clone()]).await;
        Ok(())
    }
}

impl fmt::Debug for S3Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Writer").field("path", &self.path).field("size", &self.size).finish_non_exhaustive()
    }
}
