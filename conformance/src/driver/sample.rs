//! Content that shows where it came from.

use bytes::Bytes;
use plugin_registry_core::{Algorithm, Digest, Hasher};

/// Size of the pieces of a stream: as large as those of a registry.
const PIECE: u64 = 1 << 20;

/// Returns `size` bytes without a pattern. Another seed gives other bytes.
pub(crate) fn bytes(seed: u64, size: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    // One word at a time: tests make gigabytes of it, without optimization.
    let mut content = Vec::with_capacity(size.next_multiple_of(8));
    while content.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend_from_slice(&state.to_le_bytes());
    }
    content.truncate(size);
    content.into()
}

/// A large file whose pieces are slices of one small buffer, so that it costs no memory.
///
/// Each piece begins elsewhere in the buffer, so a lost, doubled or swapped piece changes the digest.
pub(crate) struct Large {
    buffer: Bytes,
    size: u64,
}

impl Large {
    pub(crate) fn new(seed: u64, size: u64) -> Self {
        Self { buffer: bytes(seed, 2 * PIECE as usize), size }
    }

    pub(crate) fn pieces(&self) -> impl Iterator<Item = Bytes> + '_ {
        let last = self.size.div_ceil(PIECE);
        (0..last).map(move |index| {
            let start = (index * 7919 % PIECE) as usize;
            let size = PIECE.min(self.size - index * PIECE) as usize;
            self.buffer.slice(start..start + size)
        })
    }

    pub(crate) fn digest(&self) -> Digest {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        self.pieces().for_each(|piece| hasher.update(&piece));
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_up_the_size_and_differ() {
        let large = Large::new(1, 3 * PIECE + 5);
        let pieces: Vec<Bytes> = large.pieces().collect();
        assert_eq!(pieces.iter().map(|piece| piece.len() as u64).sum::<u64>(), 3 * PIECE + 5);
        assert_ne!(pieces[0], pieces[1]);
        assert_eq!(Large::new(1, 2 * PIECE).digest(), Digest::sha256(&[&*pieces[0], &*pieces[1]].concat()));
        assert_ne!(large.digest(), Large::new(2, 3 * PIECE + 5).digest());
    }
}
