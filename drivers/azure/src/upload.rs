//! The blocks of a writer, on their way to one blob.

use plugin_registry_core::{Error, ErrorKind, Result};
use plugin_registry_drivers_objects::{budget::InFlightReservation, content::Content};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    blocks::{MAX_BLOCKS, too_many_blocks},
    client::BlockId,
    store::Shared,
};

/// Blocks that no list names yet. Dropping them leaves them to the store, which forgets them within a week.
pub(crate) struct BlockUpload {
    store: Shared,
    key: String,
    /// The beginning of the names of its blocks.
    writer: Uuid,
    /// In order, including those on their way.
    ids: Vec<BlockId>,
    in_flight: JoinSet<Result<()>>,
    /// How many blocks may be sent: the blob may have some already.
    most: usize,
}

impl BlockUpload {
    /// Begins with the blocks of a blob that has this many already.
    pub(crate) fn new(store: Shared, key: String, kept: usize) -> Self {
        let most = MAX_BLOCKS.saturating_sub(kept);
        Self { store, key, writer: Uuid::new_v4(), ids: Vec::new(), in_flight: JoinSet::new(), most }
    }

    pub(crate) fn count(&self) -> usize {
        self.ids.len()
    }

    /// Sends a block in parallel with those on their way.
    pub(crate) async fn send(&mut self, content: Content, memory: Option<InFlightReservation>) -> Result<()> {
        while self.in_flight.len() >= self.store.concurrency {
            self.join_block().await?;
        }
        let number = u32::try_from(self.ids.len()).ok().filter(|_| self.ids.len() < self.most);
        let id = BlockId::new(self.writer, number.ok_or_else(too_many_blocks)?);
        self.ids.push(id);
        let (client, key) = (self.store.client.clone(), self.key.clone());
        // On the caller's runtime, so that it continues while the caller waits for its next bytes. It ends
        // with the writer.
        self.in_flight.spawn(async move {
            let _held = memory;
            client.stage_block(&key, id, content).await
        });
        Ok(())
    }

    async fn join_block(&mut self) -> Result<()> {
        match self.in_flight.join_next().await {
            Some(Ok(stored)) => stored,
            Some(Err(_)) => {
                Err(Error::new(ErrorKind::Other).with_message("the upload of a block was stopped"))
            }
            None => Ok(()),
        }
    }

    /// Waits until the store has every block. Returns their names, in order.
    pub(crate) async fn finish(mut self) -> Result<Vec<BlockId>> {
        while !self.in_flight.is_empty() {
            self.join_block().await?;
        }
        Ok(std::mem::take(&mut self.ids))
    }

    /// Stops the blocks on their way.
    pub(crate) async fn stop(mut self) {
        self.in_flight.shutdown().await;
    }
}
