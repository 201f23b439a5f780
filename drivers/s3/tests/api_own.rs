//! The API suite over a server of our own.

#![allow(clippy::unwrap_used, reason = "a test harness: a failed check is a panic of the test")]

mod common;

use std::sync::LazyLock;

use plugin_registry_emulator::s3::Server;

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

plugin_registry_conformance::api_suite! {
    name: own,
    open: common::store(common::of_server(&SERVER)),
}
