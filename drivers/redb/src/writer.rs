//! The writer. It stores pieces when they are full, and the rest and the row in its last transaction.

use std::{mem, sync::Arc};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use plugin_registry_core::{FileWriter, Result, Staged, StoragePath};
use redb::{Durability, WriteTransaction};
use uuid::Uuid;

use crate::RedbDriver;
use crate::store::{
    OPEN, Outcome, PIECE, Row, STAGES, Store, append, closed_meanwhile, delete_stage, now, put, staged,
    take_stage,
};

#[derive(Debug)]
pub(crate) struct Writer {
    driver: RedbDriver,
    path: StoragePath,
    resumed: Option<Staged>,
    run: Arc<Run>,
    /// Bytes of the run that are stored: whole pieces.
    stored: u64,
    /// Less than a piece.
    rest: BytesMut,
}

/// Held by the writer and by its transaction, which continues if the writer is dropped.
#[derive(Debug)]
struct Run {
    id: u128,
    store: Arc<Store>,
}

impl Drop for Run {
    fn drop(&mut self) {
        // A run that was committed is no longer in `open`, so it stays.
        self.store.dropped().push(self.id);
    }
}

impl Writer {
    pub(crate) fn new(driver: &RedbDriver, path: &StoragePath, resumed: Option<Staged>) -> Self {
        // Ids ascend, so that new pieces go to the end of their table.
        let run = Arc::new(Run { id: Uuid::now_v7().as_u128(), store: driver.store.clone() });
        let (driver, path) = (driver.clone(), path.clone());
        Self { driver, path, resumed, run, stored: 0, rest: BytesMut::new() }
    }

    /// Runs the last transaction. It takes the resumed stage and gives `place` the row of the whole content.
    pub(crate) async fn end<T: Send + 'static>(
        self,
        place: impl FnOnce(&WriteTransaction, Row) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let Self { driver, resumed, run, stored, rest, .. } = self;
        let end = move |change: &WriteTransaction| {
            let mut runs = match resumed {
                Some(resumed) => take_stage(change, &resumed)?.2,
                None => Vec::new(),
            };
            append(change, run.id, stored, &rest)?;
            change.open_table(OPEN)?.remove(run.id)?;
            runs.push((run.id, stored + rest.len() as u64));
            runs.retain(|(_, size)| *size > 0);
            place(change, (run.id, now(change)?, runs))
        };
        driver.change(end).await
    }
}

#[async_trait]
impl FileWriter for Writer {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        self.rest.extend_from_slice(&chunk);
        let whole = self.rest.len() - self.rest.len() % PIECE;
        if whole == 0 {
            return Ok(());
        }
        let (run, mut pieces, stored) = (self.run.clone(), mem::take(&mut self.rest), self.stored);
        // Copied, so that the rest does not keep a large chunk in memory.
        self.rest.extend_from_slice(&pieces.split_off(whole));
        self.stored += whole as u64;
        let append = move |change: &WriteTransaction| {
            change.open_table(OPEN)?.insert(run.id, ())?;
            append(change, run.id, stored, &pieces)
        };
        self.driver.call(|store| store.change(Durability::None, append)).await
    }

    fn size(&self) -> u64 {
        self.resumed.as_ref().map_or(0, |staged| staged.size) + self.stored + self.rest.len() as u64
    }

    async fn close(self: Box<Self>) -> Result<Staged> {
        let path = self.path.clone();
        let keep = move |change: &WriteTransaction, row: Row| {
            let mut stages = change.open_table(STAGES)?;
            match stages.insert(path.as_str(), &row)? {
                // The resumed stage is already taken, so this is another one.
                Some(_) => Err(closed_meanwhile().into()),
                None => Ok(staged(&path, &row)),
            }
        };
        self.end(keep).await
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        let Self { driver, resumed, run, .. } = *self;
        // Dropped before the transaction, which deletes the run.
        drop(run);
        driver.change(move |change| resumed.iter().try_for_each(|staged| delete_stage(change, staged))).await
    }

    async fn commit(self: Box<Self>, to: &StoragePath) -> Result<()> {
        let to = to.clone();
        self.end(move |change, row| put(change, &to, row)).await
    }
}
