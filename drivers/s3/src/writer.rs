//! The staged writer.
//!
//! Bytes gather in memory up to one part. A file that fits is one request to its final key. A larger one
//! becomes a multipart upload on the writer's key, parts on their way while the next one gathers.

use std::fmt;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use plugin_registry_core::{
    Error, ErrorKind, FileWriter, PutMode, Result, StageId, StoragePath, WriteMode, WriteOptions,
};
use tokio::{runtime::Handle, task::JoinSet};
use uuid::Uuid;

use crate::{
    client::{Condition, Part, UploadId, is_condition},
    parts::{MAX_FILE, MAX_PARTS, MIN_PART, PartSizes},
    stage::Stage,
    store::{Found, Shared, gone},
};

/// The most bytes that wait without a multipart upload, in the object beside the file.
const MAX_INLINE: usize = 16 << 20;

/// Holds at most `maxconcurrency` parts on their way and one that gathers: 40 MiB by default.
pub(crate) struct S3Writer {
    store: Shared,
    path: StoragePath,
    key: String,
    options: WriteOptions,
    sizes: PartSizes,
    /// Bytes after the parts.
    buffer: BytesMut,
    size: u64,
    /// The stage that was resumed.
    resumed: Option<Resumed>,
    upload: Option<Upload>,
}

#[derive(Debug)]
struct Resumed {
    stage: Stage,
    etag: Option<String>,
}

/// The multipart upload of a writer. Dropped in the middle, it is aborted, unless a close has promised it.
struct Upload {
    store: Shared,
    key: String,
    id: UploadId,
    /// Made when it began; on the object that it becomes.
    mark: String,
    parts: Vec<Part>,
    begun: i32,
    on_their_way: JoinSet<Result<Part>>,
    is_promised: bool,
}

impl S3Writer {
    pub(crate) async fn open(store: Shared, path: &StoragePath, options: WriteOptions) -> Result<Self> {
        let key = store.keys.file(path)?;
        let sizes = PartSizes::new(store.chunk_size, options.expected_size)?;
        let mut writer = Self {
            store,
            path: path.clone(),
            key,
            options,
            sizes,
            buffer: BytesMut::new(),
            size: 0,
            resumed: None,
            upload: None,
        };
        if options.mode == WriteMode::Resume {
            writer.resume().await?;
        }
        Ok(writer)
    }

    async fn resume(&mut self) -> Result<()> {
        let Some(Found { stage, tail, etag }) = self.store.stage(&self.path).await? else {
            // A visible file is in the way, unless it is empty.
            return match self.store.client.head(&self.key).await?.size {
                0 => Ok(()),
                _ => Err(ErrorKind::AlreadyExists.into()),
            };
        };
        if let Some(id) = &stage.upload {
            // A commit that was interrupted after it made the file visible.
            let visible = match self.store.client.head(&self.key).await {
                Ok(object) => object.mark.as_deref() == Some(&stage.id),
                Err(error) if error.is_not_found() => false,
                Err(error) => return Err(error),
            };
            if visible {
                self.store.remove_all(vec![self.store.keys.staged(&self.path)]).await?;
                return Err(ErrorKind::AlreadyExists.into());
            }
            self.upload = Some(Upload {
                store: self.store.clone(),
                key: self.key.clone(),
                id: id.clone(),
                mark: stage.id.clone(),
                begun: i32::try_from(stage.parts.len()).map_err(|_| ErrorKind::TooLarge)?,
                parts: stage.parts.clone(),
                on_their_way: JoinSet::new(),
                is_promised: true,
            });
        }
        self.buffer = BytesMut::from(tail);
        self.size = stage.size;
        self.resumed = Some(Resumed { stage, etag });
        Ok(())
    }

    /// The bytes that the part takes which gathers now.
    fn room(&self) -> usize {
        let number = self.upload.as_ref().map_or(0, |upload| upload.begun).saturating_add(1);
        usize::try_from(self.sizes.of(number)).unwrap_or(usize::MAX)
    }

    /// Sends what has gathered.
    async fn flush(&mut self) -> Result<()> {
        if self.upload.is_none() {
            let mark = self.resumed.as_ref().map_or_else(new_id, |resumed| resumed.stage.id.clone());
            let id = self.store.client.create_upload(&self.key, &mark).await?;
            self.upload = Some(Upload {
                store: self.store.clone(),
                key: self.key.clone(),
                id,
                mark,
                parts: Vec::new(),
                begun: 0,
                on_their_way: JoinSet::new(),
                is_promised: false,
            });
        }
        let content = std::mem::take(&mut self.buffer).freeze();
        let concurrency = self.store.concurrency;
        match &mut self.upload {
            Some(upload) => upload.send(content, concurrency).await,
            None => Err(ErrorKind::Other.into()),
        }
    }

