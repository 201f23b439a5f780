//! The staged writer.

use std::{
    fmt,
    fs::{File, TryLockError},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use plugin_registry_core::{
    Error, ErrorKind, FileWriter, PutMode, Result, StageId, StoragePath, WriteMode, WriteOptions,
};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use crate::{
    error,
    job::{Job, drop_blocking},
    names,
    root::Root,
    stage::{self, Parts, Stage},
};

/// The most chunks in one piece: one call writes them all.
const MAX_CHUNKS: usize = 256;

/// How often a stage is looked for again that was renamed between finding and locking it.
const RETRIES: usize = 16;

/// How often nothing has to be found: a scan that meets the renaming of a close may miss both names.
const SCANS: usize = 5;

/// How long a lock is waited for: a writer that was dropped in the middle of a piece keeps its lock until
/// that piece is written.
const PATIENCE: Duration = Duration::from_millis(200);

/// Collects chunks, as they come, until they make a piece, and writes it while the next is collected. Holds
/// at most two pieces, each of `FsConfig::write_piece` bytes and the rest of one chunk.
///
/// Opens nothing before the first piece is full, so a small file costs one piece of blocking work in all.
pub(crate) struct FsWriter {
    root: Arc<Root>,
    path: StoragePath,
    put: PutMode,
    state: State,
    /// The empty file that is resumed, locked.
    lock: Option<File>,
    chunks: Vec<Bytes>,
    collected: usize,
    size: u64,
    /// The stage that was resumed.
    resumed: Option<StageId>,
}

/// The stage, `None` before the first piece.
enum State {
    Idle(Option<Stage>),
    Writing(Job<Stage>),
    /// An earlier call failed, or was dropped halfway.
    Failed,
}

impl FsWriter {
    pub(crate) async fn open(root: &Arc<Root>, path: &StoragePath, options: WriteOptions) -> Result<Self> {
        names::check_target(path)?;
        let (stage, lock, size) = match options.mode {
            WriteMode::Create => (None, None, 0),
            WriteMode::Resume => {
                let path = path.clone();
                match root.run(move |root| resume(root, &path)).await? {
                    Resumed::Stage(stage, size) => (Some(stage), None, size),
                    Resumed::EmptyFile(file) => (None, Some(file), 0),
                }
            }
        };
        let resumed = stage.as_ref().and_then(Stage::id);
        Ok(Self {
            root: root.clone(),
            path: path.clone(),
            put: options.put,
            state: State::Idle(stage),
            lock,
            chunks: Vec::new(),
            collected: 0,
            size,
            resumed,
        })
    }

    /// Takes the stage, once the piece that is being written is.
    async fn settle(&mut self) -> Result<Option<Stage>> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Idle(stage) => Ok(stage),
            State::Writing(job) => job.await.map(Some),
            State::Failed => {
                let message = "an earlier call of this writer failed";
                Err(Error::new(ErrorKind::Other).with_message(message))
            }
        }
    }

    /// Begins to write what was collected.
    async fn flush(&mut self) -> Result<()> {
        let stage = self.settle().await?;
        let chunks = std::mem::take(&mut self.chunks);
        self.collected = 0;
        let path = self.path.clone();
        let job = self.root.start(move |root, _| {
            let mut stage = stage.map_or_else(|| Stage::create(root, &path), Ok)?;
            stage.append(&chunks)?;
            Ok(stage)
        });
        self.state = State::Writing(job.await?);
        Ok(())
    }

    async fn finish(mut self, target: Option<StoragePath>) -> Result<()> {
        let stage = self.settle().await?;
        let (chunks, lock) = (std::mem::take(&mut self.chunks), self.lock.take());
        let (path, put) = (self.path.clone(), self.put);
        let finished = self.root.run_unless_abandoned(move |root, abandoned| {
            let target = target.as_ref().unwrap_or(&path);
            let touch = stage.is_some();
            let mut stage = stage.map_or_else(|| Stage::create(root, target), Ok)?;
            stage.append(&chunks)?;
            stage.seal(touch)?;
            let earlier = Parts::find(root, &path)?;
            stage.place(target, put, &earlier, abandoned)?;
            drop(lock);
            if path.parent() != target.parent() {
                path.parent().iter().for_each(|parent| root.prune(parent));
            }
            Ok(())
        });
        finished.await
    }
}

