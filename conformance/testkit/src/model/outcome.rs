//! Outcomes of calls, in a form that can be compared.

use std::fmt::Debug;

use plugin_registry::RegistryError;
use plugin_registry_core::{Digest, ErrorKind, VerifyError};

/// The outcome of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A value, in words.
    Done(String),
    Refused(Refusal),
    /// The caller dropped it.
    Dropped,
}

/// Why a call is refused: the cause, with the details that must be exact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Repository(String),
    Blob(String, Digest),
    Manifest(String, String),
    /// The missing content that a manifest names, in order.
    References(Vec<String>),
    InvalidManifest,
    OtherDigest,
    OtherSize,
    Body,
    Announced,
    Session,
    Offset {
        expected: u64,
        actual: u64,
    },
    Range,
    NotAllowed,
    TooLarge,
    /// A refusal that stores and callers of this kind cannot cause.
    Unexpected(String),
}

impl Outcome {
    /// A value.
    pub(super) fn of(value: impl Debug) -> Self {
        Self::Done(format!("{value:?}"))
    }

    /// The name of its kind.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Done(_) => "done".to_owned(),
            Self::Dropped => "dropped".to_owned(),
            Self::Refused(refusal) => {
                let text = format!("{refusal:?}");
                text.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned()
            }
        }
    }
}

impl<T: Debug> From<Result<T, Refusal>> for Outcome {
    fn from(result: Result<T, Refusal>) -> Self {
        match result {
            Ok(value) => Self::of(value),
            Err(refusal) => Self::Refused(refusal),
        }
    }
}

impl From<RegistryError> for Refusal {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::RepositoryUnknown(name) => Self::Repository(name.to_string()),
            RegistryError::BlobUnknown { repository, digest } => Self::Blob(repository.to_string(), digest),
            RegistryError::ManifestUnknown { repository, reference } => {
                Self::Manifest(repository.to_string(), reference.to_string())
            }
            RegistryError::ReferencesUnknown(missing) => Self::references(missing),
            RegistryError::ManifestInvalid(_) => Self::InvalidManifest,
            RegistryError::Mismatch(VerifyError::Digest { .. }) => Self::OtherDigest,
            RegistryError::Mismatch(VerifyError::Size { .. }) => Self::OtherSize,
            RegistryError::Body(_) => Self::Body,
            RegistryError::BodyLength => Self::Announced,
            RegistryError::UploadUnknown => Self::Session,
            RegistryError::UploadOffset { expected, actual } => Self::Offset { expected, actual },
            RegistryError::RangeNotSatisfiable => Self::Range,
            RegistryError::ReadOnly | RegistryError::DeletesOff => Self::NotAllowed,
            RegistryError::Storage(error) if error.kind() == ErrorKind::TooLarge => Self::TooLarge,
            other => Self::Unexpected(format!("{other:?}")),
        }
    }
}

impl Refusal {
    pub(super) fn references(missing: impl IntoIterator<Item = Digest>) -> Self {
        let mut missing: Vec<String> = missing.into_iter().map(|digest| digest.to_string()).collect();
        missing.sort();
        missing.dedup();
        Self::References(missing)
    }
}
