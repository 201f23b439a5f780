//! Hashes bytes once, beside the I/O, while a body comes in or goes out.

use bytes::Bytes;
use plugin_registry_core::{Algorithm, Digest, Error, ErrorKind, HashState, Hasher, VerifyError};
use tokio::{runtime::Handle, task::JoinHandle};

use crate::error::Result;

/// Bytes that are worth a hop to another thread, which takes 0.02 ms.
const BATCH: usize = 512 * 1024;
/// Bytes that are hashed before the runtime gets a turn: some 0.1 ms if the processor does it.
const STRETCH: usize = 128 * 1024;

/// The canonical hash of some content, and that of another algorithm if the content was announced by it.
#[derive(Clone, Debug)]
pub(crate) struct Hashers {
    canonical: Hasher,
    other: Option<Hasher>,
}

impl Hashers {
    /// Hashers before the first byte, for content named by a digest of `algorithm`.
    pub(crate) fn new(algorithm: Algorithm) -> Box<Self> {
        let other = (algorithm != Algorithm::Sha256).then(|| Hasher::new(algorithm));
        Box::new(Self { canonical: Hasher::new(Algorithm::Sha256), other })
    }

    /// Continues from a stored state of the canonical hash.
    pub(crate) fn resume(state: &HashState) -> Option<Box<Self>> {
        let is_canonical = state.algorithm() == Algorithm::Sha256;
        let canonical = Hasher::resume(state).ok().filter(|_| is_canonical)?;
        Some(Box::new(Self { canonical, other: None }))
    }

    /// The state of the canonical hash.
    pub(crate) fn state(&self) -> HashState {
        self.canonical.state()
    }

    fn update(&mut self, bytes: &[u8]) {
        self.canonical.update(bytes);
        if let Some(other) = &mut self.other {
            other.update(bytes);
        }
    }

    /// Whether a digest of this algorithm can be verified.
    pub(crate) fn covers(&self, algorithm: Algorithm) -> bool {
        algorithm == Algorithm::Sha256
            || self.other.as_ref().is_some_and(|other| other.algorithm() == algorithm)
    }

    /// Returns the canonical digest if the announced one agrees.
    pub(crate) fn verify(self, expected: &Digest) -> Result<Digest, VerifyError> {
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

/// Hashes the pieces of a stream beside their I/O.
///
/// Where the processor itself hashes, that takes no longer than copying the bytes. They are hashed here, while
/// they are in its cache, and the runtime gets a turn every 128 KiB, some 0.1 ms. Elsewhere a batch at a time
/// goes to the caller's blocking pool, while the caller continues. Content of less than a batch is hashed in
/// place, and so is everything if there is no tokio runtime. In that mode it holds two batches, each of 512 KiB
/// and the rest of one piece, which the I/O holds as well (ADR 0009).
#[derive(Debug)]
pub(crate) struct StreamHasher {
    work: Work,
    is_fast: bool,
    /// Bytes hashed here since the runtime last had its turn.
    at_a_stretch: usize,
    batch: Vec<Bytes>,
    batched: usize,
}

#[derive(Debug)]
enum Work {
    Here(Box<Hashers>),
    There(JoinHandle<Box<Hashers>>),
    /// A call was dropped in the middle, so it is not known any more what was hashed.
    Lost,
}

impl StreamHasher {
    pub(crate) fn new(hashers: Box<Hashers>) -> Self {
        let is_fast = hashers.other.is_none() && has_sha256();
        Self { work: Work::Here(hashers), is_fast, at_a_stretch: 0, batch: Vec::new(), batched: 0 }
    }

    /// Takes the next bytes of the content.
    pub(crate) async fn take(&mut self, piece: &Bytes) -> Result<()> {
        if self.is_fast { self.hash(piece).await } else { self.collect(piece.clone()).await }
    }

    /// Returns the hashers after all bytes taken.
    pub(crate) async fn finish(mut self) -> Result<Box<Hashers>> {
        let mut hashers = self.settle().await?;
        self.batch.iter().for_each(|piece| hashers.update(piece));
        Ok(hashers)
    }

    async fn hash(&mut self, piece: &[u8]) -> Result<()> {
        let mut hashers = self.settle().await?;
        for slice in piece.chunks(STRETCH) {
            hashers.update(slice);
            self.at_a_stretch += slice.len();
            if self.at_a_stretch >= STRETCH {
                self.at_a_stretch = 0;
                tokio::task::yield_now().await;
            }
        }
        self.work = Work::Here(hashers);
        Ok(())
    }

    async fn collect(&mut self, piece: Bytes) -> Result<()> {
        self.batched += piece.len();
        self.batch.push(piece);
        if self.batched < BATCH {
            return Ok(());
        }
        let mut hashers = self.settle().await?;
        let batch = std::mem::take(&mut self.batch);
        self.batched = 0;
        let work = move || {
            batch.iter().for_each(|piece| hashers.update(piece));
            hashers
        };
        self.work = match Handle::try_current() {
            Ok(runtime) => Work::There(runtime.spawn_blocking(work)),
            Err(_) => Work::Here(work()),
        };
        Ok(())
    }

    async fn settle(&mut self) -> Result<Box<Hashers>> {
        let lost =
            || Error::new(ErrorKind::Other).with_message("the runtime stopped in the middle of hashing");
        match std::mem::replace(&mut self.work, Work::Lost) {
            Work::Here(hashers) => Ok(hashers),
            Work::There(job) => Ok(job.await.map_err(|error| lost().with_source(error))?),
            Work::Lost => Err(lost().into()),
        }
    }
}

/// Whether the processor hashes SHA-256 itself, at 1.5 GB a second rather than 0.3.
fn has_sha256() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("sha");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("sha2");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces() -> Vec<Bytes> {
        (0..40_u32).map(|n| Bytes::from(vec![n as u8; (n as usize * 7919) % 200_000])).collect()
    }

    async fn hash(algorithm: Algorithm, is_fast: bool) -> (Digest, Box<Hashers>) {
        let mut hasher = StreamHasher { is_fast, ..StreamHasher::new(Hashers::new(algorithm)) };
        for piece in pieces() {
            hasher.take(&piece).await.unwrap();
        }
        (Digest::of(algorithm, &pieces().concat()), hasher.finish().await.unwrap())
    }

    #[tokio::test]
    async fn pieces_hash_in_order() {
        for (algorithm, is_fast) in Algorithm::ALL.into_iter().flat_map(|one| [(one, true), (one, false)]) {
            let (digest, hashers) = hash(algorithm, is_fast).await;
            assert_eq!(hashers.verify(&digest), Ok(Digest::sha256(&pieces().concat())));
        }
    }

    #[test]
    fn without_a_runtime_too() {
        for is_fast in [true, false] {
            let (digest, hashers) = futures::executor::block_on(hash(Algorithm::Sha512, is_fast));
            assert!(hashers.covers(Algorithm::Sha512) && !hashers.covers(Algorithm::Sha384));
            assert!(hashers.verify(&digest).is_ok());
        }
    }

    /// However much of a piece was hashed when its call was dropped, the hasher never counts it as untouched
    /// or as whole.
    #[tokio::test]
    async fn a_call_that_is_dropped_is_not_forgotten() {
        let mut hasher = StreamHasher { is_fast: true, ..StreamHasher::new(Hashers::new(Algorithm::Sha256)) };
        let piece = Bytes::from(vec![7; 3 * STRETCH]);
        assert!(futures::poll!(Box::pin(hasher.take(&piece))).is_pending(), "the runtime has its turn");
        assert!(hasher.take(&piece).await.is_err());
        assert!(hasher.finish().await.is_err());
    }
}
