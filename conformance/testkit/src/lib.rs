//! Tools that only the tests of this repository need. A driver's author depends on
//! `plugin-registry-conformance`.
//!
//! - [`fuzz`]: the bodies of the fuzz targets, which replay the committed corpus in every test run.
//! - [`model`]: random sequences of calls of the typed API, beside a model of maps and sets.
//! - [`concurrency`]: how concurrent use is judged.
//! - [`program`]: registries as separate processes, ours and those of other projects.
//! - [`sessions`]: what a caller with the key of the upload state cannot do.
//! - [`footprint`]: how much memory a big blob costs.
//!
//! The binary `official` runs the conformance program of the distribution specification.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]
// A check that is in no list would never run.
#![deny(dead_code)]

pub mod concurrency;
pub mod footprint;
pub mod fuzz;
pub mod model;
pub mod program;
pub mod sessions;
