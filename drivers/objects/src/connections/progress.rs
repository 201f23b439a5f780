//! When bytes last moved over a connection. Counted below TLS, where the socket takes and returns them.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::time::{Duration, Instant};

/// The last time a byte was sent or received, and how many were sent. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    begun: Instant,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Milliseconds since the connection began.
    last: AtomicU64,
    sent: AtomicU64,
}

impl Progress {
    fn new() -> Self {
        Self { begun: Instant::now(), counts: Arc::default() }
    }

    fn note(&self) {
        let elapsed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.counts.last.store(elapsed, Ordering::Relaxed);
    }

    pub(super) fn last(&self) -> Instant {
        self.begun + Duration::from_millis(self.counts.last.load(Ordering::Relaxed))
    }

    /// Bytes that the socket has taken for all requests.
    pub(super) fn sent(&self) -> u64 {
        self.counts.sent.load(Ordering::Relaxed)
    }
}

/// A connection that records its progress.
#[derive(Debug)]
pub(super) struct Metered<T> {
    io: T,
    progress: Progress,
}

impl<T> Metered<T> {
    pub(super) fn new(io: T) -> Self {
        Self { io, progress: Progress::new() }
    }

    fn written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(size)) = written {
            self.progress.counts.sent.fetch_add(size as u64, Ordering::Relaxed);
            self.progress.note();
        }
        written
    }
}

impl<T: Connection> Connection for Metered<T> {
    fn connected(&self) -> Connected {
        self.io.connected().extra(self.progress.clone())
    }
}

impl<T: Read + Unpin> Read for Metered<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        if matches!(read, Poll::Ready(Ok(()))) {
            self.progress.note();
        }
        read
    }
}

impl<T: Write + Unpin> Write for Metered<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bytes);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
