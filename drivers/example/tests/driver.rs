//! The driver suite over the example.

use plugin_registry_conformance::driver::{Sizes, Store};
use plugin_registry_drivers_example::Example;

plugin_registry_conformance::driver_suite! {
    name: example,
    open: Store::of_clones(Example::new(1 << 30)).in_memory().with_sizes(Sizes::small()),
}
