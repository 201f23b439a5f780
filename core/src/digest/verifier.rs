//! The one gate that content has to pass before it counts.

use super::{Algorithm, Digest, Hasher};

/// Compares a stream of bytes with the digest and the size that were announced for it.
///
/// It decides by what it counted and hashed itself, never by a file's size. Every push computes the canonical
/// sha256 digest, because blobs are stored under it. If the announced digest has another algorithm, both are
/// computed in the same pass.
///
/// ```
/// use plugin_registry_core::{Digest, Verifier, VerifyError};
/// let mut verifier = Verifier::new(Digest::sha256(b"layer"), Some(5));
/// verifier.update(b"lay")?;
/// verifier.update(b"er")?;
/// assert_eq!(verifier.finish()?, Digest::sha256(b"layer"));
/// # Ok::<(), VerifyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Verifier {
    expected: Digest,
    size: Option<u64>,
    canonical: Hasher,
    announced: Option<Hasher>,
}

/// The content is not what was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The bytes hash to something else.
    #[error("the content hashes to {actual}, not to {expected}")]
    Digest {
        /// What was announced.
        expected: Digest,
        /// The digest of the bytes.
        actual: Digest,
    },
    /// There are fewer or more bytes than announced. For a stream that is too long, `actual` is the count at
    /// which it was stopped.
    #[error("the content has {actual} bytes, not {expected}")]
    Size {
        /// What was announced.
        expected: u64,
        /// What was counted.
        actual: u64,
    },
}

impl Verifier {
    /// Expects content of this digest and, if given, of this size in bytes.
    #[must_use]
    pub fn new(expected: Digest, size: Option<u64>) -> Self {
        let announced = (!expected.is_canonical()).then(|| Hasher::new(expected.algorithm()));
        Self { expected, size, canonical: Hasher::new(Algorithm::Sha256), announced }
    }

    /// Takes more bytes.
    ///
    /// # Errors
    /// Fails with [`VerifyError::Size`] as soon as there are more bytes than announced. The excess bytes are
    /// not hashed.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), VerifyError> {
        let length = self.canonical.length().saturating_add(bytes.len() as u64);
        if let Some(expected) = self.size.filter(|size| length > *size) {
            return Err(VerifyError::Size { expected, actual: length });
        }
        self.canonical.update(bytes);
        if let Some(hasher) = &mut self.announced {
            hasher.update(bytes);
        }
        Ok(())
    }

    /// Returns the number of bytes taken so far.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.canonical.length()
    }

    /// Confirms size and digest and returns the canonical digest of the content.
    ///
    /// # Errors
    /// Fails with [`VerifyError`] if the content is not what was announced.
    pub fn finish(self) -> Result<Digest, VerifyError> {
        let length = self.canonical.length();
        if let Some(expected) = self.size.filter(|size| *size != length) {
            return Err(VerifyError::Size { expected, actual: length });
        }
        let canonical = self.canonical.finish();
        let actual = self.announced.map_or(canonical, Hasher::finish);
        if actual == self.expected {
            Ok(canonical)
        } else {
            Err(VerifyError::Digest { expected: self.expected, actual })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_algorithms_give_the_canonical_digest_too() {
        let mut verifier = Verifier::new(Digest::of(Algorithm::Sha512, b"abc"), None);
        verifier.update(b"abc").unwrap();
        assert_eq!(verifier.finish(), Ok(Digest::sha256(b"abc")));
    }

    #[test]
    fn what_differs_is_named() {
        let expected = Digest::sha256(b"abc");
        let mut verifier = Verifier::new(expected, None);
        verifier.update(b"abd").unwrap();
        assert_eq!(verifier.finish(), Err(VerifyError::Digest { expected, actual: Digest::sha256(b"abd") }));

        let mut verifier = Verifier::new(expected, Some(3));
        verifier.update(b"ab").unwrap();
        assert_eq!(verifier.clone().finish(), Err(VerifyError::Size { expected: 3, actual: 2 }));
        assert_eq!(verifier.update(b"cd"), Err(VerifyError::Size { expected: 3, actual: 4 }));
        verifier.update(b"c").unwrap();
        assert!(verifier.finish().is_ok());
    }
}
