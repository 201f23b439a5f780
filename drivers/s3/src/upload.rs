//! A multipart upload in progress.

use plugin_registry_core::{Error, ErrorKind, Result};
use tokio::{runtime::Handle, task::JoinSet};

use crate::{
    budget::InFlightReservation,
    client::{Part, UploadId},
    content::Content,
    stage::{StagedUpload, too_many_parts},
    store::{Shared, gone},
};

/// The multipart upload of a writer. Dropping it in the middle aborts it, unless a close has promised it.
pub(crate) struct Upload {
    pub(crate) store: Shared,
    pub(crate) key: String,
    pub(crate) id: UploadId,
    /// Created when it began. The object that it becomes has it.
    pub(crate) mark: String,
    pub(crate) parts: Vec<Part>,
    /// Whether it began so that its parts have a CRC32.
    pub(crate) has_crc32: bool,
    /// The number of the last part that was sent.
    pub(crate) last: i32,
    /// The greatest number that this writer may use.
    pub(crate) limit: i32,
    in_flight: JoinSet<Result<Part>>,
    /// How many parts there are, including those on their way.
    pub(crate) count: usize,
    pub(crate) is_recorded: bool,
}

impl Upload {
    /// Creates one that has just begun: no other writer knows it.
    pub(crate) fn new(
        store: Shared,
        key: String,
        id: UploadId,
        mark: String,
        has_crc32: bool,
        limit: i32,
    ) -> Self {
        Self {
            store,
            key,
            id,
            mark,
            parts: Vec::new(),
            has_crc32,
            last: 0,
            limit,
            in_flight: JoinSet::new(),
            count: 0,
            is_recorded: false,
        }
    }

    /// The upload of a stage. Its writer may not use any number yet.
    pub(crate) fn from_staged(store: Shared, key: String, promised: &StagedUpload) -> Self {
        let StagedUpload { id, mark, has_crc32, parts, next, .. } = promised.clone();
        let (count, last) = (parts.len(), next - 1);
        let mut upload = Self::new(store, key, id, mark, has_crc32, last);
        (upload.parts, upload.count) = (parts, count);
        upload.last = last;
        upload.is_recorded = true;
        upload
    }

    /// The part of the upload that a stage keeps.
    pub(crate) fn to_staged(&self) -> StagedUpload {
        StagedUpload {
            id: self.id.clone(),
            mark: self.mark.clone(),
            has_crc32: self.has_crc32,
            parts: self.parts.clone(),
            next: self.last + 1,
            is_ending: false,
        }
    }

    /// Lets the next part have the number kept for the last bytes: any writer that sends a part of that number
    /// sends the same bytes.
    pub(crate) fn take_last(&mut self) {
        self.limit = self.last + 1;
    }

    /// Sends a part in parallel with those on their way.
    pub(crate) async fn send(&mut self, content: Content, memory: Option<InFlightReservation>) -> Result<()> {
        let concurrency = self.store.concurrency;
        while self.in_flight.len() >= concurrency {
            self.join_part().await?;
        }
        if self.last >= self.limit {
            return Err(too_many_parts());
        }
        self.last += 1;
        self.count += 1;
        let (client, key, id, number) =
            (self.store.client.clone(), self.key.clone(), self.id.clone(), self.last);
        let (has_crc32, kind) = (self.has_crc32, self.kind_when_gone());
        // On the caller's runtime, so that it continues while the caller waits for its next bytes. It ends with
        // the writer.
        self.in_flight.spawn(async move {
            let _held = memory;
            let sent = client.upload_part(&key, &id, number, content, has_crc32).await;
            sent.map_err(|error| if error.is_not_found() { gone(kind) } else { error })
        });
        Ok(())
    }

    /// The meaning of an unknown upload: the stage is gone, or the write has failed.
    fn kind_when_gone(&self) -> ErrorKind {
        if self.is_recorded { ErrorKind::NotFound } else { ErrorKind::Conflict }
    }

    async fn join_part(&mut self) -> Result<()> {
        match self.in_flight.join_next().await {
            Some(Ok(part)) => self.parts.push(part?),
            Some(Err(_)) => {
                return Err(Error::new(ErrorKind::Other).with_message("the upload of a part was stopped"));
            }
            None => {}
        }
        Ok(())
    }

    /// Waits until the store has every part.
    pub(crate) async fn wait_for_parts(&mut self) -> Result<()> {
        while !self.in_flight.is_empty() {
            self.join_part().await?;
        }
        self.parts.sort_unstable_by_key(|part| part.number);
        // A part that failed would be missing in the middle or, worse, at the end (tidb issue 71162).
        let is_whole = self.parts.len() == self.count;
        if is_whole { Ok(()) } else { Err(Error::new(ErrorKind::Other).with_message("a part is missing")) }
    }

    /// Stops the parts on their way: they would be stored after an abort.
    pub(crate) async fn stop(&mut self) {
        self.in_flight.shutdown().await;
    }

    /// Makes the object. Returns its ETag, if known.
    pub(crate) async fn complete(&mut self) -> Result<Option<String>> {
        let kind = self.kind_when_gone();
        let was_recorded = std::mem::replace(&mut self.is_recorded, true);
        let done = self.store.complete(&self.key, &self.id, &self.parts, &self.mark).await;
        done.map_err(|error| {
            // Only a clear refusal ends it. Without an answer the object may exist, or still appear.
            self.is_recorded = was_recorded || error.is_retryable();
            if error.is_not_found() { gone(kind) } else { error }
        })
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.is_recorded {
            return;
        }
        let (store, key, id) = (self.store.clone(), self.key.clone(), self.id.clone());
        let mut parts = std::mem::take(&mut self.in_flight);
        let abort = async move {
            parts.shutdown().await;
            store.try_abort(&key, &id).await;
        };
        match Handle::try_current() {
            // A drop cannot wait. If the runtime ends first, a purge finds what is left.
            Ok(runtime) => drop(runtime.spawn(abort)),
            Err(_) => tracing::warn!("a multipart upload was left open; a purge will find it"),
        }
    }
}
