//! The driver suite over a directory.

#![allow(clippy::unwrap_used, reason = "a store that does not open is a failed test")]

use std::{fs::File, path::Path};

use plugin_registry_conformance::driver::{Sizes, Store};
use plugin_registry_drivers_fs::{FsConfig, FsDriver};

/// A directory that goes with the test, on the disk of the build: `/tmp` may be memory.
fn store(durable: bool) -> Store {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let root = directory.path().to_owned();
    Store::new(move || FsDriver::open(FsConfig::new(directory.path()).with_durable(durable)))
        .with_truncate(move |path, size| cut(&root.join(path.as_relative()), size))
}

fn cut(file: &Path, size: u64) {
    File::options().write(true).open(file).unwrap().set_len(size).unwrap();
}

plugin_registry_conformance::driver_suite! {
    name: durable,
    open: store(true),
    unsupported: [],
}

plugin_registry_conformance::driver_suite! {
    name: not_durable,
    open: store(false).with_sizes(Sizes::small()),
    unsupported: [],
}
