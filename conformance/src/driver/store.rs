//! What a driver's test file hands over: how to open its store, and what else is needed for the proof.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::Method;
use plugin_registry_core::{StorageDriver, StoragePath};
use url::Url;

const MIB: u64 = 1 << 20;
const SETTLE: Duration = Duration::from_millis(50);

type Open = dyn Fn() -> BoxFuture<'static, Arc<dyn StorageDriver>> + Send + Sync;
type Truncate = dyn Fn(&StoragePath, u64) + Send + Sync;
type Fetch = dyn Fn(Method, Url) -> BoxFuture<'static, (u16, Bytes)> + Send + Sync;

/// One empty store, made for one test and opened as often as wanted.
///
/// Whatever keeps the store alive, such as a temporary directory, belongs into the closure given to
/// [`Store::new`]: it is dropped when the test ends, also by a panic.
#[derive(Clone)]
pub struct Store {
    open: Arc<Open>,
    truncate: Option<Arc<Truncate>>,
    fetch: Option<Arc<Fetch>>,
    sizes: Sizes,
    missing: Option<String>,
    settle: Duration,
}

impl Store {
    /// A store that `open` opens. Each call gives another instance on the same store, as another
    /// process would have it.
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
        Self { open, truncate: None, fetch: None, sizes: Sizes::default(), missing: None, settle: SETTLE }
    }

    /// A store that cannot be had here, with the reason: its tests are skipped, and counted as such.
    #[must_use]
    pub fn missing(reason: impl Into<String>) -> Self {
        let open: Arc<Open> = Arc::new(|| panic!("a missing store is not opened"));
        let missing = Some(reason.into());
        Self { open, truncate: None, fetch: None, sizes: Sizes::default(), missing, settle: SETTLE }
    }

    /// Why it cannot be had, if so.
    pub(crate) fn why_missing(&self) -> Option<&str> {
        self.missing.as_deref()
    }

    /// A store of which clones of a driver are the instances.
    pub fn of_clones<D: StorageDriver + Clone>(driver: D) -> Self {
        Self::new(move || futures::future::ready(Ok::<_, std::convert::Infallible>(driver.clone())))
    }

    /// How much the tests of volume push.
    #[must_use]
    pub fn with_sizes(mut self, sizes: Sizes) -> Self {
        self.sizes = sizes;
        self
    }

    /// How to cut a stored file behind the driver's back: shows that a reader notices.
    #[must_use]
    pub fn with_truncate(mut self, truncate: impl Fn(&StoragePath, u64) + Send + Sync + 'static) -> Self {
        self.truncate = Some(Arc::new(truncate));
        self
    }

    /// How to fetch a URL that the store gave, as status and body. Needed where it gives URLs.
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

    /// How long what a dropped request has begun may go on in the store: 50 ms unless said.
    #[must_use]
    pub fn with_settle(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self
    }

    pub(crate) fn settle(&self) -> Duration {
        self.settle
    }

    /// The volumes of the tests.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    pub(crate) async fn open(&self) -> Arc<dyn StorageDriver> {
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

/// How much the tests of volume push. The default is distribution's, except for the large stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sizes {
    /// Bytes of the one large file; distribution writes 5 GiB, see [`Sizes::five_gib`].
    pub large_stream: u64,
    /// Bytes of each of the three chunks of the large resumed file.
    pub append_chunk: u64,
    /// Readers of one file at a time.
    pub readers: usize,
    /// Bytes of the file that they read.
    pub read_size: u64,
    /// Writers of different files at a time.
    pub writers: usize,
    /// Bytes that each of them writes.
    pub write_size: u64,
    /// Files of a directory that takes more than one page: object stores list 1000 at a time.
    pub many_files: usize,
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
        }
    }
}

impl Sizes {
    /// For stores where volume proves nothing (memory) or costs much (emulators).
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

    /// The large file as distribution has it.
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
