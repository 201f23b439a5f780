//! The span of a driver call.

use futures::{Stream, StreamExt, stream, stream::BoxStream};
use tracing::Span;

use crate::{metrics::Operation, path::StoragePath};

/// Makes the span of a call. It is the one place that names its fields.
pub(super) fn storage(driver: &'static str, operation: Operation, path: &StoragePath) -> Span {
    tracing::debug_span!("storage", driver, %operation, %path)
}

/// Polls a stream in a span, as `Instrument` polls a future.
pub(super) fn within<'a, S>(span: Span, mut stream: S) -> BoxStream<'a, S::Item>
where
    S: Stream + Send + Unpin + 'a,
{
    stream::poll_fn(move |context| span.in_scope(|| stream.poll_next_unpin(context))).boxed()
}
