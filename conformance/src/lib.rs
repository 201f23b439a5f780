//! The suites that prove what the contracts of plugin-registry promise.
//!
//! - [`driver`]: every `# Behavior` bullet of [`StorageDriver`](plugin_registry_core::StorageDriver)
//!   and [`FileWriter`](plugin_registry_core::FileWriter) as a function of the same name, distribution's
//!   own driver suite name by name, and a model test against the driver in memory.
//!   [`driver_suite!`](crate::driver_suite) turns them into one test each.
//! - [`fuzz`]: the bodies of the fuzz targets, which replay the committed corpus in every test run.
//! - [`intercept`]: a driver past which a test can look, wait, fail or lie.
//! - [`program`]: registries as programs of their own, ours and other people's.
//! - [`footprint`]: what a big blob costs in memory.
//! - [`concurrency`]: by what concurrent use is judged.
//! - [`scratch`]: directories in memory, for tests that prove nothing about durability.
//! - [`report`]: how skipped tests are named and counted.
//!
//! Nothing depends on this crate but tests; it panics where a check fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]
// A check that no list names would never run.
#![deny(dead_code)]

pub mod concurrency;
pub mod driver;
pub mod footprint;
pub mod fuzz;
pub mod intercept;
pub mod layout;
pub mod model;
pub mod program;
pub mod registry;
pub mod report;
pub mod scratch;
