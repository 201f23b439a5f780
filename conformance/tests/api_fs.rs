//! The API suite over the store in a directory.

use std::sync::Arc;

use plugin_registry_conformance::driver::Store;
use plugin_registry_drivers_fs::{FsConfig, FsDriver};

plugin_registry_conformance::api_suite! {
    name: fs,
    open: {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        Store::new(move || {
            // Kept by every instance: the directory goes with the last of them.
            let directory = directory.clone();
            async move { FsDriver::open(FsConfig::new(directory.path())).await }
        })
    },
}
