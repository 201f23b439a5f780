//! Content digests, the hasher that makes them, and its state.

mod hasher;
mod state;
mod verifier;

use std::{cmp::Ordering, fmt, str::FromStr};

pub use self::{
    hasher::Hasher,
    state::{HashState, HashStateError},
    verifier::{Verifier, VerifyError},
};

/// A registered digest algorithm of the OCI image specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, the canonical algorithm: every blob is stored under it.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// All algorithms.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// Returns the identifier, as in `sha256:…` and in paths.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// Returns the length of the digest in bytes.
    #[must_use]
    pub fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Returns `false`: no algorithm has digests of zero bytes.
    #[must_use]
    pub fn is_empty(self) -> bool {
        false
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or(DigestError::UnsupportedAlgorithm)
    }
}

/// Why a text is not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// The text does not have the form `algorithm:hex`.
    #[error("a digest is written `algorithm:hex`")]
    Format,
    /// The algorithm is not one of sha256, sha384 and sha512.
    #[error("the digest algorithm is not one of sha256, sha384, sha512")]
    UnsupportedAlgorithm,
    /// The hexadecimal part has the wrong length for its algorithm.
    #[error("the digest has the wrong length for its algorithm")]
    Length,
    /// The hexadecimal part has a character outside `[0-9a-f]`.
    #[error("the digest has a character outside [0-9a-f]")]
    Hex,
}

/// The digest of some content: an algorithm and its value. It is `Copy` and compared by value.
///
/// ```
/// use plugin_registry_core::{Algorithm, Digest};
/// let digest = Digest::of(Algorithm::Sha256, b"");
/// assert_eq!(digest.to_string(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
/// assert_eq!(digest.to_string().parse::<Digest>()?, digest);
/// # Ok::<(), plugin_registry_core::DigestError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    /// Bytes beyond the algorithm's length are zero.
    value: [u8; 64],
}

impl Digest {
    /// Returns the digest of `content`.
    #[must_use]
    pub fn of(algorithm: Algorithm, content: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(content);
        hasher.finish()
    }

    /// Returns the canonical (sha256) digest of `content`.
    #[must_use]
    pub fn sha256(content: &[u8]) -> Self {
        Self::of(Algorithm::Sha256, content)
    }

    pub(crate) fn from_value(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut value = [0; 64];
        for (to, from) in value.iter_mut().zip(bytes.iter().take(algorithm.len())) {
            *to = *from;
        }
        Self { algorithm, value }
    }

    /// Returns the algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the value in bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.value.get(..self.algorithm.len()).unwrap_or(&self.value)
    }

    /// Returns the value in lower-case hexadecimal.
    #[must_use]
    pub fn hex(&self) -> String {
        let mut hex = String::with_capacity(self.algorithm.len() * 2);
        for byte in self.as_bytes() {
            hex.push(nibble(byte >> 4));
            hex.push(nibble(byte & 15));
        }
        hex
    }

    /// Returns whether this is the digest of empty content. No other digest reveals the size of its content.
    ///
    /// ```
    /// use plugin_registry_core::Digest;
    /// assert!(Digest::sha256(b"").is_of_empty());
    /// assert!(!Digest::sha256(b"x").is_of_empty());
    /// ```
    #[must_use]
    pub fn is_of_empty(&self) -> bool {
        *self == Self::of(self.algorithm, b"")
    }

    /// Returns whether this is a sha256 digest, under which blobs are stored.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        self.algorithm == Algorithm::Sha256
    }
}

fn nibble(value: u8) -> char {
    char::from(if value < 10 { b'0' + value } else { b'a' + value - 10 })
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hex) = text.split_once(':').ok_or(DigestError::Format)?;
        let algorithm: Algorithm = algorithm.parse()?;
        if hex.len() != algorithm.len() * 2 {
            return Err(DigestError::Length);
        }
        let mut value = [0; 64];
        let mut digits = hex.bytes().map(|byte| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(DigestError::Hex),
        });
        for slot in value.iter_mut().take(algorithm.len()) {
            if let (Some(high), Some(low)) = (digits.next(), digits.next()) {
                *slot = high? << 4 | low?;
            }
        }
        Ok(Self { algorithm, value })
    }
}

impl Ord for Digest {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.algorithm, self.value).cmp(&(other.algorithm, other.value))
    }
}

impl PartialOrd for Digest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_it_prints() {
        for algorithm in Algorithm::ALL {
            let digest = Digest::of(algorithm, b"abc");
            assert_eq!(digest.to_string().parse(), Ok(digest));
            assert_eq!(digest.as_bytes().len(), algorithm.len());
        }
    }

    #[test]
    fn known_values() {
        assert_eq!(
            Digest::sha256(b"abc").hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(Digest::of(Algorithm::Sha512, b"abc").hex().starts_with("ddaf35a193617abacc417349ae204131"));
        assert!(Digest::of(Algorithm::Sha384, b"abc").hex().starts_with("cb00753f45a35e8bb5a03d699ac65007"));
    }

    #[test]
    fn refuses_everything_else() {
        let hex = "a".repeat(64);
        for (text, error) in [
            ("", DigestError::Format),
            ("sha256", DigestError::Format),
            ("sha256:", DigestError::Length),
            ("sha256:abc", DigestError::Length),
            ("sha256:baddigeststring", DigestError::Length),
            (&format!("md5:{hex}"), DigestError::UnsupportedAlgorithm),
            (&format!("SHA256:{hex}"), DigestError::UnsupportedAlgorithm),
            (&format!("sha256:{}", hex.to_uppercase()), DigestError::Hex),
            (&format!("sha256:{}g", "a".repeat(63)), DigestError::Hex),
            (&format!("sha256:{}/", "a".repeat(63)), DigestError::Hex),
            (&format!("sha512:{hex}"), DigestError::Length),
            (&format!("sha256:{hex}\n"), DigestError::Length),
        ] {
            assert_eq!(text.parse::<Digest>(), Err(error), "{text:?}");
        }
    }
}
