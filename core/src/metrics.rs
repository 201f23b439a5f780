//! Operations and their counters.

use std::{
    cell::Cell,
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
    /// Returns what `work` returns, and how many driver calls of this instance began in it.
    ///
    /// The unit is that of [`OperationCounts::driver_calls`]. Calls count that begin on this thread, beside
    /// whatever other threads do. To count the calls of a future, count each of its polls. Calls in a
    /// `count_calls` within `work` belong to that one alone.
    ///
    /// ```
    /// # use futures::executor::block_on;
    /// # use plugin_registry_core::{Checked, StorageDriver};
    /// # let driver = Checked::new(std::sync::Arc::new(plugin_registry_drivers_memory::MemoryDriver::new()));
    /// # let path = "/a".parse()?;
    /// let (found, calls) = driver.metrics().count_calls(|| block_on(driver.stat(&path)));
    /// assert!(found.is_err());
    /// assert_eq!(calls, 1);
    /// # Ok::<(), plugin_registry_core::Error>(())
    /// ```
    pub fn count_calls<T>(&self, work: impl FnOnce() -> T) -> (T, u64) {
        let counting = Counting { outer: COUNTED.replace(Counted { whose: self.address(), calls: 0 }) };
        let value = work();
        (value, counting.calls())
    }

    pub(crate) fn record_call(&self, operation: Operation) {
        add(self.calls.get(operation as usize), 1);
        let counted = COUNTED.get();
        if counted.whose == self.address() && (operation as usize) < DRIVER_CALLS {
            COUNTED.set(Counted { calls: counted.calls + 1, ..counted });
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
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

/// The calls that are being counted on a thread. Where nothing is counted, the address is nobody's.
#[derive(Clone, Copy)]
struct Counted {
    /// The address of the metrics whose calls count: another driver's calls may begin in the same work.
    whose: usize,
    calls: u64,
}

thread_local! {
    // A thread polls one future at a time, so a plain cell counts exactly, without a lock or an allocation.
    static COUNTED: Cell<Counted> = const { Cell::new(Counted { whose: 0, calls: 0 }) };
}

/// Puts back the count around this one, also if the work panics.
struct Counting {
    outer: Counted,
}

impl Counting {
    fn calls(&self) -> u64 {
        COUNTED.get().calls
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        COUNTED.set(self.outer);
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

    #[test]
    fn work_counts_the_calls_of_its_own_driver_and_not_those_of_work_within() {
        let (one, other) = (Metrics::default(), Metrics::default());
        one.record_call(Operation::Stat);
        let ((), calls) = one.count_calls(|| {
            one.record_call(Operation::Writer);
            one.record_call(Operation::WriterWrite);
            other.record_call(Operation::Stat);
            let ((), within) = one.count_calls(|| one.record_call(Operation::Stat));
            assert_eq!(within, 1);
            let panicked = std::panic::catch_unwind(|| one.count_calls(|| panic!("in the work")));
            assert!(panicked.is_err());
            one.record_call(Operation::List);
        });
        assert_eq!(calls, 2);
        assert_eq!(one.snapshot().driver_calls(), 4);
    }
}
