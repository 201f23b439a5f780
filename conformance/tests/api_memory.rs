//! The API suite over the store in memory.

use plugin_registry_conformance::driver::Store;
use plugin_registry_drivers_memory::MemoryDriver;

plugin_registry_conformance::api_suite! {
    name: memory,
    open: Store::of_clones(MemoryDriver::new()),
}
