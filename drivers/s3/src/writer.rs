//! The staged writer.
//!
//! Bytes gather in memory up to one part. A file that fits is one request to its final key. A larger one
//! becomes a multipart upload on the writer's key, parts on their way while the next one gathers.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use plugin_registry_core::{
    Error, ErrorKind, FileWriter, PutMode, Result, StageId, StoragePath, WriteMode, WriteOptions,
};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    client::{Condition, Marks, is_condition},
    closed::Sealed,
    content::Gathering,
    parts::{MAX_FILE, MIN_PART, PartSizes},
    stage::Stage,
    store::{Found, Shared},
    upload::Upload,
};

/// The most bytes that wait without a multipart upload, in the object beside the file.
pub(crate) const MAX_INLINE: usize = 16 << 20;

/// Holds at most `maxconcurrency` parts on their way and one that gathers: 40 MiB by default.
pub(crate) struct S3Writer {
    store: Shared,
    path: StoragePath,
    key: String,
    options: WriteOptions,
    sizes: PartSizes,
    /// Bytes after the parts.
    buffer: Gathering,
    size: u64,
    /// The stage that was resumed.
    resumed: Option<Resumed>,
    /// Instead of it, one that is committed as it was closed, without a look.
    sealed: Option<Sealed>,
    upload: Option<Upload>,
}

#[derive(Debug)]
struct Resumed {
    stage: Stage,
    etag: Option<String>,
}

impl S3Writer {
    pub(crate) async fn open(store: Shared, path: &StoragePath, options: WriteOptions) -> Result<Self> {
        let key = store.keys.file(path)?;
        store.before_writing().await?;
        let sizes = PartSizes::new(store.chunk_size, options.expected_size)?;
        let mut writer = Self {
            store,
            path: path.clone(),
            key,
            options,
            sizes,
            buffer: Gathering::default(),
            size: 0,
            resumed: None,
            sealed: None,
            upload: None,
        };
        if options.mode == WriteMode::Resume {
            writer.sealed = writer.remembered();
            match &writer.sealed {
                Some(sealed) => writer.size = sealed.size,
                None => writer.resume().await?,
            }
        }
        Ok(writer)
    }

    /// The stage as this instance closed it, if the store can copy it to its end.
    fn remembered(&self) -> Option<Sealed> {
        let is_sealed = self.options.sealed && self.options.put == PutMode::Overwrite;
        let sealed = self.store.closed.get(&self.path).filter(|_| is_sealed && self.store.nature().copies)?;
        (sealed.size <= self.store.copy_threshold).then_some(sealed)
    }

    /// Looks at a stage that was believed to be there.
    async fn unseal(&mut self, sealed: &Sealed) -> Result<()> {
        self.store.closed.forget(&self.path);
        self.resume().await?;
        let resumed = self.resumed.as_ref().map(|resumed| (&*resumed.stage.id, resumed.stage.size));
        match resumed {
            Some(found) if found == (&*sealed.id, sealed.size) => Ok(()),
            // A visible file without bytes.
            None => Err(ErrorKind::NotFound.into()),
            Some(_) => Err(overtaken()),
        }
    }