#[async_trait]
impl FileWriter for FsWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        if let State::Failed = self.state {
            return self.settle().await.map(drop);
        }
        if chunk.is_empty() {
            return Ok(());
        }
        self.size += chunk.len() as u64;
        self.collected += chunk.len();
        self.chunks.push(chunk);
        if self.collected >= self.root.config.write_piece || self.chunks.len() >= MAX_CHUNKS {
            self.flush().await?;
        }
        Ok(())
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn stage_id(&self) -> Option<StageId> {
        self.resumed.clone()
    }

    async fn close(mut self: Box<Self>) -> Result<Option<StageId>> {
        let stage = self.settle().await?;
        let (chunks, lock) = (std::mem::take(&mut self.chunks), self.lock.take());
        let path = self.path.clone();
        let closed = self.root.run_unless_abandoned(move |root, abandoned| {
            let mut stage = stage.map_or_else(|| Stage::create(root, &path), Ok)?;
            stage.append(&chunks)?;
            stage.seal(false)?;
            let (_, name) = names::split(&path)?;
            let id = stage.id();
            stage.keep(name, &Parts::find(root, &path)?, abandoned)?;
            drop(lock);
            Ok(id)
        });
        closed.await
    }

    async fn cancel(mut self: Box<Self>) -> Result<()> {
        // What failed before left no stage, or one that was closed and is found below.
        let stage = self.settle().await.unwrap_or_default();
        let (path, lock) = (self.path.clone(), self.lock.take());
        let cancelled = self.root.run(move |root| {
            stage.map_or(Ok(()), Stage::remove)?;
            Parts::find(root, &path)?.remove()?;
            drop(lock);
            path.parent().iter().for_each(|parent| root.prune(parent));
            Ok(())
        });
        cancelled.await
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.finish(None).await
    }

    async fn commit_to(self: Box<Self>, path: &StoragePath) -> Result<()> {
        names::check_target(path)?;
        self.finish(Some(path.clone())).await
    }
}

impl Drop for FsWriter {
    fn drop(&mut self) {
        // A piece that is being written drops its stage in the blocking pool anyway. A resumed stage is only
        // closed, at once, so that its lock does not outlive the writer.
        if let State::Idle(Some(stage)) = std::mem::replace(&mut self.state, State::Failed)
            && stage.is_temporary()
        {
            drop_blocking(stage);
        }
    }
}

impl fmt::Debug for FsWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FsWriter").field("path", &self.path).field("size", &self.size).finish_non_exhaustive()
    }
}

/// What a resumed writer goes on with.
enum Resumed {
    Stage(Stage, u64),
    EmptyFile(File),
}

fn resume(root: &Arc<Root>, path: &StoragePath) -> Result<Resumed> {
    let mut scans = 0;
    for _ in 0..RETRIES {
        let (parent, _) = names::split(path)?;
        let Some((dir, name, size)) = Parts::find(root, path)?.largest() else {
            scans += 1;
            if scans < SCANS {
                thread::yield_now();
                continue;
            }
            match resume_empty(root, path)? {
                Some(file) => return Ok(Resumed::EmptyFile(file)),
                None => continue,
            }
        };
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file: File = match rustix::fs::openat(&dir, &name, flags, Mode::empty()) {
            Err(Errno::NOENT) => continue,
            file => file.map_err(|error| error::write(error.into()))?.into(),
        };
        lock(&file)?;
        // Whoever held the lock may have closed at another size, committed or cancelled.
        if !stage::is_at(&file, &dir, &name) {
            continue;
        }
        let stored = file.metadata().map_err(error::read)?.len();
        if stored < size {
            let message = format!("{stored} bytes are staged where {size} were acknowledged");
            return Err(Error::new(ErrorKind::Corrupted).with_message(message));
        }
        if stored > size {
            // A writer that was dropped or killed wrote it after the last close.
            file.set_len(size).map_err(error::write)?;
        }
        return Ok(Resumed::Stage(Stage::resumed(root, parent, dir, name, file, size), size));
    }
    Err(busy())
}

/// The empty file, locked; `None` when whoever held the lock made something of it.
fn resume_empty(root: &Root, path: &StoragePath) -> Result<Option<File>> {
    let (file, info) = root.open_file(path)?;
    if info.size > 0 {
        let message = "the file is complete, and no writer of it was closed";
        return Err(Error::new(ErrorKind::AlreadyExists).with_message(message));
    }
    lock(&file)?;
    let (now, _) = root.open_file(path)?;
    let unchanged = stage::is_same(&file, &now) && Parts::find(root, path)?.largest().is_none();
    Ok(unchanged.then_some(file))
}

/// Locks the stage against other processes and other writers of this one, until the file is closed. A
/// filesystem without locks does without.
fn lock(file: &File) -> Result<()> {
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => thread::sleep(PATIENCE / 40),
            Err(TryLockError::WouldBlock) => return Err(busy()),
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(()),
        }
    }
}

fn busy() -> Error {
    Error::new(ErrorKind::Conflict).with_message("another writer that resumed this file is open")
}
