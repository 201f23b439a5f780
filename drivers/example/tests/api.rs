//! The API suite over the example.

use plugin_registry_conformance::driver::Store;
use plugin_registry_drivers_example::Example;

plugin_registry_conformance::api_suite! {
    name: example,
    open: Store::of_clones(Example::new(1 << 30)),
}
