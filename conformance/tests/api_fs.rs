//! The API suite over the store in a directory.

#![allow(clippy::unwrap_used, reason = "a test harness: a failed check is a panic of the test")]

use std::sync::Arc;

use plugin_registry_conformance::driver::Store;
use plugin_registry_drivers_fs::{FsConfig, FsDriver};

plugin_registry_conformance::api_suite! {
    name: fs,
    open: {
        let directory = Arc::new(plugin_registry_conformance::scratch::scratch(env!("CARGO_TARGET_TMPDIR")));
        Store::new(move || {
            // Kept by every instance: the directory goes with the last of them.
            let directory = directory.clone();
            async move { FsDriver::open(FsConfig::new(directory.path())).await }
        })
    },
}
