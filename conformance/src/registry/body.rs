//! Request bodies: whole ones, and ones that go wrong.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use plugin_registry::blob::BoxError;

/// The body of a request, of any kind.
pub type RequestBody = UnsyncBoxBody<Bytes, BoxError>;

/// No bytes.
#[must_use]
pub fn none() -> RequestBody {
    whole(Bytes::new())
}

/// All bytes in one piece.
pub fn whole(content: impl Into<Bytes>) -> RequestBody {
    Full::new(content.into()).map_err(|never| match never {}).boxed_unsync()
}

/// The bytes in pieces of `size`.
#[must_use]
pub fn pieces(content: &Bytes, size: usize) -> RequestBody {
    let frames = cut(content, size).into_iter().map(|piece| Ok(Frame::data(piece)));
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}

/// The bytes in pieces, with empty frames around each, and trailers at the end.
#[must_use]
pub fn untidy(content: &Bytes, size: usize) -> RequestBody {
    let empty = || Ok(Frame::data(Bytes::new()));
    let around = |piece| [empty(), empty(), Ok(Frame::data(piece)), empty()];
    let frames: Vec<_> = cut(content, size).into_iter().flat_map(around).collect();
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-checksum", http::HeaderValue::from_static("none"));
    let frames = [empty()].into_iter().chain(frames).chain([Ok(Frame::trailers(trailers))]);
    StreamBody::new(stream::iter(frames.collect::<Vec<_>>())).boxed_unsync()
}

/// The bytes in pieces, then the error of a broken connection.
#[must_use]
pub fn broken(content: &Bytes, size: usize) -> RequestBody {
    let frames = cut(content, size).into_iter().map(|piece| Ok(Frame::data(piece)));
    let error = BoxError::from("the client is gone");
    StreamBody::new(stream::iter(frames).chain(stream::once(async { Err(error) }))).boxed_unsync()
}

/// Zeros without end, in pieces of 64 KiB, and a count of how many were taken so far.
#[must_use]
pub fn endless() -> (RequestBody, Arc<AtomicUsize>) {
    let taken = Arc::<AtomicUsize>::default();
    let count = taken.clone();
    let piece = Bytes::from(vec![0; 64 << 10]);
    let frames = stream::repeat_with(move || {
        count.fetch_add(piece.len(), Ordering::AcqRel);
        Ok(Frame::data(piece.clone()))
    });
    (StreamBody::new(frames).boxed_unsync(), taken)
}

/// The bytes in pieces, then nothing forever, and a way to see whether all of them were taken.
#[must_use]
pub fn stalled(content: &Bytes, size: usize) -> (RequestBody, Stalled) {
    let stalled = Stalled(Arc::default());
    let flag = stalled.0.clone();
    let frames = cut(content, size).into_iter().map(|piece| Ok(Frame::data(piece)));
    let end = stream::poll_fn(move |_| {
        flag.store(true, Ordering::Release);
        Poll::Pending
    });
    (StreamBody::new(stream::iter(frames).chain(end)).boxed_unsync(), stalled)
}

/// Whether a stalled body has given all its bytes and was asked for more.
#[derive(Clone, Debug)]
pub struct Stalled(Arc<AtomicBool>);

impl Stalled {
    /// Drives a request until it has taken all bytes of the body. Returns its output if it ends before.
    pub async fn drive<F: Future + Unpin>(&self, mut request: F) -> Option<F::Output> {
        poll_fn(|cx| match request.poll_unpin(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.0.load(Ordering::Acquire) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}

fn cut(content: &Bytes, size: usize) -> Vec<Bytes> {
    let size = size.max(1);
    (0..content.len()).step_by(size).map(|at| content.slice(at..content.len().min(at + size))).collect()
}
