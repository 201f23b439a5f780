//! Blocking work in the caller's runtime, bounded.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use plugin_registry_core::{Error, ErrorKind, Result};
use tokio::{
    runtime::Handle,
    sync::Semaphore,
    task::{JoinError, JoinHandle},
};

/// Blocking work that was handed over. If the job is dropped before the work began, the work never begins.
/// Otherwise the drop sets a flag for the work, which runs to its end and drops its result there.
#[derive(Debug)]
pub(crate) struct Job<T> {
    handle: JoinHandle<Result<T>>,
    abandoned: CancelFlag,
}

/// Whether the caller no longer waits for the work.
#[derive(Clone, Debug, Default)]
pub(crate) struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Fails if the call was dropped. Checked before a step that others see, so that it does not take effect
    /// long after.
    pub(crate) fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Acquire) { Err(other("the call was dropped")) } else { Ok(()) }
    }
}

impl<T: Send + 'static> Job<T> {
    /// Hands work over once a permit is free. The work returns its permit when it ends. It never waits without
    /// a limit, least of all for a consumer, so every waiter gets its turn.
    pub(crate) async fn start(
        permits: &Arc<Semaphore>,
        work: impl FnOnce(&CancelFlag) -> Result<T> + Send + 'static,
    ) -> Result<Self> {
        let permit =
            permits.clone().acquire_owned().await.map_err(|error| other("closed").with_source(error))?;
        Self::spawn(move |abandoned| {
            let result = work(abandoned);
            drop(permit);
            result
        })
    }

    /// Hands work over without a permit.
    pub(crate) fn spawn(work: impl FnOnce(&CancelFlag) -> Result<T> + Send + 'static) -> Result<Self> {
        let runtime = Handle::try_current().map_err(|error| other("no tokio runtime").with_source(error))?;
        let abandoned = CancelFlag::default();
        let told = abandoned.clone();
        Ok(Self { handle: runtime.spawn_blocking(move || work(&told)), abandoned })
    }
}

impl<T> Future for Job<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.handle).poll(context).map(|joined| joined.unwrap_or_else(|error| Err(lost(error))))
    }
}

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        self.abandoned.0.store(true, Ordering::Release);
        self.handle.abort();
    }
}

/// Drops a value whose drop may block: in the blocking pool, or right here without a runtime.
pub(crate) fn drop_blocking(value: impl Send + 'static) {
    match Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(move || drop(value))),
        Err(_) => drop(value),
    }
}

fn lost(error: JoinError) -> Error {
    let message =
        if error.is_panic() { "the blocking work panicked" } else { "the runtime is shutting down" };
    other(message).with_source(error)
}

fn other(message: &'static str) -> Error {
    Error::new(ErrorKind::Other).with_message(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let job = Job::<()>::spawn(|_| panic!("on purpose")).unwrap();
        let text = job.await.unwrap_err().to_string();
        assert!(
            text.starts_with("failed: the blocking work panicked: ") && text.contains("on purpose"),
            "{text}"
        );
    }

    #[test]
    fn no_runtime_is_an_error() {
        let error = Job::spawn(|_| Ok(())).unwrap_err();
        assert!(error.to_string().starts_with("failed: no tokio runtime: "), "{error}");
    }

    #[tokio::test]
    async fn work_is_bounded_and_permits_come_back() {
        let permits = Arc::new(Semaphore::new(2));
        let running = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let all = (0..20).map(|_| {
            let (permits, running) = (permits.clone(), running.clone());
            async move {
                let job = Job::start(&permits, move |_| {
                    assert!(running.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2);
                    std::thread::sleep(std::time::Duration::from_millis(2));
                    running.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    Ok(())
                });
                job.await.unwrap().await
            }
        });
        for result in futures::future::join_all(all).await {
            result.unwrap();
        }
        assert_eq!(permits.available_permits(), 2);
    }
}