    /// Lets the store copy a stage; whether it did. Afterwards the stage is as if it had been looked at.
    async fn copied(&mut self, key: &str) -> Result<bool> {
        let Some(sealed) = self.sealed.take() else { return Ok(false) };
        let staged = self.store.keys.staged(&self.path);
        match self.store.copy_bytes(&staged, &sealed.etag, key).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_retryable() => Err(error),
            // It is gone, or another one, or may not be copied.
            Err(_) => self.unseal(&sealed).await.map(|()| false),
        }
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
                self.store.remove_stage(&self.path).await?;
                return Err(ErrorKind::AlreadyExists.into());
            }
            self.upload = Some(Upload {
                store: self.store.clone(),
                key: self.key.clone(),
                id: id.clone(),
                mark: stage.id.clone(),
                begun: i32::try_from(stage.parts.len()).map_err(|_| ErrorKind::TooLarge)?,
                parts: stage.parts.clone(),
                has_crc32: stage.has_crc32(),
                on_their_way: JoinSet::new(),
                is_promised: true,
            });
        }
        self.buffer = Gathering::from(tail);
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
            let (id, has_crc32) = self.store.client.create_upload(&self.key, &mark).await?;
            self.upload = Some(Upload {
                store: self.store.clone(),
                key: self.key.clone(),
                id,
                mark,
                parts: Vec::new(),
                has_crc32,
                begun: 0,
                on_their_way: JoinSet::new(),
                is_promised: false,
            });
        }
        let content = self.buffer.take();
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
            Some(_) => self.store.remove_stage(&self.path).await,
            None if self.options.one_shot => Ok(()),
            None => match self.store.stage(&self.path).await {
                Ok(Some(found)) => self.store.forget(&self.path, &found.stage).await,
                Ok(None) => Ok(()),
                // Whatever it is, nobody can go on with it.
                Err(error) if error.kind() == ErrorKind::Corrupted => {
                    self.store.remove_stage(&self.path).await
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
        if self.copied(&key).await? {
            // Elsewhere, the stage is whose who asked for a sealed writer: a crash leaves something to go on with.
            return if key == self.key { self.store.remove_stage(&self.path).await } else { Ok(()) };
        }
        let is_new = self.options.put == PutMode::CreateOnly;
        if self.upload.is_none() {
            let content = self.buffer.take();
            if is_new {
                self.store.create(&key, content).await?;
            } else {
                self.store.overwrite(&key, content).await?;
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
                true if self.store.nature().conditions => Condition::Absent,
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
        self.store.closed.forget(&self.path);
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
        if self.sealed.is_some() && !chunk.is_empty() {
            return Err(Error::new(ErrorKind::Other).with_message("a sealed writer takes no bytes"));
        }
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
            self.buffer.push(chunk.split_to(chunk.len().min(room - self.buffer.len())));
        }
        Ok(())
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn stage_id(&self) -> Option<StageId> {
        if let Some(sealed) = &self.sealed {
            return Some(identity(&self.store, &Stage::of_bytes(sealed.id.clone(), sealed.size)));
        }
        self.resumed.as_ref().map(|resumed| identity(&self.store, &resumed.stage))
    }

    async fn close(mut self: Box<Self>) -> Result<Option<StageId>> {
        if self.sealed.is_some() {
            return Ok(self.stage_id());
        }
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
            has_crc32: upload.map(|upload| upload.has_crc32),
            size: self.size,
        };
        let key = self.store.keys.staged(&self.path);
        let is_bytes = stage.upload.is_none() && self.store.nature().copies;
        let object = match is_bytes {
            true => self.buffer.take(),
            false => stage.encode(&self.buffer.take())?.into(),
        };
        let marks = Marks { mark: None, stage: is_bytes.then_some(stage.id.as_str()) };
        // Until the answer is there, nobody knows what the stage is.
        self.store.closed.forget(&self.path);
        // Of two writers that resumed one stage, the second to close is refused.
        let etag = resumed.and_then(|resumed| resumed.etag.as_deref());
        let put = match etag {
            Some(etag) if self.store.nature().conditions => {
                self.store.put_if(&key, object, Condition::Same(etag), marks.stage).await.map_err(|error| {
                    if is_condition(&error) || error.is_not_found() { overtaken() } else { error }
                })
            }
            _ => self.store.client.put(&key, object, Condition::Any, marks).await,
        };
        let etag = match put {
            Ok(etag) => etag,
            Err(error) => {
                // A clear no has promised nothing.
                if let Some(upload) = &mut self.upload {
                    upload.is_promised = was_promised || error.is_retryable();
                }
                return Err(error);
            }
        };
        if let Some(etag) = etag.filter(|_| is_bytes) {
            let sealed = Sealed { id: stage.id.clone(), size: stage.size, etag };
            self.store.closed.remember(&self.path, sealed);
        }
        Ok(Some(identity(&self.store, &stage)))
    }

    async fn cancel(mut self: Box<Self>) -> Result<()> {
        if let Some(sealed) = self.sealed.take() {
            // Another's stage is not thrown away.
            return match self.unseal(&sealed).await {
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Conflict) => Ok(()),
                Err(error) => Err(error),
                Ok(()) => self.store.remove_stage(&self.path).await,
            };
        }
        if let Some(mut upload) = self.upload.take() {
            // Whatever is still on its way would be stored after the abort.
            upload.on_their_way.shutdown().await;
            upload.is_promised = true;
            self.store.client.abort(&self.key, &upload.id).await?;
        }
        match &self.resumed {
            Some(_) => self.store.remove_stage(&self.path).await,
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
    if store.nature().conditions {
        return StageId::of(&stage.id);
    }
    let parts: Vec<&str> = stage.parts.iter().map(|part| part.etag.as_str()).collect();
    StageId::of(format!("{} {} {}", stage.id, stage.size, parts.join(" ")))
}

fn overtaken() -> Error {
    Error::new(ErrorKind::Conflict).with_message("another writer has closed this stage meanwhile")
}

impl fmt::Debug for S3Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Writer").field("path", &self.path).field("size", &self.size).finish_non_exhaustive()
    }
}
