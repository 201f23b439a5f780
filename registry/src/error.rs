//! The errors of a registry, and their codes in the specification.

use http::StatusCode;
use plugin_registry_core::{
    Digest, ErrorKind, NameError, Reference, RepositoryName, VerifyError, error_text,
};

use crate::{manifest::ManifestError, upload::id::UploadIdError};

/// The result of a registry operation.
pub type Result<T, E = RegistryError> = std::result::Result<T, E>;

/// Any error of a caller's content stream.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An error of the embedded registry.
///
/// [`RegistryError::code`] maps the causes to the codes of the distribution specification. A malformed HTTP
/// request is answered by [`RegistryService`](crate::RegistryService) and is not an error of this type.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A repository name, tag or digest in a request does not parse.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The repository holds nothing.
    #[error("repository {0} is unknown")]
    RepositoryUnknown(RepositoryName),
    /// The blob is not in the repository.
    #[error("blob {digest} is not in repository {repository}")]
    BlobUnknown {
        /// The repository that was asked.
        repository: RepositoryName,
        /// The digest that was asked for.
        digest: Digest,
    },
    /// The manifest is not in the repository.
    #[error("manifest {reference} is not in repository {repository}")]
    ManifestUnknown {
        /// The repository that was asked.
        repository: RepositoryName,
        /// The tag or digest that was asked for.
        reference: Reference,
    },
    /// The manifest's bytes cannot be accepted.
    #[error("the manifest is not valid: {0}")]
    ManifestInvalid(ManifestError),
    /// The manifest is larger than the limit in bytes.
    #[error("the manifest is larger than {limit} bytes")]
    ManifestTooLarge {
        /// The limit.
        limit: u64,
    },
    /// The manifest names content that is not in the repository. Nothing was stored.
    #[error("the manifest names {} blobs or manifests that are not in the repository, first {}",
        .0.len(), .0.first().map(ToString::to_string).unwrap_or_default())]
    ReferencesUnknown(Vec<Digest>),
    /// Content does not have the announced digest or size.
    #[error(transparent)]
    Mismatch(#[from] VerifyError),
    /// The upload session is unknown, or was finished or cancelled.
    #[error("the upload session is unknown, finished or cancelled")]
    UploadUnknown,
    /// A chunk does not begin where the upload stands. The upload is kept.
    #[error("the upload stands at byte {actual}, the chunk begins at byte {expected}")]
    UploadOffset {
        /// Where the chunk begins.
        expected: u64,
        /// Where the upload stands.
        actual: u64,
    },
    /// Another request is writing to the same upload session.
    #[error("another request is writing to this upload session")]
    UploadBusy,
    /// The body is longer or shorter than announced.
    #[error("the body is not as long as announced")]
    BodyLength,
    /// The range does not exist in the content.
    #[error("the range is outside the content")]
    RangeNotSatisfiable,
    /// The registry refuses every change ([`RegistryBuilder::read_only`](crate::RegistryBuilder::read_only)).
    #[error("the registry is read-only")]
    ReadOnly,
    /// The registry refuses deletes ([`RegistryBuilder::delete`](crate::RegistryBuilder::delete)).
    #[error("deletes are switched off")]
    DeletesOff,
    /// The caller's body failed before its end.
    #[error("the body ended early: {}", error_text(&**.0))]
    Body(BoxError),
    /// Stored content is not what it should be.
    #[error("stored content is damaged: {0}")]
    Damaged(String),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] plugin_registry_core::Error),
}

/// An error code of the distribution specification ("Error Codes"), or one that distribution has added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The blob is unknown to the repository.
    BlobUnknown,
    /// The upload cannot be continued.
    BlobUploadInvalid,
    /// The upload session is unknown.
    BlobUploadUnknown,
    /// The digest does not match or cannot be used.
    DigestInvalid,
    /// The manifest names a blob that is unknown.
    ManifestBlobUnknown,
    /// The manifest is not valid.
    ManifestInvalid,
    /// The manifest is unknown.
    ManifestUnknown,
    /// The repository name is not valid.
    NameInvalid,
    /// The repository is unknown.
    NameUnknown,
    /// The size does not match.
    SizeInvalid,
    /// The tag is not valid.
    TagInvalid,
    /// The range is not valid.
    RangeInvalid,
    /// The page size is not valid.
    PaginationNumberInvalid,
    /// Access is denied by the store.
    Denied,
    /// The operation is not supported here.
    Unsupported,
    /// The store asks for a slower pace.
    TooManyRequests,
    /// The store cannot be reached.
    Unavailable,
    /// Everything else.
    Unknown,
}

