//! Operations and their counters.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

macro_rules! operations {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        /// The operations of a driver, a writer and a body, as named in errors, spans and counters.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Operation {
            $($(#[$doc])* $variant,)*
        }

        impl Operation {
            /// All operations, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the name in errors, spans and metrics.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

operations! {
    /// `StorageDriver::get_content`.
    GetContent => "get_content",
    /// `StorageDriver::put_content`.
    PutContent => "put_content",
    /// `StorageDriver::reader`.
    Reader => "reader",
    /// `StorageDriver::writer`.
    Writer => "writer",
    /// `StorageDriver::find_staged`.
    FindStaged => "find_staged",
    /// `StorageDriver::commit_staged`.
    CommitStaged => "commit_staged",
    /// `StorageDriver::stat`.
    Stat => "stat",
    /// `StorageDriver::list`.
    List => "list",
    /// `StorageDriver::walk`.
    Walk => "walk",
    /// `StorageDriver::find_directories`.
    FindDirectories => "find_directories",
    /// `StorageDriver::delete`.
    Delete => "delete",
    /// `StorageDriver::delete_many`.
    DeleteMany => "delete_many",
    /// `StorageDriver::list_staged`.
    ListStaged => "list_staged",
    /// `StorageDriver::delete_staged`.
    DeleteStaged => "delete_staged",
    /// `StorageDriver::redirect_url`.
    RedirectUrl => "redirect_url",
    /// Opening the driver itself.
    Open => "open",
    /// A reader's stream: its failures are counted, not its pieces.
    ReadBody => "read_body",
    /// `FileWriter::write`.
    WriterWrite => "writer_write",
    /// `FileWriter::close`.
    WriterClose => "writer_close",
    /// `FileWriter::cancel`.
    WriterCancel => "writer_cancel",
    /// `FileWriter::commit`.
    WriterCommit => "writer_commit",
}

/// How many operations are calls of `StorageDriver`, the unit of [`OperationCounts::driver_calls`].
const DRIVER_CALLS: usize = Operation::RedirectUrl as usize + 1;
const OPERATIONS: usize = Operation::WriterCommit as usize + 1;

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Live counters of one driver instance: calls and failures by operation, bytes both ways.
///
/// The atomics are relaxed. Each figure is exact once the counted calls have ended. Two figures that are read
/// while calls are running may be of slightly different moments.
#[derive(Debug, Default)]
pub struct Metrics {
    calls: [AtomicU64; OPERATIONS],
    failures: [AtomicU64; OPERATIONS],
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
}

impl Metrics {
    pub(crate) fn record_call(&self, operation: Operation) {
        add(self.calls.get(operation as usize), 1);
    }

    pub(crate) fn record_failure(&self, operation: Operation) {
        add(self.failures.get(operation as usize), 1);
    }

    pub(crate) fn record_read(&self, bytes: usize) {
        add(Some(&self.bytes_read), bytes as u64);
    }

    pub(crate) fn record_written(&self, bytes: usize) {
        add(Some(&self.bytes_written), bytes as u64);
    }

    /// Returns the figures of this moment.
    #[must_use]
    pub fn snapshot(&self) -> OperationCounts {
        OperationCounts {
            calls: std::array::from_fn(|i| load(self.calls.get(i))),
            failures: std::array::from_fn(|i| load(self.failures.get(i))),
            bytes_read: load(Some(&self.bytes_read)),
            bytes_written: load(Some(&self.bytes_written)),
        }
    }
}

/// A snapshot of [`Metrics`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationCounts {
    calls: [u64; OPERATIONS],
    failures: [u64; OPERATIONS],
    bytes_read: u64,
    bytes_written: u64,
}

impl OperationCounts {
    /// Returns the number of calls of this operation.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> u64 {
        self.calls.get(operation as usize).copied().unwrap_or_default()
    }

    /// Returns the number of failed calls of this operation. An expected `NotFound` counts as a failure too.
    #[must_use]
    pub fn failures(&self, operation: Operation) -> u64 {
        self.failures.get(operation as usize).copied().unwrap_or_default()
    }

    /// Returns the number of calls of `StorageDriver` methods. The life of a writer counts as one call.
    #[must_use]
    pub fn driver_calls(&self) -> u64 {
        self.calls.iter().take(DRIVER_CALLS).sum()
    }

    /// Returns the number of content bytes that left the store.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Returns the number of content bytes that were given to the store.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    /// Returns what was counted since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let minus = |now: &[u64; OPERATIONS], then: &[u64; OPERATIONS]| {
            std::array::from_fn(|i| {
                now.get(i).copied().unwrap_or_default() - then.get(i).copied().unwrap_or_default()
            })
        };
        Self {
            calls: minus(&self.calls, &earlier.calls),
            failures: minus(&self.failures, &earlier.failures),
            bytes_read: self.bytes_read - earlier.bytes_read,
            bytes_written: self.bytes_written - earlier.bytes_written,
        }
    }
}

fn add(counter: Option<&AtomicU64>, by: u64) {
    if let Some(counter) = counter {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

fn load(counter: Option<&AtomicU64>) -> u64 {
    counter.map_or(0, |counter| counter.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_operation_and_since() {
        let metrics = Metrics::default();
        metrics.record_call(Operation::Stat);
        let before = metrics.snapshot();
        metrics.record_call(Operation::WriterCommit);
        metrics.record_call(Operation::PutContent);
        metrics.record_failure(Operation::PutContent);
        metrics.record_written(7);
        let delta = metrics.snapshot().since(&before);
        assert_eq!(delta.calls(Operation::Stat), 0);
        assert_eq!(delta.calls(Operation::PutContent), 1);
        assert_eq!(delta.failures(Operation::PutContent), 1);
        assert_eq!(delta.driver_calls(), 1, "a writer's commit is part of the writer");
        assert_eq!(delta.bytes_written(), 7);
    }
}
