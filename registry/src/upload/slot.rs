//! What one instance remembers of its upload sessions.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::sync::Cache;
use plugin_registry_core::{Algorithm, Digest, HashState, Hasher, RepositoryName, StageId, VerifyError};
use tokio::sync::Mutex;

use super::UploadId;

/// The sessions that this instance has touched lately: at most 4096 of about 1 KB each. Losing one costs a
/// look-up in the store, never bytes.
#[derive(Debug)]
pub(crate) struct Sessions {
    slots: Cache<UploadId, Arc<Slot>>,
}

impl Sessions {
    pub(crate) fn new() -> Self {
        let slots = Cache::builder().max_capacity(4096).time_to_idle(Duration::from_secs(3600)).build();
        Self { slots }
    }

    pub(super) fn get(&self, id: UploadId) -> Option<Arc<Slot>> {
        self.slots.get(&id)
    }

    /// Inserts a slot, unless another request was faster: then that one's.
    pub(super) fn insert(&self, id: UploadId, slot: Slot) -> Arc<Slot> {
        self.slots.get_with(id, || Arc::new(slot))
    }

    pub(super) fn has_ended(&self, id: UploadId) -> bool {
        self.get(id).is_some_and(|slot| slot.has_ended())
    }
}

/// What this instance knows of a session. The store knows better: every request compares.
#[derive(Debug)]
pub(crate) struct Slot {
    repository: RepositoryName,
    pub(super) algorithm: Algorithm,
    /// The offset that was acknowledged last, for a status while a request is writing.
    pub(super) acknowledged: AtomicU64,
    ended: AtomicBool,
    /// Whether this instance may have written something of the session, be it in a request that was dropped.
    touched: AtomicBool,
    pub(super) progress: Mutex<Progress>,
}

#[derive(Debug)]
pub(super) enum Progress {
    /// Begun here or by a token; nothing stored as far as this instance knows.
    Fresh,
    /// Bytes are staged. With the hashers after exactly `offset` bytes of one stage, if this instance saw
    /// them all. They are worth nothing without the stage: the session may have been cancelled and begun
    /// anew elsewhere.
    Staged { stage: Option<StageId>, offset: u64, hashers: Option<Box<Hashers>> },
}

impl Slot {
    pub(super) fn fresh(repository: RepositoryName, algorithm: Algorithm) -> Self {
        Self::new(repository, algorithm, Progress::Fresh)
    }

    pub(super) fn stored(repository: RepositoryName) -> Self {
        Self::new(repository, Algorithm::Sha256, Progress::Staged { stage: None, offset: 0, hashers: None })
    }

    fn new(repository: RepositoryName, algorithm: Algorithm, progress: Progress) -> Self {
        Self {
            repository,
            algorithm,
            acknowledged: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            touched: AtomicBool::new(false),
            progress: Mutex::new(progress),
        }
    }

    pub(super) fn belongs_to(&self, repository: &RepositoryName) -> bool {
        self.repository == *repository
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

/// The canonical hash of a session's bytes, and the one of the algorithm it was started with.
#[derive(Clone, Debug)]
pub(super) struct Hashers {
    pub(super) canonical: Hasher,
    other: Option<Hasher>,
}

impl Hashers {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        let other = (algorithm != Algorithm::Sha256).then(|| Hasher::new(algorithm));
        Self { canonical: Hasher::new(Algorithm::Sha256), other }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.canonical.update(bytes);
        if let Some(other) = &mut self.other {
            other.update(bytes);
        }
    }

    /// Goes on from a stored state of the canonical hash.
    pub(super) fn resume(state: &HashState) -> Option<Self> {
        let is_canonical = state.algorithm() == Algorithm::Sha256;
        let canonical = Hasher::resume(state).ok().filter(|_| is_canonical)?;
        Some(Self { canonical, other: None })
    }

    pub(super) fn covers(&self, algorithm: Algorithm) -> bool {
        algorithm == Algorithm::Sha256
            || self.other.as_ref().is_some_and(|other| other.algorithm() == algorithm)
    }

    /// The canonical digest, once the announced one agrees.
    pub(super) fn verify(self, expected: &Digest) -> Result<Digest, VerifyError> {
        let canonical = self.canonical.finish();
        let actual = match self.other.filter(|other| other.algorithm() == expected.algorithm()) {
            Some(other) => other.finish(),
            None => canonical,
        };
        if actual == *expected {
            Ok(canonical)
        } else {
            Err(VerifyError::Digest { expected: *expected, actual })
        }
    }
}
