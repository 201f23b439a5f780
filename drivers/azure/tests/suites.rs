//! The driver suite and the API suite over Azurite: with blocks of the usual size, and with small ones below
//! names that begin with a slash. One program, so that Azurite is started once.

#![allow(clippy::unwrap_used, reason = "a test harness: a failed check is a panic of the test")]

mod common;

plugin_registry_conformance::driver_suite! {
    name: driver_azurite,
    open: common::store_of(common::of_azurite()),
}

plugin_registry_conformance::driver_suite! {
    name: driver_small_blocks,
    open: common::store_of_small_blocks(),
}

plugin_registry_conformance::api_suite! {
    name: api_azurite,
    open: common::store_of(common::of_azurite()),
}
