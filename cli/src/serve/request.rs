//! The body of a request, and what the registry leaves of it.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use plugin_registry::blob::BoxError;
use tokio::time::timeout;

use super::patience::Clock;

/// How much of an unwanted body is read so that the connection can be used again.
const DRAIN_BYTES: usize = 1 << 20;
/// How long that may take.
const DRAIN_TIME: Duration = Duration::from_millis(500);

/// A request's body as the registry reads it. When it is dropped before its end, the rest is left to
/// [`Leftover`].
pub(super) struct RequestBody {
    incoming: Option<Incoming>,
    clock: Clock,
    leftover: Arc<Mutex<Rest>>,
    was_read: bool,
    failure: Option<Ending>,
}

/// The rest of a body that the registry did not read.
pub(super) struct Leftover {
    rest: Arc<Mutex<Rest>>,
    waits_for_continue: bool,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It was read to its end, by the registry or to drop it: the connection can be used again.
    Whole,
    /// There is more of it.
    Unread,
    /// It broke off, or its framing is wrong.
    Broken,
    /// It stood still for longer than it may.
    StoodStill,
}

#[derive(Default)]
struct Rest {
    incoming: Option<Incoming>,
    was_read: bool,
    failure: Option<Ending>,
}

impl Leftover {
    /// Wraps the body of a request and keeps a hand on it.
    pub(super) fn share(request: Request<Incoming>, clock: Clock) -> (Request<RequestBody>, Self) {
        let rest = Arc::new(Mutex::new(Rest::default()));
        let waits_for_continue = request.headers().contains_key(header::EXPECT);
        let leftover = Self { rest: rest.clone(), waits_for_continue };
        let request = request.map(|incoming| RequestBody {
            incoming: Some(incoming),
            clock,
            leftover: rest,
            was_read: false,
            failure: None,
        });
        (request, leftover)
    }

    /// Reads and drops a bounded rest of the body. A client that waits for `100 Continue` is not asked for an
    /// unwanted body.
    pub(super) async fn drain(self) -> Ending {
        let rest = std::mem::take(&mut *self.rest.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(failure) = rest.failure {
            return failure;
        }
        let Some(mut incoming) = rest.incoming.filter(|incoming| !incoming.is_end_stream()) else {
            return Ending::Whole;
        };
        let is_awaited = self.waits_for_continue && !rest.was_read;
        if is_awaited || incoming.size_hint().lower() > DRAIN_BYTES as u64 {
            return Ending::Unread;
        }
        let drained = async {
            let mut left = DRAIN_BYTES;
            while let Some(frame) = incoming.frame().await {
                let Ok(frame) = frame else { return Ending::Broken };
                let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else {
                    return Ending::Unread;
                };
                left = rest;
            }
            Ending::Whole
        };
        timeout(DRAIN_TIME, drained).await.unwrap_or(Ending::Unread)
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        this.was_read = true;
        match Pin::new(incoming).poll_frame(cx) {
            Poll::Ready(frame) => {
                this.clock.stop();
                if matches!(frame, Some(Err(_))) {
                    this.failure = Some(Ending::Broken);
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                let waited = ready!(this.clock.poll(cx));
                this.failure = Some(Ending::StoodStill);
                Poll::Ready(Some(Err(format!("the body stalled for {} s", waited.as_secs()).into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(SizeHint::default, Incoming::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let rest =
            Rest { incoming: self.incoming.take(), was_read: self.was_read, failure: self.failure.take() };
        *self.leftover.lock().unwrap_or_else(PoisonError::into_inner) = rest;
    }
}
