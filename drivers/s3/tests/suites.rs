//! The driver suite and the API suite, each over the project's own server, SeaweedFS and moto. The driver
//! suite also runs over a stand-in for each kind of store that differs from S3, with settings that do not
//! name the difference. One program: the SDK takes long to link, and each emulator is started once.

#![allow(clippy::unwrap_used, reason = "a test harness: a failed check is a panic of the test")]

mod common;

use std::{sync::LazyLock, time::Duration};

use plugin_registry_drivers_s3::S3Config;
use plugin_registry_emulator::{link::Link, s3::Server};

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

/// 32 MiB a second each way: a request takes as long as its bytes do.
static SLOW: LazyLock<Link> = LazyLock::new(|| Link::start(SERVER.address(), 32 << 20, 32 << 20));

fn slow_link() -> S3Config {
    let limit = Duration::from_secs(1);
    let config = common::of_server(&SERVER).with_endpoint(SLOW.endpoint().parse().unwrap());
    config.with_idle_timeout(2 * limit).with_answer_timeout(5 * limit)
}

plugin_registry_conformance::driver_suite! {
    name: driver_own,
    open: common::own_store(&SERVER, common::of_server(&SERVER)),
}

plugin_registry_conformance::driver_suite! {
    name: driver_slow_link,
    open: common::slow_store(&SERVER, slow_link()),
}

plugin_registry_conformance::driver_suite! {
    name: driver_seaweedfs,
    open: common::store_of(common::of_seaweed()),
}

plugin_registry_conformance::driver_suite! {
    name: driver_moto,
    open: common::store_of(common::of_moto()),
}

/// The driver suite over a server with one quirk.
macro_rules! quirk {
    ($(#[$doc:meta])* $name:ident: $change:expr) => {
        $(#[$doc])*
        mod $name {
            static SERVER: std::sync::LazyLock<plugin_registry_emulator::s3::Server> =
                std::sync::LazyLock::new(|| crate::common::quirky($change));

            plugin_registry_conformance::driver_suite! {
                name: driver,
                open: crate::common::quirky_store(&SERVER),
            }
        }
    };
}

quirk! {
    /// Object Lock with a default retention.
    retention: |quirks| quirks.retention = true
}
quirk! {
    /// A bucket with versions.
    versions: |quirks| quirks.versions = true
}
quirk! {
    /// No DeleteObjects, as of GCS.
    no_batches: |quirks| quirks.no_batches = true
}
quirk! {
    /// 403 for what is missing.
    missing_is_forbidden: |quirks| quirks.missing_is_forbidden = true
}
quirk! {
    /// Checksums are refused, as of Backblaze.
    checksums_refused: |quirks| quirks.checksums_refused = true
}

plugin_registry_conformance::api_suite! {
    name: api_own,
    open: common::own_store(&SERVER, common::of_server(&SERVER)),
}

plugin_registry_conformance::api_suite! {
    name: api_seaweedfs,
    open: common::store_of(common::of_seaweed()),
}

plugin_registry_conformance::api_suite! {
    name: api_moto,
    open: common::store_of(common::of_moto()),
}