impl ErrorCode {
    /// Returns the identifier in an error body.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::TagInvalid => "TAG_INVALID",
            Self::RangeInvalid => "RANGE_INVALID",
            Self::PaginationNumberInvalid => "PAGINATION_NUMBER_INVALID",
            Self::Denied => "DENIED",
            Self::Unsupported => "UNSUPPORTED",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// By hand, since `#[from]` would make the error its `source` too, and the text includes it already.
impl From<ManifestError> for RegistryError {
    fn from(error: ManifestError) -> Self {
        Self::ManifestInvalid(error)
    }
}

impl From<UploadIdError> for RegistryError {
    fn from(_: UploadIdError) -> Self {
        Self::UploadUnknown
    }
}

impl RegistryError {
    /// Whether stored bytes are not what they should be, as their digest or the store itself says.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            Self::Storage(error) => error.kind() == ErrorKind::Corrupted,
            _ => false,
        }
    }

    /// Returns the status and code that the specification has for this cause.
    #[must_use]
    pub fn code(&self) -> (StatusCode, ErrorCode) {
        use plugin_registry_core::ErrorKind as Kind;
        match self {
            Self::Name(NameError::Tag) => (StatusCode::BAD_REQUEST, ErrorCode::TagInvalid),
            Self::Name(NameError::Digest(_)) => (StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid),
            Self::Name(_) => (StatusCode::BAD_REQUEST, ErrorCode::NameInvalid),
            Self::RepositoryUnknown(_) => (StatusCode::NOT_FOUND, ErrorCode::NameUnknown),
            Self::BlobUnknown { .. } => (StatusCode::NOT_FOUND, ErrorCode::BlobUnknown),
            Self::ManifestUnknown { .. } => (StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown),
            Self::ManifestInvalid(_) => (StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid),
            Self::ManifestTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::ManifestInvalid),
            Self::ReferencesUnknown(_) => (StatusCode::BAD_REQUEST, ErrorCode::ManifestBlobUnknown),
            Self::Mismatch(VerifyError::Digest { .. }) => (StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid),
            Self::Mismatch(_) | Self::BodyLength => (StatusCode::BAD_REQUEST, ErrorCode::SizeInvalid),
            Self::UploadUnknown => (StatusCode::NOT_FOUND, ErrorCode::BlobUploadUnknown),
            Self::UploadOffset { .. } | Self::RangeNotSatisfiable => {
                (StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::RangeInvalid)
            }
            // Most clients repeat a request after this status. With the code TOOMANYREQUESTS, Docker would not
            // (ADR 0027).
            Self::UploadBusy => (StatusCode::TOO_MANY_REQUESTS, ErrorCode::Unavailable),
            Self::ReadOnly | Self::DeletesOff => (StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported),
            Self::Body(_) => (StatusCode::BAD_REQUEST, ErrorCode::BlobUploadInvalid),
            Self::Damaged(_) => (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Unknown),
            Self::Storage(error) => match error.kind() {
                Kind::PermissionDenied | Kind::Unauthenticated => (StatusCode::FORBIDDEN, ErrorCode::Denied),
                Kind::ReadOnly | Kind::Unsupported => {
                    (StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported)
                }
                Kind::NoSpace => (StatusCode::INSUFFICIENT_STORAGE, ErrorCode::Unavailable),
                Kind::RateLimited => (StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests),
                Kind::Timeout | Kind::Unavailable | Kind::Conflict => {
                    (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable)
                }
                _ => (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Unknown),
            },
        }
    }

    /// Reports damage that nothing else has reported, and returns the error for it.
    pub(crate) fn damaged(problem: String) -> Self {
        tracing::error!(problem, "stored content is damaged");
        Self::Damaged(problem)
    }

    /// Whether content has more bytes than the limit that was asked for.
    pub(crate) fn is_too_large(&self) -> bool {
        matches!(self, Self::Storage(error) if error.kind() == plugin_registry_core::ErrorKind::TooLarge)
    }

    /// Returns whether the cause is that something does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.code().0 == StatusCode::NOT_FOUND
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::integrity::Flaw;
    use plugin_registry_core::{Error, ErrorKind};

    /// Whoever logs the text knows why, and whoever walks the chain reads nothing twice.
    #[test]
    fn the_text_has_every_cause_once() {
        let why = || std::io::Error::other("the wire is cut");
        let digest = "sha256:x".parse::<Digest>().unwrap_err();
        let wrong = || ManifestError::Digest { digest: "sha256:x".to_owned(), error: digest };
        let rows: Vec<(RegistryError, String)> = vec![
            (RegistryError::Body(why().into()), "the body ended early: the wire is cut".to_owned()),
            (
                Error::new(ErrorKind::Other).with_driver("lab").with_source(why()).into(),
                "lab driver: failed: the wire is cut".to_owned(),
            ),
            (NameError::Digest(digest).into(), digest.to_string()),
            (
                wrong().into(),
                format!("the manifest is not valid: descriptor with digest `sha256:x`: {digest}"),
            ),
            (
                ManifestError::from(Flaw::UnreadValue).into(),
                format!("the manifest is not valid: {}", Flaw::UnreadValue),
            ),
        ];
        for (error, text) in rows {
            assert_eq!(error.to_string(), text);
            assert!(std::error::Error::source(&error).is_none(), "{text}");
        }
    }

    /// One row per cause: status and code.
    #[test]
    fn causes_map_to_the_codes_of_the_specification() {
        let repository: RepositoryName = "a".parse().unwrap();
        let digest = Digest::sha256(b"");
        let storage = |kind| RegistryError::Storage(Error::new(kind));
        let rows: Vec<(RegistryError, u16, &str)> = vec![
            (NameError::Repository.into(), 400, "NAME_INVALID"),
            (NameError::RepositoryTooLong.into(), 400, "NAME_INVALID"),
            (NameError::Tag.into(), 400, "TAG_INVALID"),
            ("x:y".parse::<Reference>().unwrap_err().into(), 400, "DIGEST_INVALID"),
            (RegistryError::RepositoryUnknown(repository.clone()), 404, "NAME_UNKNOWN"),
            (RegistryError::BlobUnknown { repository: repository.clone(), digest }, 404, "BLOB_UNKNOWN"),
            (
                RegistryError::ManifestUnknown { repository, reference: digest.into() },
                404,
                "MANIFEST_UNKNOWN",
            ),
            (ManifestError::Shape("x").into(), 400, "MANIFEST_INVALID"),
            (RegistryError::ManifestTooLarge { limit: 4 << 20 }, 413, "MANIFEST_INVALID"),
            (RegistryError::ReferencesUnknown(vec![digest]), 400, "MANIFEST_BLOB_UNKNOWN"),
            (VerifyError::Digest { expected: digest, actual: digest }.into(), 400, "DIGEST_INVALID"),
            (VerifyError::Size { expected: 1, actual: 2 }.into(), 400, "SIZE_INVALID"),
            (RegistryError::UploadUnknown, 404, "BLOB_UPLOAD_UNKNOWN"),
            (RegistryError::UploadOffset { expected: 1, actual: 0 }, 416, "RANGE_INVALID"),
            (RegistryError::UploadBusy, 429, "UNAVAILABLE"),
            (RegistryError::BodyLength, 400, "SIZE_INVALID"),
            (RegistryError::RangeNotSatisfiable, 416, "RANGE_INVALID"),
            (RegistryError::ReadOnly, 405, "UNSUPPORTED"),
            (RegistryError::DeletesOff, 405, "UNSUPPORTED"),
            (RegistryError::Body("x".into()), 400, "BLOB_UPLOAD_INVALID"),
            (RegistryError::Damaged(String::new()), 500, "UNKNOWN"),
            (storage(ErrorKind::PermissionDenied), 403, "DENIED"),
            (storage(ErrorKind::Unauthenticated), 403, "DENIED"),
            (storage(ErrorKind::ReadOnly), 405, "UNSUPPORTED"),
            (storage(ErrorKind::NoSpace), 507, "UNAVAILABLE"),
            (storage(ErrorKind::RateLimited), 429, "TOOMANYREQUESTS"),
            (storage(ErrorKind::Timeout), 503, "UNAVAILABLE"),
            (storage(ErrorKind::Unavailable), 503, "UNAVAILABLE"),
            (storage(ErrorKind::NotFound), 500, "UNKNOWN"),
        ];
        for (error, status, code) in rows {
            let (actual_status, actual_code) = error.code();
            assert_eq!((actual_status.as_u16(), actual_code.as_str()), (status, code), "{error}");
        }
    }
}
