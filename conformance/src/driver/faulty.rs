//! A driver that passes everything on to another one, and fails where a test says.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use futures::StreamExt;
use plugin_registry_core::{Error, ErrorKind, Operation, Reader, Result, StoragePath};

use super::context::Driver;
use crate::intercept::{Intercept, Intercepted};

/// The fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Streams end one byte early, without an error.
    ShortReads,
    /// The write with this index fails without taking its bytes. All others succeed.
    Write(usize),
    /// The write with this index never returns.
    StuckWrite(usize),
}

/// Injects one fault. Afterwards it goes on as if nothing had happened, which
/// [`Checked`](plugin_registry_core::Checked) has to stop.
#[derive(Clone, Debug)]
pub(crate) struct Faulty {
    fault: Fault,
    /// Counts the writes of all writers.
    writes: Arc<AtomicUsize>,
}

impl Faulty {
    pub(crate) fn new(driver: Driver, fault: Fault) -> Intercepted<Self> {
        Intercepted::over(driver, Self { fault, writes: Arc::default() })
    }
}

impl Intercept for Faulty {
    async fn call<T: Send>(
        &self,
        operation: Operation,
        _path: &StoragePath,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        if operation == Operation::WriterWrite {
            let index = self.writes.fetch_add(1, Relaxed);
            if self.fault == Fault::Write(index) {
                return Err(Error::new(ErrorKind::Unavailable).with_message("a fault of the harness"));
            }
            if self.fault == Fault::StuckWrite(index) {
                return std::future::pending().await;
            }
        }
        call.await
    }

    async fn reader(
        &self,
        _path: &StoragePath,
        call: impl Future<Output = Result<Reader>> + Send,
    ) -> Result<Reader> {
        let reader = call.await?;
        let (info, range) = (reader.info().clone(), reader.range());
        let mut left = reader.content_length();
        if self.fault == Fault::ShortReads {
            left = left.saturating_sub(1);
        }
        let stream = reader.into_stream().map(move |piece| {
            let mut piece = piece?;
            piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= piece.len() as u64;
            Ok(piece)
        });
        Ok(Reader::new(info, range, stream.boxed()))
    }
}
