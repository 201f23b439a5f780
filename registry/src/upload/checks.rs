//! Checks what a request says of its body and offset against the facts.

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use plugin_registry_core::{ErrorKind, VerifyError};

use crate::error::{BoxError, RegistryError, Result};

pub(super) fn check_offset(at: Option<u64>, offset: u64) -> Result<()> {
    match at.filter(|at| *at != offset) {
        Some(expected) => Err(RegistryError::UploadOffset { expected, actual: offset }),
        None => Ok(()),
    }
}

pub(super) fn check_length(announced: Option<u64>, counted: u64) -> Result<()> {
    match announced.filter(|announced| *announced != counted) {
        Some(_) => Err(RegistryError::BodyLength),
        None => Ok(()),
    }
}

/// A body that is longer or shorter than announced is the request's fault, not the content's.
pub(super) fn map_wrong_length(error: RegistryError) -> RegistryError {
    match error {
        RegistryError::Mismatch(VerifyError::Size { .. }) => RegistryError::BodyLength,
        other => other,
    }
}

/// Returns the first piece that has bytes.
pub(super) async fn first_piece<S, E>(content: &mut S) -> Result<Option<Bytes>>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<BoxError>,
{
    while let Some(piece) = content.try_next().await.map_err(|error| RegistryError::Body(error.into()))? {
        if !piece.is_empty() {
            return Ok(Some(piece));
        }
    }
    Ok(None)
}

/// Another instance has just finished, cancelled or purged the session. The request came too late, and the
/// store is not to blame.
pub(super) fn map_session_gone(error: RegistryError) -> RegistryError {
    match &error {
        RegistryError::Storage(storage) => match storage.kind() {
            ErrorKind::NotFound => RegistryError::UploadUnknown,
            ErrorKind::Conflict => RegistryError::UploadBusy,
            _ => error,
        },
        _ => error,
    }
}
