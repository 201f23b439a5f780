//! A driver that says in which call it is, and that fails on demand.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::{StreamExt, stream::BoxStream};
use plugin_registry_conformance::intercept::{Intercept, Intercepted};
use plugin_registry_core::{Error, ErrorKind, Operation, Result, StoragePath};
use plugin_registry_drivers_memory::MemoryDriver;

#[derive(Clone, Debug, Default)]
pub(crate) struct Spoken {
    is_broken: Arc<AtomicBool>,
}

impl Spoken {
    pub(crate) fn driver(&self) -> Intercepted<Self> {
        Intercepted::over(Arc::new(MemoryDriver::new()), self.clone())
    }

    pub(crate) fn set_broken(&self, yes: bool) {
        self.is_broken.store(yes, Ordering::Relaxed);
    }

    fn check(&self) -> Result<()> {
        if self.is_broken.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Unavailable).with_message("the network is down"));
        }
        Ok(())
    }
}

impl Intercept for Spoken {
    async fn call<T: Send>(
        &self,
        operation: Operation,
        _: &StoragePath,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        tracing::trace!(%operation, "called");
        self.check()?;
        call.await
    }

    fn stream<'a, T: Send + 'a>(
        &self,
        operation: Operation,
        _: &StoragePath,
        stream: BoxStream<'a, Result<T>>,
    ) -> BoxStream<'a, Result<T>> {
        let this = self.clone();
        stream
            .map(move |item| {
                tracing::trace!(%operation, "called");
                this.check()?;
                item
            })
            .boxed()
    }
}
