//! Random calls have the same outcomes in memory and on other stores.

use plugin_registry_conformance::driver::{Store, model};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};
use plugin_registry_drivers_memory::MemoryDriver;

/// Shows that the harness itself decides nothing by chance.
#[test]
fn memory_behaves_like_memory() {
    model::check(300, async || Store::of_clones(MemoryDriver::new()));
}

#[test]
fn fs_behaves_like_memory() {
    model::check(500, async || {
        let directory = plugin_registry_conformance::scratch::scratch(env!("CARGO_TARGET_TMPDIR"));
        Store::new(move || FsDriver::open(FsConfig::new(directory.path()).with_durable(false)))
    });
}
