//! One store, and registries over it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use plugin_registry::{Registry, RegistryBuilder};
use plugin_registry_core::{StorageDriver, StorageDriverExt, StoragePath};

use super::client::Client;
use crate::{driver::Store, layout::Tree, report};

/// Longer than any test takes on a slow disk, so that a call that waits forever fails by name.
const DEADLINE: Duration = Duration::from_secs(10 * 60);

/// An empty store, and a registry over it that allows deletes and anonymous mounts.
#[derive(Clone, Debug)]
pub struct Lab {
    store: Store,
    driver: Arc<dyn StorageDriver>,
    registry: Registry,
}

impl Lab {
    /// Opens the store.
    pub async fn open(store: Store) -> Self {
        let driver = store.open().await;
        let registry = open(driver.clone()).build();
        Self { store, driver, registry }
    }

    /// The registry.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// A client of the registry.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.registry)
    }

    /// A client of another instance on the same store, as another process would have it, with these options.
    pub async fn with(&self, options: impl FnOnce(RegistryBuilder) -> RegistryBuilder) -> Client {
        Client::new(&options(open(self.store.open().await)).build())
    }

    /// A client of another instance on the same store.
    pub async fn another(&self) -> Client {
        self.with(|builder| builder).await
    }

    /// The store's driver, to act behind the registry's back.
    #[must_use]
    pub fn driver(&self) -> &dyn StorageDriver {
        &*self.driver
    }

    /// The same driver, to be wrapped.
    #[must_use]
    pub fn shared(&self) -> Arc<dyn StorageDriver> {
        self.driver.clone()
    }

    /// Writes a file behind the registry's back.
    pub async fn write(&self, path: &str, content: impl Into<Bytes> + Send) {
        self.driver.put(&storage(path), content).await.unwrap();
    }

    /// Removes a file behind the registry's back.
    pub async fn remove(&self, path: &str) {
        self.driver.delete(&storage(path)).await.unwrap();
    }

    /// Reads everything in the store.
    pub async fn tree(&self) -> Tree {
        Tree::read(&*self.driver).await
    }

    /// Removes a repository and all bytes that only it names, behind the registry's back.
    pub async fn restore_without(&self, name: &str) {
        let repository = format!("/docker/registry/v2/repositories/{name}");
        self.driver.delete_if_exists(&storage(&repository)).await.unwrap();
        let tree = self.tree().await;
        let is_named = |data: &str| {
            let digest = format!("sha256:{}", data.rsplit('/').nth(1).unwrap());
            tree.paths().any(|path| path.ends_with("/link") && *tree.get(path).unwrap() == digest)
        };
        for path in tree.paths().filter(|path| path.contains("/v2/blobs/") && !is_named(path)) {
            self.remove(path).await;
        }
    }

    /// Waits so that a driver with its own threads, or a store behind it, can end what dropped requests began.
    pub async fn settle(&self) {
        self.store.settle().await;
    }

    /// Removes everything in the store.
    pub async fn clear(&self) {
        self.driver.delete_if_exists(&storage("/docker")).await.unwrap();
    }
}

/// Runs one check on its own lab. The tests that [`api_suite!`](crate::api_suite) makes call it.
///
/// # Panics
/// If the check fails or takes more than ten minutes.
pub fn run(open: impl AsyncFnOnce() -> Store, check: impl AsyncFnOnce(&Lab)) {
    on_a_runtime(async {
        let store = open().await;
        if let Some(reason) = store.why_missing() {
            let thread = std::thread::current();
            return report::skip("api", thread.name().unwrap_or("a test"), reason, "store");
        }
        check(&Lab::open(store).await).await;
    });
}

/// Runs a test on its own runtime.
///
/// # Panics
/// If it takes more than ten minutes.
pub fn on_a_runtime(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = runtime.block_on(async { tokio::time::timeout(DEADLINE, test).await });
    assert!(done.is_ok(), "no end after {DEADLINE:?}");
}

/// # Panics
/// If the text is not a path.
pub(super) fn storage(path: &str) -> StoragePath {
    path.parse().unwrap()
}

/// The options with which most behaviors are shown.
fn open(driver: Arc<dyn StorageDriver>) -> RegistryBuilder {
    Registry::builder(driver).delete(true).automatic_crossmount(true)
}
