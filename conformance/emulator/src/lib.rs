//! Emulators that stand in for the clouds in the tests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test harness: a failed check is a panic of the test"
)]

pub mod link;
pub mod programs;
pub mod s3;
