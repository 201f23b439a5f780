//! Errors as the specification writes them.

use std::borrow::Cow;

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::{ApiResponse, Body, set};
use crate::{
    error::{ErrorCode, RegistryError},
    operation::Failure,
};

/// The result of a handler.
pub(super) type Result<T, E = RequestError> = std::result::Result<T, E>;

/// Why a request is refused: for its form, or by the registry.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error(transparent)]
    Registry(RegistryError),
    #[error("this endpoint has no such method")]
    Method,
    #[error("there are several Content-Lengths")]
    ContentLengths,
    #[error("the Content-Length is not a number")]
    ContentLength,
    #[error("the Content-Range and the Content-Length disagree")]
    ContentRange,
    #[error("a chunk has the Content-Type application/octet-stream")]
    ContentType,
    #[error("the page size is not a number")]
    PageSize,
    /// It was not made by a registry with this key, or for another session.
    #[error("the upload state in the location is not valid")]
    UploadState,
}

impl RequestError {
    fn code(&self) -> (StatusCode, ErrorCode) {
        match self {
            Self::Registry(error) => error.code(),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported),
            Self::ContentLengths | Self::ContentLength | Self::ContentRange => {
                (StatusCode::BAD_REQUEST, ErrorCode::SizeInvalid)
            }
            Self::ContentType => (StatusCode::BAD_REQUEST, ErrorCode::Unsupported),
            Self::PageSize => (StatusCode::BAD_REQUEST, ErrorCode::PaginationNumberInvalid),
            Self::UploadState => (StatusCode::NOT_FOUND, ErrorCode::BlobUploadInvalid),
        }
    }
}

impl Failure for RequestError {
    fn is_fault(&self) -> bool {
        matches!(self, Self::Registry(error) if error.is_fault())
    }
}

impl<E: Into<RegistryError>> From<E> for RequestError {
    fn from(error: E) -> Self {
        Self::Registry(error.into())
    }
}

/// The most missing references that one answer names.
const MAX_NAMED: usize = 100;

/// The most bytes of a message: it may quote texts of a request that are as long as a manifest.
const MAX_MESSAGE: usize = 1024;

/// Answers with an error. A 405 lists the `allowed` methods. The list may be empty.
pub(super) fn error_response(error: &RequestError, allowed: &str) -> ApiResponse {
    let (status, code) = error.code();
    // A failure of the store was reported by the operation that met it.
    tracing::debug!(%error, %status, "request refused");
    let entries: Vec<Value> = match error {
        RequestError::Registry(RegistryError::ReferencesUnknown(digests)) => {
            let named = digests.iter().take(MAX_NAMED);
            named
                .map(|digest| entry(code, "the repository lacks this content", Some(digest.to_string())))
                .collect()
        }
        // Details of a store's failure are for the log; the client learns the kind.
        RequestError::Registry(RegistryError::Storage(error)) => {
            vec![entry(code, &format!("the store failed: {}", error.kind()), None)]
        }
        // So are those of its own body, which the host's layers around the service may have made.
        RequestError::Registry(RegistryError::Body(_)) => vec![entry(code, "the body ended early", None)],
        error => vec![entry(code, &error.to_string(), None)],
    };
    let mut response = respond(status, &entries);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        set(&mut response, header::ALLOW, allowed);
    }
    response
}

pub(super) fn no_such_endpoint() -> ApiResponse {
    respond(StatusCode::NOT_FOUND, &[entry(ErrorCode::Unsupported, "no such endpoint", None)])
}

fn entry(code: ErrorCode, message: &str, digest: Option<String>) -> Value {
    let message = shortened(message);
    match digest {
        Some(digest) => json!({"code": code.as_str(), "message": message, "detail": {"digest": digest}}),
        None => json!({"code": code.as_str(), "message": message}),
    }
}

fn shortened(message: &str) -> Cow<'_, str> {
    let most = MAX_MESSAGE.min(message.len());
    let end = (0..=most).rev().find(|end| message.is_char_boundary(*end));
    match message.get(..end.unwrap_or_default()) {
        Some(start) if start.len() < message.len() => Cow::Owned(format!("{start}…")),
        _ => Cow::Borrowed(message),
    }
}

fn respond(status: StatusCode, entries: &[Value]) -> ApiResponse {
    let text = format!("{}\n", json!({"errors": entries}));
    let mut response = Response::new(Body::full(text.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row per cause: status and code.
    #[test]
    fn the_form_of_requests_has_codes_of_the_specification() {
        for (error, status, code) in [
            (RequestError::Method, 405, "UNSUPPORTED"),
            (RequestError::ContentLengths, 400, "SIZE_INVALID"),
            (RequestError::ContentLength, 400, "SIZE_INVALID"),
            (RequestError::ContentRange, 400, "SIZE_INVALID"),
            (RequestError::ContentType, 400, "UNSUPPORTED"),
            (RequestError::PageSize, 400, "PAGINATION_NUMBER_INVALID"),
            (RequestError::UploadState, 404, "BLOB_UPLOAD_INVALID"),
            (RegistryError::UploadUnknown.into(), 404, "BLOB_UPLOAD_UNKNOWN"),
        ] {
            let (actual_status, actual_code) = error.code();
            assert_eq!((actual_status.as_u16(), actual_code.as_str()), (status, code), "{error}");
        }
    }

    #[test]
    fn messages_quote_no_more_than_a_beginning() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"a".repeat(1024)), "a".repeat(1024));
        assert_eq!(shortened(&"a".repeat(4 << 20)), format!("{}…", "a".repeat(1024)));
        assert_eq!(shortened(&"ä…".repeat(1024)).chars().filter(|c| *c == 'ä').count(), 205);
    }
}
