//! Request bodies that record what was done to them.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use plugin_registry::blob::BoxError;

use super::body::RequestBody;

/// The behavior of a body when it is polled.
#[derive(Clone, Debug)]
pub enum Step {
    /// Gives bytes, possibly none.
    Data(Bytes),
    /// Gives trailers.
    Trailers(HeaderMap),
    /// Fails.
    Fail,
    /// Makes its reader wait for one poll.
    Wait,
    /// Gives nothing, forever.
    Stall,
}

/// A body that goes through its steps and then ends.
#[derive(Debug)]
pub struct Script {
    steps: VecDeque<Step>,
    hint: SizeHint,
    seems_over: bool,
    is_over: bool,
    watch: Watch,
}

/// The record of the calls to a body.
#[derive(Clone, Debug, Default)]
pub struct Watch(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    polls: AtomicUsize,
    late: AtomicUsize,
    stalled: AtomicBool,
    dropped: AtomicBool,
}

impl Script {
    /// Makes a body of these steps that says nothing about its size.
    #[must_use]
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let steps = steps.into_iter().collect();
        let watch = Watch::default();
        Self { steps, hint: SizeHint::new(), seems_over: false, is_over: false, watch }
    }

    /// Makes a body of these bytes in pieces, with a wait before each.
    #[must_use]
    pub fn of(content: &Bytes, size: usize) -> Self {
        let pieces = (0..content.len()).step_by(size);
        let pieces = pieces.map(|at| content.slice(at..content.len().min(at + size)));
        Self::new(pieces.flat_map(|piece| [Step::Wait, Step::Data(piece)]))
    }

    /// Adds another step.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push_back(step);
        self
    }

    /// Claims a size, true or not.
    #[must_use]
    pub fn with_hint(mut self, hint: SizeHint) -> Self {
        self.hint = hint;
        self
    }

    /// Claims to be at its end from the beginning.
    #[must_use]
    pub fn seemingly_over(mut self) -> Self {
        self.seems_over = true;
        self
    }

    /// Returns the body, and a way to watch it.
    #[must_use]
    pub fn watched(self) -> (RequestBody, Watch) {
        let watch = self.watch.clone();
        (self.boxed_unsync(), watch)
    }
}

impl Watch {
    /// How often it was polled.
    #[must_use]
    pub fn polls(&self) -> usize {
        self.0.polls.load(Ordering::Acquire)
    }

    /// Whether it stalls: it gives nothing, forever.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.0.stalled.load(Ordering::Acquire)
    }

    /// Checks that the body was dropped, and was not polled after its end, when a body may panic.
    ///
    /// # Panics
    /// If it was not dropped, or was polled late.
    #[track_caller]
    pub fn assert_let_go(&self, what: &str) {
        assert!(self.0.dropped.load(Ordering::Acquire), "{what}: the body is still held");
        assert_eq!(self.0.late.load(Ordering::Acquire), 0, "{what}: polled after its end");
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.watch.0.polls.fetch_add(1, Ordering::AcqRel);
        if self.is_over {
            self.watch.0.late.fetch_add(1, Ordering::AcqRel);
        }
        match self.steps.pop_front() {
            None => {
                self.is_over = true;
                Poll::Ready(None)
            }
            Some(Step::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(Step::Trailers(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Some(Step::Fail) => {
                self.is_over = true;
                self.steps.clear();
                Poll::Ready(Some(Err("the client is gone".into())))
            }
            Some(Step::Wait) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Stall) => {
                self.steps.push_front(Step::Stall);
                self.watch.0.stalled.store(true, Ordering::Release);
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.seems_over
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.watch.0.dropped.store(true, Ordering::Release);
    }
}
