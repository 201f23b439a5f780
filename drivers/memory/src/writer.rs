//! The staged writer.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use plugin_registry_core::{Error, ErrorKind, FileWriter, PutMode, Result, Staged, StoragePath, WriteMode};

use crate::store::{Content, Shared, Store};

/// Holds its chunks itself, so the store has none of them before `close` or `commit`.
#[derive(Debug)]
pub(crate) struct MemoryWriter {
    lease: Lease,
    /// The stage that it continues.
    resumed: Option<Staged>,
    pieces: Vec<Bytes>,
    size: u64,
}

impl MemoryWriter {
    pub(crate) fn open(store: &Shared, path: &StoragePath, mode: WriteMode) -> Result<Self> {
        let mut guard = store.lock();
        let (content, more) = match &mode {
            WriteMode::Resume(staged) => (guard.resume(staged)?, 0),
            WriteMode::Direct { size } => (Content::default(), size.unwrap_or(0)),
            WriteMode::Stage => (Content::default(), 0),
        };
        let resumed = if let WriteMode::Resume(staged) = mode { Some(staged) } else { None };
        let lease =
            Lease { store: store.clone(), path: path.clone(), resumed: resumed.is_some(), reserved: 0 };
        let room = guard.check_room(more, 0);
        // The lease locks the store when it is dropped.
        drop(guard);
        room?;
        Ok(Self { lease, resumed, pieces: content.pieces.to_vec(), size: content.size })
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

    async fn close(self: Box<Self>) -> Result<Staged> {
        let Self { mut lease, resumed, pieces, size } = *self;
        let shared = lease.store.clone();
        let mut store = shared.lock();
        match &resumed {
            Some(staged) => store.require(staged)?,
            None if store.find_stage(&lease.path).is_ok() => {
                return Err(Error::new(ErrorKind::Conflict).with_message("another writer has closed a stage"));
            }
            None => {}
        }
        let staged = store.set_stage(&lease.path, Content::new(pieces));
        lease.settle(&mut store, size);
        Ok(staged)
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        if let Some(staged) = &self.resumed {
            self.lease.store.lock().delete_stage(staged);
        }
        Ok(())
    }

    async fn commit(self: Box<Self>, to: &StoragePath) -> Result<()> {
        let Self { mut lease, resumed, pieces, size } = *self;
        let shared = lease.store.clone();
        // Declared after the lease, so an early return unlocks the store before it drops the lease, which locks
        // it.
        let mut store = shared.lock();
        resumed.iter().try_for_each(|staged| store.require(staged))?;
        store.set_file(to, Content::new(pieces), PutMode::Overwrite)?;
        lease.settle(&mut store, size);
        resumed.iter().for_each(|staged| store.delete_stage(staged));
        Ok(())
    }
}

/// An open writer's part of the store: the count of its bytes and, if resumed, the sole right to the path.
/// Released on drop, so a writer that is forgotten behaves like a killed process.
struct Lease {
    store: Shared,
    path: StoragePath,
    resumed: bool,
    reserved: u64,
}

impl Lease {
    /// Hands the bytes over to a file or stage of `size` bytes that was just stored.
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
