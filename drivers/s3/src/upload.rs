//! A multipart upload on its way.

use plugin_registry_core::{Error, ErrorKind, Result};
use tokio::{runtime::Handle, task::JoinSet};

use crate::{
    client::{Condition, Part, UploadId},
    content::Content,
    parts::MAX_PARTS,
    store::{Shared, gone},
};

/// The multipart upload of a writer. Dropped in the middle, it is aborted, unless a close has promised it.
pub(crate) struct Upload {
    pub(crate) store: Shared,
    pub(crate) key: String,
    pub(crate) id: UploadId,
    /// Made when it began; on the object that it becomes.
    pub(crate) mark: String,
    pub(crate) parts: Vec<Part>,
    /// It began so that its parts have a CRC32.
    pub(crate) has_crc32: bool,
    pub(crate) begun: i32,
    pub(crate) on_their_way: JoinSet<Result<Part>>,
    pub(crate) is_promised: bool,
}

impl Upload {
    /// Sends a part beside those on their way.
    pub(crate) async fn send(&mut self, content: Content, concurrency: usize) -> Result<()> {
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
        let has_crc32 = self.has_crc32;
        // On the caller's runtime, so that it goes on while the caller waits for its next bytes; ended with
        // the writer.
        self.on_their_way.spawn(async move {
            let sent = client.upload_part(&key, &id, number, content, has_crc32).await;
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
    pub(crate) async fn settle(&mut self) -> Result<()> {
        while !self.on_their_way.is_empty() {
            self.arrived().await?;
        }
        self.parts.sort_unstable_by_key(|part| part.number);
        let is_whole = self.parts.iter().map(|part| part.number).eq(1..=self.begun);
        // A part that failed would be missing in the middle, or, worse, at the end (tidb issue 71162).
        if is_whole { Ok(()) } else { Err(Error::new(ErrorKind::Other).with_message("a part is missing")) }
    }

    pub(crate) async fn complete(&mut self, condition: Condition<'_>) -> Result<()> {
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
