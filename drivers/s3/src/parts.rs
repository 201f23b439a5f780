//! How a file of any size is cut into parts.

use plugin_registry_core::{Error, ErrorKind, Result};

/// The most parts that S3 accepts.
pub(crate) const MAX_PARTS: u64 = 10_000;
/// The least bytes in each part but the last.
pub(crate) const MIN_PART: u64 = 5 << 20;
/// The most bytes in a part, and the most that one request copies.
pub(crate) const MAX_PART: u64 = 5 << 30;
/// The largest object.
pub(crate) const MAX_FILE: u64 = 5 << 40;

const MIB: u64 = 1 << 20;

/// The part sizes of one file. If its size is known, all are equal, and as large as configured if that is
/// enough for 10,000 parts. If not, they double every 900 parts: 10 MiB for the first 8.8 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartSizes {
    first: u64,
    grows: bool,
}

impl PartSizes {
    /// # Errors
    /// `TooLarge` for more than an object can hold.
    pub(crate) fn new(chunk: u64, expected: Option<u64>) -> Result<Self> {
        let Some(expected) = expected else { return Ok(Self { first: chunk, grows: true }) };
        if expected > MAX_FILE {
            let message = format!("{expected} bytes; an S3 object has at most {MAX_FILE}");
            return Err(Error::new(ErrorKind::TooLarge).with_message(message));
        }
        let least = expected.div_ceil(MAX_PARTS).div_ceil(MIB) * MIB;
        Ok(Self { first: chunk.max(least), grows: false })
    }

    /// The bytes in the part with this number, counted from 1.
    pub(crate) fn of(&self, number: i32) -> u64 {
        let doublings = if self.grows { number.saturating_sub(1).max(0) / 900 } else { 0 };
        self.first.checked_shl(doublings.unsigned_abs()).unwrap_or(MAX_PART).min(MAX_PART)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(sizes: PartSizes, file: u64) -> u64 {
        let (mut left, mut number) = (file, 0);
        while left > 0 {
            number += 1;
            left = left.saturating_sub(sizes.of(number));
        }
        number as u64
    }

    #[test]
    fn files_of_known_size_fit() {
        for chunk in [MIN_PART, 10 * MIB, 64 * MIB] {
            for file in (0..=1000).map(|step| MAX_FILE / 1000 * step).chain([MAX_FILE, MAX_FILE - 1, 1]) {
                let sizes = PartSizes::new(chunk, Some(file)).unwrap();
                assert!(file.div_ceil(sizes.of(1)) <= MAX_PARTS, "{chunk} {file}");
                assert!(sizes.of(1) <= MAX_PART && sizes.of(1) >= chunk);
                assert_eq!(sizes.of(1), sizes.of(10_000));
            }
        }
        assert_eq!(PartSizes::new(MIN_PART, Some(97 << 30)).unwrap().of(1), 10 * MIB);
        let refused = PartSizes::new(MIN_PART, Some(MAX_FILE + 1)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::TooLarge);
    }

    #[test]
    fn files_of_unknown_size_fit() {
        for chunk in [MIN_PART, 10 * MIB, MAX_PART] {
            let sizes = PartSizes::new(chunk, None).unwrap();
            assert_eq!(sizes.of(1), chunk);
            assert_eq!(sizes.of(900), chunk);
            assert!(parts(sizes, MAX_FILE) <= MAX_PARTS, "{chunk}");
            assert!((1..=10_000).all(|number| sizes.of(number) <= MAX_PART));
        }
    }
}
