//! A driver whose caller can be interrupted everywhere, which fails on demand, and has URLs.

use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{StreamExt, stream, stream::BoxStream};
use plugin_registry_core::{ErrorKind, Operation, Result, StorageDriver, StoragePath};
use url::Url;

use crate::intercept::{Intercept, Intercepted};

type Stall = Arc<dyn Fn(Operation) -> bool + Send + Sync>;
type Failure = Arc<dyn Fn(Operation) -> Option<ErrorKind> + Send + Sync>;
type Unread = Arc<dyn Fn(Operation, &StoragePath) -> Option<ErrorKind> + Send + Sync>;

/// A driver whose calls wait once before they begin and once after they are done.
///
/// So a future over it that is dropped after some polls stops between any two steps, also on a store that
/// never waits. Listings do not wait.
pub type Wrapped = Intercepted<Wrapping>;

/// What [`Wrapped`] does to the calls.
#[derive(Clone)]
pub struct Wrapping {
    failure: Failure,
    unread: Unread,
    stall: Stall,
    url: Option<Url>,
}

impl Intercepted<Wrapping> {
    /// Wraps `driver`.
    #[must_use]
    pub fn new(driver: Arc<dyn StorageDriver>) -> Self {
        let wrapping = Wrapping {
            failure: Arc::new(|_| None),
            unread: Arc::new(|_, _| None),
            stall: Arc::new(|_| false),
            url: None,
        };
        Self::over(driver, wrapping)
    }

    /// Fails every call that `failure` selects, before it does anything.
    #[must_use]
    pub fn failing(
        mut self,
        failure: impl Fn(Operation) -> Option<ErrorKind> + Send + Sync + 'static,
    ) -> Self {
        self.intercept.failure = Arc::new(failure);
        self
    }

    /// Fails every read or listing of a path that `unread` selects. A walk fails at once, whatever comes
    /// before.
    #[must_use]
    pub fn unread(
        mut self,
        unread: impl Fn(Operation, &StoragePath) -> Option<ErrorKind> + Send + Sync + 'static,
    ) -> Self {
        self.intercept.unread = Arc::new(unread);
        self
    }

    /// Never answers a call that `stall` selects, like a store that is gone. Listings are not affected.
    #[must_use]
    pub fn stalling(mut self, stall: impl Fn(Operation) -> bool + Send + Sync + 'static) -> Self {
        self.intercept.stall = Arc::new(stall);
        self
    }

    /// Gives this URL for every file.
    #[must_use]
    pub fn with_url(mut self, url: Url) -> Self {
        self.intercept.url = Some(url);
        self
    }
}

impl Intercept for Wrapping {
    async fn call<T: Send>(
        &self,
        operation: Operation,
        path: &StoragePath,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let reads = [Operation::GetContent, Operation::Reader, Operation::FindStaged, Operation::Stat];
        if reads.contains(&operation)
            && let Some(kind) = (self.unread)(operation, path)
        {
            return Err(kind.into());
        }
        pause().await;
        if (self.stall)(operation) {
            std::future::pending::<()>().await;
        }
        if let Some(kind) = (self.failure)(operation) {
            return Err(kind.into());
        }
        let result = call.await;
        pause().await;
        result
    }

    fn stream<'a, T: Send + 'a>(
        &self,
        operation: Operation,
        path: &StoragePath,
        stream: BoxStream<'a, Result<T>>,
    ) -> BoxStream<'a, Result<T>> {
        match (self.failure)(operation).or_else(|| (self.unread)(operation, path)) {
            Some(kind) => stream::once(async move { Err(kind.into()) }).boxed(),
            None => stream,
        }
    }

    fn redirect_url(&self, url: Option<Url>) -> Option<Url> {
        self.url.clone().or(url)
    }
}

impl fmt::Debug for Wrapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wrapping").finish_non_exhaustive()
    }
}

/// Waits for one poll.
async fn pause() {
    let mut is_first = true;
    poll_fn(|cx: &mut Context<'_>| {
        if std::mem::take(&mut is_first) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}
