//! Bodies that know their progress.

use std::{
    error::Error as StdError,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::CaptureConnection;
use tokio::time::{Duration, Instant, Sleep, sleep_until};

use super::{
    limits::{ResponseTooLarge, Stalled},
    progress::Progress,
};

type BoxError = Box<dyn StdError + Send + Sync>;

/// The progress of a request.
#[derive(Debug)]
pub(super) struct Sent {
    connection: CaptureConnection,
    /// Bytes of the body, if known.
    length: Option<u64>,
    /// The connection has the whole body. Some of it may wait for the socket.
    is_taken: AtomicBool,
    /// How much the socket had taken for earlier requests when it came to this body.
    before: OnceLock<u64>,
}

impl Sent {
    pub(super) fn progress(&self) -> Option<Progress> {
        let mut extensions = http::Extensions::new();
        self.connection.connection_metadata().as_ref()?.get_extras(&mut extensions);
        extensions.remove()
    }

    /// Whether the socket has taken everything. Heads and TLS take some bytes too, so this may be true a few
    /// KiB early.
    pub(super) fn is_whole(&self) -> bool {
        let is_written = || {
            let (Some(length), Some(before)) = (self.length, self.before.get()) else { return true };
            self.progress().is_none_or(|progress| progress.sent().saturating_sub(*before) >= length)
        };
        self.is_taken.load(Ordering::Acquire) && is_written()
    }
}

/// The body of a request, which reports its progress.
#[derive(Debug)]
pub(super) struct RequestBody<B> {
    body: B,
    left: Option<u64>,
    sent: Option<Arc<Sent>>,
}

impl<B: Body> RequestBody<B> {
    pub(super) fn new(body: B) -> Self {
        let left = body.size_hint().exact();
        Self { body, left, sent: None }
    }

    /// Reports the progress from now on.
    pub(super) fn watched(&mut self, connection: CaptureConnection) -> Arc<Sent> {
        let is_taken = AtomicBool::new(self.left == Some(0) || self.body.is_end_stream());
        let sent = Arc::new(Sent { connection, length: self.left, is_taken, before: OnceLock::new() });
        self.sent = Some(sent.clone());
        sent
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for RequestBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(sent) = &self.sent {
            sent.before.get_or_init(|| sent.progress().map_or(0, |progress| progress.sent()));
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let size = frame.data_ref().map_or(0, |data| data.len() as u64);
            self.left = self.left.map(|left| left.saturating_sub(size));
        }
        // The end of a body of known length is not polled for.
        if self.left == Some(0) || matches!(polled, Poll::Ready(None)) {
            self.sent.iter().for_each(|sent| sent.is_taken.store(true, Ordering::Release));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        Body::size_hint(&self.body)
    }
}

/// The body of an answer. It fails if it stalls while a caller waits for it, or if it is too long.
#[derive(Debug)]
pub struct ResponseBody {
    pub(super) body: Incoming,
    pub(super) idle: Duration,
    pub(super) progress: Option<Progress>,
    pub(super) most: u64,
    pub(super) received: u64,
    /// Set while a caller waits: the caller's own pauses do not count.
    pub(super) timer: Option<Pin<Box<Sleep>>>,
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.timer = None;
            let size = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref().map(Bytes::len));
            this.received = this.received.saturating_add(size.unwrap_or_default() as u64);
            if this.received > this.most {
                return Poll::Ready(Some(Err(ResponseTooLarge(this.most).into())));
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + this.idle)));
        while timer.as_mut().poll(cx).is_ready() {
            let last = this.progress.as_ref().map(Progress::last);
            match last.map(|last| last + this.idle).filter(|end| *end > Instant::now()) {
                Some(end) => timer.as_mut().reset(end),
                None => return Poll::Ready(Some(Err(Stalled::Idle(this.idle).into()))),
            }
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
