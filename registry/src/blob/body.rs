//! Content on its way out of the store.

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use plugin_registry_core::{Digest, Reader, Verifier};

use crate::error::{RegistryError, Result};

struct Verification {
    stream: BoxStream<'static, plugin_registry_core::Result<Bytes>>,
    verifier: Option<Verifier>,
    digest: Digest,
    held: Option<Bytes>,
}

/// The bytes of `reader`; with a digest, hashed on the way. The last piece is held back until the digest
/// agrees, so that a client which counts bytes cannot take damaged content for the whole.
pub(crate) fn verified(reader: Reader, digest: Option<Digest>) -> BoxStream<'static, Result<Bytes>> {
    let size = reader.content_length();
    let Some(digest) = digest else { return reader.into_stream().map_err(RegistryError::from).boxed() };
    let state = Verification {
        stream: reader.into_stream(),
        verifier: Some(Verifier::new(digest, Some(size))),
        digest,
        held: None,
    };
    futures::stream::try_unfold(state, |mut state| async move {
        loop {
            let next = state.stream.try_next().await?;
            let Some(verifier) = &mut state.verifier else { return Ok(None) };
            if let Some(piece) = next {
                verifier.update(&piece).map_err(|error| damaged(&state.digest, &error))?;
                if let Some(previous) = state.held.replace(piece) {
                    return Ok(Some((previous, state)));
                }
            } else {
                if let Some(verifier) = state.verifier.take() {
                    verifier.finish().map_err(|error| damaged(&state.digest, &error))?;
                }
                return Ok(state.held.take().map(|last| (last, state)));
            }
        }
    })
    .boxed()
}

fn damaged(digest: &Digest, error: &plugin_registry_core::VerifyError) -> RegistryError {
    tracing::error!(%digest, %error, "stored blob is damaged");
    RegistryError::Damaged(format!("blob {digest}: {error}"))
}

/// All pieces as one.
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
