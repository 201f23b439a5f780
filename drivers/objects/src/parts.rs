//! How a file of any size is cut into parts.

use plugin_registry_core::{Error, ErrorKind, Result};

/// What a store accepts of the parts of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartLimits {
    /// The most parts.
    pub parts: u64,
    /// The most bytes in a part.
    pub part: u64,
    /// The largest file.
    pub file: u64,
    /// What the store calls such a file: `an S3 object`.
    pub name: &'static str,
}

const MIB: u64 = 1 << 20;

/// The part sizes of one file. If its size is known, all are equal, and as large as configured if that is
/// enough for the most parts. If not, they double every 900 parts: 10 MiB for the first 8.8 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartSizes {
    first: u64,
    most: u64,
    grows: bool,
}

impl PartSizes {
    /// Chooses the sizes for a file, with `chunk` bytes in each part if that is enough.
    ///
    /// # Errors
    /// `TooLarge` for more than the store can hold.
    pub fn new(limits: &PartLimits, chunk: u64, expected: Option<u64>) -> Result<Self> {
        let most = limits.part;
        let Some(expected) = expected else { return Ok(Self { first: chunk, most, grows: true }) };
        if expected > limits.file {
            let PartLimits { name, file, .. } = limits;
            let message = format!("{expected} bytes; {name} has at most {file}");
            return Err(Error::new(ErrorKind::TooLarge).with_message(message));
        }
        let least = expected.div_ceil(limits.parts).div_ceil(MIB) * MIB;
        Ok(Self { first: chunk.max(least), most, grows: false })
    }

    /// The bytes in the part with this number, counted from 1.
    #[must_use]
    pub fn of(&self, number: u64) -> u64 {
        let doublings = if self.grows { number.saturating_sub(1) / 900 } else { 0 };
        let doublings = u32::try_from(doublings).unwrap_or(u32::MAX);
        // A shift that loses bits would give a small part.
        if doublings >= self.first.leading_zeros() {
            self.most
        } else {
            (self.first << doublings).min(self.most)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORES: [PartLimits; 2] = [
        PartLimits { parts: 10_000, part: 5 << 30, file: 5 << 40, name: "an object" },
        PartLimits { parts: 50_000, part: 4000 * MIB, file: 50_000 * 4000 * MIB, name: "a blob" },
    ];

    fn parts(sizes: PartSizes, file: u64) -> u64 {
        let (mut left, mut number) = (file, 0);
        while left > 0 {
            number += 1;
            left = left.saturating_sub(sizes.of(number));
        }
        number
    }

    #[test]
    fn files_of_known_size_fit() {
        for limits in &STORES {
            for chunk in [5 * MIB, 10 * MIB, 64 * MIB] {
                let steps = (0..=1000).map(|step| limits.file / 1000 * step);
                for file in steps.chain([limits.file, limits.file - 1, 1]) {
                    let sizes = PartSizes::new(limits, chunk, Some(file)).unwrap();
                    assert!(file.div_ceil(sizes.of(1)) <= limits.parts, "{chunk} {file}");
                    assert!(sizes.of(1) <= limits.part && sizes.of(1) >= chunk);
                    assert_eq!(sizes.of(1), sizes.of(limits.parts));
                }
            }
            let refused = PartSizes::new(limits, 5 * MIB, Some(limits.file + 1)).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::TooLarge);
        }
        assert_eq!(PartSizes::new(&STORES[0], 5 * MIB, Some(97 << 30)).unwrap().of(1), 10 * MIB);
    }

    #[test]
    fn files_of_unknown_size_fit() {
        for (limits, file) in STORES.iter().zip([5 << 40, 160 << 40]) {
            for chunk in [5 * MIB, 10 * MIB, limits.part] {
                let sizes = PartSizes::new(limits, chunk, None).unwrap();
                assert_eq!(sizes.of(1), chunk);
                assert_eq!(sizes.of(900), chunk);
                assert!(parts(sizes, file) <= limits.parts, "{chunk}");
                assert!((1..=limits.parts).all(|number| sizes.of(number) <= limits.part));
            }
        }
    }
}
