//! The bytes of a blob on their way.

use std::fmt;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use plugin_registry_core::{Digest, Verifier, VerifyError};

use crate::error::{CopyError, Result};

/// The bytes of a blob on their way.
///
/// A destination that stores them calls [`into_verified`](Self::into_verified) or verifies them itself, so they
/// are hashed once.
pub struct BlobContent<'a> {
    place: String,
    digest: Digest,
    size: Option<u64>,
    stream: BoxStream<'a, Result<Bytes>>,
    is_verified: bool,
}

impl<'a> BlobContent<'a> {
    /// Creates content that is not verified yet.
    #[must_use]
    pub fn unverified(
        place: String,
        digest: Digest,
        size: Option<u64>,
        stream: BoxStream<'a, Result<Bytes>>,
    ) -> Self {
        Self { place, digest, size, stream, is_verified: false }
    }

    /// Creates content from a stream that ends in an error, before its last piece, unless it hashes to its
    /// digest.
    #[must_use]
    pub fn verified(
        place: String,
        digest: Digest,
        size: Option<u64>,
        stream: BoxStream<'a, Result<Bytes>>,
    ) -> Self {
        Self { place, digest, size, stream, is_verified: true }
    }

    /// Returns the source, for messages.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.place
    }

    /// Returns the size in bytes, if it is known.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Calls `observer` with the length of each piece.
    #[must_use]
    pub fn inspect(mut self, mut observer: impl FnMut(u64) + Send + 'a) -> Self {
        self.stream = self.stream.inspect_ok(move |piece| observer(piece.len() as u64)).boxed();
        self
    }

    /// Returns the bytes for a destination that verifies them itself.
    #[must_use]
    pub fn into_unverified(self) -> BoxStream<'a, Result<Bytes>> {
        self.stream
    }

    /// Returns the bytes for a destination that does not verify them itself.
    ///
    /// They end in an error, before their last piece, unless they have the size and hash to the digest. Holds
    /// one piece.
    #[must_use]
    pub fn into_verified(self) -> BoxStream<'a, Result<Bytes>> {
        if self.is_verified {
            return self.stream;
        }
        let Self { place, digest, size, stream, .. } = self;
        let state = Verification { place, digest, stream, held: None, verifier: Verifier::new(digest, size) };
        futures::stream::try_unfold(Some(state), |state| async move {
            let Some(mut state) = state else { return Ok(None) };
            loop {
                if let Some(piece) = state.stream.try_next().await? {
                    state.verifier.update(&piece).map_err(|error| state.damaged(&error))?;
                    if let Some(previous) = state.held.replace(piece) {
                        return Ok(Some((previous, Some(state))));
                    }
                } else {
                    let verdict = state.verifier.clone().finish();
                    verdict.map_err(|error| state.damaged(&error))?;
                    return Ok(state.held.take().map(|last| (last, None)));
                }
            }
        })
        .boxed()
    }
}

struct Verification<'a> {
    place: String,
    digest: Digest,
    stream: BoxStream<'a, Result<Bytes>>,
    held: Option<Bytes>,
    verifier: Verifier,
}

impl Verification<'_> {
    fn damaged(&self, error: &VerifyError) -> CopyError {
        damaged_blob(&self.place, &self.digest, error)
    }
}

/// Returns the error for a blob whose content is not what it should be.
pub(crate) fn damaged_blob(place: &str, digest: &Digest, error: &VerifyError) -> CopyError {
    let what = format!("blob {digest}");
    CopyError::Damaged { place: place.to_owned(), what, problem: error.to_string() }
}

/// Returns the error for a damaged blob of a destination that could not be replaced. Even content that may be
/// missing is an error then.
pub(crate) fn unmended(place: &str, digest: &Digest, error: CopyError) -> CopyError {
    match error {
        CopyError::NotFound { place: source, what } => {
            let problem =
                format!("the stored bytes do not hash to it, and {source} has no {what} to replace them");
            CopyError::Damaged { place: place.to_owned(), what: format!("blob {digest}"), problem }
        }
        error => error,
    }
}

impl fmt::Debug for BlobContent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobContent")
            .field("place", &self.place)
            .field("digest", &self.digest)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(digest: Digest, size: Option<u64>, pieces: &[&'static str]) -> BlobContent<'static> {
        let pieces: Vec<Result<Bytes>> = pieces.iter().map(|piece| Ok(Bytes::from(*piece))).collect();
        BlobContent::unverified("here".to_owned(), digest, size, futures::stream::iter(pieces).boxed())
    }

    #[tokio::test]
    async fn good_content_passes_whole() {
        let verified = content(Digest::sha256(b"abc"), Some(3), &["a", "", "bc"]).into_verified();
        let pieces: Vec<Bytes> = verified.try_collect().await.unwrap();
        assert_eq!(pieces.concat(), b"abc");
        let empty = content(Digest::sha256(b""), Some(0), &[]).into_verified();
        assert_eq!(empty.try_collect::<Vec<_>>().await.unwrap(), Vec::<Bytes>::new());
    }

    #[tokio::test]
    async fn bad_content_never_shows_its_last_piece() {
        let digest = Digest::sha256(b"abc");
        for (size, pieces) in
            [(Some(3), ["a", "bd"]), (None, ["a", "bd"]), (Some(4), ["a", "bc"]), (Some(2), ["a", "bc"])]
        {
            let mut verified = content(digest, size, &pieces).into_verified();
            let mut seen = Vec::new();
            let error = loop {
                match verified.try_next().await {
                    Ok(Some(piece)) => seen.push(piece),
                    Ok(None) => panic!("ended cleanly"),
                    Err(error) => break error,
                }
            };
            assert!(error.is_damaged(), "{error}");
            assert!(seen.len() < 2);
        }
    }
}
