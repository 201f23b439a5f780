//! Ends a call that holds a session, and reports how far it has come.

#[cfg(not(test))]
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{Stream, StreamExt, task::AtomicWaker};
// As in the slot.
#[cfg(test)]
use shuttle::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::error::{BoxError, RegistryError};

/// The state shared by a call that holds a session and a call that waits for it.
#[derive(Debug)]
pub(super) struct Interrupt {
    /// How many callers want the session to end.
    cancels: AtomicUsize,
    /// The waker of the call that waits for content.
    reader: AtomicWaker,
    /// Where the session would stand if the content of a running append ended now; zero without one.
    received_bytes: AtomicU64,
}

/// The content of a call, which fails when the session is cancelled.
pub(super) struct Content<'a, S> {
    interrupt: &'a Interrupt,
    stream: S,
    counts: bool,
}

/// While it lives, the session is to end.
pub(super) struct CancelGuard<'a>(&'a Interrupt);

/// An append is running: what arrives counts.
pub(super) struct ReceiveGuard<'a>(&'a Interrupt);

/// The error of content that did not fail by itself, but was cancelled.
#[derive(Debug)]
struct Cancelled;

impl Interrupt {
    pub(super) fn new() -> Self {
        Self { cancels: AtomicUsize::new(0), reader: AtomicWaker::new(), received_bytes: AtomicU64::new(0) }
    }

    pub(super) fn content<S>(&self, stream: S) -> Content<'_, S> {
        Content { interrupt: self, stream, counts: false }
    }

    /// Ends the running call at its next wait for content.
    pub(super) fn cancel(&self) -> CancelGuard<'_> {
        self.cancels.fetch_add(1, Ordering::AcqRel);
        self.reader.wake();
        CancelGuard(self)
    }

    /// Counts from `offset` on.
    pub(super) fn arrival(&self, offset: u64) -> ReceiveGuard<'_> {
        self.received_bytes.store(offset, Ordering::Release);
        ReceiveGuard(self)
    }

    pub(super) fn received_bytes(&self) -> u64 {
        self.received_bytes.load(Ordering::Acquire)
    }
}

impl Drop for CancelGuard<'_> {
    fn drop(&mut self) {
        self.0.cancels.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for ReceiveGuard<'_> {
    fn drop(&mut self) {
        self.0.received_bytes.store(0, Ordering::Release);
    }
}

impl<S> Content<'_, S> {
    /// Counts what comes from now on as arrived.
    pub(super) fn counted(mut self) -> Self {
        self.counts = true;
        self
    }
}

/// Takes the waker, since the call no longer waits: it would hold its task for as long as the session is known.
impl<S> Drop for Content<'_, S> {
    fn drop(&mut self) {
        drop(self.interrupt.reader.take());
    }
}

impl<S, E> Stream for Content<'_, S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<BoxError>,
{
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // Registered first: a cancel between the two is either seen or wakes the task.
        self.interrupt.reader.register(cx.waker());
        if self.interrupt.cancels.load(Ordering::Acquire) > 0 {
            return Poll::Ready(Some(Err(Cancelled.into())));
        }
        let next = self.stream.poll_next_unpin(cx);
        if let Poll::Ready(Some(Ok(piece))) = &next
            && self.counts
        {
            self.interrupt.received_bytes.fetch_add(piece.len() as u64, Ordering::AcqRel);
        }
        next.map(|next| next.map(|piece| piece.map_err(Into::into)))
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the upload session was cancelled")
    }
}

impl std::error::Error for Cancelled {}

/// A call that was ended by a cancel came too late, whatever its content was.
pub(super) fn map_cancelled(error: RegistryError) -> RegistryError {
    match error {
        RegistryError::Body(source) if source.is::<Cancelled>() => RegistryError::UploadUnknown,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        task::{Wake, Waker},
    };

    use futures::stream;

    use super::*;

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn a_call_that_is_over_leaves_no_waker() {
        shuttle::check_dfs(
            || {
                let (interrupt, task) = (Interrupt::new(), Arc::new(Task));
                let mut content = interrupt.content(stream::pending::<Result<Bytes, BoxError>>()).counted();
                let waker = Waker::from(task.clone());
                assert!(content.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
                drop(waker);
                assert_eq!(Arc::strong_count(&task), 2);
                drop(content);
                assert_eq!(Arc::strong_count(&task), 1);
            },
            None,
        );
    }
}
