//! Hashing beside the I/O: while a body comes in or goes out, its bytes are hashed on another thread.

use bytes::Bytes;
use plugin_registry_core::{Algorithm, Digest, Error, ErrorKind, HashState, Hasher, VerifyError};
use tokio::{runtime::Handle, task::JoinHandle};

use crate::error::Result;

/// Bytes that are worth a hop to another thread: they take about 0.3 ms to hash, a hop 0.02 ms.
const BATCH: usize = 512 * 1024;

/// The canonical hash of some content, and that of one other algorithm, if it was announced by it.
#[derive(Clone, Debug)]
pub(crate) struct Hashers {
    canonical: Hasher,
    other: Option<Hasher>,
}

impl Hashers {
    /// Hashers of no bytes, for content named by a digest of `algorithm`.
    pub(crate) fn new(algorithm: Algorithm) -> Box<Self> {
        let other = (algorithm != Algorithm::Sha256).then(|| Hasher::new(algorithm));
        Box::new(Self { canonical: Hasher::new(Algorithm::Sha256), other })
    }

    /// Goes on from a stored state of the canonical hash.
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

    /// The canonical digest, once the announced one agrees.
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

/// Hashers that work on the caller's blocking pool, one batch at a time, while the caller goes on. Content of
/// less than a batch is hashed where it is; so is everything where there is no tokio runtime. Holds two
/// batches, each of 512 KiB and the rest of one piece, which the I/O holds as well.
#[derive(Debug)]
pub(crate) struct HashBeside {
    work: Work,
    batch: Vec<Bytes>,
    batched: usize,
}

#[derive(Debug)]
enum Work {
    Here(Box<Hashers>),
    There(JoinHandle<Box<Hashers>>),
    /// A call was dropped in the middle: what was hashed is not known any more.
    Lost,
}

impl HashBeside {
    pub(crate) fn new(hashers: Box<Hashers>) -> Self {
        Self { work: Work::Here(hashers), batch: Vec::new(), batched: 0 }
    }

    /// Takes the next bytes of the content.
    pub(crate) async fn take(&mut self, piece: Bytes) -> Result<()> {
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

    /// The hashers after all bytes taken.
    pub(crate) async fn finish(mut self) -> Result<Box<Hashers>> {
        let mut hashers = self.settle().await?;
        self.batch.iter().for_each(|piece| hashers.update(piece));
        Ok(hashers)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces() -> Vec<Bytes> {
        (0..40_u32).map(|n| Bytes::from(vec![n as u8; (n as usize * 7919) % 200_000])).collect()
    }

    async fn hash(algorithm: Algorithm) -> (Digest, Box<Hashers>) {
        let mut beside = HashBeside::new(Hashers::new(algorithm));
        for piece in pieces() {
            beside.take(piece).await.unwrap();
        }
        (Digest::of(algorithm, &pieces().concat()), beside.finish().await.unwrap())
    }

    #[tokio::test]
    async fn batches_hash_in_order() {
        for algorithm in Algorithm::ALL {
            let (digest, hashers) = hash(algorithm).await;
            assert_eq!(hashers.verify(&digest), Ok(Digest::sha256(&pieces().concat())));
        }
    }

    #[test]
    fn without_a_runtime_too() {
        let (digest, hashers) = futures::executor::block_on(hash(Algorithm::Sha512));
        assert!(hashers.covers(Algorithm::Sha512) && !hashers.covers(Algorithm::Sha384));
        assert!(hashers.verify(&digest).is_ok());
    }
}
