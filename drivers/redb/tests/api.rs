//! The API suite over redb.

#![allow(clippy::unwrap_used, reason = "a test: a failed check is a panic of it")]

use plugin_registry_conformance::{driver::Store, scratch::scratch};
use plugin_registry_drivers_redb::RedbDriver;

plugin_registry_conformance::api_suite! {
    name: redb,
    open: {
        let directory = scratch(env!("CARGO_TARGET_TMPDIR"));
        let driver = RedbDriver::open(directory.path().join("store.redb")).await.unwrap();
        Store::new(move || {
            let _stays = &directory;
            std::future::ready(Ok::<_, std::convert::Infallible>(driver.clone()))
        })
    },
}
