//! The bodies of responses.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::stream::BoxStream;
use http_body::{Frame, SizeHint};

use crate::{error::RegistryError, operation::Operation, shared::Shared};

/// The body of a response. Its length is always known; a stream that cannot deliver it ends with an error.
pub struct Body(Kind);

enum Kind {
    Full(Option<Bytes>),
    Stream { stream: BoxStream<'static, Result<Bytes, RegistryError>>, remaining: u64 },
}

impl Body {
    /// Returns a body without bytes.
    #[must_use]
    pub fn empty() -> Self {
        Self(Kind::Full(None))
    }

    /// Returns all of it if it is in memory. `None` if it is empty, or read from the store as it is sent.
    #[must_use]
    pub fn in_memory(&self) -> Option<&Bytes> {
        match &self.0 {
            Kind::Full(bytes) => bytes.as_ref(),
            Kind::Stream { .. } => None,
        }
    }

    pub(super) fn full(bytes: Bytes) -> Self {
        Self(Kind::Full(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }

    pub(super) fn stream(stream: BoxStream<'static, Result<Bytes, RegistryError>>, length: u64) -> Self {
        Self(Kind::Stream { stream, remaining: length })
    }

    /// Ends an operation with this body: at once, or with the last piece that is read from the store.
    pub(super) fn ending(self, mut operation: Operation, shared: &Arc<Shared>) -> Self {
        match self.0 {
            Kind::Stream { stream, remaining } => {
                Self::stream(operation.stream(shared.clone(), remaining, stream), remaining)
            }
            full @ Kind::Full(_) => {
                operation.end(|_| ());
                Self(full)
            }
        }
    }
}

/// For answers that a host gives before the registry is asked.
impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::full(bytes)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = RegistryError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RegistryError>>> {
        match &mut self.0 {
            Kind::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Stream { stream, remaining } => stream.as_mut().poll_next(cx).map(|piece| {
                let piece = piece?;
                if let Ok(piece) = &piece {
                    *remaining = remaining.saturating_sub(piece.len() as u64);
                }
                Some(piece.map(Frame::data))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        // A stream has ended only when it returns `None`: its last item may report that the content is
        // damaged.
        matches!(self.0, Kind::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.0 {
            Kind::Full(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Kind::Stream { remaining, .. } => *remaining,
        })
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", http_body::Body::size_hint(self).lower())
    }
}
