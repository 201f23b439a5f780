//! Uploads whose body is cut off, in memory and on the filesystem.

#![allow(clippy::unwrap_used, reason = "a test harness: a failed check is a panic of the test")]

use std::{convert::Infallible, sync::Arc};

use plugin_registry_conformance::{
    driver::Store,
    registry::{
        Wrapped, on_a_runtime,
        torn::{check_all, every_size},
    },
};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use plugin_registry_drivers_memory::MemoryDriver;

fn memory() -> Store {
    let driver = MemoryDriver::new();
    Store::new(move || {
        let driver = driver.clone();
        async move { Ok::<_, Infallible>(Wrapped::new(Arc::new(driver))) }
    })
}

/// Without waiting for the disk: what a dropped request leaves does not depend on it.
fn fs() -> Store {
    let directory = Arc::new(plugin_registry_conformance::scratch::scratch(env!("CARGO_TARGET_TMPDIR")));
    Store::new(move || {
        let directory = directory.clone();
        async move {
            let config = FsConfig::new(directory.path()).with_durable(false);
            FsDriver::open(config).await.map(|driver| Wrapped::new(Arc::new(driver)))
        }
    })
}

#[test]
fn torn_uploads_in_memory() {
    on_a_runtime(check_all("memory", memory(), every_size(4)));
}

#[test]
fn torn_uploads_on_fs() {
    on_a_runtime(check_all("fs", fs(), every_size(1)));
}

#[test]
#[ignore = "on demand: every cut under all circumstances: some minutes"]
fn all_torn_uploads_in_memory() {
    without_deadline(check_all("memory", memory(), every_size(1000)));
}

#[test]
#[ignore = "on demand: every cut under all circumstances: many minutes"]
fn all_torn_uploads_on_fs() {
    without_deadline(check_all("fs", fs(), every_size(1000)));
}

fn without_deadline(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}
