//! Streaming hashes with the three algorithms.

use sha2::digest::{Digest as _, common::hazmat::SerializableState};
use sha2::{Sha256, Sha384, Sha512};

use super::{
    Algorithm, Digest,
    state::{HashState, HashStateError, Layout},
};

/// Hashes a stream of bytes and counts them. Holds about 200 bytes, whatever the stream's length.
///
/// Its [state](Self::state) can be stored and continued in another process.
///
/// ```
/// use plugin_registry_core::{Algorithm, Digest, Hasher};
/// let mut first = Hasher::new(Algorithm::Sha256);
/// first.update(b"a ");
/// let mut second = Hasher::resume(&first.state())?;
/// second.update(b"blob");
/// assert_eq!(second.finish(), Digest::sha256(b"a blob"));
/// # Ok::<(), plugin_registry_core::HashStateError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Hasher {
    inner: Inner,
    length: u64,
}

#[derive(Clone, Debug)]
enum Inner {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Hasher {
    /// Creates a hasher that has seen no bytes.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        let inner = match algorithm {
            Algorithm::Sha256 => Inner::Sha256(Sha256::new()),
            Algorithm::Sha384 => Inner::Sha384(Sha384::new()),
            Algorithm::Sha512 => Inner::Sha512(Sha512::new()),
        };
        Self { inner, length: 0 }
    }

    /// Returns the algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.inner {
            Inner::Sha256(_) => Algorithm::Sha256,
            Inner::Sha384(_) => Algorithm::Sha384,
            Inner::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Returns the number of bytes hashed so far.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Hashes more bytes. Blocks for about 0.7 ms per MiB and core.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.inner {
            Inner::Sha256(hasher) => hasher.update(bytes),
            Inner::Sha384(hasher) => hasher.update(bytes),
            Inner::Sha512(hasher) => hasher.update(bytes),
        }
        self.length = self.length.saturating_add(bytes.len() as u64);
    }

    /// Returns the digest of everything hashed.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self.inner {
            Inner::Sha256(hasher) => Digest::from_value(Algorithm::Sha256, &hasher.finalize()),
            Inner::Sha384(hasher) => Digest::from_value(Algorithm::Sha384, &hasher.finalize()),
            Inner::Sha512(hasher) => Digest::from_value(Algorithm::Sha512, &hasher.finalize()),
        }
    }

    /// Returns the state, for [`Hasher::resume`] or distribution to continue.
    #[must_use]
    pub fn state(&self) -> HashState {
        let layout = Layout::of(self.algorithm());
        match &self.inner {
            Inner::Sha256(hasher) => HashState::from_native(layout, &hasher.serialize(), self.length),
            Inner::Sha384(hasher) => HashState::from_native(layout, &hasher.serialize(), self.length),
            Inner::Sha512(hasher) => HashState::from_native(layout, &hasher.serialize(), self.length),
        }
    }

    /// Continues from a stored state.
    ///
    /// # Errors
    /// Fails with [`HashStateError`] if the state is not consistent in itself.
    pub fn resume(state: &HashState) -> Result<Self, HashStateError> {
        let native = state.to_native();
        let inner = match state.algorithm() {
            Algorithm::Sha256 => Inner::Sha256(restore(&native)?),
            Algorithm::Sha384 => Inner::Sha384(restore(&native)?),
            Algorithm::Sha512 => Inner::Sha512(restore(&native)?),
        };
        Ok(Self { inner, length: state.length() })
    }
}

fn restore<H: SerializableState>(native: &[u8]) -> Result<H, HashStateError> {
    let state = native.try_into().map_err(|_| HashStateError)?;
    H::deserialize(state).map_err(|_| HashStateError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_survives_at_every_length_around_blocks() {
        let content: Vec<u8> = (0..=255u8).cycle().take(700).collect();
        for algorithm in Algorithm::ALL {
            let expected = Digest::of(algorithm, &content);
            for cut in 0..content.len() {
                let mut first = Hasher::new(algorithm);
                first.update(&content[..cut]);
                let state = first.state();
                assert_eq!(HashState::from_bytes(state.as_bytes()).unwrap(), state);
                let mut second = Hasher::resume(&state).unwrap();
                assert_eq!(second.length(), cut as u64);
                second.update(&content[cut..]);
                assert_eq!(second.finish(), expected, "{algorithm} cut at {cut}");
            }
        }
    }
}
