//! The driver suite over the store in memory.

use plugin_registry_conformance::driver::{Sizes, Store};
use plugin_registry_drivers_memory::MemoryDriver;

plugin_registry_conformance::driver_suite! {
    name: memory,
    open: Store::of_clones(MemoryDriver::new()).in_memory().with_sizes(Sizes::small()),
}
