//! The driver under a fuzzed registry: it counts the bytes that go to the store, and fails once where the
//! plan says.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use futures::{StreamExt, future::ready, stream, stream::BoxStream};
use plugin_registry_core::{Error, ErrorKind, Operation, Reader, Result, StoragePath};

use plugin_registry_conformance::intercept::Intercept;

/// The value that means that no fault is pending.
const NEVER: u64 = u64::MAX;

/// Faults as a store has them. None of them says that something is missing.
const KINDS: [ErrorKind; 8] = [
    ErrorKind::Unavailable,
    ErrorKind::Timeout,
    ErrorKind::PermissionDenied,
    ErrorKind::Unauthenticated,
    ErrorKind::RateLimited,
    ErrorKind::NoSpace,
    ErrorKind::Conflict,
    ErrorKind::Other,
];

/// The values that the harness reads and sets while requests run.
#[derive(Clone, Debug)]
pub(super) struct Gauge(Arc<State>);

#[derive(Debug)]
struct State {
    written: AtomicU64,
    calls_left: AtomicU64,
    kind: AtomicU64,
    /// The call takes effect, but still fails.
    after: AtomicBool,
    fired: AtomicBool,
}

impl Gauge {
    pub(super) fn new() -> Self {
        Self(Arc::new(State {
            written: AtomicU64::new(0),
            calls_left: AtomicU64::new(NEVER),
            kind: AtomicU64::new(0),
            after: AtomicBool::new(false),
            fired: AtomicBool::new(false),
        }))
    }

    /// Bytes sent to the store so far.
    pub(super) fn written(&self) -> u64 {
        self.0.written.load(Relaxed)
    }

    /// Makes the call after the next `calls` fail.
    pub(super) fn arm(&self, calls: u8, kind: u8) {
        self.0.calls_left.store(calls.into(), Relaxed);
        self.0.kind.store(u64::from(kind) % KINDS.len() as u64, Relaxed);
        self.0.after.store(kind >= 128, Relaxed);
        self.0.fired.store(false, Relaxed);
    }

    /// Makes sure that no further call fails, and returns whether one has failed.
    pub(super) fn disarm(&self) -> bool {
        self.0.calls_left.store(NEVER, Relaxed);
        self.0.fired.swap(false, Relaxed)
    }

    /// Whether this call fails, before it takes effect or after.
    fn strike(&self) -> Option<Strike> {
        match self.0.calls_left.load(Relaxed) {
            NEVER => None,
            0 => {
                self.0.calls_left.store(NEVER, Relaxed);
                self.0.fired.store(true, Relaxed);
                let kind = usize::try_from(self.0.kind.load(Relaxed)).unwrap();
                let error = Error::new(KINDS[kind]).with_message("a fault of the harness");
                Some(Strike { error, after: self.0.after.load(Relaxed) })
            }
            more => {
                self.0.calls_left.store(more - 1, Relaxed);
                None
            }
        }
    }
}

struct Strike {
    error: Error,
    after: bool,
}

impl Intercept for Gauge {
    fn sending(&self, bytes: usize) {
        self.0.written.fetch_add(bytes as u64, Relaxed);
    }

    async fn call<T: Send>(
        &self,
        _operation: Operation,
        _path: &StoragePath,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let Some(Strike { error, after }) = self.strike() else { return call.await };
        if after {
            // Its result is lost on the way back.
            let _lost = call.await;
        }
        Err(error)
    }

    async fn reader(
        &self,
        _path: &StoragePath,
        call: impl Future<Output = Result<Reader>> + Send,
    ) -> Result<Reader> {
        let Some(Strike { error, after }) = self.strike() else { return call.await };
        let (Ok(reader), true) = (call.await, after) else { return Err(error) };
        // The connection breaks after the first piece.
        let (info, range) = (reader.info().clone(), reader.range());
        let pieces = reader.into_stream().take(1).chain(stream::once(ready(Err(error))));
        Ok(Reader::new(info, range, pieces.boxed()))
    }

    fn stream<'a, T: Send + 'a>(
        &self,
        _operation: Operation,
        _path: &StoragePath,
        items: BoxStream<'a, Result<T>>,
    ) -> BoxStream<'a, Result<T>> {
        match self.strike() {
            None => items,
            Some(Strike { error, after: true }) => items.chain(stream::once(ready(Err(error)))).boxed(),
            Some(Strike { error, after: false }) => stream::once(ready(Err(error))).boxed(),
        }
    }
}
