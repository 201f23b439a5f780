//! The suites that prove the promises of plugin-registry's contracts.
//!
//! - [`driver`]: every `# Behavior` bullet of [`StorageDriver`](plugin_registry_core::StorageDriver) and
//!   [`FileWriter`](plugin_registry_core::FileWriter) as a function of the same name, distribution's own
//!   driver suite name by name, and a model test against the driver in memory.
//!   [`driver_suite!`](crate::driver_suite) makes one test of each function.
//! - [`intercept`]: a driver wrapper in which a test can look, wait, fail or lie.
//! - [`scratch`]: directories in memory, for tests that prove nothing about durability.
//! - [`report`]: how skipped tests are named and counted.
//!
//! Only tests depend on this crate. It panics if a check fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]
// A check that is in no list would never run.
#![deny(dead_code)]

pub mod driver;
pub mod intercept;
pub mod layout;
pub mod registry;
pub mod report;
pub mod scratch;
