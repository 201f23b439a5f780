//! The staged writer.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use plugin_registry_core::{FileWriter, PutMode, Result, StageId, StoragePath, WriteMode, WriteOptions};

use crate::store::{Content, Shared, Store};

/// Holds its chunks itself, so nothing of it is in the store before `close` or `commit`.
#[derive(Debug)]
pub(crate) struct MemoryWriter {
    lease: Lease,
    put: PutMode,
    pieces: Vec<Bytes>,
    size: u64,
    stage: u64,
}

impl MemoryWriter {
    pub(crate) fn open(store: &Shared, path: &StoragePath, options: WriteOptions) -> Result<Self> {
        let mut guard = store.lock();
        let resumed = options.mode == WriteMode::Resume;
        let content = if resumed { guard.resume(path)? } else { Content::default() };
        // A committed empty file that is resumed was no stage before.
        let stage = if content.stage == 0 { guard.next_stage() } else { content.stage };
        let lease = Lease { store: store.clone(), path: path.clone(), resumed, reserved: 0 };
        let more = options.expected_size.unwrap_or(0).saturating_sub(content.size);
        let room = guard.check_room(more, 0);
        // The lease locks the store when it is dropped.
        drop(guard);
        room?;
        Ok(Self { lease, put: options.put, pieces: content.pieces.to_vec(), size: content.size, stage })
    }

    fn finish(self, path: Option<&StoragePath>) -> Result<()> {
        let Self { mut lease, put, pieces, .. } = self;
        let content = Content::new(pieces);
        let size = content.size;
        let shared = lease.store.clone();
        // Declared behind the lease, so unlocked before an early return drops the lease, which locks.
        let mut store = shared.lock();
        store.set_file(path.unwrap_or(&lease.path), content, put)?;
        lease.settle(&mut store, size);
        store.remove_stage(&lease.path);
        Ok(())
    }
}

#[async_trait]
impl FileWriter for MemoryWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        if chunk.is_empty() {
            return Ok(());
        }
        let bytes = chunk.len() as u64;
        self.lease.store.lock().reserve(bytes)?;
        self.lease.reserved += bytes;
        self.size += bytes;
        self.pieces.push(chunk);
        Ok(())
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn stage_id(&self) -> Option<StageId> {
        self.lease.resumed.then(|| stage_id(self.stage))
    }

    async fn close(self: Box<Self>) -> Result<Option<StageId>> {
        let Self { mut lease, pieces, size, stage, .. } = *self;
        let shared = lease.store.clone();
        let mut store = shared.lock();
        store.set_stage(&lease.path, Content::new(pieces).of_stage(stage));
        lease.settle(&mut store, size);
        Ok(Some(stage_id(stage)))
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        self.lease.store.lock().remove_stage(&self.lease.path);
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.finish(None)
    }

    async fn commit_to(self: Box<Self>, path: &StoragePath) -> Result<()> {
        self.finish(Some(path))
    }
}

fn stage_id(stage: u64) -> StageId {
    StageId::of(stage.to_be_bytes())
}

/// What an open writer holds in the store: its bytes in the count and, resumed, the path to itself.
/// Given back on drop, so a writer that is forgotten behaves like a killed process.
struct Lease {
    store: Shared,
    path: StoragePath,
    resumed: bool,
    reserved: u64,
}

impl Lease {
    /// Hands the bytes over to a file or stage of `size` bytes that was just put into the store.
    fn settle(&mut self, store: &mut Store, size: u64) {
        store.release(std::mem::take(&mut self.reserved));
        store.charge(size);
        self.unlock(store);
    }

    fn unlock(&mut self, store: &mut Store) {
        if std::mem::take(&mut self.resumed) {
            store.unlock(&self.path);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.resumed || self.reserved > 0 {
            let store = self.store.clone();
            let mut store = store.lock();
            store.release(self.reserved);
            self.unlock(&mut store);
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("path", &self.path)
            .field("resumed", &self.resumed)
            .finish_non_exhaustive()
    }
}
