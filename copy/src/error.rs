//! The errors of a copy.

use plugin_registry::{ErrorCode, RegistryError};
use plugin_registry_core::{Descriptor, Digest, ErrorKind};

/// The result of a copy.
pub type Result<T, E = CopyError> = std::result::Result<T, E>;

/// An error of a copy. It names the end where it happened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The requested image does not exist.
    #[error("{place} has no {what}")]
    NotFound {
        /// Where it was looked for.
        place: String,
        /// What is missing.
        what: String,
    },
    /// The image names content that its source does not have.
    #[error("{place} is incomplete: {what} is missing")]
    Incomplete {
        /// The source.
        place: String,
        /// What is missing.
        what: String,
    },
    /// Content does not match its digest or size, or a document cannot be read.
    #[error("{place} is damaged: {what}: {problem}")]
    Damaged {
        /// Where the content is.
        place: String,
        /// Which content.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A directory that should be an OCI image layout is not one.
    #[error("{place} is not an OCI image layout: {problem}")]
    NotALayout {
        /// The directory.
        place: String,
        /// Why not.
        problem: String,
    },
    /// The layout holds several images, and the reference names none or several of them.
    #[error("{place} holds several images, name one of: {}", names.join(", "))]
    Ambiguous {
        /// The layout.
        place: String,
        /// The choices: names that belong to one image, otherwise `@` and the digest. At most ten of them, and how many others.
        names: Vec<String>,
    },
    /// The destination names the image by a digest, and the source's image has a different one.
    #[error("{place} names {wanted}, but the image is {actual}")]
    DigestMismatch {
        /// The destination.
        place: String,
        /// The digest in the reference.
        wanted: Digest,
        /// The digest of the image.
        actual: Digest,
    },
    /// A manifest of an unknown form, so it is not clear what belongs to it.
    #[error("manifest {digest} cannot be copied: {problem}")]
    Unsupported {
        /// The manifest.
        digest: Digest,
        /// Why not.
        problem: &'static str,
    },
    /// The destination refuses a manifest because content that it names is still missing.
    #[error("{place} refuses manifest {manifest}: {} blobs or manifests that it names are missing, first {}",
        missing.len(), missing.first().map(|first| first.digest.to_string()).unwrap_or_default())]
    StillMissing {
        /// The destination.
        place: String,
        /// The manifest.
        manifest: Digest,
        /// What is missing.
        missing: Vec<Descriptor>,
    },
    /// The embedded registry refused or failed.
    #[error("{place}: {error}")]
    Registry {
        /// Which repository.
        place: String,
        /// Why.
        error: RegistryError,
    },
    /// The store of a layout failed.
    #[error("{place}: {error}")]
    Storage {
        /// Which layout.
        place: String,
        /// Why.
        error: plugin_registry_core::Error,
    },
}

impl CopyError {
    pub(crate) fn storage(place: &str, error: plugin_registry_core::Error) -> Self {
        Self::Storage { place: place.to_owned(), error }
    }

    /// Converts an error of a registry. An error of the other end that came through a body becomes that error
    /// again.
    pub(crate) fn registry(place: &str, error: RegistryError) -> Self {
        let place = place.to_owned();
        match error {
            RegistryError::Body(cause) => match cause.downcast::<Self>() {
                Ok(own) => *own,
                Err(cause) => Self::Registry { place, error: RegistryError::Body(cause) },
            },
            RegistryError::Damaged(problem) => {
                Self::Damaged { place, what: "stored content".to_owned(), problem }
            }
            error if is_unknown(&error) => Self::NotFound { place, what: what_is_unknown(&error) },
            error => Self::Registry { place, error },
        }
    }

    /// Returns whether the image or directory that was asked for does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::NotFound { .. } => true,
            Self::Storage { error, .. } => error.is_not_found(),
            _ => false,
        }
    }

    /// Returns whether what is stored at one of the ends is not what it should be.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::Incomplete { .. } => true,
            Self::Storage { error, .. } => error.kind() == ErrorKind::Corrupted,
            Self::Registry { error: RegistryError::Storage(error), .. } => {
                error.kind() == ErrorKind::Corrupted
            }
            _ => false,
        }
    }
}

fn is_unknown(error: &RegistryError) -> bool {
    let unknown = [ErrorCode::BlobUnknown, ErrorCode::ManifestUnknown, ErrorCode::NameUnknown];
    unknown.contains(&error.code().1)
}

fn what_is_unknown(error: &RegistryError) -> String {
    match error {
        RegistryError::BlobUnknown { digest, .. } => format!("blob {digest}"),
        RegistryError::ManifestUnknown { reference, .. } => format!("manifest {reference}"),
        RegistryError::RepositoryUnknown(name) => format!("repository {name}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_registry_core::Error;

    #[test]
    fn the_text_has_every_cause_once() {
        let storage = || Error::new(ErrorKind::Other).with_driver("lab").with_source("the disk is on fire");
        let body = || RegistryError::Body(std::io::Error::other("the wire is cut").into());
        for (error, text) in [
            (CopyError::storage("oci:d", storage()), "oci:d: lab driver: failed: the disk is on fire"),
            (
                CopyError::registry("registry:a", storage().into()),
                "registry:a: lab driver: failed: the disk is on fire",
            ),
            (CopyError::registry("registry:a", body()), "registry:a: the body ended early: the wire is cut"),
        ] {
            assert_eq!(error.to_string(), text);
            assert!(std::error::Error::source(&error).is_none(), "{text}");
        }
    }

    #[test]
    fn a_missing_repository_is_named() {
        let missing = RegistryError::RepositoryUnknown("a".parse().unwrap());
        assert_eq!(CopyError::registry("registry:a", missing).to_string(), "registry:a has no repository a");
    }
}