    /// Takes the stage away that a writer of this path has closed before.
    async fn forget_earlier(&self) -> Result<()> {
        match &self.resumed {
            // Its upload is used up by now, or it had none.
            Some(_) => self.store.remove_all(vec![self.store.keys.staged(&self.path)]).await,
            None if self.options.one_shot => Ok(()),
            None => match self.store.stage(&self.path).await {
                Ok(Some(found)) => self.store.forget(&self.path, &found.stage).await,
                Ok(None) => Ok(()),
                // Whatever it is, nobody can go on with it.
                Err(error) if error.kind() == ErrorKind::Corrupted => {
                    self.store.remove_all(vec![self.store.keys.staged(&self.path)]).await
                }
                Err(error) => Err(error),
            },
        }
    }

    async fn finish(mut self, target: Option<&StoragePath>) -> Result<()> {
        let key = match target {
            Some(target) => self.store.keys.file(target)?,
            None => self.key.clone(),
        };
        let is_new = self.options.put == PutMode::CreateOnly;
        if self.upload.is_none() {
            let content = std::mem::take(&mut self.buffer).freeze();
            if is_new {
                self.store.create(&key, content).await?;
            } else {
                self.store.client.put(&key, content, Condition::Any, None).await?;
            }
            return self.forget_earlier().await;
        }
        if !self.buffer.is_empty() {
            self.flush().await?;
        }
        let Some(mut upload) = self.upload.take() else { return Err(ErrorKind::Other.into()) };
        upload.settle().await?;
        if key == self.key {
            let condition = match is_new {
                true if self.store.nature.conditions => Condition::Absent,
                true => {
                    self.require_absent(&key).await?;
                    Condition::Any
                }
                false => Condition::Any,
            };
            upload.complete(condition).await?;
            return self.forget_earlier().await;
        }
        if is_new {
            self.require_absent(&key).await?;
        }
        // Visible under its own key first, then copied by the store, then gone from its own: a crash between
        // leaves a file in an upload's directory.
        upload.complete(Condition::Any).await?;
        self.store.copy(&self.key, &key, self.size).await?;
        let mut rest = vec![self.key.clone()];
        if self.resumed.is_some() {
            rest.push(self.store.keys.staged(&self.path));
            return self.store.remove_all(rest).await;
        }
        self.store.remove_all(rest).await?;
        self.forget_earlier().await
    }

