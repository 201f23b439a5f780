//! The stored form of a hash state: Go's `encoding.BinaryMarshaler`, as distribution writes it.

use std::fmt;

use super::Algorithm;

/// The state of an unfinished hash, in the form that Go's crypto packages marshal.
///
/// distribution stores it under `hashstates/` (docs, "The layout"). It is four bytes of magic, eight state
/// words big-endian, the block buffer with the pending bytes and zeros, and the total length in bytes as a
/// 64-bit big-endian number. It has 108 bytes for sha256, and 204 for sha384 and sha512.
///
/// It is private data of an upload in progress, and only an optimisation: a program that cannot read it hashes
/// the stored bytes again.
#[derive(Clone, PartialEq, Eq)]
pub struct HashState {
    algorithm: Algorithm,
    bytes: Vec<u8>,
}

/// The stored hash state is damaged, cut short, or of a foreign form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored hash state is not readable")]
pub struct HashStateError;

/// The most bytes that a state may have seen: 1 EiB. SHA-256 counts bits in 64 bits, so from 2 EiB on its count
/// wraps to a smaller one.
const MAX_LENGTH: u64 = 1 << 60;

/// Sizes of one algorithm's forms. "Native" is the form of the `sha2` crate: state words little-endian, the
/// number of whole blocks little-endian (8 or 16 bytes), one byte with the number of pending bytes, and those
/// bytes, zero-filled.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    algorithm: Algorithm,
    magic: [u8; 4],
    word: usize,
    block: usize,
}

impl Layout {
    pub(super) fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self { algorithm, magic: *b"sha\x03", word: 4, block: 64 },
            Algorithm::Sha384 => Self { algorithm, magic: *b"sha\x04", word: 8, block: 128 },
            Algorithm::Sha512 => Self { algorithm, magic: *b"sha\x07", word: 8, block: 128 },
        }
    }

    fn words(self) -> usize {
        self.word * 8
    }

    fn stored_len(self) -> usize {
        4 + self.words() + self.block + 8
    }

    fn pending(self, length: u64) -> usize {
        // The remainder is below 128, so it fits.
        usize::try_from(length % self.block as u64).unwrap_or_default()
    }
}

impl HashState {
    /// Reads the stored form.
    ///
    /// # Errors
    /// Fails with [`HashStateError`] for an unknown magic, a wrong length, a buffer that holds more than its
    /// length says, or more than 1 EiB.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HashStateError> {
        let layout = Algorithm::ALL
            .into_iter()
            .map(Layout::of)
            .find(|layout| bytes.starts_with(&layout.magic) && bytes.len() == layout.stored_len())
            .ok_or(HashStateError)?;
        let state = Self { algorithm: layout.algorithm, bytes: bytes.to_vec() };
        let pending = layout.pending(state.length());
        let unused = bytes.get(4 + layout.words() + pending..4 + layout.words() + layout.block);
        let is_zero = unused.is_some_and(|unused| unused.iter().all(|byte| *byte == 0));
        if is_zero && state.length() <= MAX_LENGTH { Ok(state) } else { Err(HashStateError) }
    }

    /// Returns the stored form.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the number of bytes hashed so far.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.bytes.last_chunk::<8>().map_or(0, |length| u64::from_be_bytes(*length))
    }

    pub(super) fn from_native(layout: Layout, native: &[u8], length: u64) -> Self {
        let mut bytes = Vec::with_capacity(layout.stored_len());
        bytes.extend_from_slice(&layout.magic);
        for word in native.get(..layout.words()).unwrap_or_default().chunks(layout.word) {
            bytes.extend(word.iter().rev());
        }
        let buffered = native.len().saturating_sub(layout.block - 1);
        bytes.extend_from_slice(native.get(buffered..).unwrap_or_default());
        bytes.push(0);
        bytes.extend_from_slice(&length.to_be_bytes());
        Self { algorithm: layout.algorithm, bytes }
    }

    pub(super) fn to_native(&self) -> Vec<u8> {
        let layout = Layout::of(self.algorithm);
        let length = self.length();
        let mut native = Vec::with_capacity(layout.words() + 16 + layout.block);
        for word in self.bytes.get(4..4 + layout.words()).unwrap_or_default().chunks(layout.word) {
            native.extend(word.iter().rev());
        }
        let blocks = length / layout.block as u64;
        native.extend_from_slice(&blocks.to_le_bytes());
        if layout.word == 8 {
            native.extend_from_slice(&[0; 8]);
        }
        native.push(u8::try_from(layout.pending(length)).unwrap_or_default());
        let buffer = 4 + layout.words();
        native.extend_from_slice(self.bytes.get(buffer..buffer + layout.block - 1).unwrap_or_default());
        native
    }
}

impl fmt::Debug for HashState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashState({} after {} bytes)", self.algorithm, self.length())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Hasher;

    #[test]
    fn go_writes_the_same_108_bytes() {
        // The initial state and the state after eight bytes, from the definition of the form:
        // magic, H0..H7 (FIPS 180-4, 5.3.3), pending bytes, zeros, length.
        let initial =
            "7368610 36a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19".replace(' ', "");
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let hex = |state: &HashState| state.as_bytes().iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(hex(&hasher.state()), format!("{initial}{}", "00".repeat(72)));
        hasher.update(b"12345678");
        assert_eq!(
            hex(&hasher.state()),
            format!("{initial}3132333435363738{}0000000000000008", "00".repeat(56))
        );
        assert_eq!(hasher.state().as_bytes().len(), 108);
        assert_eq!(Hasher::new(Algorithm::Sha512).state().as_bytes().len(), 204);
    }

    #[test]
    fn damaged_states_are_refused() {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(b"some bytes");
        let good = hasher.state().as_bytes().to_vec();
        assert!(HashState::from_bytes(&good).is_ok());
        assert!(HashState::from_bytes(&[]).is_err());
        assert!(HashState::from_bytes(&good[..107]).is_err());
        assert!(HashState::from_bytes(&[good.clone(), vec![0]].concat()).is_err());
        let mut other_magic = good.clone();
        other_magic[3] = 9;
        assert!(HashState::from_bytes(&other_magic).is_err());
        let mut shorter = good.clone();
        shorter[107] = 2;
        assert!(HashState::from_bytes(&shorter).is_err(), "more pending bytes than the length says");
        let mut endless = good;
        endless[100] = 0x20;
        assert!(HashState::from_bytes(&endless).is_err(), "a length that SHA-256 cannot count in bits");
    }
}
