//! The input from a driver's test file: how to open its store, and what else the tests need.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::Method;
use plugin_registry_core::{StorageDriver, StoragePath};
use url::Url;

const MIB: u64 = 1 << 20;

type Open = dyn Fn() -> BoxFuture<'static, Arc<dyn StorageDriver>> + Send + Sync;
type Truncate = dyn Fn(&StoragePath, u64) + Send + Sync;
type Fetch = dyn Fn(Method, Url) -> BoxFuture<'static, (u16, Bytes)> + Send + Sync;
type Settle = dyn Fn() -> BoxFuture<'static, ()> + Send + Sync;

/// One empty store, made for one test and opened as often as needed.
///
/// Whatever keeps the store alive, such as a temporary directory, belongs into the closure passed to
/// [`Store::new`]. It is dropped when the test ends, also after a panic.
#[derive(Clone)]
pub struct Store {
    open: Arc<Open>,
    truncate: Option<Arc<Truncate>>,
    fetch: Option<Arc<Fetch>>,
    sizes: Sizes,
    missing: Option<String>,
    settle: Option<Arc<Settle>>,
    in_memory: bool,
}

impl Store {
    /// Makes a store that `open` opens.
    ///
    /// Each call returns another instance on the same store, as another process would have it.
    pub fn new<Opened, D, E>(open: impl Fn() -> Opened + Send + Sync + 'static) -> Self
    where
        Opened: Future<Output = Result<D, E>> + Send + 'static,
        D: StorageDriver,
        E: fmt::Debug + 'static,
    {
        let open: Arc<Open> = Arc::new(move || {
            let opening = open();
            Box::pin(async move {
                let driver: Arc<dyn StorageDriver> = Arc::new(
                    opening.await.unwrap_or_else(|error| panic!("the store does not open: {error:?}")),
                );
                driver
            })
        });
        Self::opened_by(open, None)
    }

    fn opened_by(open: Arc<Open>, missing: Option<String>) -> Self {
        let sizes = Sizes::default();
        Self { open, truncate: None, fetch: None, sizes, missing, settle: None, in_memory: false }
    }

    /// Makes a store that is unavailable here. Its tests are skipped, with this reason, and counted as skipped.
    #[must_use]
    pub fn missing(reason: impl Into<String>) -> Self {
        let open: Arc<Open> = Arc::new(|| panic!("a missing store is not opened"));
        Self::opened_by(open, Some(reason.into()))
    }

    /// Why the store is unavailable, if it is.
    pub(crate) fn why_missing(&self) -> Option<&str> {
        self.missing.as_deref()
    }

    /// Makes a store whose instances are clones of one driver.
    pub fn of_clones<D: StorageDriver + Clone>(driver: D) -> Self {
        Self::new(move || futures::future::ready(Ok::<_, std::convert::Infallible>(driver.clone())))
    }

    /// Sets how much data the volume tests use.
    #[must_use]
    pub fn with_sizes(mut self, sizes: Sizes) -> Self {
        self.sizes = sizes;
        self
    }

    /// Sets how to cut a stored file behind the driver's back, to show that a reader notices.
    #[must_use]
    pub fn with_truncate(mut self, truncate: impl Fn(&StoragePath, u64) + Send + Sync + 'static) -> Self {
        self.truncate = Some(Arc::new(truncate));
        self
    }

    /// Sets how to fetch a URL of the store, as status and body. Required if the store gives URLs.
    #[must_use]
    pub fn with_fetch<Fetched>(
        mut self,
        fetch: impl Fn(Method, Url) -> Fetched + Send + Sync + 'static,
    ) -> Self
    where
        Fetched: Future<Output = (u16, Bytes)> + Send + 'static,
    {
        self.fetch = Some(Arc::new(move |method, url| Box::pin(fetch(method, url))));
        self
    }

    /// Sets how to wait until a dropped request can have no more effects in the store. The default waits 50 ms.
    #[must_use]
    pub fn with_settle<Settled>(mut self, settle: impl Fn() -> Settled + Send + Sync + 'static) -> Self
    where
        Settled: Future<Output = ()> + Send + 'static,
    {
        self.settle = Some(Arc::new(move || Box::pin(settle())));
        self
    }

    /// Says that the store is memory of this process: no call waits for anything, so none can block.
    ///
    /// `calls_do_not_block_the_runtime` then shows that no call waits.
    #[must_use]
    pub fn in_memory(mut self) -> Self {
        self.in_memory = true;
        self
    }

    pub(crate) fn is_in_memory(&self) -> bool {
        self.in_memory
    }

    pub(crate) async fn settle(&self) {
        match &self.settle {
            Some(settle) => settle().await,
            None => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }

    pub(crate) async fn settle_in_the_store(&self) {
        if let Some(settle) = &self.settle {
            settle().await;
        }
    }

    /// How much data the volume tests use.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Opens another instance on the same store.
    ///
    /// # Panics
    /// If it does not open.
    pub async fn open(&self) -> Arc<dyn StorageDriver> {
        (self.open)().await
    }

    pub(crate) fn truncate(&self) -> Option<&Truncate> {
        self.truncate.as_deref()
    }

    pub(crate) async fn fetch(&self, method: Method, url: Url) -> (u16, Bytes) {
        let fetch = self.fetch.as_ref().expect("a store that gives URLs needs `Store::with_fetch`");
        fetch(method, url).await
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("sizes", &self.sizes).finish_non_exhaustive()
    }
}

/// How much data the volume tests use. The default is distribution's, except for the large stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sizes {
    /// Bytes of the one large file. Distribution writes 5 GiB, see [`Sizes::five_gib`].
    pub large_stream: u64,
    /// Bytes of each of the three chunks of the large resumed file.
    pub append_chunk: u64,
    /// Concurrent readers of one file.
    pub readers: usize,
    /// Bytes of the file that they read.
    pub read_size: u64,
    /// Concurrent writers, each with its own file.
    pub writers: usize,
    /// Bytes that each of them writes.
    pub write_size: u64,
    /// Files of a directory that takes more than one page. Object stores list 1000 at a time.
    pub many_files: usize,
    /// Bytes of a file that takes more than one part. In most stores no part is smaller than 5 MiB.
    pub part: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            large_stream: 512 * MIB,
            append_chunk: 10 * MIB,
            readers: 10,
            read_size: 128 * MIB,
            writers: 32,
            write_size: 32 * MIB,
            many_files: 1100,
            part: 6 << 20,
        }
    }
}

impl Sizes {
    /// Returns sizes for stores where volume proves nothing (memory) or costs much (emulators).
    #[must_use]
    pub fn small() -> Self {
        Self {
            large_stream: 24 * MIB,
            append_chunk: 6 * MIB,
            read_size: 8 * MIB,
            write_size: MIB,
            ..Self::default()
        }
    }

    /// Uses distribution's size of the large file.
    #[must_use]
    pub fn five_gib(mut self) -> Self {
        self.large_stream = 5 << 30;
        self
    }

    /// Sets [`many_files`](Self::many_files).
    #[must_use]
    pub fn with_many_files(mut self, many_files: usize) -> Self {
        self.many_files = many_files;
        self
    }
}
