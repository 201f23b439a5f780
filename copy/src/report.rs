//! The report of a copy.

use std::fmt;

use plugin_registry::integrity::Flaw;
use plugin_registry_core::{Descriptor, Digest};

/// The result of a [`copy`](crate::copy()).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyReport {
    /// The image: its manifest or index.
    pub root: Descriptor,
    /// Manifests and indexes read at the source and given to the destination.
    pub manifests: usize,
    /// Manifests that the destination had, with everything that they name. They were not read.
    pub manifests_present: usize,
    /// Blobs whose bytes were moved, those that were mended included.
    pub blobs_copied: usize,
    /// Blobs that were damaged at the destination, and that a repair replaced.
    pub blobs_mended: usize,
    /// Blobs whose bytes the destination's store had under another name. Only a link was written.
    pub blobs_deduplicated: usize,
    /// Blobs that the destination had.
    pub blobs_present: usize,
    /// Bytes of the blobs and manifests that were moved.
    pub bytes_copied: u64,
    /// Bytes of the blobs that were not moved because the destination had them.
    pub bytes_deduplicated: u64,
    /// Content that was left out, in order.
    pub skipped: Vec<Skipped>,
    /// Flaws of manifests that were still copied, byte for byte. Each comes once, in order.
    pub notes: Vec<CopyNote>,
}

/// Something odd about a manifest that was copied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CopyNote {
    /// The manifest.
    pub manifest: Digest,
    /// The flaw.
    pub flaw: Flaw,
}

impl fmt::Display for CopyNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "manifest {}: {}", self.manifest, self.flaw)
    }
}

/// Content that a copy left out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Skipped {
    /// A non-distributable layer that the source does not have. It stays where its URLs say.
    NonDistributable(Descriptor),
    /// A child of an index that the source does not have ([`CopyOptions::sparse`](crate::CopyOptions::sparse)).
    Child(Descriptor),
}

impl CopyReport {
    /// Counts the bytes of a blob that is there. A manifest names the size, and may name any.
    pub(crate) fn count_present(&mut self, blob: &Descriptor) {
        self.bytes_deduplicated = self.bytes_deduplicated.saturating_add(blob.size);
    }

    pub(crate) fn new(root: Descriptor) -> Self {
        Self {
            root,
            manifests: 0,
            manifests_present: 0,
            blobs_copied: 0,
            blobs_mended: 0,
            blobs_deduplicated: 0,
            blobs_present: 0,
            bytes_copied: 0,
            bytes_deduplicated: 0,
            skipped: Vec::new(),
            notes: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use plugin_registry_core::MediaType;

    use super::*;

    #[test]
    fn named_sizes_of_any_number_are_counted() {
        let blob = Descriptor::new(MediaType::ImageLayer, Digest::sha256(b""), u64::MAX);
        let mut report = CopyReport::new(blob.clone());
        for _ in 0..2 {
            report.count_present(&blob);
        }
        assert_eq!(report.bytes_deduplicated, u64::MAX);
    }
}
