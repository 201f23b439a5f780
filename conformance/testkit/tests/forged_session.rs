//! A caller that knows the key of the upload state, and can write the token of any session.

#![allow(clippy::unwrap_used, reason = "a test harness: a failed check is a panic of the test")]

use plugin_registry_conformance::{driver::Store, registry::run, scratch::scratch};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use plugin_registry_drivers_memory::MemoryDriver;
use plugin_registry_testkit::sessions::a_session_belongs_to_its_repository;

#[test]
fn in_memory() {
    run(async || Store::of_clones(MemoryDriver::new()), a_session_belongs_to_its_repository);
}

#[test]
fn on_a_filesystem() {
    let open = async || {
        let directory = scratch(env!("CARGO_TARGET_TMPDIR"));
        Store::new(move || FsDriver::open(FsConfig::new(directory.path()).with_durable(false)))
    };
    run(open, a_session_belongs_to_its_repository);
}
