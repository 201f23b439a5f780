//! The driver suite over redb.

#![allow(clippy::unwrap_used, reason = "a test: a failed check is a panic of it")]

use std::time::Duration;

use plugin_registry_conformance::{
    driver::{Sizes, Store},
    scratch::scratch,
};
use plugin_registry_drivers_redb::RedbDriver;

plugin_registry_conformance::driver_suite! {
    name: redb,
    open: {
        let directory = scratch(env!("CARGO_TARGET_TMPDIR"));
        let driver = RedbDriver::open(directory.path().join("store.redb")).await.unwrap();
        let open = move || {
            let _stays = &directory;
            std::future::ready(Ok::<_, std::convert::Infallible>(driver.clone()))
        };
        // Work of a dropped call waits for its turn: one transaction writes at a time.
        Store::new(open)
            .with_sizes(Sizes::small())
            .with_settle(|| tokio::time::sleep(Duration::from_millis(250)))
    },
}
