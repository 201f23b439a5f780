//! The private parsers, as functions from text or bytes to comparable values. They are not part of the API
//! and may change with every commit. The fuzz targets of the test kit come in here.

use std::ops::Range;

use bytes::Bytes;
use plugin_registry_core::{
    Algorithm, Digest, HashState, RepositoryName, Secret, StorageDriver, StoragePath, VerifyError,
};

use crate::{
    error::Result,
    hashing::{Hashers, StreamHasher},
    http::{range, route::Route},
    link::LinkStore,
    upload::{UploadId, UploadState, token::StateKey},
};

/// Endpoint, name and argument of a request's path.
#[must_use]
pub fn route(path: &str) -> Option<(String, String, String)> {
    let Route { endpoint, name, argument } = Route::parse(path)?;
    Some((format!("{endpoint:?}"), name, argument))
}

/// The ranges that a `Range` header requests from content of `size` bytes.
///
/// # Errors
/// Fails if no range overlaps the content.
pub fn ranges(header: &str, size: u64) -> Result<Option<Vec<Range<u64>>>> {
    range::requested(Some(header), size)
}

/// Start and length of a chunk's `Content-Range`.
///
/// # Errors
/// Fails if the header does not parse.
pub fn content_range(header: &str) -> Result<(u64, u64)> {
    range::chunk(header)
}

/// The state token of an upload, as a location has it.
#[must_use]
pub fn seal(
    key: Option<&str>,
    repository: &RepositoryName,
    id: UploadId,
    offset: u64,
    algorithm: Algorithm,
) -> String {
    UploadState::new(id, offset, algorithm).encode(&state_key(key), repository)
}

/// Offset and algorithm in a token, if it is genuine.
#[must_use]
pub fn unseal(
    token: &str,
    key: Option<&str>,
    repository: &RepositoryName,
    id: UploadId,
) -> Option<(u64, Algorithm)> {
    let state = UploadState::decode(token, &state_key(key), repository, id)?;
    Some((state.offset(), state.algorithm()))
}

fn state_key(key: Option<&str>) -> StateKey {
    StateKey::new(key.map(Secret::new).as_ref(), None)
}

/// The digest in a link file.
///
/// # Errors
/// Those of the store.
pub async fn read_link(driver: &dyn StorageDriver, path: &StoragePath) -> Result<Option<Digest>> {
    LinkStore::new(driver).read(path).await
}

/// Where a link file for `digest` leads.
///
/// # Errors
/// Those of the store.
pub async fn follow_link(
    driver: &dyn StorageDriver,
    path: &StoragePath,
    digest: &Digest,
) -> Result<Option<Digest>> {
    LinkStore::new(driver).follow(path, digest).await
}

/// The result of a stored hash state, the bytes after it, and the digest in the last request. `None` if the
/// state is not used.
///
/// # Errors
/// Those of the runtime.
pub async fn finish_from(
    state: &[u8],
    rest: Bytes,
    expected: &Digest,
) -> Result<Option<Result<Digest, VerifyError>>> {
    let Some(hashers) = HashState::from_bytes(state).ok().and_then(|state| Hashers::resume(&state)) else {
        return Ok(None);
    };
    let mut hasher = StreamHasher::new(hashers);
    hasher.take(&rest).await?;
    Ok(Some(hasher.finish().await?.verify(expected)))
}
