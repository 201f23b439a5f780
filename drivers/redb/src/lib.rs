//! An example of a driver whose store survives its process: one file of the embedded database
//! [redb](https://docs.rs/redb). `drivers/example` is shorter.
//!
//! A run is what one writer wrote, in pieces of up to 248 KiB, under its own id: no writer touches the bytes of
//! another. The table `pieces` holds runs by id and number. `files` and `stages` hold, by path, an identity,
//! the time of the last change and a list of runs. `open` holds the runs of writers that have not ended,
//! `clock` the time of the last change.
//!
//! A writer stores full pieces without a sync. Its last transaction stores the rest, compares the stage with
//! the one that the writer resumed, adds the run to that stage's list, puts the row in place and syncs
//! everything. So two writers may resume one stage, and the second one to end gets `Conflict`. `commit_staged`
//! moves a row and no bytes. Replacing or deleting a row deletes its pieces.
//!
//! When a writer is dropped, the next transaction deletes its run. The runs of a killed process are deleted
//! when the file is opened. Both find the runs to delete in `open`, instead of looking through all pieces.
//!
//! A reader holds a read transaction, so it sees the file as it was. Meanwhile redb does not reuse pages, and
//! the database file grows. Memory: redb's cache of 16 MiB, a piece for each reader, a piece and a chunk for
//! each writer.
//!
//! Limits: one process at a time. One transaction writes at a time. Listings walk. Deleting reads what it
//! deletes. After a crash, opening reads the whole file. After an I/O error, all calls fail until the file is
//! opened again.

mod driver;
mod error;
mod store;
mod writer;

use std::{path::Path, sync::Arc};

use plugin_registry_core::{Error, ErrorKind, Result};
use redb::{Durability, WriteTransaction};

use self::store::{Outcome, Store};

/// A store in one database file. Clones share it. Dropping the last clone closes the file, which blocks.
#[derive(Clone, Debug)]
pub struct RedbDriver {
    store: Arc<Store>,
}

impl RedbDriver {
    /// Opens the database in a file, or creates it. The directory has to exist.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if the file cannot be opened, or is already open in this or another process;
    /// [`ErrorKind::Corrupted`] if it is not such a database.
    pub async fn open(file: impl AsRef<Path>) -> Result<Self> {
        let file = file.as_ref().to_owned();
        let name = file.to_string_lossy().into_owned();
        let store = blocking(move || Store::open(&file)).await;
        Ok(Self { store: Arc::new(store.map_err(|error| error.with_raw_path(&name))?) })
    }

    async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Store) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.store.clone();
        blocking(move || call(&store)).await
    }

    /// Runs one durable transaction. It continues if this future is dropped.
    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        self.call(|store| store.change(Durability::Immediate, change)).await
    }
}

/// Runs blocking work on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Outcome<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    // redb panics on some damaged files, or the runtime is shutting down.
    let aborted = |error| Error::new(ErrorKind::Other).with_driver("redb").with_source(error);
    done.map_err(aborted)?.map_err(|failure| failure.0)
}
