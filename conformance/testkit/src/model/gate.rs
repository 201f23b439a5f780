//! A driver over which a call can be stopped at any of its changes, with nothing in flight.

use std::{
    future::{pending, poll_fn},
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
};

use plugin_registry_core::{Operation, Result, StoragePath};

use super::call::Cut;
use plugin_registry_conformance::intercept::Intercept;

/// Passes everything on to the driver until the change at which it must stop.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    cut: Option<Cut>,
    /// Changes that have begun.
    begun: usize,
    /// Changes that are still running.
    running: usize,
    stopped: bool,
}

impl Gate {
    /// Runs a call and drops it at `cut`. Returns `None` if it was dropped. A call with fewer changes ends
    /// normally.
    pub(super) async fn run<T>(&self, cut: Option<Cut>, call: impl Future<Output = T>) -> Option<T> {
        *self.state.lock().unwrap() = State { cut, ..State::default() };
        let outcome = {
            let mut call = pin!(call);
            poll_fn(|cx| match call.as_mut().poll(cx) {
                Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                // Other changes of the same call end first, since a store may not be able to stop them.
                Poll::Pending if self.is_still() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            })
            .await
        };
        *self.state.lock().unwrap() = State::default();
        outcome
    }

    fn is_still(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.stopped && state.running == 0
    }

    async fn change<T>(&self, change: impl Future<Output = Result<T>>) -> Result<T> {
        let Some(stops_after) = self.begin() else { return pending().await };
        let result = change.await;
        self.end(stops_after);
        if stops_after { pending().await } else { result }
    }

    /// Whether to stop after this change. `None` means to stop before it.
    fn begin(&self) -> Option<bool> {
        let mut state = self.state.lock().unwrap();
        let number = state.begun;
        state.begun += 1;
        let cut = state.cut.filter(|cut| cut.change == number);
        state.stopped |= cut.is_some_and(|cut| !cut.done);
        if state.stopped {
            return None;
        }
        state.running += 1;
        Some(cut.is_some())
    }

    fn end(&self, stops: bool) {
        let mut state = self.state.lock().unwrap();
        state.running -= 1;
        state.stopped |= stops;
    }
}

impl Intercept for Gate {
    /// Everything that does more than read is a change.
    async fn call<T: Send>(
        &self,
        operation: Operation,
        _path: &StoragePath,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        match operation {
            Operation::GetContent
            | Operation::Reader
            | Operation::FindStaged
            | Operation::Stat
            | Operation::RedirectUrl => call.await,
            _ => self.change(call).await,
        }
    }
}
