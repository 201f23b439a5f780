//! Content on its way out of the store.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use plugin_registry_core::{Digest, Reader};

use crate::{
    error::{RegistryError, Result},
    hashing::{Hashers, StreamHasher},
    shared::Shared,
};

/// The expected size and digest of a whole blob.
pub(crate) struct Expected {
    /// The digest that was asked for.
    pub(crate) digest: Digest,
    /// Its size in the store.
    pub(crate) size: u64,
}

struct Verification {
    stream: BoxStream<'static, plugin_registry_core::Result<Bytes>>,
    hasher: StreamHasher,
    expected: Expected,
    held: Option<Bytes>,
}

/// Streams the bytes of `reader`.
///
/// If a digest is expected, the bytes are hashed on the way, beside the reading and the sending. The last piece
/// is held back until the digest agrees, so that a client which counts bytes cannot take damaged content for
/// the whole.
pub(crate) fn verified(
    reader: Reader,
    expected: Option<Expected>,
    shared: &Arc<Shared>,
) -> BoxStream<'static, Result<Bytes>> {
    let Some(expected) = expected else {
        return reader.into_stream().map_err(RegistryError::from).boxed();
    };
    let known = shared.clone();
    let hasher = StreamHasher::new(Hashers::new(expected.digest.algorithm()));
    let state = Verification { stream: reader.into_stream(), hasher, expected, held: None };
    let stream = stream::try_unfold(Some(state), move |state| {
        let known = known.clone();
        async move {
            let Some(mut state) = state else { return Ok(None) };
            while let Some(piece) = state.stream.try_next().await? {
                state.hasher.take(&piece).await?;
                if let Some(previous) = state.held.replace(piece) {
                    return Ok(Some((previous, Some(state))));
                }
            }
            let hashers = state.hasher.finish().await?;
            let Expected { digest, size } = &state.expected;
            let canonical = hashers.verify(digest).map_err(|error| damaged(digest, &error))?;
            known.cache.insert_size(&canonical, *size);
            Ok(state.held.map(|last| (last, None)))
        }
    });
    stream.boxed()
}

fn damaged(digest: &Digest, error: &plugin_registry_core::VerifyError) -> RegistryError {
    tracing::error!(%digest, %error, "stored blob is damaged");
    RegistryError::Damaged(format!("blob {digest}: {error}"))
}

/// Collects all pieces into one.
pub(super) async fn collect(mut stream: BoxStream<'static, Result<Bytes>>) -> Result<Bytes> {
    let Some(first) = stream.try_next().await? else { return Ok(Bytes::new()) };
    let Some(second) = stream.try_next().await? else { return Ok(first) };
    let mut all = BytesMut::from(first);
    all.extend_from_slice(&second);
    while let Some(piece) = stream.try_next().await? {
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}
