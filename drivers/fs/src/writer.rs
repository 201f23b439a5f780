//! The staged writer.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use plugin_registry_core::{Error, ErrorKind, FileWriter, PutMode, Result, Staged, StoragePath, WriteMode};

use crate::{
    job::{Job, drop_blocking},
    names,
    root::Root,
    stage::Stage,
};

/// The most chunks in one piece: one call writes them all.
const MAX_CHUNKS: usize = 256;

/// Collects chunks as they come until they make a piece, and writes it while the next piece is collected. Holds
/// at most two pieces, each of `FsConfig::write_piece` bytes and the rest of one chunk.
///
/// Opens nothing before the first piece is full, so a small file costs one piece of blocking work in all.
pub(crate) struct FsWriter {
    root: Arc<Root>,
    path: StoragePath,
    state: State,
    chunks: Vec<Bytes>,
    collected: usize,
    size: u64,
}

/// The state of the stage, which is `None` before the first piece.
enum State {
    Idle(Option<Stage>),
    Writing(Job<Stage>),
    /// An earlier call failed or was dropped halfway.
    Failed,
}

impl FsWriter {
    pub(crate) async fn open(root: &Arc<Root>, path: &StoragePath, mode: WriteMode) -> Result<Self> {
        names::check_target(path)?;
        let (stage, size) = match mode {
            WriteMode::Direct { .. } | WriteMode::Stage => (None, 0),
            WriteMode::Resume(staged) => {
                let size = staged.size;
                (Some(root.run(move |root| Stage::resume(root, &staged)).await?), size)
            }
        };
        Ok(Self {
            root: root.clone(),
            path: path.clone(),
            state: State::Idle(stage),
            chunks: Vec::new(),
            collected: 0,
            size,
        })
    }

    /// Takes the stage, once the piece in progress is written.
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

    /// Begins to write the collected chunks.
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

    async fn close(mut self: Box<Self>) -> Result<Staged> {
        let stage = self.settle().await?;
        let (chunks, path) = (std::mem::take(&mut self.chunks), self.path.clone());
        let closed = self.root.run_cancellable(move |root, abandoned| {
            let mut stage = stage.map_or_else(|| Stage::create(root, &path), Ok)?;
            stage.append(&chunks)?;
            stage.seal(false)?;
            stage.persist(&path, abandoned)
        });
        closed.await
    }

    async fn cancel(mut self: Box<Self>) -> Result<()> {
        // An earlier failure left either no stage or the closed one.
        match self.settle().await.unwrap_or_default() {
            Some(stage) => self.root.run(move |_| stage.remove()).await,
            None => Ok(()),
        }
    }

    async fn commit(mut self: Box<Self>, to: &StoragePath) -> Result<()> {
        names::check_target(to)?;
        let stage = self.settle().await?;
        let (chunks, target) = (std::mem::take(&mut self.chunks), to.clone());
        let committed = self.root.run_cancellable(move |root, abandoned| {
            let touch = stage.is_some();
            let mut stage = stage.map_or_else(|| Stage::create(root, &target), Ok)?;
            stage.append(&chunks)?;
            stage.seal(touch)?;
            stage.publish(&target, PutMode::Overwrite, abandoned)
        });
        committed.await
    }
}

impl Drop for FsWriter {
    fn drop(&mut self) {
        // A job that is writing a piece drops its stage in the blocking pool anyway. A resumed stage is only
        // closed, at once, so that its lock does not outlive the writer.
        if let State::Idle(Some(stage)) = std::mem::replace(&mut self.state, State::Failed)
            && stage.is_new()
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
