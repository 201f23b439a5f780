//! Golden trees of the layout, in memory and in a directory.

#![allow(clippy::unwrap_used, reason = "a test harness: a failed check is a panic of the test")]

use std::sync::Arc;

use plugin_registry_conformance::{driver::Store, layout::Bench};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use plugin_registry_drivers_memory::MemoryDriver;

plugin_registry_conformance::layout_suite! {
    name: memory,
    open: Bench::open(Store::of_clones(MemoryDriver::new())).await,
}

plugin_registry_conformance::layout_suite! {
    name: fs,
    open: {
        let directory = Arc::new(plugin_registry_conformance::scratch::scratch(env!("CARGO_TARGET_TMPDIR")));
        let path = directory.path().to_owned();
        let store = Store::new(move || {
            let directory = directory.clone();
            async move { FsDriver::open(FsConfig::new(directory.path())).await }
        });
        Bench::open(store).await.with_directory(path)
    },
}
