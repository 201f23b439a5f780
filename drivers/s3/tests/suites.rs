//! The driver suite and the API suite, each over a server of our own, SeaweedFS and moto. One program: the SDK takes
//! long to link, and each emulator is started once.

#![allow(clippy::unwrap_used, reason = "a test harness: a failed check is a panic of the test")]

mod common;

use std::sync::LazyLock;

use plugin_registry_emulator::s3::Server;

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

plugin_registry_conformance::driver_suite! {
    name: driver_own,
    open: common::store(common::of_server(&SERVER)),
}

plugin_registry_conformance::driver_suite! {
    name: driver_seaweedfs,
    open: common::store_of(common::of_seaweed()),
}

plugin_registry_conformance::driver_suite! {
    name: driver_moto,
    open: common::store_of(common::of_moto()),
}

plugin_registry_conformance::api_suite! {
    name: api_own,
    open: common::store(common::of_server(&SERVER)),
}

plugin_registry_conformance::api_suite! {
    name: api_seaweedfs,
    open: common::store_of(common::of_seaweed()),
}

plugin_registry_conformance::api_suite! {
    name: api_moto,
    open: common::store_of(common::of_moto()),
}
