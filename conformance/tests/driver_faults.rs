//! The driver suite catches drivers that are wrong in one thing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test: a failed check is a panic of it")]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use futures::{StreamExt, future, stream, stream::BoxStream};
use plugin_registry_conformance::{
    driver::{self, Context, Sizes, Store, run},
    intercept::{Intercept, Intercepted},
};
use plugin_registry_core::{ErrorKind, Operation, Reader, Result, StoragePath};
use plugin_registry_drivers_memory::MemoryDriver;

/// The store in memory with one fault in front of it.
#[derive(Clone, Debug)]
struct Faulty {
    fault: Fault,
    deletes: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Every call goes to a thread that may block, except those of one operation, which block their own.
    Blocking(Option<Operation>),
    /// `list_staged` yields that many at most.
    Page(usize),
    /// `list_staged` leaves out the one with this index, such as the first of a page.
    Without(usize),
    /// `list_staged` breaks off with an error after that many.
    BreaksOff(usize),
    /// `list_staged` ends, with or without an error, after something was deleted meanwhile.
    EndsAfterDelete { error: bool },
}

fn faulty(fault: Fault) -> Store {
    let faulty = Faulty { fault, deletes: Arc::default() };
    let store = Intercepted::over(Arc::new(MemoryDriver::new()), faulty);
    Store::of_clones(store).with_sizes(Sizes::small())
}

impl Faulty {
    async fn hand_over(self, operation: Operation) {
        match self.fault {
            Fault::Blocking(Some(blocking)) if blocking == operation => {
                thread::sleep(Duration::from_millis(1));
            }
            Fault::Blocking(_) => tokio::task::spawn_blocking(|| ()).await.unwrap(),
            _ => {}
        }
    }
}

impl Intercept for Faulty {
    async fn call<T: Send>(
        &self,
        operation: Operation,
        _path: &StoragePath,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        if matches!(operation, Operation::Delete | Operation::DeleteMany | Operation::DeleteStaged) {
            self.deletes.fetch_add(1, Relaxed);
        }
        self.clone().hand_over(operation).await;
        call.await
    }

    async fn reader(
        &self,
        _path: &StoragePath,
        call: impl Future<Output = Result<Reader>> + Send,
    ) -> Result<Reader> {
        let reader = call.await?;
        let (info, range) = (reader.info().clone(), reader.range());
        let handed_over =
            stream::once(self.clone().hand_over(Operation::Reader)).filter_map(|()| future::ready(None));
        Ok(Reader::new(info, range, handed_over.chain(reader.into_stream()).boxed()))
    }

    fn stream<'a, T: Send + 'a>(
        &self,
        operation: Operation,
        _path: &StoragePath,
        stream: BoxStream<'a, Result<T>>,
    ) -> BoxStream<'a, Result<T>> {
        let handed_over =
            stream::once(self.clone().hand_over(operation)).filter_map(|()| future::ready(None));
        let stream = handed_over.chain(stream);
        let (deletes, before) = (self.deletes.clone(), self.deletes.load(Relaxed));
        match self.fault {
            Fault::Page(most) if operation == Operation::ListStaged => stream.take(most).boxed(),
            Fault::Without(index) if operation == Operation::ListStaged => stream
                .enumerate()
                .filter_map(move |(at, found)| future::ready((at != index).then_some(found)))
                .boxed(),
            Fault::BreaksOff(after) if operation == Operation::ListStaged => {
                let error = stream::once(future::ready(Err(ErrorKind::Unavailable.into())));
                stream.take(after).chain(error).boxed()
            }
            Fault::EndsAfterDelete { error } if operation == Operation::ListStaged => stream
                .map(move |found| {
                    let is_same = deletes.load(Relaxed) == before;
                    if is_same { found } else { Err(ErrorKind::NotFound.into()) }
                })
                .take_while(move |found| future::ready(error || found.is_ok()))
                .boxed(),
            _ => stream.boxed(),
        }
    }
}

/// Runs one behavior over the faulty driver. Returns the message of the failure, if it fails.
fn failure(fault: Fault, behavior: &'static str, check: impl AsyncFnOnce(&Context)) -> Option<String> {
    let run = || run("faulty", behavior, &[], async || faulty(fault), check);
    let panic = catch_unwind(AssertUnwindSafe(run)).err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap())
}

fn of_runtime(fault: Fault) -> Option<String> {
    failure(fault, "calls_do_not_block_the_runtime", driver::calls_do_not_block_the_runtime)
}

fn of_every_stage(fault: Fault) -> Option<String> {
    failure(fault, "list_staged_yields_every_stage", driver::list_staged_yields_every_stage)
}

fn of_deletes(fault: Fault) -> Option<String> {
    failure(
        fault,
        "list_staged_tolerates_concurrent_deletes",
        driver::list_staged_tolerates_concurrent_deletes,
    )
}

#[test]
fn a_driver_that_hands_its_work_over_passes() {
    assert_eq!(of_runtime(Fault::Blocking(None)), None);
}

#[test]
fn a_driver_that_blocks_in_one_operation_is_caught() {
    for operation in [
        Operation::PutContent,
        Operation::GetContent,
        Operation::Reader,
        Operation::WriterWrite,
        Operation::WriterClose,
        Operation::WriterCommit,
        Operation::CommitStaged,
        Operation::List,
        Operation::Walk,
        Operation::FindDirectories,
        Operation::ListStaged,
        Operation::Delete,
        Operation::DeleteMany,
        Operation::DeleteStaged,
    ] {
        let message = of_runtime(Fault::Blocking(Some(operation))).unwrap();
        let begin =
            format!("{operation} at /suite/calls_do_not_block_the_runtime/{operation} does its work on the");
        assert!(message.starts_with(&begin), "{message}");
    }
}

/// A look at one small thing may be answered at once.
#[test]
fn a_driver_that_answers_small_things_at_once_passes() {
    for operation in [Operation::Stat, Operation::FindStaged, Operation::Writer, Operation::WriterCancel] {
        assert_eq!(of_runtime(Fault::Blocking(Some(operation))), None, "{operation}");
    }
}

#[test]
fn a_list_of_stages_that_is_cut_off_is_caught() {
    assert_eq!(of_every_stage(Fault::Blocking(None)), None);
    for (fault, says) in [
        (Fault::Page(1), "saw 1: 1182 missing (first: /suite/list_staged_yields_every_stage/many"),
        (Fault::Page(1000), "expected 1183 stages, each once, saw 1000: 183 missing"),
        (Fault::Without(1000), "saw 1182: 1 missing"),
        (Fault::BreaksOff(1000), "unavailable"),
    ] {
        let message = of_every_stage(fault).unwrap_or_else(|| panic!("{fault:?} is not caught"));
        assert!(message.contains(says), "{fault:?}: {message}");
    }
}

#[test]
fn a_list_of_stages_that_a_delete_ends_is_caught() {
    assert_eq!(of_deletes(Fault::Blocking(None)), None);
    for (error, says) in [(false, "180 stages, each once, saw 1: 179 missing"), (true, "not found")] {
        let message = of_deletes(Fault::EndsAfterDelete { error }).unwrap();
        assert!(message.contains(says), "{message}");
    }
}
