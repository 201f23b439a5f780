//! Judges what is whole, alike for a push, [`verify`](crate::Registry::verify) and a copy (ADR 0021).

use plugin_registry_core::{Descriptor, Digest};

/// A flaw of a manifest, or of the content that it names.
///
/// A push is refused for any of them, unless the repository already has the manifest and only sizes are in
/// doubt ([`put`](crate::Manifests::put)). A manifest that a store already holds is still read, verified and
/// copied: with a note, or, if a flaw [is damage](Self::is_damage), with an error.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// The content that it names cannot be determined, so a copy of it could have a hole.
    #[error("{problem}")]
    Unreadable {
        /// Why not.
        problem: &'static str,
    },
    /// A key is a field's name except for case: Go reads it as the field, others do not.
    #[error("the key `{key}` is not `{field}`, and some readers take it for that")]
    KeyCase {
        /// The key, escaped and cut.
        key: String,
        /// The field.
        field: &'static str,
    },
    /// An object has a key twice, in this case or another: readers disagree which one counts.
    #[error("the key `{key}` occurs twice in an object, in this case or another")]
    KeyTwice {
        /// The second one, escaped and cut.
        key: String,
    },
    /// A value is of another type than its field, so strict readers refuse the document.
    #[error("`{field}` is of another JSON type than it should be")]
    ValueType {
        /// The field.
        field: &'static str,
    },
    /// An unread field holds a value that many readers refuse. That is half a surrogate pair, a number out of
    /// range, text that is not UTF-8, or values nested too deep.
    #[error("a field that is not read has a value that many readers refuse")]
    UnreadValue,
    /// A map is longer than anyone needs, and is not read.
    #[error("`{field}` has more entries than are read")]
    TooLong {
        /// The field.
        field: &'static str,
    },
    /// Registries once served it, but accept none like it any more: schema 1, and forms and media types that do
    /// not belong together. It can be pulled and copied into an OCI layout, but not into a registry.
    #[error("registries of today do not take it: {problem}")]
    Kind {
        /// Why not.
        problem: String,
    },
    /// A descriptor names no size, or 0 or less: old versions of `docker manifest` wrote such descriptors.
    #[error("the manifest names no size of {digest}")]
    NoSize {
        /// The content.
        digest: Digest,
    },
    /// Content is named twice, with two sizes.
    #[error("the manifest says that {digest} has {first} bytes, and that it has {second}")]
    TwoSizes {
        /// What it is.
        part: ContentKind,
        /// The content.
        digest: Digest,
        /// The first size.
        first: u64,
        /// Another one.
        second: u64,
    },
    /// A blob does not have the named size: clients refuse it, or the blob is cut.
    #[error("the manifest says that {digest} has {named} bytes, it has {actual}")]
    BlobSize {
        /// The blob.
        digest: Digest,
        /// In the manifest.
        named: u64,
        /// In the store.
        actual: u64,
    },
    /// A child of an index does not have the named size: old versions of `docker manifest` wrote such indexes.
    #[error("the index says that manifest {digest} has {named} bytes, it has {actual}")]
    ManifestSize {
        /// The child.
        digest: Digest,
        /// In the index.
        named: u64,
        /// In the store.
        actual: u64,
    },
}

impl Flaw {
    /// Returns whether a stored manifest with this flaw is damaged: it cannot be copied as something whole. The
    /// other flaws are reported, and do not prevent reading.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Unreadable { .. } | Self::BlobSize { .. } => true,
            Self::TwoSizes { part, .. } => *part == ContentKind::Blob,
            _ => false,
        }
    }

    /// Returns the content whose size is in doubt, while its bytes may be right.
    pub(crate) fn doubtful(&self) -> Option<Digest> {
        match self {
            Self::NoSize { digest } | Self::ManifestSize { digest, .. } | Self::TwoSizes { digest, .. } => {
                Some(*digest)
            }
            _ => None,
        }
    }
}

/// The content that a descriptor names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentKind {
    /// A config or layer.
    Blob,
    /// A child of an index.
    Manifest,
}

/// How content compares with its description.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is there, and as named.
    Whole,
    /// It is not there.
    Absent,
    /// It is there, with this flaw.
    Flawed(Flaw),
}

/// Returns the size that a descriptor names, or `None` if it is 0 and the content cannot be empty.
#[must_use]
pub fn named_size(descriptor: &Descriptor) -> Option<u64> {
    let Descriptor { digest, size, .. } = descriptor;
    (*size > 0 || digest.is_of_empty()).then_some(*size)
}

/// Compares content of `actual` bytes, or missing content, with the descriptor that names it.
#[must_use]
pub fn judge(part: ContentKind, descriptor: &Descriptor, actual: Option<u64>) -> Verdict {
    let digest = descriptor.digest;
    match (named_size(descriptor), actual, part) {
        (_, None, _) => Verdict::Absent,
        (None, Some(_), _) => Verdict::Flawed(Flaw::NoSize { digest }),
        (Some(named), Some(actual), _) if named == actual => Verdict::Whole,
        (Some(named), Some(actual), ContentKind::Blob) => {
            Verdict::Flawed(Flaw::BlobSize { digest, named, actual })
        }
        (Some(named), Some(actual), ContentKind::Manifest) => {
            Verdict::Flawed(Flaw::ManifestSize { digest, named, actual })
        }
    }
}