    async fn require_absent(&self, key: &str) -> Result<()> {
        match self.store.client.head(key).await {
            Ok(_) => Err(ErrorKind::AlreadyExists.into()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }
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
            return Err(Error::new(ErrorKind::TooLarge).with_message("an object of S3 has at most 5 TiB"));
        }
        while !chunk.is_empty() {
            let room = self.room();
            // Sent only when more comes: what fits one part goes to its final key in one request.
            if self.buffer.len() >= room {
                self.flush().await?;
                continue;
            }
            if self.buffer.is_empty() {
                let expected = self.options.expected_size.and_then(|size| usize::try_from(size).ok());
                // A file of unknown size may be a small one.
                let least = expected.unwrap_or(if self.upload.is_some() { room } else { chunk.len() });
                self.buffer.reserve(least.min(room));
            }
            let piece = chunk.split_to(chunk.len().min(room - self.buffer.len()));
            self.buffer.extend_from_slice(&piece);
        }
        Ok(())
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn stage_id(&self) -> Option<StageId> {
        self.resumed.as_ref().map(|resumed| identity(&self.store, &resumed.stage))
    }

    async fn close(mut self: Box<Self>) -> Result<Option<StageId>> {
        let is_part = if self.upload.is_some() {
            self.buffer.len() as u64 >= MIN_PART
        } else {
            self.buffer.len() > MAX_INLINE
        };
        if is_part {
            self.flush().await?;
        }
        let mut was_promised = false;
        if let Some(upload) = &mut self.upload {
            upload.settle().await?;
            // From here on a lost answer may mean that the stage is promised.
            was_promised = std::mem::replace(&mut upload.is_promised, true);
        }
        let upload = self.upload.as_ref();
        let resumed = self.resumed.as_ref();
        let id = match (resumed, upload) {
            (Some(resumed), _) => resumed.stage.id.clone(),
            (None, Some(upload)) => upload.mark.clone(),
            (None, None) => new_id(),
        };
        let stage = Stage {
            id,
            upload: upload.map(|upload| upload.id.clone()),
            parts: upload.map(|upload| upload.parts.clone()).unwrap_or_default(),
            size: self.size,
        };
        let (key, object) = (self.store.keys.staged(&self.path), stage.encode(&self.buffer)?);
        // Of two writers that resumed one stage, the second to close is refused.
        let etag = resumed.and_then(|resumed| resumed.etag.as_deref());
        let put = match etag {
            Some(etag) if self.store.nature.conditions => {
                self.store.put_if(&key, object, Condition::Same(etag)).await.map_err(|error| {
                    if is_condition(&error) || error.is_not_found() { overtaken() } else { error }
                })
            }
            _ => self.store.client.put(&key, object, Condition::Any, None).await,
        };
        if let Err(error) = put {
            // A clear no has promised nothing.
            if let Some(upload) = &mut self.upload {
                upload.is_promised = was_promised || error.is_retryable();
            }
            return Err(error);
        }
        Ok(Some(identity(&self.store, &stage)))
    }

    async fn cancel(mut self: Box<Self>) -> Result<()> {
        if let Some(mut upload) = self.upload.take() {
            // Whatever is still on its way would be stored after the abort.
            upload.on_their_way.shutdown().await;
            upload.is_promised = true;
            self.store.client.abort(&self.key, &upload.id).await?;
        }
        match &self.resumed {
            Some(_) => self.store.remove_all(vec![self.store.keys.staged(&self.path)]).await,
            None => Ok(()),
        }
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.finish(None).await
    }

    async fn commit_to(self: Box<Self>, path: &StoragePath) -> Result<()> {
        self.finish(Some(path)).await
    }
}

/// Where nothing tells two writers of one stage apart, a stage is another one after each close, so that nobody
/// believes a hash of bytes that another writer replaced.
fn identity(store: &Shared, stage: &Stage) -> StageId {
    if store.nature.conditions {
        return StageId::of(&stage.id);
    }
    let parts: Vec<&str> = stage.parts.iter().map(|part| part.etag.as_str()).collect();
    StageId::of(format!("{} {} {}", stage.id, stage.size, parts.join(" ")))
}

fn overtaken() -> Error {
    Error::new(ErrorKind::Conflict).with_message("another writer has closed this stage meanwhile")
}

impl Upload {
    /// Sends a part beside those on their way.
    async fn send(&mut self, content: Bytes, concurrency: usize) -> Result<()> {
        while self.on_their_way.len() >= concurrency {
            self.arrived().await?;
        }
        if u64::from(self.begun.unsigned_abs()) >= MAX_PARTS {
            let message = "more than 10,000 parts: announce the size, or raise `chunksize`";
            return Err(Error::new(ErrorKind::TooLarge).with_message(message));
        }
        self.begun += 1;
        let (client, key, id, number) =
            (self.store.client.clone(), self.key.clone(), self.id.clone(), self.begun);
        // On the caller's runtime, so that it goes on while the caller waits for its next bytes; ended with
        // the writer.
        self.on_their_way.spawn(async move {
            let sent = client.upload_part(&key, &id, number, content).await;
            sent.map_err(|error| if error.is_not_found() { gone() } else { error })
        });
        Ok(())
    }

    async fn arrived(&mut self) -> Result<()> {
        match self.on_their_way.join_next().await {
            Some(Ok(part)) => self.parts.push(part?),
            Some(Err(_)) => {
                return Err(Error::new(ErrorKind::Other).with_message("the task of a part was ended"));
            }
            None => {}
        }
        Ok(())
    }

    /// Waits until the store has every part.
    async fn settle(&mut self) -> Result<()> {
        while !self.on_their_way.is_empty() {
            self.arrived().await?;
        }
        self.parts.sort_unstable_by_key(|part| part.number);
        let is_whole = self.parts.iter().map(|part| part.number).eq(1..=self.begun);
        // A part that failed would be missing in the middle, or, worse, at the end (tidb issue 71162).
        if is_whole { Ok(()) } else { Err(Error::new(ErrorKind::Other).with_message("a part is missing")) }
    }

    async fn complete(&mut self, condition: Condition<'_>) -> Result<()> {
        let was_promised = std::mem::replace(&mut self.is_promised, true);
        let done = self.store.complete(&self.key, &self.id, &self.parts, &self.mark, condition).await;
        if let Err(error) = &done {
            // Only a clear no ends it; without an answer the object may be there, or come.
            self.is_promised = was_promised || error.is_retryable();
        }
        done
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.is_promised {
            return;
        }
        let (store, key, id) = (self.store.clone(), self.key.clone(), self.id.clone());
        let mut parts = std::mem::take(&mut self.on_their_way);
        let abort = async move {
            parts.shutdown().await;
            store.give_up(&key, &id).await;
        };
        match Handle::try_current() {
            // A drop cannot wait. What this leaves behind when the runtime ends first, a purge finds.
            Ok(runtime) => drop(runtime.spawn(abort)),
            Err(_) => tracing::warn!("a multipart upload was left open; a purge will find it"),
        }
    }
}

impl fmt::Debug for S3Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Writer").field("path", &self.path).field("size", &self.size).finish_non_exhaustive()
    }
}
