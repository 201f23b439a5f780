//! The state that one instance remembers of its upload sessions.

#[cfg(not(test))]
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::{sync::Arc, time::Duration};

use plugin_registry_core::{Algorithm, RepositoryName, Staged};
// In unit tests, every use of them is a point where another thread may continue (`tests`).
#[cfg(test)]
use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Mutex;

use super::{id::UploadId, interrupt::Interrupt};
use crate::{
    cache::lru::{Cache, Expiry},
    hashing::Hashers,
};

/// The sessions that this instance has touched lately: at most 4096 of about 1 KB each, plus those that a call
/// is working on. Losing one costs a look-up in the store, never bytes.
///
/// A session is found by its repository and its identifier, never by the identifier alone: a client of another
/// repository may choose the same one.
#[derive(Debug)]
pub(crate) struct Sessions {
    slots: Cache<Key, Arc<Slot>>,
}

type Key = (RepositoryName, UploadId);

impl Sessions {
    pub(crate) fn new() -> Self {
        let slots = Cache::new(4096, Expiry::TimeToIdle(Duration::from_secs(3600)));
        Self { slots: slots.pinned_if(|slot| Arc::strong_count(slot) > 1) }
    }

    pub(super) fn get(&self, repository: &RepositoryName, id: UploadId) -> Option<Arc<Slot>> {
        self.slots.get(&(repository.clone(), id))
    }

    /// Inserts a slot. If another request was faster, returns that request's slot.
    pub(super) fn insert(&self, repository: &RepositoryName, id: UploadId, slot: Slot) -> Arc<Slot> {
        self.slots.get_or_insert((repository.clone(), id), Arc::new(slot), 1)
    }

    pub(super) fn has_ended(&self, repository: &RepositoryName, id: UploadId) -> bool {
        self.get(repository, id).is_some_and(|slot| slot.has_ended())
    }
}

/// The state of a session as this instance knows it. The store has the truth, so every request compares.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(super) algorithm: Algorithm,
    /// The offset that was acknowledged last, for a status request while another request is writing.
    pub(super) acknowledged: AtomicU64,
    ended: AtomicBool,
    /// Whether only a client's token is known of it, so that other instances may have bytes of it.
    pub(super) began_elsewhere: bool,
    /// Whether this instance may have written something for the session, even in a request that was dropped.
    touched: AtomicBool,
    pub(super) interrupt: Interrupt,
    /// Held by a status request while it looks, and taken before `progress` by a request that writes. A status
    /// request is short, and not a reason to refuse a chunk.
    pub(super) status_lock: Mutex<()>,
    pub(super) progress: Mutex<Progress>,
}

#[derive(Debug)]
pub(super) enum Progress {
    /// Begun here or by a token. As far as this instance knows, nothing is stored.
    Fresh,
    /// The bytes that are staged as far as this instance knows, or `None` if it knows nothing. With the hashers
    /// after them, if this instance saw them all. The hashers are useless for other bytes, since the session
    /// may have been cancelled and started again elsewhere.
    Staged {
        staged: Option<Staged>,
        hashers: Option<Box<Hashers>>,
        /// This instance claimed the session and brought every byte, so it knows everything that the store
        /// holds of it.
        is_ours: bool,
    },
}

impl Slot {
    pub(super) fn fresh(algorithm: Algorithm) -> Self {
        Self::new(algorithm, Progress::Fresh)
    }

    /// The slot of a session that another instance has begun.
    pub(super) fn from_token(algorithm: Algorithm) -> Self {
        Self { began_elsewhere: true, ..Self::fresh(algorithm) }
    }

    pub(super) fn stored() -> Self {
        let unknown = Progress::Staged { staged: None, hashers: None, is_ours: false };
        Self::new(Algorithm::Sha256, unknown)
    }

    fn new(algorithm: Algorithm, progress: Progress) -> Self {
        Self {
            algorithm,
            acknowledged: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            began_elsewhere: false,
            touched: AtomicBool::new(false),
            interrupt: Interrupt::new(),
            status_lock: Mutex::new(()),
            progress: Mutex::new(progress),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(super) fn touch(&self) {
        self.touched.store(true, Ordering::Release);
    }

    pub(super) fn is_touched(&self) -> bool {
        self.touched.load(Ordering::Acquire)
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
